import type { WatchedHours } from './hour-of-week.ts';

/** What one template asks of one partition. */
export interface PlaceCount {
  /** Of the template. */
  readonly row: number;
  readonly count: number;
  /** Of the template in all partitions. */
  readonly rowCount: number;
  /** f32[hour of the week], where the pair has a profile of its own. */
  readonly ownHours: Float32Array | undefined;
  /** The same of the whole template. */
  readonly rowHours: Float32Array | undefined;
}

export interface HotRow {
  readonly row: number;
  /** Queries an hour, in the hour that was asked about. */
  readonly ratePerHour: number;
  /** Of all rows in that hour, 0..1. */
  readonly share: number;
  /** The mean over all hours of the week that were watched. */
  readonly usualRatePerHour: number;
}

/** A profile that was forgotten and began anew knows only part of the queries, and mistakes them for the pattern. */
const WHOLE_SHARE = 0.9;

/**
 * Which templates bring how much to some places in one hour of the week, the largest first; those that bring nothing are left out.
 *
 * A pair of template and partition counts by its own profile where that is whole; else by the template's profile times the
 * partition's share of it, as if that share were the same in all hours.
 *
 * @param hour of the week, 0..167.
 */
export function hotRows(places: Iterable<PlaceCount>, watched: WatchedHours, hour: number): HotRow[] {
  const sums = new Map<number, { at: number; usual: number }>();
  for (const { row, count, rowCount, ownHours, rowHours } of places) {
    const isWhole =
      ownHours !== undefined && ownHours.reduce((sum, value) => sum + value, 0) >= WHOLE_SHARE * count;
    const rates = watched.ratesOf(isWhole ? ownHours : rowHours);
    const share = isWhole || rowCount <= 0 ? 1 : count / rowCount;
    const sum = sums.get(row) ?? { at: 0, usual: 0 };
    sum.at += share * (rates[hour] as number);
    sum.usual += (share * rates.reduce((total, rate) => total + rate, 0)) / Math.max(1, watched.count);
    sums.set(row, sum);
  }
  const total = [...sums.values()].reduce((sum, { at }) => sum + at, 0);
  return [...sums]
    .filter(([, { at }]) => at > 0)
    .map(([row, { at, usual }]) => ({ row, ratePerHour: at, share: at / total, usualRatePerHour: usual }))
    .sort((a, b) => b.ratePerHour - a.ratePerHour || a.row - b.row);
}
