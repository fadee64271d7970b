// Nadaraya-Watson kernel regression of one series on its own past: what followed windows that looked like the last ones,
// each weighted by how alike it looked.

/** Log units. Flatter than that, every past looks the same. */
const DEVIATION_MIN: f64 = 1e-4;

/** f64 slots of scratch that `kernelRegression` needs. */
export function kernelRegressionScratchCount(windows: i32, horizon: i32): i32 {
  return 2 * windows + horizon;
}

/**
 * out[h] = sum over origins o of K(o) y[o + h] / sum of K(o), over the origins whose step h is known, where
 * K(o) = exp(-distance / bandwidth) and distance is the Euclidean one between the `inputs` windows before o and the last
 * `inputs` windows, in units of the series' standard deviation.
 * @param seriesPtr f64[windows], oldest first
 * @param isLevelled 1: each past is first moved to the mean of the last `inputs` windows, which lets a shape recur on
 *   another level; 0: values as they are
 * @param scratchPtr f64[kernelRegressionScratchCount]
 * @param outPtr f64[horizon]
 * @returns 1, or 0 where the series is flat; then nothing is written
 */
export function kernelRegression(
  seriesPtr: usize, windows: i32, inputs: i32, horizon: i32, bandwidth: f64, isLevelled: i32, scratchPtr: usize, outPtr: usize,
): i32 {
  // The oldest origin must know the whole horizon, or the last steps would have nothing to follow.
  assert(inputs > 0 && horizon > 0 && windows >= inputs + horizon, "some past has a known future");
  assert(bandwidth > 0, "a bandwidth is positive");
  const deviation = deviationOf(seriesPtr, windows);
  if (!(deviation >= DEVIATION_MIN)) return 0;
  const query = seriesPtr + ((<usize>(windows - inputs)) << 3);
  const distances = scratchPtr;
  const shifts = distances + ((<usize>windows) << 3);
  const weightSums = shifts + ((<usize>windows) << 3);
  memory.fill(shifts, 0, (<usize>windows) << 3);
  if (isLevelled) fillShifts(seriesPtr, windows, inputs, shifts);

  // Only differences of distances matter: less the smallest, the nearest past weighs 1.
  let nearest = Infinity;
  for (let o = inputs; o < windows; o++) {
    const at = (<usize>o) << 3;
    const past = seriesPtr + ((<usize>(o - inputs)) << 3);
    const distance = Math.sqrt(squaredDistance(past, query, inputs, load<f64>(shifts + at))) / deviation;
    store<f64>(distances + at, distance);
    nearest = min(nearest, distance);
  }
  memory.fill(outPtr, 0, (<usize>horizon) << 3);
  memory.fill(weightSums, 0, (<usize>horizon) << 3);
  for (let o = inputs; o < windows; o++) {
    const at = (<usize>o) << 3;
    // The late steps may be known to distant pasts alone: they must keep some weight, however small.
    const weight = max(1e-200, Math.exp((nearest - load<f64>(distances + at)) / bandwidth));
    addFuture(seriesPtr + at, min(horizon, windows - o), weight, load<f64>(shifts + at), outPtr, weightSums);
  }
  for (let h: i32 = 0; h < horizon; h++) {
    const at = (<usize>h) << 3;
    store<f64>(outPtr + at, load<f64>(outPtr + at) / load<f64>(weightSums + at));
  }
  return 1;
}

/** shifts[o] = mean of the last `inputs` windows less the mean of those before o, by a running sum. */
function fillShifts(seriesPtr: usize, windows: i32, inputs: i32, shifts: usize): void {
  const width = (<usize>inputs) << 3;
  let sum: f64 = 0;
  for (let i: i32 = 0; i < inputs; i++) sum += load<f64>(seriesPtr + ((<usize>i) << 3));
  for (let o = inputs; o < windows; o++) {
    const at = (<usize>o) << 3;
    store<f64>(shifts + at, sum);
    sum += load<f64>(seriesPtr + at) - load<f64>(seriesPtr + at - width);
  }
  for (let o = inputs; o < windows; o++) {
    const at = shifts + ((<usize>o) << 3);
    store<f64>(at, (sum - load<f64>(at)) / <f64>inputs);
  }
}

// @ts-ignore: decorator
@inline
function addFuture(future: usize, known: i32, weight: f64, shift: f64, out: usize, weightSums: usize): void {
  const share = f64x2.splat(weight);
  const moved = f64x2.splat(shift);
  let h: i32 = 0;
  for (; h + 2 <= known; h += 2) {
    const at = (<usize>h) << 3;
    const value = f64x2.add(v128.load(future + at), moved);
    v128.store(out + at, f64x2.add(v128.load(out + at), f64x2.mul(share, value)));
    v128.store(weightSums + at, f64x2.add(v128.load(weightSums + at), share));
  }
  if (h < known) {
    const at = (<usize>h) << 3;
    store<f64>(out + at, load<f64>(out + at) + weight * (load<f64>(future + at) + shift));
    store<f64>(weightSums + at, load<f64>(weightSums + at) + weight);
  }
}

// @ts-ignore: decorator
@inline
function squaredDistance(past: usize, query: usize, count: i32, shift: f64): f64 {
  const moved = f64x2.splat(shift);
  let even = f64x2.splat(0), odd = f64x2.splat(0);
  let i: i32 = 0;
  for (; i + 4 <= count; i += 4) {
    const at = (<usize>i) << 3;
    const low = f64x2.sub(f64x2.add(v128.load(past + at), moved), v128.load(query + at));
    const high = f64x2.sub(f64x2.add(v128.load(past + at, 16), moved), v128.load(query + at, 16));
    even = f64x2.add(even, f64x2.mul(low, low));
    odd = f64x2.add(odd, f64x2.mul(high, high));
  }
  even = f64x2.add(even, odd);
  let total = f64x2.extract_lane(even, 0) + f64x2.extract_lane(even, 1);
  for (; i < count; i++) {
    const at = (<usize>i) << 3;
    const difference = load<f64>(past + at) + shift - load<f64>(query + at);
    total += difference * difference;
  }
  return total;
}

function meanOf(pointer: usize, count: i32): f64 {
  let sum: f64 = 0;
  const end = pointer + ((<usize>count) << 3);
  for (; pointer < end; pointer += 8) sum += load<f64>(pointer);
  return sum / <f64>count;
}

/** Root of the mean square difference from the mean. */
function deviationOf(pointer: usize, count: i32): f64 {
  const mean = meanOf(pointer, count);
  let sum: f64 = 0;
  for (let i: i32 = 0; i < count; i++) {
    const difference = load<f64>(pointer + ((<usize>i) << 3)) - mean;
    sum += difference * difference;
  }
  return Math.sqrt(sum / <f64>count);
}
