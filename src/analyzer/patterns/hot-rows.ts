import { HOURS_PER_WEEK, type WatchedHours } from './hour-of-week.ts';

/** What one template asks of one partition. */
export interface PlaceCount {
  /** Of the template. */
  readonly row: number;
  readonly count: number;
  /** Of the template in all partitions. */
  readonly rowCount: number;
  /** f64[hour of the week], where the pair has a profile of its own. */
  readonly ownHours: Float64Array | undefined;
  /** The same of the whole template. */
  readonly rowHours: Float64Array | undefined;
}

/** A profile that was forgotten and began anew knows only part of the queries, and would mistake them for the pattern. */
const WHOLE_SHARE = 0.9;

/**
 * How much each template brings to some places in every hour of the week.
 *
 * A pair of template and partition counts by its own profile where that is whole; else by the template's profile times the
 * partition's share of it, as if that share were the same in all hours.
 *
 * @returns by row: f64[hour], queries an hour.
 */
export function hotRows(places: Iterable<PlaceCount>, watched: WatchedHours): Map<number, Float64Array> {
  const sums = new Map<number, RowSum>();
  for (const { row, count, rowCount, ownHours, rowHours } of places) {
    const sum = sums.get(row) ?? { own: new Float64Array(HOURS_PER_WEEK), share: 0, rowHours };
    sums.set(row, sum);
    if (ownHours === undefined || ownHours.reduce((all, value) => all + value, 0) < WHOLE_SHARE * count)
      sum.share += rowCount > 0 ? count / rowCount : 1;
    else
      for (let h = 0; h < HOURS_PER_WEEK; h++) sum.own[h] = (sum.own[h] as number) + (ownHours[h] as number);
  }
  return new Map(
    Array.from(sums, ([row, { own, share, rowHours }]) => [
      row,
      watched.ratesOf(own.map((count, h) => count + share * (rowHours?.[h] ?? 0))),
    ]),
  );
}

/** Of a row: counts of the places that have a profile of their own, and what share of the row all others are. */
interface RowSum {
  readonly own: Float64Array;
  share: number;
  readonly rowHours: Float64Array | undefined;
}

/** What one of many brings in one hour of the week. */
export interface HotShare<T> {
  readonly of: T;
  /** Queries an hour, in that hour of the week. */
  readonly ratePerHour: number;
  /** Of all of them in that hour, 0..1. */
  readonly share: number;
  /** The mean over all hours of the week that were watched. */
  readonly usualRatePerHour: number;
}

/**
 * Who makes a place hot in one hour of the week, the largest first; who brings nothing then is left out.
 *
 * @param hour 0..167: Monday 00:00 UTC is 0. @param watchedHours how many of the week's hours are known at all.
 */
export function hottest<T>(
  all: readonly { readonly of: T; readonly hours: ArrayLike<number> }[],
  { hour, watchedHours }: { readonly hour: number; readonly watchedHours: number },
): HotShare<T>[] {
  const total = all.reduce((sum, { hours }) => sum + (hours[hour] as number), 0);
  return all
    .filter(({ hours }) => (hours[hour] as number) > 0)
    .map(({ of, hours }) => ({
      of,
      ratePerHour: hours[hour] as number,
      share: (hours[hour] as number) / total,
      usualRatePerHour: Array.from(hours).reduce((sum, rate) => sum + rate, 0) / Math.max(1, watchedHours),
    }))
    .sort((a, b) => b.ratePerHour - a.ratePerHour);
}
