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
    let c: i32 = 0;
    // Four at a time: one sum alone would wait for its own last addition.
    for (; c + 4 <= clusterCount; c += 4) {
      let s0 = f64x2.splat(0), s1 = f64x2.splat(0), s2 = f64x2.splat(0), s3 = f64x2.splat(0);
      let other = centroid;
      for (let at = point, end = point + pointBytes; at < end; at += 16) {
        const value = v128.load(at);
        s0 = addSquare(s0, value, other);
        s1 = addSquare(s1, value, other + pointBytes);
        s2 = addSquare(s2, value, other + 2 * pointBytes);
        s3 = addSquare(s3, value, other + 3 * pointBytes);
        other += 16;
      }
      let distance = total(s0);
      if (distance < best) { best = distance; label = c; }
      distance = total(s1);
      if (distance < best) { best = distance; label = c + 1; }
      distance = total(s2);
      if (distance < best) { best = distance; label = c + 2; }
      distance = total(s3);
      if (distance < best) { best = distance; label = c + 3; }
      centroid += 4 * pointBytes;
    }
    for (; c < clusterCount; c++) {
      let sum = f64x2.splat(0);
      for (let offset: usize = 0; offset < pointBytes; offset += 16) {
        sum = addSquare(sum, v128.load(point + offset), centroid + offset);
      }
      const distance = total(sum);
      if (distance < best) { best = distance; label = c; }
      centroid += pointBytes;
    }
    const at = labelsPtr + ((<usize>p) << 2);
    if (load<i32>(at) != label) changed++;
    store<i32>(at, label);
    store<f64>(distancesPtr + ((<usize>p) << 3), best);
  }
  return changed;
}

// @ts-ignore: decorator
@inline
function addSquare(sum: v128, value: v128, otherPtr: usize): v128 {
  const difference = f64x2.sub(value, v128.load(otherPtr));
  return f64x2.add(sum, f64x2.mul(difference, difference));
}

// @ts-ignore: decorator
@inline
function total(sum: v128): f64 {
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}
