import { highsSolver } from '../../plugin/solver/highs-solver.ts';
import type { PlacementInstance } from '../../src/affinity/instance.ts';
import { largestShares, solveOuterApproximation } from '../../src/affinity/lp/outer-approximation.ts';

/** The mixed-integer programme of the placement problem, solved by HiGHS for so many seconds: what a general solver does. */
export async function highsMip(
  instance: PlacementInstance,
  seconds: number,
): Promise<{ ownerOf: Int32Array; bound: number; isProved: boolean }> {
  const solver = highsSolver();
  try {
    const { choices, shareOf, bound, status } = await solveOuterApproximation(solver, instance, {
      isInteger: true,
      secondsMax: seconds,
    });
    const ownerOf = shareOf === null ? instance.home.slice() : largestShares(choices, shareOf);
    return { ownerOf, bound, isProved: status === 'optimal' };
  } finally {
    await solver.close();
  }
}
