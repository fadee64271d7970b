import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { RatioErrors } from '../../../../src/analyzer/dimensions/ratio-errors.ts';
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
    for (let i = 0; i < 4000; i++) inside += Number(Math.abs(heavy()) <= errors.width(i % ROWS, index));
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

test('saved, it goes on with all that it knew', () => {
  const random = seededRandom(7n);
  const errors = judged(100, () => normal(random));
  const restored = new RatioErrors(ROWS, { followerCount: 1, levels: LEVELS, dayWindows: 24 });
  restored.load(structuredClone(errors.save()));
  for (let row = 0; row < ROWS; row++) {
    assert.equal(restored.level(row), errors.level(row));
    assert.equal(restored.meanFactor(row), errors.meanFactor(row));
    assert.equal(restored.width(row, 1), errors.width(row, 1));
  }
});

test.run();
