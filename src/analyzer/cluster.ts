import type { Random } from '../base/random.ts';
import type { Kernels } from '../kernels/instance.ts';
import type { History } from './history.ts';

/** k-means settles on profiles within ten steps or so; the bound only keeps a flicker between two maps finite. */
const STEPS_MAX = 50;

/** Log units: keeps the noise of nearly flat partitions from being blown up into a shape. */
const SPREAD_FLOOR = 0.05;

/** A partition that never moves has no profile; it is served by whatever cluster is nearest to zero. */
const SPREAD_MIN = 1e-6;

export interface Clustering {
  readonly clusterCount: number;
  /** i32[partition]. */
  readonly labelOf: Int32Array;
  /** f64[cluster][dimension]. */
  readonly centroids: Float64Array;
}

/** The longest cycle that so much history holds. */
export const cycleWindowsOf = (
  shape: { readonly weekWindows: number; readonly dayWindows: number },
  historyWindows: number,
): number => [shape.weekWindows, shape.dayWindows, 2].find((windows) => windows <= historyWindows) ?? 2;

/**
 * The shape of each partition's cycle: its mean log load by phase, less its mean, over its mean absolute deviation.
 *
 * @param cycleWindows windows of the cycle (a week, or a day where history is shorter); history holds at least one.
 * @returns f64[partition][dimension] with dimension = cycleWindows, plus one zero where that is odd.
 */
export function cycleProfiles(
  history: History,
  cycleWindows: number,
): { readonly points: Float64Array; readonly dimension: number } {
  const { partitionCount } = history.shape;
  const dimension = cycleWindows + (cycleWindows % 2);
  const cycles = Math.floor(history.length / cycleWindows);
  const first = history.length - cycles * cycleWindows;
  const points = new Float64Array(partitionCount * dimension);
  for (let p = 0; p < partitionCount; p++) {
    const profile = points.subarray(p * dimension, p * dimension + cycleWindows);
    for (let w = first; w < history.length; w++) {
      // Phases count from the start of all windows, so that profiles of different days can be compared.
      const phase = (history.dropped + w) % cycleWindows;
      profile[phase] = (profile[phase] as number) + history.logLoad(p, w) / cycles;
    }
    const mean = profile.reduce((total, value) => total + value, 0) / cycleWindows;
    const spread = profile.reduce((total, value) => total + Math.abs(value - mean), 0) / cycleWindows;
    for (let i = 0; i < cycleWindows; i++)
      profile[i] = spread < SPREAD_MIN ? 0 : ((profile[i] as number) - mean) / (spread + SPREAD_FLOOR);
  }
  return { points, dimension };
}

/**
 * k-means from a k-means++ start, or from the centroids of an earlier clustering, so that clusters keep their meaning.
 *
 * @param random used only for a fresh start.
 * @see Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", 2007
 */
export function clusterProfiles(
  profiles: { readonly points: Float64Array; readonly dimension: number },
  options: { readonly clusterCount: number; readonly previous?: Clustering },
  components: { readonly kernels: Kernels; readonly random: Random },
): Clustering {
  const { points, dimension } = profiles;
  const { clusterCount, previous } = options;
  const { arena, exports } = components.kernels;
  const count = points.length / dimension;
  const pointBlock = arena.f64(points.length);
  const centroidBlock = arena.f64(clusterCount * dimension);
  const labels = arena.i32(count);
  const distances = arena.f64(count);
  try {
    pointBlock.view.set(points);
    const assign = (clusters: number): number =>
      exports.nearestCentroids(
        pointBlock.pointer,
        count,
        dimension,
        centroidBlock.pointer,
        clusters,
        labels.pointer,
        distances.pointer,
      );
    if (previous?.centroids.length === centroidBlock.view.length) centroidBlock.view.set(previous.centroids);
    else
      for (let c = 0; c < clusterCount; c++) {
        // The first is drawn evenly, the next ones by their squared distance to the nearest so far.
        if (c > 0) assign(c);
        const chosen = c === 0 ? components.random.nextBelow(count) : draw(distances.view, components.random);
        centroidBlock.view.set(points.subarray(chosen * dimension, (chosen + 1) * dimension), c * dimension);
      }
    assign(clusterCount);
    for (let step = 0; step < STEPS_MAX; step++) {
      moveCentroids({ points, dimension, labels: labels.view, centroids: centroidBlock.view });
      if (assign(clusterCount) === 0) break;
    }
    return { clusterCount, labelOf: labels.view.slice(), centroids: centroidBlock.view.slice() };
  } finally {
    for (const block of [pointBlock, centroidBlock, labels, distances]) arena.free(block);
  }
}

/** An index with probability proportional to its weight; evenly where all are zero. */
function draw(weights: Float64Array, random: Random): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (!(total > 0)) return random.nextBelow(weights.length);
  let rest = random.nextFloat() * total;
  for (let i = 0; i < weights.length; i++) {
    rest -= weights[i] as number;
    if (rest < 0) return i;
  }
  return weights.length - 1;
}

/** Each centroid goes to the mean of its points; one without points stays where it is. */
function moveCentroids(options: {
  points: Float64Array;
  dimension: number;
  labels: Int32Array;
  centroids: Float64Array;
}): void {
  const { points, dimension, labels, centroids } = options;
  const clusterCount = centroids.length / dimension;
  const sums = new Float64Array(centroids.length);
  const counts = new Int32Array(clusterCount);
  labels.forEach((label, p) => {
    counts[label] = (counts[label] as number) + 1;
    for (let d = 0; d < dimension; d++)
      sums[label * dimension + d] =
        (sums[label * dimension + d] as number) + (points[p * dimension + d] as number);
  });
  for (let c = 0; c < clusterCount; c++) {
    const members = counts[c] as number;
    if (members === 0) continue;
    for (let d = 0; d < dimension; d++)
      centroids[c * dimension + d] = (sums[c * dimension + d] as number) / members;
  }
}
