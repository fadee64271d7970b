import { assert } from '../base/assert.ts';

/** Forecasts of one level for one step, natural units, each with the variance of its error. */
export interface LevelForecast {
  /** f64[member], finite, >= 0. */
  readonly point: Float64Array;
  /**
   * f64[member], >= 0; Infinity where there is no forecast worth anything (of a cluster or the total, not of a partition).
   * Where errors of siblings go together (they do: a holiday hits all), give the covariance of each one's error with the
   * error of the siblings' sum instead: these add up to the sum's own variance, which single variances would not.
   */
  readonly variance: Float64Array;
}

/** Partitions, optionally clusters of them, optionally the total; a level that is missing has no say. */
export interface Hierarchy {
  readonly partitions: LevelForecast;
  /** clusterOf i32[partition], 0..cluster count - 1. */
  readonly clusters?: LevelForecast & { readonly clusterOf: Int32Array };
  readonly total?: { readonly point: number; readonly variance: number };
}

/** Every cluster is the sum of its partitions, the total the sum of all; nothing is below 0. */
export interface CoherentForecast {
  readonly partitions: Float64Array;
  readonly clusters: Float64Array;
  readonly total: number;
}

/**
 * The coherent forecasts nearest to the given ones, each distance weighed by its error variance: MinT with a diagonal
 * covariance, or with the full one inside a cluster where covariances with the sum are given. A partition with a poor forecast of its own takes most of what its cluster knows better.
 *
 * On a tree the least squares problem falls apart: upwards each node's own forecast is averaged with the sum of its
 * children by precision, downwards the difference is handed out in proportion to variance. O(partitions), no matrix.
 * Where that would lead below 0 the rest of the difference goes to the siblings (a projection level by level; the global
 * non-negative optimum may differ slightly).
 *
 * @see Wickramasuriya, Athanasopoulos & Hyndman, "Optimal forecast reconciliation ... through trace minimization", 2019
 */
export function reconcile(hierarchy: Hierarchy): CoherentForecast {
  const { partitions, clusters, total } = hierarchy;
  const count = partitions.point.length;
  const clusterOf = clusters?.clusterOf ?? new Int32Array(count);
  const clusterCount = clusters?.point.length ?? 1;
  assertLevel(partitions, count);
  if (clusters !== undefined) assertLevel(clusters, clusterCount);
  assert(clusterOf.length === count, 'every partition has a cluster');

  const sums = sumByCluster(partitions.point, clusterOf, clusterCount);
  const sumVariances = sumByCluster(partitions.variance, clusterOf, clusterCount);
  const upward = sums.map((point, c) => {
    const own = {
      point: clusters?.point[c] ?? 0,
      variance: clusters?.variance[c] ?? Number.POSITIVE_INFINITY,
    };
    return average({ point, variance: sumVariances[c] as number }, own);
  });
  const upwardVariances = sumVariances.map((variance, c) =>
    parallel(variance, clusters?.variance[c] ?? Number.POSITIVE_INFINITY),
  );
  const top = average(
    { point: sumOf(upward), variance: sumOf(upwardVariances) },
    total ?? { point: 0, variance: Number.POSITIVE_INFINITY },
  );
  const targets = shareOut(Math.max(0, top), { point: upward, variance: upwardVariances });
  const coherent = shareOutByCluster(targets, partitions, clusterOf);
  // Sums of what is handed out, so that they agree to the last bits whatever rounding did on the way.
  const clusterSums = sumByCluster(coherent, clusterOf, clusterCount);
  return { partitions: coherent, clusters: clusterSums, total: sumOf(clusterSums) };
}

function assertLevel({ point, variance }: LevelForecast, count: number): void {
  assert(point.length === count && variance.length === count, 'each forecast has a variance');
  assert(
    point.every((value) => value >= 0 && value < Number.POSITIVE_INFINITY),
    'forecasts of loads are finite and not negative',
  );
  assert(
    variance.every((value) => value >= 0),
    'variances are not negative',
  );
}

interface Estimate {
  readonly point: number;
  readonly variance: number;
}

/** Mean by precision. A certain estimate wins; of two certain ones the first, which comes from below. */
function average(fromBelow: Estimate, own: Estimate): number {
  if (own.variance === Number.POSITIVE_INFINITY || fromBelow.variance === 0) return fromBelow.point;
  if (fromBelow.variance === Number.POSITIVE_INFINITY) return own.point;
  const share = own.variance / (fromBelow.variance + own.variance);
  return share * fromBelow.point + (1 - share) * own.point;
}

/** Variance of that mean: 1 / (1/a + 1/b). */
function parallel(a: number, b: number): number {
  if (a === 0 || b === 0) return 0;
  return 1 / (1 / a + 1 / b);
}

/**
 * Moves children to a given sum, each by its share of the variance; who would fall below 0 stops there and the others
 * carry the rest. Children that are all certain move by their share of the sum.
 */
function shareOut(target: number, { point, variance }: LevelForecast): Float64Array {
  const moved = point.map((value) => Math.max(0, value));
  const weights =
    sumOf(variance) > 0 ? variance.slice() : sumOf(moved) > 0 ? moved.slice() : variance.map(() => 1);
  // Every round but the last one stops at least one child.
  for (let round = 0; round <= moved.length; round++) {
    const gap = target - sumOf(moved);
    const weight = sumOf(weights);
    if (weight === 0) break;
    let hasStopped = false;
    for (let i = 0; i < moved.length; i++) {
      const next = (moved[i] as number) + (gap * (weights[i] as number)) / weight;
      if (next < 0) {
        weights[i] = 0;
        hasStopped = true;
      }
      moved[i] = Math.max(0, next);
    }
    if (!hasStopped) break;
  }
  return moved;
}

function shareOutByCluster(
  targets: Float64Array,
  { point, variance }: LevelForecast,
  clusterOf: Int32Array,
): Float64Array {
  const members: number[][] = Array.from(targets, () => []);
  clusterOf.forEach((cluster, partition) => {
    (members[cluster] as number[]).push(partition);
  });
  const result = new Float64Array(point.length);
  members.forEach((partitions, cluster) => {
    const shares = shareOut(targets[cluster] as number, {
      point: Float64Array.from(partitions, (partition) => point[partition] as number),
      variance: Float64Array.from(partitions, (partition) => variance[partition] as number),
    });
    partitions.forEach((partition, i) => {
      result[partition] = shares[i] as number;
    });
  });
  return result;
}

function sumByCluster(values: Float64Array, clusterOf: Int32Array, clusterCount: number): Float64Array {
  const sums = new Float64Array(clusterCount);
  clusterOf.forEach((cluster, i) => {
    assert(cluster >= 0 && cluster < clusterCount, 'a partition belongs to a cluster that there is');
    sums[cluster] = (sums[cluster] as number) + (values[i] as number);
  });
  return sums;
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum;
}
