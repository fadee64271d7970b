import type { Forecast, Interval } from '../../model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../model/load-profile.ts';
import { type RatioAhead, ratioFloor, ratioWidth } from './ratio-errors.ts';
import type { SeasonalRatios } from './seasonal-ratios.ts';

/**
 * Writes what follows the driver into a forecast of the driver, in place: its load of each step times the ratio of that step's hour.
 *
 * Bounds hold what both may do: distances of the driver's bound and of the ratio's, in log space, add up as those of independent
 * errors do, sqrt(a² + b²). Below, they are taken with the floor that errors are judged with: of what comes in bursts, nothing is often
 * within the bounds. Partitions of which nothing is known keep what is there.
 */
export function applyRatios(forecast: Forecast, ratios: SeasonalRatios): void {
  const { partitionCount, horizonSteps } = forecast;
  const { driver, followers, levels } = ratios.shape;
  const driverOffset = dimensionIndex(driver);
  const buckets = Int32Array.from({ length: horizonSteps }, (_, step) =>
    ratios.bucketOf(forecast.startMs + step * forecast.stepMs),
  );
  const intervals = boundsOf(forecast, levels);
  const distances = intervals.map(() => new Float64Array(horizonSteps));
  const ratioOf = new Float64Array(ratios.bucketCount);
  const ahead = followers.map((_, f) => ratios.errors.ahead(f, horizonSteps));
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
      const { errors } = ratios;
      const [level, meanFactor, spread] = [errors.level(row), errors.meanFactor(row), errors.spread(row)];
      const { lasting, quantiles } = ahead[f] as RatioAhead;
      for (const bucket of new Set(buckets)) ratioOf[bucket] = ratios.seasonal(p, f, bucket);
      const floor = ratioFloor(ratios.usual(row));
      const offset = dimensionIndex(follower);
      for (let step = 0; step < horizonSteps; step++) {
        const cell = (step * partitionCount + p) * LOAD_DIMENSION_COUNT;
        const seasonal = ratioOf[buckets[step] as number] as number;
        const ratio = seasonal * Math.exp(level * (lasting[step] as number));
        const point = (forecast.point[cell + driverOffset] as number) * ratio;
        forecast.point[cell + offset] = point;
        forecast.mean[cell + offset] = (forecast.mean[cell + driverOffset] as number) * ratio * meanFactor;
        for (let i = 0; i < intervals.length; i++) {
          const { lower, upper, levelIndex } = intervals[i] as LevelledInterval;
          const distance = distances[i] as Float64Array;
          const quantile = quantiles[levelIndex]?.[step] ?? Number.NaN;
          const width = ratioWidth(quantile, spread) ** 2;
          if (point > 0) {
            const [middle, below] = [point + floor, (lower[cell + driverOffset] as number) * ratio + floor];
            const down = Math.sqrt(Math.log(middle / below) ** 2 + width);
            lower[cell + offset] = Math.min(point, Math.max(0, middle * Math.exp(-down) - floor));
            upper[cell + offset] = point * Math.exp(Math.sqrt((distance[step] as number) + width));
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

/** f64[step]: squared log distances of the driver's upper bounds from its points. */
function driverDistances(
  { point, partitionCount, horizonSteps }: Forecast,
  { upper }: Interval,
  {
    partition,
    offset,
    into,
  }: { readonly partition: number; readonly offset: number; readonly into: Float64Array },
): void {
  for (let step = 0; step < horizonSteps; step++) {
    const cell = (step * partitionCount + partition) * LOAD_DIMENSION_COUNT + offset;
    const middle = point[cell] as number;
    into[step] = Math.log((upper[cell] as number) / middle) ** 2;
  }
}
