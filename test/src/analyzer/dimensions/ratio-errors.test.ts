import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { RatioErrors, ratioWidth } from '../../../../src/analyzer/dimensions/ratio-errors.ts';
import { seededRandom } from '../../../../src/base/random.ts';

const test = suite('errors of ratios');
const LEVELS = [0.8, 0.95];
const ROWS = 40;

/** Judges windows of all rows, whose loads lie e^error from what was expected. */
function judged(windowCount: number, errorOf: () => number): RatioErrors {
  const errors = new RatioErrors(ROWS, { followerCount: 1, levels: LEVELS, dayWindows: 24 });
  for (let window = 0; window < windowCount; window++) {
    errors.beginWindow();
    for (let row = 0; row < ROWS; row++)
      errors.judge(row, { value: 100 * Math.exp(errorOf()), expected: 100, usual: 0 });
    errors.endWindow();
  }
  return errors;
}

/** Log units that hold the share of a level, at a step. */
const widthOf = (errors: RatioErrors, row: number, { level = 0, step = 0 } = {}): number =>
  ratioWidth(errors.ahead(0, 168).quantiles[level]?.[step] as number, errors.spread(row));

function normal(random: { nextFloat(): number }): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random.nextFloat();
  return sum;
}

test('widths hold what errors do, however heavy their tails are', () => {
  const random = seededRandom(5n);
  // One error in seven is ten times as large: far from the normal distribution that widths begin with.
  const heavy = () => (random.nextFloat() < 1 / 7 ? 1 : 0.1) * normal(random);
  const errors = judged(600, heavy);
  LEVELS.forEach((level, index) => {
    let inside = 0;
    for (let i = 0; i < 4000; i++)
      inside += Number(Math.abs(heavy()) <= widthOf(errors, i % ROWS, { level: index }));
    assert.ok(Math.abs(inside / 4000 - level) < 0.03, `${level}: ${inside / 4000}`);
  });
});

test('means of what is skewed lie above the middle', () => {
  const random = seededRandom(6n);
  const errors = judged(600, () => normal(random));
  let sum = 0;
  for (let row = 0; row < ROWS; row++) sum += errors.meanFactor(row) * Math.exp(errors.level(row));
  // Of a lognormal distribution of spread 1, mean over median.
  const expected = Math.exp(0.5);
  assert.ok(Math.abs(sum / ROWS / expected - 1) < 0.15, `${sum / ROWS} in place of ${expected}`);
});

test('a day that lay above the usual moves the ratio most of the way, and is forgotten in a few', () => {
  const half = Math.log(2);
  const level = judged(24, () => half).level(0) / half;
  assert.ok(level > 0.6 && level < 1, `${level} of the way`);
  let windows = 0;
  const later = judged(24 * 6, () => (windows++ < 24 * ROWS ? half : 0)).level(0) / half;
  assert.ok(later < 0.1, `${later} of the way`);
});

test('of a ratio that wanders from day to day most is expected to last for hours, little for a week, and bounds grow accordingly', () => {
  const random = seededRandom(8n);
  const slow = new Float64Array(ROWS);
  let row = 0;
  const wandering = (): number => {
    const at = row++ % ROWS;
    // Half of it is forgotten after a day and a half.
    slow[at] = 0.98 * (slow[at] as number) + 0.2 * normal(random);
    return slow[at] as number;
  };
  const errors = judged(1200, wandering);
  const { lasting } = errors.ahead(0, 168);
  assert.ok((lasting[0] as number) > 0.9, `${lasting[0]}`);
  assert.ok(
    (lasting[100] as number) < 0.4 && (lasting[36] as number) < 0.8,
    `${lasting[36]}, ${lasting[100]}`,
  );
  const inside = new Float64Array(3);
  const steps = [1, 36, 100];
  const levels = Float64Array.from({ length: ROWS }, (_, of) => errors.level(of));
  const widths = steps.map((step) => Array.from({ length: ROWS }, (_, of) => widthOf(errors, of, { step })));
  let count = 0;
  for (let trial = 0; trial < 60; trial++) {
    const start = slow.slice();
    for (let step = 0; step <= 100; step++) {
      for (let i = 0; i < ROWS; i++) wandering();
      const of = steps.indexOf(step);
      if (of >= 0)
        for (let i = 0; i < ROWS; i++)
          inside[of]! += Number(
            Math.abs((slow[i] as number) - (levels[i] as number) * (lasting[step] as number)) <=
              (widths[of]?.[i] as number),
          );
    }
    slow.set(start);
    count += ROWS;
  }
  inside.forEach((held, i) => {
    assert.ok(Math.abs(held / count - 0.8) < 0.1, `step ${steps[i]}: ${held / count}`);
  });
});

test('saved, it goes on with all that it knew', () => {
  const random = seededRandom(7n);
  const errors = judged(100, () => normal(random));
  const restored = new RatioErrors(ROWS, { followerCount: 1, levels: LEVELS, dayWindows: 24 });
  restored.load(structuredClone(errors.save()));
  for (let row = 0; row < ROWS; row++) {
    assert.equal(restored.level(row), errors.level(row));
    assert.equal(restored.meanFactor(row), errors.meanFactor(row));
    for (const step of [0, 20, 100])
      assert.equal(widthOf(restored, row, { level: 1, step }), widthOf(errors, row, { level: 1, step }));
  }
});

test.run();
