import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { History } from '../../../src/analyzer/history.ts';
import { type LevelShift, LevelShifts } from '../../../src/analyzer/level-shifts.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { testSeed } from '../../support/seed.ts';
import { profileOf, weeklyLoad } from '../../support/synthetic-load.ts';

const test = suite('analyzer/level-shifts');
const seed = testSeed('analyzer/level-shifts');
const PARTITIONS = 4;
const FOUR_WEEKS = 672;

type Load = (partition: number, window: number) => number;

/** Watches a load; every shift is told to the history, as the forecaster does. */
function watch(load: Load, windowCount: number, surprise: 'all' | 'none' = 'all') {
  const { arena } = loadKernels();
  const shape = { partitionCount: PARTITIONS, windowMs: 3_600_000, startMs: 0, driver: 'queries' as const };
  const history = new History({ ...shape, windowsMax: 1000, weekWindows: 168, dayWindows: 24 }, arena);
  const shifts = new LevelShifts({ partitionCount: PARTITIONS, dayWindows: 24 });
  const profile = profileOf({ partitionCount: PARTITIONS, firstWindow: 0, windowCount, load });
  const found: (LevelShift & { readonly foundAt: number })[] = [];
  for (let w = 0; w < windowCount; w++) {
    history.append(profile, w);
    const surpriseOf = (partition: number, first: number): number => {
      if (surprise === 'none') return 0;
      let sum = 0;
      for (let i = first; i <= w; i++)
        sum += history.logLoad(partition, i) - history.logLoad(partition, i - 168);
      return sum / (w + 1 - first);
    };
    for (const shift of shifts.watch(history, surpriseOf)) {
      history.rescale(shift.partition, shift.window, shift.factor);
      found.push({ ...shift, foundAt: w });
    }
  }
  return { found, history, shifts };
}

const usual = weeklyLoad(seed, { noise: 0.1 });
const from =
  (window: number, factor: number, partition = 1, end = Number.POSITIVE_INFINITY): Load =>
  (p, w) =>
    usual(p, w) * (p === partition && w >= window && w < end ? factor : 1);

test('no shift is found in noise, nor in a weekend', () => {
  assert.equal(watch(usual, 2 * FOUR_WEEKS).found, []);
});

for (const factor of [2, 0.5])
  test(`a level times ${factor} is found within a day, and the past brought to it`, () => {
    const { found, history } = watch(from(FOUR_WEEKS, factor), FOUR_WEEKS + 72);
    const [first] = found;
    assert.ok(first !== undefined && first.foundAt < FOUR_WEEKS + 24, JSON.stringify(found));
    assert.ok(
      found.every(({ partition }) => partition === 1),
      'only that partition',
    );
    const total = found.reduce((product, shift) => product * shift.factor, 1);
    assert.ok(
      Math.abs(Math.log(total / factor)) < 0.1,
      `${JSON.stringify(found)} factor ${total}, SEED=${seed}`,
    );
    const rescaled = Math.expm1(history.logLoad(1, FOUR_WEEKS - 40));
    assert.ok(Math.abs(Math.log(rescaled / (factor * usual(1, FOUR_WEEKS - 40)))) < 0.1);
    const untouched = Math.expm1(history.logLoad(2, FOUR_WEEKS - 40));
    assert.ok(Math.abs(untouched - usual(2, FOUR_WEEKS - 40)) < 1e-6);
  });

test('some hours after a shift it is suspected, in size and direction; without one nothing is', () => {
  for (const factor of [2, 0.5]) {
    const { found, history, shifts } = watch(from(FOUR_WEEKS, factor), FOUR_WEEKS + 4);
    assert.equal(found, []);
    assert.ok(
      Math.abs(shifts.suspected(1, history) - Math.log(factor)) < 0.2,
      `${shifts.suspected(1, history)}, SEED=${seed}`,
    );
    for (const other of [0, 2, 3]) assert.is(shifts.suspected(other, history), 0);
  }
});

test('where loads often differ by much for some hours, more of a difference is needed to suspect a shift', () => {
  // Three hours of e times the load, at other hours each time.
  const restless: Load = (p, w) => usual(p, w) * (p === 1 && w < FOUR_WEEKS && w % 61 < 3 ? Math.E : 1);
  const suspectedAt = (step: number): number => {
    const { history, shifts } = watch(
      (p, w) => restless(p, w) * (p === 1 && w >= FOUR_WEEKS ? Math.exp(step) : 1),
      FOUR_WEEKS + 3,
    );
    return shifts.suspected(1, history);
  };
  assert.is(suspectedAt(0.45), 0, `SEED=${seed}`);
  assert.ok(suspectedAt(1.2) > 0.8, `${suspectedAt(1.2)}, SEED=${seed}`);
});

test('a late evening is no other level, although the hours after midnight have many times their usual load', () => {
  const nightly: Load = (p, w) => (w % 24 < 5 ? 1 : usual(p, w));
  for (const hours of [1, 2, 3]) {
    const late: Load = (p, w) => (p === 1 && w >= FOUR_WEEKS && w < FOUR_WEEKS + hours ? 30 : nightly(p, w));
    const { history, shifts } = watch(late, FOUR_WEEKS + hours);
    assert.is(shifts.suspected(1, history), 0, `${hours} hours, SEED=${seed}`);
  }
});

test('a level that comes back is found again', () => {
  const { found } = watch(from(FOUR_WEEKS, 2, 1, FOUR_WEEKS + 240), FOUR_WEEKS + 312);
  const total = found.reduce((product, shift) => product * shift.factor, 1);
  assert.ok(found.length >= 2 && Math.abs(Math.log(total)) < 0.15, JSON.stringify(found));
});

test('a spike of two hours, and silence, are no levels', () => {
  assert.equal(watch(from(FOUR_WEEKS, 8, 1, FOUR_WEEKS + 2), FOUR_WEEKS + 72).found, []);
  assert.equal(watch(from(FOUR_WEEKS, 0, 1), FOUR_WEEKS + 72).found, []);
});

test('what is more than four times as much, or less than a quarter, is no level: the past is left as it is', () => {
  for (const factor of [3.3, 1 / 3.3]) {
    const { found } = watch(from(FOUR_WEEKS, factor), FOUR_WEEKS + 72);
    assert.ok(found.length > 0, `${factor} is one, SEED=${seed}`);
  }
  for (const factor of [5, 1 / 5, 10_000])
    assert.equal(watch(from(FOUR_WEEKS, factor), FOUR_WEEKS + 72).found, [], `${factor}, SEED=${seed}`);
});

test('an outage of two days, half of which is over when a shift would be found, is none', () => {
  const { found } = watch(from(FOUR_WEEKS, 0.08, 1, FOUR_WEEKS + 44), FOUR_WEEKS + 24 * 8);
  assert.equal(found, []);
});

test('what forecasts knew beforehand is no shift', () => {
  assert.equal(watch(from(FOUR_WEEKS, 2), FOUR_WEEKS + 72, 'none').found, []);
});

test.run();
