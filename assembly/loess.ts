// Local regression (loess) on tiles of eight series, at equal steps: what the decomposition of assembly/stl.ts smooths with.
//
// A value is the constant or linear fit through its neighbours, weighted by the cube of (1 - distance^3)
// (Cleveland, "Robust locally weighted regression and smoothing scatterplots", 1979). A row is `widthBytes` of f64, a tile's
// eight lanes or those of several windows, and rows stand `rowBytes` apart: so the same hour of all days is a series, and
// the hours of a day are smoothed side by side. With robustness weights each lane has its own sums; without, the fit is the
// same weighted mean for all lanes, and its weights are worked out once.

import { LANE_BYTES } from "./tiles";

/** Distances below it count as none, and above its complement as the edge: as in the authors' program. */
const NEAR: f64 = 0.001;
const FAR: f64 = 0.999;

/** Neighbours that weigh less than this together are none. */
const WEIGHT_MIN: f64 = 1e-40;

/** A determinant below this share of its terms: all neighbours at one place, no slope. */
const DEGENERATE: f64 = 1e-9;

/**
 * Smooths `count` rows at every `jump`-th and the last, and draws straight lines between.
 *
 * @param widthBytes of a row, a multiple of LANE_BYTES
 * @param window neighbours of a fit, odd; more than `count` make the fit stiffer
 * @param isLinear 0 fits constants, 1 lines
 * @param robustPtr weights of the rows, laid out as the values; 0 for none
 * @param workPtr f64[min(window, count)], scratch
 * @param outPtr rows `outRowBytes` apart
 */
export function loessTile(
  valuesPtr: usize, rowBytes: usize, widthBytes: usize, count: i32, window: i32, isLinear: i32, jump: i32, robustPtr: usize,
  workPtr: usize, outPtr: usize, outRowBytes: usize,
): void {
  assert(count > 0 && window > 0 && jump > 0, "there is something to smooth");
  const isRobust = robustPtr != 0;
  weighNeighbours(0, count, window, isLinear, isRobust, workPtr);
  fitRow(valuesPtr, rowBytes, widthBytes, 0, count, window, isLinear, robustPtr, workPtr, outPtr);
  for (let at: i32 = 0; at < count - 1; ) {
    const next = min(at + jump, count - 1);
    const from = outPtr + <usize>at * outRowBytes;
    const to = outPtr + <usize>next * outRowBytes;
    // Away from the ends, neighbours lie around every row in the same way.
    if (offsetOf(next, count, window) != offsetOf(at, count, window)) {
      weighNeighbours(next, count, window, isLinear, isRobust, workPtr);
    }
    fitRow(valuesPtr, rowBytes, widthBytes, next, count, window, isLinear, robustPtr, workPtr, to);
    const share = 1.0 / <f64>(next - at);
    for (let step: i32 = 1; step < next - at; step++) {
      const part = f64x2.splat(<f64>step * share);
      const out = from + <usize>step * outRowBytes;
      for (let lane: usize = 0; lane < widthBytes; lane += 16) {
        const start = v128.load(from + lane);
        v128.store(out + lane, f64x2.add(start, f64x2.mul(part, f64x2.sub(v128.load(to + lane), start))));
      }
    }
    at = next;
  }
}

/** The fit at row `x`, which may be one beyond either end: -1 .. count. */
export function loessPoint(
  valuesPtr: usize, rowBytes: usize, widthBytes: usize, count: i32, x: i32, window: i32, isLinear: i32, robustPtr: usize,
  workPtr: usize, outPtr: usize,
): void {
  weighNeighbours(x, count, window, isLinear, robustPtr != 0, workPtr);
  fitRow(valuesPtr, rowBytes, widthBytes, x, count, window, isLinear, robustPtr, workPtr, outPtr);
}

/** The first neighbour of row `x`, counted from it. */
// @ts-ignore: decorator
@inline
function offsetOf(x: i32, count: i32, window: i32): i32 {
  return max(0, min(x - (window >> 1), count - min(window, count))) - x;
}

/** Weights of the neighbours of row `x` by their distance; without robustness weights, their shares in the fitted value. */
function weighNeighbours(x: i32, count: i32, window: i32, isLinear: i32, isRobust: bool, workPtr: usize): void {
  const width = min(window, count);
  const offset = offsetOf(x, count, window);
  let reach = <f64>max(-offset, offset + width - 1);
  if (window > count) reach += <f64>((window - count) >> 1);
  tricube(offset, width, reach, workPtr);
  if (!isRobust) shapeWeights(offset, width, isLinear, workPtr);
}

/** @param workPtr what weighNeighbours has left there for a row with the same offset */
function fitRow(
  valuesPtr: usize, rowBytes: usize, widthBytes: usize, x: i32, count: i32, window: i32, isLinear: i32, robustPtr: usize,
  workPtr: usize, outPtr: usize,
): void {
  const width = min(window, count);
  const offset = offsetOf(x, count, window);
  const first = <usize>(x + offset) * rowBytes;
  if (robustPtr != 0) {
    fitRobust(valuesPtr + first, robustPtr + first, rowBytes, widthBytes, offset, width, isLinear, workPtr, outPtr);
    return;
  }
  const end = workPtr + ((<usize>width) << 3);
  for (let lane: usize = 0; lane < widthBytes; lane += LANE_BYTES) {
    let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let row = valuesPtr + first + lane;
    for (let share = workPtr; share < end; share += 8) {
      const weight = v128.load_splat<f64>(share);
      s0 = f64x2.add(s0, f64x2.mul(weight, v128.load(row)));
      s1 = f64x2.add(s1, f64x2.mul(weight, v128.load(row, 16)));
      s2 = f64x2.add(s2, f64x2.mul(weight, v128.load(row, 32)));
      s3 = f64x2.add(s3, f64x2.mul(weight, v128.load(row, 48)));
      row += rowBytes;
    }
    const out = outPtr + lane;
    v128.store(out, s0);
    v128.store(out, s1, 16);
    v128.store(out, s2, 32);
    v128.store(out, s3, 48);
  }
}

/** work[i] = (1 - (distance / reach)^3)^3 of the neighbours at offset, offset + 1, .. */
function tricube(offset: i32, width: i32, reach: f64, workPtr: usize): void {
  const inverse = reach > 0 ? 1.0 / reach : 0.0;
  for (let i: i32 = 0; i < width; i++) {
    const distance = Math.abs(<f64>(offset + i)) * inverse;
    let weight = 1.0;
    if (distance > FAR) weight = 0.0;
    else if (distance > NEAR) {
      const hollow = 1.0 - distance * distance * distance;
      weight = hollow * hollow * hollow;
    }
    store<f64>(workPtr + ((<usize>i) << 3), weight);
  }
}

/** Turns neighbour weights into the shares of each neighbour in the fitted value. */
function shapeWeights(offset: i32, width: i32, isLinear: i32, workPtr: usize): void {
  let sum = 0.0;
  let first = 0.0;
  let second = 0.0;
  for (let i: i32 = 0; i < width; i++) {
    const weight = load<f64>(workPtr + ((<usize>i) << 3));
    const distance = <f64>(offset + i);
    sum += weight;
    first += weight * distance;
    second += weight * distance * distance;
  }
  const determinant = sum * second - first * first;
  const hasSlope = isLinear != 0 && determinant > DEGENERATE * sum * second;
  const level = hasSlope ? second / determinant : 1.0 / sum;
  const slope = hasSlope ? first / determinant : 0.0;
  for (let i: i32 = 0; i < width; i++) {
    const at = workPtr + ((<usize>i) << 3);
    store<f64>(at, load<f64>(at) * (level - slope * <f64>(offset + i)));
  }
}

/** Two lanes at a time, five sums each; a lane whose neighbours all weigh nothing is fitted without robustness weights. */
function fitRobust(
  valuesPtr: usize, robustPtr: usize, rowBytes: usize, widthBytes: usize, offset: i32, width: i32, isLinear: i32,
  workPtr: usize, outPtr: usize,
): void {
  const one = f64x2.splat(1);
  const zero = f64x2.splat(0);
  for (let lane: usize = 0; lane < widthBytes; lane += 16) {
    let sum = zero, first = zero, second = zero, value = zero, slope = zero;
    let plain = zero, plainValue = zero;
    let row = valuesPtr + lane;
    let robust = robustPtr + lane;
    for (let i: i32 = 0; i < width; i++) {
      const near = v128.load_splat<f64>(workPtr + ((<usize>i) << 3));
      const weight = f64x2.mul(near, v128.load(robust));
      const y = v128.load(row);
      const distance = f64x2.splat(<f64>(offset + i));
      const weightDistance = f64x2.mul(weight, distance);
      sum = f64x2.add(sum, weight);
      first = f64x2.add(first, weightDistance);
      second = f64x2.add(second, f64x2.mul(weightDistance, distance));
      value = f64x2.add(value, f64x2.mul(weight, y));
      slope = f64x2.add(slope, f64x2.mul(weightDistance, y));
      plain = f64x2.add(plain, near);
      plainValue = f64x2.add(plainValue, f64x2.mul(near, y));
      row += rowBytes;
      robust += rowBytes;
    }
    const isEmpty = f64x2.le(sum, f64x2.splat(WEIGHT_MIN));
    sum = v128.bitselect(plain, sum, isEmpty);
    value = v128.bitselect(plainValue, value, isEmpty);
    let fit = f64x2.div(value, sum);
    if (isLinear != 0) {
      const scale = f64x2.mul(sum, second);
      const determinant = f64x2.sub(scale, f64x2.mul(first, first));
      const hasSlope = v128.andnot(f64x2.gt(determinant, f64x2.mul(f64x2.splat(DEGENERATE), scale)), isEmpty);
      const safe = v128.bitselect(determinant, one, hasSlope);
      const line = f64x2.div(f64x2.sub(f64x2.mul(second, value), f64x2.mul(first, slope)), safe);
      fit = v128.bitselect(line, fit, hasSlope);
    }
    v128.store(outPtr + lane, fit);
  }
}
