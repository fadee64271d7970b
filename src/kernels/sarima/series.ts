/** From a row of log loads to what the kernel models, and back. */
import { difference, meanOf } from './difference.ts';
import type { SarimaOrder } from './model.ts';
import { DAYS_MIN, dayProfile, phaseOf, WEEKS_MIN, weekProfile } from './profile.ts';

/** Two weeks of quarter hours; four weeks of hours are 672. More windows tell little that is still true. */
const WINDOWS_MAX = 1344;
const SEASONS_MAX = 28;
/** Where a season is a handful of windows, 28 of them are too few to count anything by. */
const WINDOWS_MIN = 168;

/** A longer season would leave fewer than seven of them in WINDOWS_MAX. */
const SEASON_MAX = WINDOWS_MAX / 7;

/** How one row is modelled; the same for all rows of a history. */
export interface SeriesPlan {
  /** Windows that are modelled: the last ones of the row. */
  readonly count: number;
  /** Season of the model; 1: none. */
  readonly season: number;
  /** Season of the profile that is taken off first: a week, or a day too long for a model; 0: none. */
  readonly profileSeason: number;
}

/** Windows in a row, and its cycles. */
export interface RowShape {
  readonly length: number;
  readonly dayWindows: number;
  readonly weekWindows: number;
}

/** The shortest cycle there is: where a window is a day, that is the week. */
const cycleOf = ({ dayWindows, weekWindows }: Omit<RowShape, 'length'>): number =>
  dayWindows > 1 ? dayWindows : weekWindows;

/** Windows of history without which nothing can be fitted. */
export function windowsNeeded(shape: Omit<RowShape, 'length'>): number {
  const cycle = cycleOf(shape);
  return cycle > SEASON_MAX ? WINDOWS_MIN : Math.max(48, 4 * cycle);
}

export function planSeries(shape: RowShape): SeriesPlan {
  const { length, weekWindows } = shape;
  const cycle = cycleOf(shape);
  if (cycle > SEASON_MAX) {
    // A mean of one day would be that day's noise.
    const profileSeason = length >= DAYS_MIN * cycle ? cycle : 0;
    return { count: Math.min(length, WINDOWS_MAX), season: 1, profileSeason };
  }
  const hasWeeks = weekWindows > cycle && weekWindows % cycle === 0 && length >= WEEKS_MIN * weekWindows;
  return {
    count: Math.min(length, WINDOWS_MAX, Math.max(WINDOWS_MIN, SEASONS_MAX * cycle)),
    season: cycle,
    profileSeason: hasWeeks ? weekWindows : 0,
  };
}

/** Where sums of squares begin, in rows of the whole plan: differences, lags and seasonal lags lie before it, whatever the order. */
export const filterFirst = (season: number): number => 2 * season + 5;

/** What is taken off a row first, see profile.ts; null: nothing. */
export function profileOf(row: Float64Array, { season, profileSeason }: SeriesPlan): Float64Array | null {
  if (profileSeason === 0) return null;
  return season === 1 ? dayProfile(row, profileSeason) : weekProfile(row, season, profileSeason);
}

/** Copies the last windows of a row, as many as there is room for, without the profile. */
export function copyLast(row: Float64Array, profile: Float64Array | null, values: Float64Array): void {
  const first = row.length - values.length;
  if (profile === null) {
    for (let i = 0; i < values.length; i++) values[i] = row[first + i] as number;
    return;
  }
  let phase = phaseOf(first, row.length, profile.length);
  for (let i = 0; i < values.length; i++) {
    values[i] = (row[first + i] as number) - (profile[phase] as number);
    phase = phase + 1 === profile.length ? 0 : phase + 1;
  }
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
