import type { Forecast } from '../../model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadDimension } from '../../model/load-profile.ts';
import { type CoherentForecast, reconcile } from '../reconciliation.ts';
import { type Aggregates, seriesCountOf } from './aggregates.ts';
import type { SumClaims, SumErrors } from './sum-errors.ts';

/** Forecasts of partitions and of their sums, for the same windows. */
export interface ForecastPair {
  readonly partitions: Forecast;
  /** Series as in {@link Aggregates}. */
  readonly sums: Forecast;
  readonly aggregates: Aggregates;
  readonly driver: LoadDimension;
}

/**
 * One step, reconciled, with what was said of each sum on the way.
 *
 * The error variance of what the partitions of a cluster say together is on record; each has a part of it in proportion to
 * its mean, as counts would.
 */
export function reconcileStep(
  pair: ForecastPair,
  step: number,
  errors: SumErrors,
): { readonly coherent: CoherentForecast; readonly claims: SumClaims } {
  const { aggregates, driver } = pair;
  const { clusterCount } = aggregates;
  const point = meansAt(pair.partitions, step, driver);
  const own = meansAt(pair.sums, step, driver);
  const below = sumsFromBelow(point, aggregates);
  const variance = point.map((mean, p) => {
    const parent = parentOf(aggregates, p);
    const sum = below[parent] as number;
    return sum > 0 ? errors.below(parent) * (mean / sum) : 0;
  });
  const partitions = { point, variance };
  if (clusterCount === 0)
    return {
      coherent: reconcile({ partitions, total: { point: own[0] as number, variance: errors.own(0) } }),
      claims: { below, own },
    };
  const clusters = {
    clusterOf: aggregates.clusterOf,
    point: own.subarray(1),
    variance: Float64Array.from({ length: clusterCount }, (_, c) => errors.own(1 + c)),
  };
  const averaged = averagedClusters(below, own, errors);
  below[0] = averaged.point;
  // Errors of clusters go together too. Only ratios of variances count: instead of all those below, the total's own is
  // brought into proportion.
  const proportion = errors.below(0) > 0 ? averaged.variance / errors.below(0) : 1;
  const total = { point: own[0] as number, variance: errors.own(0) * proportion };
  return { coherent: reconcile({ partitions, clusters, total }), claims: { below, own } };
}

/** The series a partition is part of directly: its cluster, or the total. */
const parentOf = ({ clusterOf, clusterCount }: Aggregates, partition: number): number =>
  clusterCount === 0 ? 0 : 1 + (clusterOf[partition] as number);

/** f64[partition] of the driver. */
function meansAt({ mean, partitionCount }: Forecast, step: number, driver: LoadDimension): Float64Array {
  const base = step * partitionCount * LOAD_DIMENSION_COUNT + dimensionIndex(driver);
  return Float64Array.from(
    { length: partitionCount },
    (_, p) => mean[base + p * LOAD_DIMENSION_COUNT] as number,
  );
}

/** f64[series]: of those that partitions are part of directly. */
function sumsFromBelow(means: Float64Array, aggregates: Aggregates): Float64Array {
  const below = new Float64Array(seriesCountOf(aggregates));
  means.forEach((mean, p) => {
    const parent = parentOf(aggregates, p);
    below[parent] = (below[parent] as number) + mean;
  });
  return below;
}

/** What the clusters together say of the total, each the average of its own forecast and that of its partitions. */
function averagedClusters(
  below: Float64Array,
  own: Float64Array,
  errors: SumErrors,
): { readonly point: number; readonly variance: number } {
  let [point, variance] = [0, 0];
  for (let s = 1; s < below.length; s++) {
    const [fromBelow, fromOwn] = [errors.below(s), errors.own(s)];
    const share = fromBelow > 0 ? fromBelow / (fromBelow + fromOwn) : 0;
    point += (below[s] as number) * (1 - share) + (own[s] as number) * share;
    variance += fromBelow * (1 - share);
  }
  return { point, variance };
}

/** The forecast with means that add up to the sums' reconciled forecasts. Other dimensions of a partition follow its driver. */
export function withReconciledMeans(pair: ForecastPair, errors: SumErrors): Forecast {
  const { partitions, driver } = pair;
  const { horizonSteps, partitionCount } = partitions;
  const mean = partitions.mean.slice();
  const dimension = dimensionIndex(driver);
  for (let step = 0; step < horizonSteps; step++) {
    const { coherent } = reconcileStep(pair, step, errors);
    for (let p = 0; p < partitionCount; p++) {
      const base = (step * partitionCount + p) * LOAD_DIMENSION_COUNT;
      const from = mean[base + dimension] as number;
      // What is forecast as nothing stays nothing, and its other dimensions do not depend on it.
      if (!(from > 0)) continue;
      const factor = (coherent.partitions[p] as number) / from;
      for (let d = 0; d < LOAD_DIMENSION_COUNT; d++) mean[base + d] = (mean[base + d] as number) * factor;
    }
  }
  return { ...partitions, mean };
}
