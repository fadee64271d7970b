import type { Random } from '../../base/random.ts';
import type { Kernels } from '../../kernels/instance.ts';
import {
  dimensionIndex,
  LOAD_DIMENSION_COUNT,
  type LoadDimension,
  type LoadProfile,
} from '../../model/load-profile.ts';
import { type Clustering, clusterProfiles, cycleProfiles, cycleWindowsOf } from '../cluster.ts';
import type { History } from '../history.ts';

/** Below so many partitions there is nothing to sum up, and below so many more nothing to tell apart. */
const PARTITIONS_MIN = 3;
const CLUSTERED_PARTITIONS_MIN = 8;
const CLUSTERS_MAX = 16;

/** Sums that are forecast beside the partitions: series 0 is the total, series 1 + c is cluster c. */
export interface Aggregates {
  /** i32[partition], 0..clusterCount - 1. */
  readonly clusterOf: Int32Array;
  /** 0 where only the total is forecast. */
  readonly clusterCount: number;
  /** f64[cluster][dimension of the shape], from which the next look at the clusters starts. */
  readonly centroids: Float64Array;
}

/** Clusters of so many partitions; 0 where the total alone is worth it, or not even that. */
function clusterCountOf(partitionCount: number): number {
  if (partitionCount < CLUSTERED_PARTITIONS_MIN) return 0;
  const count = Math.min(CLUSTERS_MAX, Math.round(Math.sqrt(partitionCount) / 2));
  // A single cluster is the total.
  return count < 2 ? 0 : count;
}

/** Series beside those of the partitions: 0, or the total and the clusters. */
export const aggregateCountOf = (partitionCount: number): number =>
  partitionCount < PARTITIONS_MIN ? 0 : 1 + clusterCountOf(partitionCount);

/** Puts partitions together whose weeks have a like shape: what their sum will do says most about each of them. */
export function findAggregates(
  history: Readonly<History>,
  components: { readonly kernels: Kernels; readonly random: Random },
  previous?: Aggregates,
): Aggregates {
  const { partitionCount } = history.shape;
  const clusterCount = clusterCountOf(partitionCount);
  if (clusterCount === 0)
    return { clusterOf: new Int32Array(partitionCount), clusterCount, centroids: new Float64Array(0) };
  const profiles = cycleProfiles(history as History, cycleWindowsOf(history.shape, history.length));
  const start: Clustering | undefined = previous && {
    clusterCount,
    labelOf: previous.clusterOf,
    centroids: previous.centroids,
  };
  const { labelOf, centroids } = clusterProfiles(
    profiles,
    { clusterCount, ...(start ? { previous: start } : {}) },
    components,
  );
  return { clusterOf: labelOf, clusterCount, centroids };
}

/** Series of the sums that partition p counts in. */
export const seriesCountOf = ({ clusterCount }: Aggregates): number => 1 + clusterCount;

/**
 * Windows [first, end) of the history, summed up, as a profile of the aggregates. Only the driver is there: the other dimensions
 * of a partition follow its own ratios. Loads were made up for their coverage, so it is 1, and 0 for an outage.
 */
export function aggregateProfile(
  history: Readonly<History>,
  aggregates: Aggregates,
  range: { readonly first: number; readonly end: number; readonly driver: LoadDimension },
): LoadProfile {
  const { first, end, driver } = range;
  const { startMs, windowMs, partitionCount } = history.shape;
  const { clusterOf, clusterCount } = aggregates;
  const seriesCount = seriesCountOf(aggregates);
  const windowCount = end - first;
  const values = new Float64Array(windowCount * seriesCount * LOAD_DIMENSION_COUNT);
  const coverage = new Float64Array(windowCount).fill(1);
  const dimension = dimensionIndex(driver);
  for (let w = 0; w < windowCount; w++) {
    const base = w * seriesCount * LOAD_DIMENSION_COUNT + dimension;
    if (history.isOutage(first + w)) coverage[w] = 0;
    for (let p = 0; p < partitionCount; p++) {
      const load = Math.expm1(history.logLoad(p, first + w));
      values[base] = (values[base] as number) + load;
      if (clusterCount === 0) continue;
      const at = base + (1 + (clusterOf[p] as number)) * LOAD_DIMENSION_COUNT;
      values[at] = (values[at] as number) + load;
    }
  }
  return {
    startMs: startMs + (history.dropped + first) * windowMs,
    windowMs,
    windowCount,
    partitionCount: seriesCount,
    values,
    coverage,
  };
}
