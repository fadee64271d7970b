import type { Forecast } from '../model/forecast.ts';
import type { PartitionId } from '../model/ids.ts';
import { LOAD_DIMENSION_COUNT, LOAD_DIMENSIONS, type LoadProfile } from '../model/load-profile.ts';

const WEEK_MS = 7 * 86_400_000;

/** A forecast that can be planned on, and whose partitions are in it as last week's load. */
export interface TrustedForecast {
  readonly forecast: Forecast;
  /** Partitions whose own forecast was put aside, of one dimension at least, rising. */
  readonly ignoredPartitions: readonly PartitionId[];
}

/**
 * Puts aside forecasts that have been worse than saying "as last week".
 *
 * Each dimension has a skill where they are forecast by themselves. Such a partition gets the load measured at the same time of the last week as its point and mean; all its bounds are widened to
 * hold that load as well, so that whoever plans on them stays careful. Left alone are partitions whose skill nobody knows yet,
 * and hours that were not measured a week before: there is nothing better to say.
 *
 * @param skillMin partitions with a skill below it are put aside; 0 means "worse than the weekly seasonal naive".
 */
export function trustedForecast(
  forecast: Forecast,
  profile: LoadProfile,
  { skillMin }: { readonly skillMin: number },
): TrustedForecast {
  const isUnskilled = (p: number, d: number): boolean =>
    ((forecast.dimensionSkill?.[p * LOAD_DIMENSION_COUNT + d] ?? forecast.skill[p]) as number) < skillMin;
  const unskilled = [...forecast.skill.keys()].filter((p) =>
    LOAD_DIMENSIONS.some((_, d) => isUnskilled(p, d)),
  ) as PartitionId[];
  const windows = lastWeekWindows(forecast, profile);
  if (unskilled.length === 0 || windows.every((window) => window === undefined))
    return { forecast, ignoredPartitions: [] };
  const point = forecast.point.slice();
  const mean = forecast.mean.slice();
  const lower = forecast.lower.slice();
  const upper = forecast.upper.slice();
  const intervals = forecast.intervals?.map((interval) => ({
    ...interval,
    lower: interval.lower.slice(),
    upper: interval.upper.slice(),
  }));
  const bounds = [{ lower, upper }, ...(intervals ?? [])];
  const { partitionCount } = forecast;
  windows.forEach((window, step) => {
    if (window === undefined) return;
    const coverage = profile.coverage[window] as number;
    for (const p of unskilled)
      for (let d = 0; d < LOAD_DIMENSION_COUNT; d++) {
        if (!isUnskilled(p, d)) continue;
        const at = (step * partitionCount + p) * LOAD_DIMENSION_COUNT + d;
        const from = (window * partitionCount + p) * LOAD_DIMENSION_COUNT + d;
        const load = (profile.values[from] as number) / coverage;
        point[at] = load;
        mean[at] = load;
        for (const bound of bounds) {
          bound.lower[at] = Math.min(bound.lower[at] as number, load);
          bound.upper[at] = Math.max(bound.upper[at] as number, load);
        }
      }
  });
  const trusted = {
    ...forecast,
    point,
    mean,
    lower,
    upper,
    ...(intervals === undefined ? {} : { intervals }),
  };
  return { forecast: trusted, ignoredPartitions: unskilled };
}

/** A quarter seen can be scaled up to the whole; of less nobody should plan anything. */
const COVERAGE_MIN = 0.25;

/** The profile's window a whole number of weeks before each step; undefined where it was not measured. */
function lastWeekWindows(forecast: Forecast, profile: LoadProfile): (number | undefined)[] {
  return Array.from({ length: forecast.horizonSteps }, (_, step) => {
    const startMs = forecast.startMs + step * forecast.stepMs;
    const profileEndMs = profile.startMs + profile.windowCount * profile.windowMs;
    const weeks = Math.max(1, Math.ceil((startMs + forecast.stepMs - profileEndMs) / WEEK_MS));
    const window = Math.round((startMs - weeks * WEEK_MS - profile.startMs) / profile.windowMs);
    const isMeasured = (profile.coverage[window] ?? 0) >= COVERAGE_MIN;
    return isMeasured ? window : undefined;
  });
}
