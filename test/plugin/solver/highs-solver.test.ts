import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { highsSolver } from '../../../plugin/solver/highs-solver.ts';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { buildInstance, type PlacementInstance } from '../../../src/affinity/instance.ts';
import { largestShares, solveOuterApproximation } from '../../../src/affinity/lp/outer-approximation.ts';
import { Relaxation } from '../../../src/affinity/lp/relaxation.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { LinearProgram } from '../../../src/ports/linear-solver.ts';
import { bestOfAllMaps } from '../../support/enumerate.ts';
import { randomInputs } from '../../support/placement.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('solver/highs');
const SEED = testSeed('solver/highs');
const solver = highsSolver();

test.after(() => solver.close());

/** min -x - y, x + 2y <= 4.5, 3x + y <= 6: the corner (1.5, 1.5), or (1, 1) in whole numbers. */
const corner: LinearProgram = {
  columnCount: 2,
  rowCount: 2,
  cost: Float64Array.of(-1, -1),
  offset: 10,
  columnLower: new Float64Array(2),
  columnUpper: new Float64Array(2).fill(Number.POSITIVE_INFINITY),
  rowLower: new Float64Array(2).fill(Number.NEGATIVE_INFINITY),
  rowUpper: Float64Array.of(4.5, 6),
  columnStart: Int32Array.of(0, 2, 4),
  rowIndex: Int32Array.of(0, 1, 0, 1),
  coefficient: Float64Array.of(1, 3, 2, 1),
};

const instanceOf = (
  seed: bigint,
  sizes: { partitionCount: number; nodeCount: number; horizonSteps: number },
): PlacementInstance =>
  buildInstance(randomInputs(seededRandom(seed), sizes), {
    ...DEFAULT_AFFINITY_SETTINGS,
    riskZ: 0,
    moveFixedIndexHours: 0.005,
    moveBlipIndexHours: 0.01,
  });

test('it solves a programme, with duals, and in whole numbers', async () => {
  const linear = await solver.solve(corner, { secondsMax: 5 });
  check.is(linear.status, 'optimal');
  check.ok(Math.abs(linear.objective - 7) < 1e-9);
  check.ok(linear.columnValue.every((value) => Math.abs(value - 1.5) < 1e-9));
  check.ok(Math.abs((linear.rowDual[0] as number) + 0.4) < 1e-9, 'the first row is worth 0.4');
  const whole = await solver.solve({ ...corner, isInteger: Uint8Array.of(1, 1) }, { secondsMax: 5 });
  check.ok(Math.abs(whole.objective - 8) < 1e-9);
  check.ok(Math.abs(whole.bound - 8) < 1e-6);
});

test('it says when nothing can satisfy the rows', async () => {
  const { status, hasPoint } = await solver.solve(
    { ...corner, rowLower: Float64Array.of(100, 0) },
    { secondsMax: 5 },
  );
  check.is(status, 'infeasible');
  check.is(hasPoint, false);
});

for (const peakWeight of [0, 5])
  test(`the linear programme and the relaxation have the same minimum, weight of the peak ${peakWeight}`, async () => {
    const sizes = { partitionCount: 40, nodeCount: 4, horizonSteps: 3 };
    const instance = { ...instanceOf(SEED, sizes), peakWeight };
    const relaxation = Relaxation.from(instance, instance.home);
    let gap = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 200 && gap > 1e-9; round++) gap = relaxation.advance();
    const { bound } = await solveOuterApproximation(solver, instance, { isInteger: false, secondsMax: 10 });
    check.ok(gap < 1e-5, `gap ${gap}`);
    check.ok(bound < relaxation.lowerBound + gap + 1e-7, `${bound} <= ${relaxation.lowerBound}`);
    check.ok(bound > relaxation.lowerBound * (1 - 1e-5), `${bound} is near ${relaxation.lowerBound}`);
  });

test('in whole numbers it finds the best of all maps', async () => {
  const instance = instanceOf(SEED + 1n, { partitionCount: 7, nodeCount: 3, horizonSteps: 2 });
  const best = bestOfAllMaps(instance);
  const { bound, choices, shareOf } = await solveOuterApproximation(solver, instance, {
    isInteger: true,
    secondsMax: 10,
  });
  const cost = new PlacementState(instance, largestShares(choices, shareOf as Float64Array)).cost();
  check.ok(cost < best.cost * (1 + 1e-3), `${cost} is ${best.cost}`);
  check.ok(bound <= best.cost + 1e-9, `${bound} <= ${best.cost}`);
});

test('a cancelled solve ends at once, and the next one works', async () => {
  const instance = instanceOf(SEED, { partitionCount: 200, nodeCount: 8, horizonSteps: 8 });
  const controller = new AbortController();
  const solve = solveOuterApproximation(solver, instance, {
    isInteger: true,
    secondsMax: 60,
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(), 50);
  try {
    await solve;
    check.unreachable('it was cancelled');
  } catch (error) {
    check.instance(error, ForeshardError);
    check.is((error as ForeshardError).code, 'FORESHARD_LIMIT');
  }
  const next = await solver.solve(corner, { secondsMax: 5 });
  check.is(next.status, 'optimal');
});

test.run();
