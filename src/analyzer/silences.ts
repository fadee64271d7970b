import type { History } from './history.ts';
import { quantileOf } from './seasons/order-statistics.ts';

/** Windows with less than this share of what is usual are silent: (almost) nothing came. */
const SILENT_SHARE = 0.02;
/** Below this share of it a load has not come back; a window that an outage cuts in part goes with it. */
const BACK_SHARE = 0.5;
/** Loads per window below which silence may be chance: of Poisson counts around 20 one in half a billion is 0. */
const USUAL_MIN = 20;

/** Days of the same hour that say what is usual. */
const DAYS = 7;
/** Where a quarter of those days has less than this share of their median, silence is part of what is usual. */
const STEADY_SHARE = 0.3;
/** With so much of it the same hour of the week before was not silent: a Sunday may have far less than other days. */
const WEEK_SHARE = 0.1;

/** What stays silent for longer is a new level. */
export const SILENCE_DAYS_MAX = 2;
/** Share of a silence's windows that are silent; the others are when it begins, and when its users come back. */
const SILENT_WINDOWS_MIN = 0.5;

/** Windows of a row in which a partition's load was lost. */
export interface Silence {
  readonly first: number;
  readonly end: number;
}

/**
 * The silence that has ended with the newest window: of the partition (almost) nothing came, where every day before had plenty,
 * and the same hours of the week before as well; now its load is back. Its users did not rest, they could not reach it, and there
 * is nothing to learn from that. While it lasts nobody knows whether it will end.
 *
 * Windows of outages, in which nothing was seen at all and whose loads are made up, neither end a silence nor say that it goes on.
 *
 * `findOutages` (`seasons/`) looks at a whole series in hindsight; this asks only what can be known at the window.
 */
export function endedSilence(history: History, partition: number): Silence | undefined {
  const { dayWindows, weekWindows } = history.shape;
  const newest = history.length - 1;
  const windowsMax = SILENCE_DAYS_MAX * dayWindows;
  if (newest < 0 || history.isOutage(newest)) return undefined;
  const load = (window: number): number => Math.expm1(history.logLoad(partition, window));
  if (newest < Math.max(weekWindows, DAYS * dayWindows) + windowsMax) return undefined;
  // Nearly all partitions at nearly all windows end here: what is usual takes longer to find out.
  if (load(newest) < USUAL_MIN * BACK_SHARE) return undefined;
  const before = lastSeenBefore(history, newest);
  if (load(before) >= BACK_SHARE * Math.max(load(before - dayWindows), load(before - weekWindows)))
    return undefined;
  const usualAt = (window: number): number | undefined =>
    usualLoad(window, { load, dayWindows, weekWindows });
  const back = usualAt(newest);
  if (back === undefined || load(newest) < BACK_SHARE * back) return undefined;
  let first = newest;
  let silentCount = 0;
  let seenCount = 0;
  while (newest - first <= windowsMax) {
    const window = lastSeenBefore(history, first);
    const usual = usualAt(window);
    if (usual === undefined || load(window) >= BACK_SHARE * usual) break;
    if (usual >= USUAL_MIN && load(window) <= SILENT_SHARE * usual) silentCount++;
    seenCount++;
    first = window;
  }
  const isShort = newest - first <= windowsMax;
  const isLost = silentCount > 0 && silentCount >= SILENT_WINDOWS_MIN * seenCount && isShort;
  return isLost ? { first, end: newest } : undefined;
}

/** The last window before this one that was no outage, -1 without any. */
function lastSeenBefore(history: History, window: number): number {
  let before = window - 1;
  while (before >= 0 && history.isOutage(before)) before--;
  return before;
}

/**
 * The median load of the same hour on the days before; undefined where silence is usual at that hour, of the day or of the week.
 * One or two days of seven may be within the silence itself.
 */
function usualLoad(
  window: number,
  options: {
    readonly load: (window: number) => number;
    readonly dayWindows: number;
    readonly weekWindows: number;
  },
): number | undefined {
  const { load, dayWindows, weekWindows } = options;
  if (window < Math.max(weekWindows, DAYS * dayWindows)) return undefined;
  const days = Float64Array.from({ length: DAYS }, (_, day) => load(window - (day + 1) * dayWindows)).sort();
  const median = quantileOf(days, 0.5);
  const isSteady = quantileOf(days, 0.25) >= STEADY_SHARE * median;
  return isSteady && load(window - weekWindows) >= WEEK_SHARE * median ? median : undefined;
}
