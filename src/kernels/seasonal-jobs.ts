import type { Pointer } from './exports.ts';
import type { Job } from './job.ts';

export interface SeasonalParameters {
  /** f64[count][stride], log loads; `length` windows are filled. */
  readonly series: Pointer;
  readonly count: number;
  readonly stride: number;
  readonly length: number;
  /** Windows of one cycle, and how many of the last cycles are averaged; one cycle is the naive forecast. */
  readonly season: number;
  readonly cycles: number;
  readonly horizon: number;
  /** f64[count][horizon]. */
  readonly out: Pointer;
}

/** The mean of the last cycles by phase, without the highest and lowest from three cycles on. */
const seasonalMean: Job<SeasonalParameters, null> = {
  run({ exports }, { series, count, stride, length, season, cycles, horizon, out }) {
    if (cycles === 1) exports.seasonalNaive(series, count, stride, length, season, horizon, out);
    else exports.seasonalTrimmedMean(series, count, stride, length, season, cycles, horizon, out);
    return null;
  },
};

export const seasonalJobs = { seasonalMean };
