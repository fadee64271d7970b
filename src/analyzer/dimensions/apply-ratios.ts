import type { Forecast, Interval } from '../../model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../model/load-profile.ts';
import type { SeasonalRatios } from './seasonal-ratios.ts';

/**
 * Writes what follows the driver into a forecast of the driver, in place: its load of each step times the ratio of that step's hour.
 *
 * Bounds hold what both may do: distances of the driver's bound and of the ratio's, in log space, add up as those of independent
 * errors do, sqrt(a² + b²). Partitions of which nothing is known keep what is there.
 */
export function applyRatios(forecast: Forecast, ratios: SeasonalRatios): void {
  const { partitionCount, horizonSteps } = forecast;
  const { driver, followers, levels } = ratios.shape;
  const driverOffset = dimensionIndex(driver);
  const buckets = Int32Array.from({ length: horizonSteps }, (_, step) =>
    ratios.bucketOf(forecast.startMs + step * forecast.stepMs),
  );
  const intervals = boundsOf(forecast, levels);
  const distances = intervals.map(() => new Float64Array(2 * horizonSteps));
  const ratioOf = new Float64Array(ratios.bucketCount);
  for (let p = 0; p < partitionCount; p++) {
    if (!followers.some((_, f) => ratios.isKnown(p, f))) continue;
    intervals.forEach((interval, i) => {
      driverDistances(forecast, interval, {
        partition: p,
        offset: driverOffset,
        into: distances[i] as Float64Array,
      });
    });
    followers.forEach((follower, f) => {
      if (!ratios.isKnown(p, f)) return;
      const row = p * followers.length + f;
      const level = Math.exp(ratios.errors.level(row));
      const meanFactor = ratios.errors.meanFactor(row);
      for (const bucket of new Set(buckets)) ratioOf[bucket] = level * ratios.seasonal(p, f, bucket);
      const widths = intervals.map(({ levelIndex }) => ratios.errors.width(row, levelIndex) ** 2);
      const offset = dimensionIndex(follower);
      for (let step = 0; step < horizonSteps; step++) {
        const cell = (step * partitionCount + p) * LOAD_DIMENSION_COUNT;
        const ratio = ratioOf[buckets[step] as number] as number;
        const point = (forecast.point[cell + driverOffset] as number) * ratio;
        forecast.point[cell + offset] = point;
        forecast.mean[cell + offset] = (forecast.mean[cell + driverOffset] as number) * ratio * meanFactor;
        for (let i = 0; i < intervals.length; i++) {
          const { lower, upper } = intervals[i] as Interval;
          const distance = distances[i] as Float64Array;
          const width = widths[i] as number;
          if (point > 0) {
            lower[cell + offset] = point * Math.exp(-Math.sqrt((distance[2 * step] as number) + width));
            upper[cell + offset] = point * Math.exp(Math.sqrt((distance[2 * step + 1] as number) + width));
          } else {
            lower[cell + offset] = 0;
            upper[cell + offset] = (upper[cell + driverOffset] as number) * ratio;
          }
        }
      }
    });
  }
}

type LevelledInterval = Interval & { readonly levelIndex: number };

/** The bounds of the forecast and those that were asked for beside them; none twice, as they may share memory. */
function boundsOf(forecast: Forecast, levels: readonly number[]): LevelledInterval[] {
  const { level, lower, upper, intervals = [] } = forecast;
  const others = intervals.filter((interval) => interval.lower !== lower);
  return [{ level, lower, upper }, ...others].map((interval) => ({
    ...interval,
    levelIndex: levels.indexOf(interval.level),
  }));
}

/** f64[step][side]: squared log distances of the driver's bounds from its point; Infinity where a bound is 0. */
function driverDistances(
  { point, partitionCount, horizonSteps }: Forecast,
  { lower, upper }: Interval,
  {
    partition,
    offset,
    into,
  }: { readonly partition: number; readonly offset: number; readonly into: Float64Array },
): void {
  for (let step = 0; step < horizonSteps; step++) {
    const cell = (step * partitionCount + partition) * LOAD_DIMENSION_COUNT + offset;
    const middle = point[cell] as number;
    into[2 * step] = Math.log(middle / (lower[cell] as number)) ** 2;
    into[2 * step + 1] = Math.log((upper[cell] as number) / middle) ** 2;
  }
}
