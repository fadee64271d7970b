// Seasonal members of the forecast. Series are f64[series][stride]; `length` of the `stride` windows are filled.

import { fillPeriods } from "./periods";

/**
 * The last cycle again: out[series][step] = y[length - season + step mod season].
 * @param seriesPtr f64[count][stride]
 * @param outPtr f64[count][horizon]
 */
export function seasonalNaive(
  seriesPtr: usize, count: i32, stride: i32, length: i32, season: i32, horizon: i32, outPtr: usize,
): void {
  assert(season > 0 && length >= season && stride >= length, "a naive forecast needs one whole cycle");
  for (let s: i32 = 0; s < count; s++) {
    const last = seriesPtr + ((<usize>(s * stride + length - season)) << 3);
    const out = outPtr + ((<usize>(s * horizon)) << 3);
    memory.copy(out, last, (<usize>min(season, horizon)) << 3);
    fillPeriods(out, season, horizon);
  }
}

/**
 * Mean of the last `cycles` values at the same phase; from three cycles on without the highest and the lowest, so that
 * one outage or one holiday does not bend the forecast (of four cycles that is the median).
 * @param seriesPtr f64[count][stride]
 * @param outPtr f64[count][horizon]
 */
export function seasonalTrimmedMean(
  seriesPtr: usize, count: i32, stride: i32, length: i32, season: i32, cycles: i32, horizon: i32, outPtr: usize,
): void {
  assert(cycles > 0 && season > 0 && length >= cycles * season, "a seasonal mean needs whole cycles");
  assert(stride >= length, "series do not overlap");
  const isTrimmed = cycles >= 3;
  const share = f64x2.splat(1.0 / <f64>(isTrimmed ? cycles - 2 : cycles));
  const phases = min(season, horizon);
  const cycleBytes = (<usize>season) << 3;
  for (let s: i32 = 0; s < count; s++) {
    const last = seriesPtr + ((<usize>(s * stride + length - season)) << 3);
    const out = outPtr + ((<usize>(s * horizon)) << 3);
    let phase: i32 = 0;
    for (; phase + 2 <= phases; phase += 2) {
      v128.store(out + ((<usize>phase) << 3), trimmedMeanOfTwo(last + ((<usize>phase) << 3), cycleBytes, cycles, isTrimmed, share));
    }
    // An odd last phase, alone: a pair would read beyond the row.
    if (phase < phases) {
      const pointer = last + ((<usize>phase) << 3);
      let sum = load<f64>(pointer);
      let low = sum;
      let high = sum;
      for (let c: i32 = 1; c < cycles; c++) {
        const value = load<f64>(pointer - <usize>c * cycleBytes);
        sum += value;
        low = min(low, value);
        high = max(high, value);
      }
      if (isTrimmed) sum = sum - high - low;
      store<f64>(out + ((<usize>phase) << 3), sum * f64x2.extract_lane(share, 0));
    }
    fillPeriods(out, season, horizon);
  }
}

// @ts-ignore: decorator
@inline
function trimmedMeanOfTwo(pointer: usize, cycleBytes: usize, cycles: i32, isTrimmed: bool, share: v128): v128 {
  let sum = v128.load(pointer);
  let low = sum;
  let high = sum;
  for (let c: i32 = 1; c < cycles; c++) {
    const value = v128.load(pointer - <usize>c * cycleBytes);
    sum = f64x2.add(sum, value);
    low = f64x2.min(low, value);
    high = f64x2.max(high, value);
  }
  if (isTrimmed) sum = f64x2.sub(f64x2.sub(sum, high), low);
  return f64x2.mul(sum, share);
}

/**
 * Moves forecasts to where the series is now: the mean distance of its last `windows` values from what was expected of them is
 * added, less at every step. Nothing falls below 0.
 *
 *   out[step] = max(0, out[step] + (mean of y - expected) * fade^(step + 1))
 *
 * @param seriesPtr f64[count][stride]
 * @param expectedPtr f64[count][windows], of the last windows
 * @param outPtr in, out: f64[count][horizon]
 */
export function followLevel(
  seriesPtr: usize, count: i32, stride: i32, length: i32,
  expectedPtr: usize, windows: i32, fade: f64, horizon: i32, outPtr: usize,
): void {
  assert(windows > 0 && length >= windows && stride >= length, "there are windows to compare");
  for (let s: i32 = 0; s < count; s++) {
    const last = seriesPtr + ((<usize>(s * stride + length - windows)) << 3);
    const expected = expectedPtr + ((<usize>(s * windows)) << 3);
    let distance: f64 = 0;
    for (let w: i32 = 0; w < windows; w++) {
      const at = (<usize>w) << 3;
      distance += load<f64>(last + at) - load<f64>(expected + at);
    }
    distance /= <f64>windows;
    const out = outPtr + ((<usize>(s * horizon)) << 3);
    for (let step: i32 = 0; step < horizon; step++) {
      distance *= fade;
      const pointer = out + ((<usize>step) << 3);
      store<f64>(pointer, max(0.0, load<f64>(pointer) + distance));
    }
  }
}
