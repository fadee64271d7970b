/** Slow, obvious twin of assembly/cluster.ts. */
export function nearestCentroids(options: {
  points: Float64Array;
  count: number;
  dimension: number;
  centroids: Float64Array;
  clusterCount: number;
}): { labels: Int32Array; distances: Float64Array } {
  const { points, count, dimension, centroids, clusterCount } = options;
  const labels = new Int32Array(count);
  const distances = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  for (let p = 0; p < count; p++)
    for (let c = 0; c < clusterCount; c++) {
      let even = 0;
      let odd = 0;
      for (let d = 0; d < dimension; d += 2) {
        even += (points[p * dimension + d]! - centroids[c * dimension + d]!) ** 2;
        odd += (points[p * dimension + d + 1]! - centroids[c * dimension + d + 1]!) ** 2;
      }
      if (even + odd < distances[p]!) {
        distances[p] = even + odd;
        labels[p] = c;
      }
    }
  return { labels, distances };
}
