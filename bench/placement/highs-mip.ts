import { highsSolver } from '../../plugin/solver/highs-solver.ts';
import type { PlacementInstance } from '../../src/affinity/instance.ts';
import { largestShares, solveOuterApproximation } from '../../src/affinity/lp/outer-approximation.ts';
import { ForeshardError } from '../../src/base/errors.ts';

/**
 * The mixed-integer programme of the placement problem, solved by HiGHS for so many seconds by the clock: what a general
 * solver does. Null if it has not even noticed its limit some seconds later, as on a busy machine.
 */
export async function highsMip(
  instance: PlacementInstance,
  seconds: number,
): Promise<{ ownerOf: Int32Array; bound: number } | null> {
  const solver = highsSolver();
  try {
    const { choices, shareOf, bound } = await solveOuterApproximation(solver, instance, {
      isInteger: true,
      secondsMax: seconds,
    });
    const ownerOf = shareOf === null ? instance.home.slice() : largestShares(choices, shareOf);
    return { ownerOf, bound };
  } catch (error) {
    if (error instanceof ForeshardError && error.code === 'FORESHARD_LIMIT') return null;
    throw error;
  } finally {
    await solver.close();
  }
}
