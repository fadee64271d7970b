import type { History } from './history.ts';
import type { PartitionRange } from './members/member.ts';
import type { MemberForecasts } from './members/roster.ts';

/** Weeks that say between what a partition's load moves. */
const WEEKS = 4;

/** Beyond that range a forecast may go by a quarter of it, so much a trend brings in a week, and a little. */
const MARGIN_SHARE = 0.25;
const MARGIN = 0.1;
/** Before a week is known the range says little; a factor of e beyond it is allowed. */
const YOUNG_MARGIN = 1;

/** Between what each partition's log load has moved of late; f64[partition of a range] each. */
export interface RecentRange {
  readonly lowest: Float64Array;
  readonly highest: Float64Array;
  /** How far beyond the range a forecast may go. */
  readonly margin: Float64Array;
}

export function recentRange(history: History, range: PartitionRange): RecentRange {
  const { weekWindows } = history.shape;
  const first = Math.max(0, history.length - WEEKS * weekWindows);
  const lowest = new Float64Array(range.count);
  const highest = new Float64Array(range.count);
  for (let p = 0; p < range.count; p++) {
    let low = Number.POSITIVE_INFINITY;
    let high = 0;
    for (let w = first; w < history.length; w++) {
      const load = history.logLoad(range.first + p, w);
      if (load < low) low = load;
      if (load > high) high = load;
    }
    lowest[p] = low;
    highest[p] = high;
  }
  const margin = highest.map((high, p) => {
    const extent = high - (lowest[p] as number);
    return history.length < weekWindows ? YOUNG_MARGIN + extent : MARGIN + MARGIN_SHARE * extent;
  });
  return { lowest, highest, margin };
}

/** Brings what members say back to where the partition has been: a regression on an outage may say anything. */
export function clampToRange(
  { range, logLoads, isAvailable }: MemberForecasts,
  { lowest, highest, margin }: RecentRange,
): void {
  const horizon = logLoads.length / (isAvailable.length * range.count);
  isAvailable.forEach((is, member) => {
    if (!is) return;
    for (let p = 0; p < range.count; p++) {
      const beyond = margin[p] as number;
      const low = Math.max(0, (lowest[p] as number) - beyond);
      const high = (highest[p] as number) + beyond;
      const row = (member * range.count + p) * horizon;
      for (let i = row; i < row + horizon; i++)
        logLoads[i] = Math.min(high, Math.max(low, logLoads[i] as number));
    }
  });
}
