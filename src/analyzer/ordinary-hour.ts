import type { History } from './history.ts';

/** Share of a day's mean load from which on a window says as much of the level as any other. */
const ORDINARY_SHARE = 0.5;

/**
 * How much a window tells of the level of the whole day, 0 to 1, by what was to be expected in it.
 *
 * Errors are measured in log units, where a night's are the largest: forty flights after midnight, where two are usual, are a
 * late evening, and no sign of a day of twenty times the load. Counted in full they widened the bounds of a hot partition up to
 * fivefold for all of the week to come, nearly every night for one or another, and plans moved everything away from it: 273 moves in
 * 24 days and 40 node-hours above 80 %, in place of 104 and 9 (256 partitions on 16 nodes).
 *
 * @param logExpected log1p, as the loads of the history.
 */
export function levelWeight(
  history: History,
  partition: number,
  { window, logExpected }: { readonly window: number; readonly logExpected: number },
): number {
  const { dayWindows } = history.shape;
  const first = Math.max(0, window + 1 - dayWindows);
  let day = 0;
  for (let w = first; w <= window; w++) day += Math.expm1(history.logLoad(partition, w));
  const ordinary = (ORDINARY_SHARE * day) / (window + 1 - first);
  const expected = Math.expm1(logExpected);
  return expected >= ordinary ? 1 : Math.max(0, expected / ordinary);
}
