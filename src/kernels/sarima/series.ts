/** From a row of log loads to what the kernel models, and back. */
import { difference, meanOf } from './difference.ts';
import type { SarimaOrder } from './model.ts';

/** Two weeks of quarter hours; four weeks of hours are 672. More windows tell little that is still true. */
const WINDOWS_MAX = 1344;
const SEASONS_MAX = 28;
/** Where a season is a handful of windows, 28 of them are too few to count anything by. */
const WINDOWS_MIN = 168;

/** A longer season would leave fewer than seven of them in WINDOWS_MAX. */
const SEASON_MAX = WINDOWS_MAX / 7;

/** Days a profile is the mean of, where the season is too long for a seasonal model. */
const PROFILE_DAYS_MAX = 7;

/** How one row is modelled; the same for all rows of a history. */
export interface SeriesPlan {
  /** Windows that are modelled: the last ones of the row. */
  readonly count: number;
  /** Season of the model; 1: none. */
  readonly season: number;
  /** Season of a mean profile that is taken off first; 0: none. */
  readonly profileSeason: number;
}

/** Windows of history without which nothing can be fitted. */
export const windowsNeeded = (dayWindows: number): number => Math.max(48, 4 * dayWindows);

export function planSeries(length: number, dayWindows: number): SeriesPlan {
  const isLong = dayWindows > SEASON_MAX;
  const wanted = isLong ? WINDOWS_MAX : Math.max(WINDOWS_MIN, SEASONS_MAX * dayWindows);
  return {
    count: Math.min(length, WINDOWS_MAX, wanted),
    season: isLong ? 1 : dayWindows,
    profileSeason: isLong ? dayWindows : 0,
  };
}

/** Where sums of squares begin, in rows of the whole plan: differences, lags and seasonal lags lie before it, whatever the order. */
export const filterFirst = (season: number): number => 2 * season + 5;

/**
 * The windows that are modelled, without the profile where there is one.
 *
 * @returns the profile, f64[profileSeason] by (window mod profileSeason), or null
 */
export function copyLast(row: Float64Array, plan: SeriesPlan, values: Float64Array): Float64Array | null {
  const first = row.length - plan.count;
  values.set(row.subarray(first));
  if (plan.profileSeason === 0) return null;
  const profile = dayProfile(row, plan.profileSeason);
  for (let i = 0; i < plan.count; i++)
    values[i] = (values[i] as number) - (profile[(first + i) % plan.profileSeason] as number);
  return profile;
}

/** What differences are put back from: the last values of a season and one, without the profile. */
export function lastValues(row: Float64Array, plan: SeriesPlan, profile: Float64Array | null): Float64Array {
  const first = row.length - plan.season - 1;
  const values = row.slice(first);
  if (profile !== null)
    for (let i = 0; i < values.length; i++)
      values[i] = (values[i] as number) - (profile[(first + i) % plan.profileSeason] as number);
  return values;
}

/** Differences in place and takes the mean off where nothing is differenced; returns what is left. */
export function makeStationary(
  values: Float64Array,
  count: number,
  season: number,
  order: Pick<SarimaOrder, 'difference' | 'seasonalDifference'>,
): { count: number; mean: number } {
  let left = count;
  if (order.seasonalDifference > 0) left = difference(values, left, season);
  if (order.difference > 0) left = difference(values, left, 1);
  if (left < count) return { count: left, mean: 0 };
  const mean = meanOf(values, left);
  for (let i = 0; i < left; i++) values[i] = (values[i] as number) - mean;
  return { count: left, mean };
}

/**
 * Turns forecasts of the differenced series into forecasts of the series, in place.
 *
 * @param values the last `season` + 1 values before they were differenced
 */
export function integrate(
  forecast: Float64Array,
  values: Float64Array,
  season: number,
  order: Pick<SarimaOrder, 'difference' | 'seasonalDifference'>,
): void {
  const end = values.length;
  const at = (window: number): number => values[window] as number;
  if (order.difference > 0) {
    let level = order.seasonalDifference > 0 ? at(end - 1) - at(end - 1 - season) : at(end - 1);
    for (let step = 0; step < forecast.length; step++) {
      level += forecast[step] as number;
      forecast[step] = level;
    }
  }
  if (order.seasonalDifference === 0) return;
  for (let step = 0; step < forecast.length; step++) {
    const before = step < season ? at(end - season + step) : (forecast[step - season] as number);
    forecast[step] = (forecast[step] as number) + before;
  }
}

/** Mean of the last days by (window mod season). */
function dayProfile(row: Float64Array, season: number): Float64Array {
  const days = Math.min(PROFILE_DAYS_MAX, Math.floor(row.length / season));
  const profile = new Float64Array(season);
  for (let window = row.length - days * season; window < row.length; window++)
    profile[window % season] = (profile[window % season] as number) + (row[window] as number) / days;
  return profile;
}
