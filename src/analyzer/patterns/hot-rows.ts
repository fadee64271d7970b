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
  const found = new Map<number, Float64Array>();
  for (const { row, count, rowCount, ownHours, rowHours } of places) {
    const isWhole =
      ownHours !== undefined && ownHours.reduce((sum, value) => sum + value, 0) >= WHOLE_SHARE * count;
    const rates = watched.ratesOf(isWhole ? ownHours : rowHours);
    const share = isWhole || rowCount <= 0 ? 1 : count / rowCount;
    const sum = found.get(row) ?? new Float64Array(HOURS_PER_WEEK);
    found.set(row, sum);
    for (let h = 0; h < HOURS_PER_WEEK; h++) sum[h] = (sum[h] as number) + share * (rates[h] as number);
  }
  return found;
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
