import { normalQuantile } from '../src/affinity/normal-quantile.ts';
import { ForeshardError } from '../src/base/errors.ts';
import type { Forecast } from '../src/model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../src/model/load-profile.ts';

const HOUR_MS = 3_600_000;
const WEEK_HOURS = 168;
const LEVEL = 0.8;

/**
 * The plainest forecast that knows the week: the mean of the same hour of the last weeks, with normal bounds from their
 * scatter. For backtests of placement on its own, where the forecaster's skill is not the question.
 *
 * @param load f64[hour][partition], queries an hour; whole history before `nowHour` is used, at most `weekCount` weeks.
 * @throws ForeshardError FORESHARD_NOT_READY under one week of history.
 */
export function seasonalMeanForecast(options: {
  readonly load: Float64Array;
  readonly partitionCount: number;
  readonly nowHour: number;
  readonly weekCount: number;
  readonly horizonSteps: number;
  readonly startMs: number;
}): Forecast {
  const { load, partitionCount, nowHour, horizonSteps } = options;
  const weekCount = Math.min(options.weekCount, Math.floor(nowHour / WEEK_HOURS));
  if (weekCount < 1)
    throw new ForeshardError(
      'FORESHARD_NOT_READY',
      'wait',
      `${nowHour} hours of history, a week is ${WEEK_HOURS}`,
    );
  const cellCount = horizonSteps * partitionCount * LOAD_DIMENSION_COUNT;
  const point = new Float64Array(cellCount);
  const lower = new Float64Array(cellCount);
  const upper = new Float64Array(cellCount);
  const z = normalQuantile((1 + LEVEL) / 2);
  const queries = dimensionIndex('queries');
  for (let t = 0; t < horizonSteps; t++) {
    // The latest measured hour of the same hour of the week.
    const latest = nowHour - WEEK_HOURS + (t % WEEK_HOURS);
    for (let p = 0; p < partitionCount; p++) {
      let sum = 0;
      let squares = 0;
      for (let week = 0; week < weekCount; week++) {
        const value = load[(latest - week * WEEK_HOURS) * partitionCount + p] as number;
        sum += value;
        squares += value * value;
      }
      const mean = sum / weekCount;
      const scatter = weekCount > 1 ? Math.max(0, squares - sum * mean) / (weekCount - 1) : mean;
      // A new value scatters around a mean that is itself uncertain.
      const spread = z * Math.sqrt(scatter * (1 + 1 / weekCount));
      const at = (t * partitionCount + p) * LOAD_DIMENSION_COUNT + queries;
      point[at] = mean;
      lower[at] = Math.max(0, mean - spread);
      upper[at] = mean + spread;
    }
  }
  return {
    startMs: options.startMs + nowHour * HOUR_MS,
    stepMs: HOUR_MS,
    horizonSteps,
    partitionCount,
    level: LEVEL,
    point,
    mean: point,
    lower,
    upper,
    skill: new Float64Array(partitionCount),
    members: [{ name: `seasonal-mean-${weekCount}-weeks`, weight: 1 }],
  };
}
