import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BAND_COUNT } from '../../../src/analyzer/bands.ts';
import { combine } from '../../../src/analyzer/combination.ts';
import { Losses } from '../../../src/analyzer/losses.ts';

const test = suite('analyzer/losses');
const ALL = { first: 0, count: 2 };

const weightsOf = (losses: Losses, isAvailable: readonly boolean[]) => {
  const weights = losses.weights(isAvailable, ALL);
  return (partition: number, band: number) =>
    weights.subarray(
      (partition * BAND_COUNT + band) * isAvailable.length,
      (partition * BAND_COUNT + band + 1) * isAvailable.length,
    );
};

const near = (actual: ArrayLike<number>, expected: readonly number[], tolerance = 1e-9): void => {
  expected.forEach((value, index) => {
    assert.ok(Math.abs(actual[index]! - value) <= tolerance, `${Array.from(actual)} is not ${expected}`);
  });
};

test('without any record all who can speak are heard alike', () => {
  near(weightsOf(new Losses(2, 3), [true, false, true])(1, 2), [0.5, 0, 0.5]);
});

test('a weight is the inverse square of the error; far worse than the best, and never judged, is not heard', () => {
  const losses = new Losses(2, 4);
  for (let i = 0; i < 10; i++) {
    losses.add(0, { band: 1, first: 0 }, Float64Array.of(0.1, -0.1));
    losses.add(1, { band: 1, first: 0 }, Float64Array.of(-0.15, 0.15));
    losses.add(2, { band: 1, first: 0 }, Float64Array.of(0.3, 0.3));
  }
  near(weightsOf(losses, [true, true, true, true])(0, 1), [9 / 13, 4 / 13, 0, 0]);
});

test('a partition comes to be forecast by what has been best for it', () => {
  const losses = new Losses(2, 2);
  // Member 0 is good for partition 0, member 1 for partition 1; over both they tie.
  for (let i = 0; i < 500; i++) {
    losses.add(0, { band: 0, first: 0 }, Float64Array.of(0.1, 0.5));
    losses.add(1, { band: 0, first: 0 }, Float64Array.of(0.5, 0.1));
  }
  const weights = weightsOf(losses, [true, true]);
  near(weights(0, 0), [1, 0]);
  near(weights(1, 0), [0, 1]);
});

test('one error however wild does not decide', () => {
  const losses = new Losses(2, 2);
  for (let i = 0; i < 100; i++) {
    losses.add(0, { band: 0, first: 0 }, Float64Array.of(0.1, 0.1));
    losses.add(1, { band: 0, first: 0 }, Float64Array.of(0.2, 0.2));
  }
  losses.add(0, { band: 0, first: 0 }, Float64Array.of(9, 9));
  losses.add(1, { band: 0, first: 0 }, Float64Array.of(0, 0));
  const [first, second] = weightsOf(losses, [true, true])(0, 0);
  assert.ok(first! > second!, `${first} > ${second}`);
});

test('old errors are forgotten', () => {
  const losses = new Losses(2, 2);
  const judge = (bad: number, windows: number) => {
    for (let i = 0; i < windows; i++) {
      losses.fade();
      losses.add(bad, { band: 0, first: 0 }, Float64Array.of(0.2, 0.2));
      losses.add(1 - bad, { band: 0, first: 0 }, Float64Array.of(0.1, 0.1));
    }
  };
  judge(0, 500);
  judge(1, 2000);
  const [first, second] = weightsOf(losses, [true, true])(0, 0);
  assert.ok(first! > second!, `${first} > ${second}`);
});

test('who is right since yesterday is heard before the weeks say so', () => {
  const losses = new Losses(2, 2);
  const judge = (bad: number, windows: number) => {
    for (let i = 0; i < windows; i++) {
      losses.fade();
      losses.add(bad, { band: 0, first: 0 }, Float64Array.of(0.15, 0.15));
      losses.add(1 - bad, { band: 0, first: 0 }, Float64Array.of(0.1, 0.1));
    }
  };
  judge(0, 500);
  judge(1, 36);
  const [first, second] = weightsOf(losses, [true, true])(0, 0);
  assert.ok(first! > 1.3 * second!, `${first} > ${second}`);
  // Restored, it says the same.
  const other = new Losses(2, 2);
  other.load(losses.save());
  near(weightsOf(other, [true, true])(0, 0), [first!, second!]);
});

test('the combination is the mean of the middle half by weight', () => {
  const range = { first: 0, count: 1 };
  const isAvailable = [true, true, true, true];
  const weights = new Float64Array(BAND_COUNT * 4).fill(0.25);
  const combined = new Float32Array(2);
  // One member says something wild: it is not heard, whichever step.
  const logLoads = Float64Array.of(1, 1, 900, -900, 2, 3, 4, 5);
  combine({ range, isAvailable, logLoads }, { weights, steps: Int32Array.of(0, 1), combined });
  near(combined, [3, 2]);
});

test.run();
