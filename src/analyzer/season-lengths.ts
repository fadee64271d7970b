import {
  dimensionIndex,
  LOAD_DIMENSION_COUNT,
  type LoadDimension,
  type LoadProfile,
} from '../model/load-profile.ts';
import { COVERAGE_MIN } from './history.ts';
import { searchSharedSeasons } from './seasons/find-seasons.ts';

const DAY_MS = 86_400_000;

/** The two cycles that members of the forecast know, windows; the week is a whole number of days. */
export interface SeasonLengths {
  readonly dayWindows: number;
  readonly weekWindows: number;
}

/** A season that explains less is no reason to leave the clock. */
const STRENGTH_MIN = 0.1;
const DAYS_MIN = 3;
/** Shares of a period: 24 hours and 24.4 are one season, 23 another. */
const TOLERANCE = 0.02;
/** Series times windows that are looked at: some tens of milliseconds. */
const SAMPLES_MAX = 16_384;
const SERIES_MAX = 16;

/** A day and a week by the clock. */
export const clockSeasons = (windowMs: number): SeasonLengths => ({
  dayWindows: Math.max(1, Math.round(DAY_MS / windowMs)),
  weekWindows: Math.max(1, Math.round((7 * DAY_MS) / windowMs)),
});

/**
 * The cycles that a load really has: day and week by the clock, unless the busiest partitions share another season and not
 * these. A season below two days takes the place of the day, a longer one, up to a week, that of the week. A divisor of the
 * day needs no change: what repeats after six hours repeats after a day.
 */
export function seasonLengths(profile: LoadProfile, driver: LoadDimension): SeasonLengths {
  const search = searchSeasonLengths(profile, driver);
  for (;;) {
    const { done, value } = search.next();
    if (done) return value;
  }
}

/** The same in steps of some milliseconds; the profile is not read after the first one. */
export function* searchSeasonLengths(
  profile: LoadProfile,
  driver: LoadDimension,
): Generator<undefined, SeasonLengths> {
  const clock = clockSeasons(profile.windowMs);
  const { dayWindows, weekWindows } = clock;
  // In less than three days no day can be found, and so none be missed.
  if (profile.windowCount < DAYS_MIN * dayWindows) return clock;
  const found = yield* searchSharedSeasons(busiestSeries(profile, driver), {
    expected: [dayWindows, weekWindows].filter((windows) => windows > 1),
    mask: profile.coverage.map((coverage) => Number(coverage < COVERAGE_MIN)),
    maxPeriod: weekWindows,
  });
  if (found.some(({ period }) => isNear(period, dayWindows) || isNear(period, weekWindows))) return clock;
  const [strongest] = found
    .filter(({ strength, period }) => strength >= STRENGTH_MIN && period >= 2)
    .sort((a, b) => b.strength - a.strength);
  if (strongest === undefined) return clock;
  const period = Math.round(strongest.period);
  if (isNear(Math.round(dayWindows / period) * period, dayWindows)) return clock;
  if (period >= 2 * dayWindows)
    return { dayWindows, weekWindows: Math.round(period / dayWindows) * dayWindows };
  return { dayWindows: period, weekWindows: Math.max(1, Math.floor(weekWindows / period)) * period };
}

const isNear = (period: number, other: number): boolean => Math.abs(period / other - 1) <= TOLERANCE;

/** Log loads of the busiest partitions. */
function busiestSeries(profile: LoadProfile, driver: LoadDimension): Float64Array[] {
  const { partitionCount, windowCount, values, coverage } = profile;
  const dimension = dimensionIndex(driver);
  const loadAt = (partition: number, window: number): number =>
    values[(window * partitionCount + partition) * LOAD_DIMENSION_COUNT + dimension] as number;
  const totals = new Float64Array(partitionCount);
  for (let w = 0; w < windowCount; w++)
    for (let p = 0; p < partitionCount; p++) totals[p] = (totals[p] as number) + loadAt(p, w);
  const count = Math.max(1, Math.min(SERIES_MAX, Math.floor(SAMPLES_MAX / Math.max(1, windowCount))));
  return [...totals.keys()]
    .sort((a, b) => (totals[b] as number) - (totals[a] as number) || a - b)
    .slice(0, count)
    .map((partition) =>
      Float64Array.from({ length: windowCount }, (_, window) =>
        Math.log1p(loadAt(partition, window) / Math.max(COVERAGE_MIN, coverage[window] as number)),
      ),
    );
}
