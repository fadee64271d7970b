import type { RawSeries } from '../../logs/series/raw-series.ts';
import type { GridSeries } from '../../logs/series/regular-grid.ts';

/** When the steps of a forecast are; null in a file without times (the wide layout). */
export interface ForecastTimes {
  /** Of step 1, ISO 8601 in UTC. */
  readonly startTime: string | null;
  readonly stepSeconds: number | null;
}

/** The first step is the window after the last value. */
export function timesOf({ startMs, windowMs, values }: GridSeries, { timesMs }: RawSeries): ForecastTimes {
  if (timesMs === null) return { startTime: null, stepSeconds: null };
  return {
    startTime: new Date(startMs + values.length * windowMs).toISOString(),
    stepSeconds: windowMs / 1_000,
  };
}
