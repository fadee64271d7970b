import type { KernelExports, Pointer } from './exports.ts';
import type { Job } from './job.ts';

export interface SeasonalParameters {
  /** f64[count][stride], log loads; `length` windows are filled. */
  readonly series: Pointer;
  readonly count: number;
  readonly stride: number;
  readonly length: number;
  /** Windows of one cycle, and how many of the last cycles are averaged at most; one cycle is the naive forecast. */
  readonly season: number;
  readonly cycles: number;
  readonly horizon: number;
  /** f64[count][horizon]. */
  readonly out: Pointer;
}

export interface FollowingMeanParameters extends SeasonalParameters {
  /** The last windows that say where the series is now. */
  readonly levelWindows: number;
  /** What is left of their distance from the mean after each window. */
  readonly fade: number;
  /** f64[count][levelWindows] to work in. */
  readonly expected: Pointer;
}

function writeMean(exports: KernelExports, parameters: SeasonalParameters): void {
  const { series, count, stride, length, season, cycles, horizon, out } = parameters;
  const known = Math.min(cycles, Math.floor(length / season));
  if (known === 1) exports.seasonalNaive(series, count, stride, length, season, horizon, out);
  else exports.seasonalTrimmedMean(series, count, stride, length, season, known, horizon, out);
}

/** The mean of the last cycles by phase, without the highest and lowest from three cycles on. */
const seasonalMean: Job<SeasonalParameters, null> = {
  run({ exports }, parameters) {
    writeMean(exports, parameters);
    return null;
  },
};

/** The same, moved by how far the last windows lay from what that mean said before they came. */
const followingMean: Job<FollowingMeanParameters, null> = {
  run({ exports }, parameters) {
    const { series, count, stride, length, levelWindows, fade, expected, horizon, out } = parameters;
    writeMean(exports, parameters);
    writeMean(exports, {
      ...parameters,
      length: length - levelWindows,
      horizon: levelWindows,
      out: expected,
    });
    exports.followLevel(series, count, stride, length, expected, levelWindows, fade, horizon, out);
    return null;
  },
};

export const seasonalJobs = { seasonalMean, followingMean };
