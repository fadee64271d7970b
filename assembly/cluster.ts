/**
 * The assignment step of k-means: for each point the nearest centroid, ties to the lower index.
 * @param pointsPtr f64[count][dimension], dimension even
 * @param centroidsPtr f64[clusterCount][dimension]
 * @param labelsPtr i32[count] out
 * @param distancesPtr f64[count] out, squared Euclidean distance to that centroid
 * @returns how many labels changed
 */
export function nearestCentroids(
  pointsPtr: usize, count: i32, dimension: i32, centroidsPtr: usize, clusterCount: i32, labelsPtr: usize, distancesPtr: usize,
): i32 {
  assert(dimension > 0 && dimension % 2 == 0 && clusterCount > 0, "points have an even dimension and somewhere to go");
  const pointBytes = (<usize>dimension) << 3;
  let changed: i32 = 0;
  for (let p: i32 = 0; p < count; p++) {
    const point = pointsPtr + <usize>p * pointBytes;
    let centroid = centroidsPtr;
    let best: f64 = Infinity;
    let label: i32 = 0;
    for (let c: i32 = 0; c < clusterCount; c++) {
      let sum = f64x2.splat(0);
      for (let offset: usize = 0; offset < pointBytes; offset += 16) {
        const difference = f64x2.sub(v128.load(point + offset), v128.load(centroid + offset));
        sum = f64x2.add(sum, f64x2.mul(difference, difference));
      }
      const distance = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
      if (distance < best) {
        best = distance;
        label = c;
      }
      centroid += pointBytes;
    }
    const at = labelsPtr + ((<usize>p) << 2);
    if (load<i32>(at) != label) changed++;
    store<i32>(at, label);
    store<f64>(distancesPtr + ((<usize>p) << 3), best);
  }
  return changed;
}
