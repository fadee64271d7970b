import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decompose } from '../../../src/analyzer/decomposition.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('analyzer/decomposition');
const seed = testSeed('analyzer/decomposition');
const WINDOWS = 672;
const PERIODS = [24, 168];

const day = (t: number): number => Math.sin((2 * Math.PI * t) / 24);
const week = (t: number): number => (Math.floor(t / 24) % 7 >= 5 ? -1 : 0.4);
const trend = (t: number): number => 5 + t / 400;

/** Trend, day, week and some noise. */
function series(noise: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: WINDOWS }, (_, t) => {
    return trend(t) + day(t) + week(t) + noise * (random.nextFloat() - 0.5);
  });
}

const rootMeanSquare = (values: ArrayLike<number>, truth: (t: number) => number): number =>
  Math.sqrt(Array.from(values).reduce((sum, value, t) => sum + (value - truth(t)) ** 2, 0) / values.length);

test('trend, day and week that were added up are found again, and add up to the values', () => {
  const values = series(0.2);
  const { arena, ...rest } = loadKernels();
  const usedBytes = arena.usedBytes;
  const parts = decompose(values, { periods: [168, 24] }, { arena, ...rest });
  assert.is(arena.usedBytes, usedBytes, 'kernel memory is given back');
  assert.equal(parts.periods, PERIODS);
  const [daily, weekly] = parts.seasonal as [Float64Array, Float64Array];
  values.forEach((value, t) => {
    const sum = parts.trend[t]! + daily[t]! + weekly[t]! + parts.remainder[t]!;
    assert.ok(Math.abs(sum - value) < 1e-9, `window ${t}`);
  });
  // The noise has a root mean square of 0.058; a mean of a few cycles of it remains in the seasons.
  assert.ok(rootMeanSquare(daily, day) < 0.1, `day ${rootMeanSquare(daily, day)}`);
  assert.ok(rootMeanSquare(weekly, week) < 0.2, `week ${rootMeanSquare(weekly, week)}`);
  assert.ok(
    parts.strengths.every((strength) => strength > 0.9 && strength < 1),
    `${parts.strengths}`,
  );
  assert.ok(rootMeanSquare(parts.trend, trend) < 0.1, `trend ${rootMeanSquare(parts.trend, trend)}`);
});

test('a robust decomposition leaves an outlier in the remainder, where it stands out', () => {
  const values = series(0.1);
  values[300] = values[300]! + 8;
  const kernels = loadKernels();
  const plain = decompose(values, { periods: PERIODS }, kernels);
  const robust = decompose(values, { periods: PERIODS, isRobust: true }, kernels);
  // A cycle later the plain one sees a trace of it.
  const trace = (parts: typeof plain): number => Math.abs(parts.remainder[324]!);
  assert.ok(robust.remainder[300]! > 7.5, `${robust.remainder[300]}`);
  assert.ok(plain.remainder[300]! < robust.remainder[300]!);
  assert.ok(trace(robust) < trace(plain), `${trace(robust)} ${trace(plain)}`);
});

test('a periodic decomposition has the same cycle all along', () => {
  const { seasonal } = decompose(series(0.2), { periods: PERIODS, isPeriodic: true }, loadKernels());
  const weekly = seasonal[1]!;
  const changes = Array.from({ length: WINDOWS - 168 }, (_, t) => Math.abs(weekly[t + 168]! - weekly[t]!));
  // What the moving averages take out of the ends is all that changes.
  assert.ok(Math.max(...changes) < 0.05, `${Math.max(...changes)}`);
});

test('a period that was not seen twice is left out; with none left there is nothing to say', () => {
  const kernels = loadKernels();
  const { periods, seasonal } = decompose(series(0.1).slice(0, 200), { periods: PERIODS }, kernels);
  assert.equal(periods, [24]);
  assert.is(seasonal.length, 1);
  const codeOf = (work: () => unknown): string => {
    try {
      work();
      return 'none';
    } catch (error) {
      return error instanceof ForeshardError ? error.code : String(error);
    }
  };
  assert.is(
    codeOf(() => decompose([1, 2, 3], { periods: PERIODS }, kernels)),
    'FORESHARD_NOT_READY',
  );
  assert.is(
    codeOf(() => decompose(series(0).with(7, Number.NaN), { periods: PERIODS }, kernels)),
    'FORESHARD_CORRUPT',
  );
  assert.is(kernels.arena.usedBytes, 0, 'nothing is left behind');
});

test('constants decompose into themselves, also robustly', () => {
  const values = new Float64Array(100).fill(3);
  for (const isRobust of [false, true]) {
    const parts = decompose(values, { periods: [24], isRobust }, loadKernels());
    assert.ok(parts.trend.every((value) => Math.abs(value - 3) < 1e-12));
    assert.ok([...parts.seasonal[0]!, ...parts.remainder].every((value) => Math.abs(value) < 1e-12));
  }
});

test.run();
