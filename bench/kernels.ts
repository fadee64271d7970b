/** Each forecast kernel against its plain TypeScript twin (test/oracles): the same result, bit for bit, at which ratio? */
import { clusterContests } from './kernels/cluster.ts';
import { measure } from './kernels/contest.ts';
import { cssContests } from './kernels/css.ts';
import { ridgeContests } from './kernels/ridge.ts';
import { seasonalContests } from './kernels/seasonal.ts';
import type { BenchOutcome } from './types.ts';

export const area = 'kernels';

export async function run({ isSmall }: { readonly isSmall: boolean }): Promise<BenchOutcome> {
  const contests = [
    ...seasonalContests(isSmall),
    ...ridgeContests(isSmall),
    ...clusterContests(isSmall),
    ...cssContests(isSmall),
  ];
  return { results: contests.map((contest) => measure(contest, isSmall ? 1 : 7)), skipped: [] };
}
