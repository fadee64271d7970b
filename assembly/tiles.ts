// Series as tiles of eight lanes, f64[window][LANES], and the states that exponential smoothing begins from.

/** Series, or candidates, side by side in a tile; assembly/ets.ts tells why eight. */
export const LANES: i32 = 8;
export const LANE_BYTES: usize = <usize>LANES << 3;

/** What src/kernels/ets-search.ts repeats. */
export function tileLanes(): i32 {
  return LANES;
}

/** One series in all lanes. */
export function tileOfOne(seriesPtr: usize, length: i32, tilePtr: usize): void {
  for (const end = seriesPtr + ((<usize>length) << 3); seriesPtr < end; seriesPtr += 8) {
    const value = v128.load_splat<f64>(seriesPtr);
    v128.store(tilePtr, value);
    v128.store(tilePtr, value, 16);
    v128.store(tilePtr, value, 32);
    v128.store(tilePtr, value, 48);
    tilePtr += LANE_BYTES;
  }
}

/**
 * Up to eight series, one a lane; the lanes left over repeat the last.
 * @param seriesPtr f64[][stride], at the first window to take
 * @param listPtr i32[count], which rows
 */
export function tileOfSeries(
  seriesPtr: usize, stride: i32, listPtr: usize, count: i32, length: i32, tilePtr: usize,
): void {
  assert(0 < count && count <= LANES && length <= stride, "a tile has one to eight series");
  for (let lane: i32 = 0; lane < LANES; lane++) {
    const index = load<i32>(listPtr + ((<usize>min(lane, count - 1)) << 2));
    const row = seriesPtr + ((<usize>(index * stride)) << 3);
    const out = tilePtr + ((<usize>lane) << 3);
    for (let window: i32 = 0; window < length; window++) {
      store<f64>(out + <usize>window * LANE_BYTES, load<f64>(row + ((<usize>window) << 3)));
    }
  }
}

/**
 * States to begin a backcast from: each season is the mean of its cycles less their means, a second one what the first
 * leaves over, the level the mean of the cycle before `end`, the trend zero.
 *
 * @param tilePtr f64[length][LANES]
 * @param secondSeason a multiple of `season`, or 0
 * @param levelWindows windows before `end` that the level is the mean of
 * @param statesPtr f64[2 + season + secondSeason][LANES], in the order of assembly/ets.ts
 */
export function etsStart(
  tilePtr: usize, length: i32, end: i32, levelWindows: i32, season: i32, secondSeason: i32, statesPtr: usize,
): void {
  assert(0 < levelWindows && levelWindows <= end && end <= length, "the level is a mean of windows");
  assert(secondSeason == 0 || (season > 0 && secondSeason % season == 0), "a second season holds whole first ones");
  assert(length >= max(season, secondSeason), "a season has been seen once");
  const seasonPtr = statesPtr + 2 * LANE_BYTES;
  const secondPtr = seasonPtr + <usize>season * LANE_BYTES;
  memory.fill(statesPtr, 0, <usize>(2 + season + secondSeason) * LANE_BYTES);
  if (season > 0) addMeanCycle(tilePtr, length, season, seasonPtr);
  if (secondSeason > 0) addMeanCycle(tilePtr, length, secondSeason, secondPtr);
  for (let lane: usize = 0; lane < LANE_BYTES; lane += 16) {
    for (let phase: i32 = 0; phase < secondSeason; phase++) {
      const at = secondPtr + <usize>phase * LANE_BYTES + lane;
      v128.store(at, f64x2.sub(v128.load(at), v128.load(seasonPtr + <usize>(phase % season) * LANE_BYTES + lane)));
    }
    let sum = f64x2.splat(0);
    for (let window = end - levelWindows; window < end; window++) {
      let value = v128.load(tilePtr + <usize>window * LANE_BYTES + lane);
      if (season > 0) value = f64x2.sub(value, v128.load(seasonPtr + <usize>(window % season) * LANE_BYTES + lane));
      if (secondSeason > 0) {
        value = f64x2.sub(value, v128.load(secondPtr + <usize>(window % secondSeason) * LANE_BYTES + lane));
      }
      sum = f64x2.add(sum, value);
    }
    v128.store(statesPtr + lane, f64x2.mul(sum, f64x2.splat(1.0 / <f64>levelWindows)));
  }
}

/** out[phase] += mean over whole cycles of (value - mean of its cycle). */
function addMeanCycle(tilePtr: usize, length: i32, season: i32, outPtr: usize): void {
  const cycles = length / season;
  const cycleBytes = <usize>season * LANE_BYTES;
  const perWindow = f64x2.splat(1.0 / <f64>season);
  const perCycle = f64x2.splat(1.0 / <f64>cycles);
  for (let cycle: i32 = 0; cycle < cycles; cycle++) {
    for (let lane: usize = 0; lane < LANE_BYTES; lane += 16) {
      let mean = f64x2.splat(0);
      for (let at: usize = lane; at < cycleBytes; at += LANE_BYTES) mean = f64x2.add(mean, v128.load(tilePtr + at));
      mean = f64x2.mul(mean, perWindow);
      for (let at: usize = lane; at < cycleBytes; at += LANE_BYTES) {
        const share = f64x2.mul(f64x2.sub(v128.load(tilePtr + at), mean), perCycle);
        v128.store(outPtr + at, f64x2.add(v128.load(outPtr + at), share));
      }
    }
    tilePtr += cycleBytes;
  }
}
