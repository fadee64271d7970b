// Seasonal-trend decomposition by loess on tiles of eight series: values = trend + season + remainder.
//
// STL: Cleveland, Cleveland, McRae & Terpenning, "STL: a seasonal-trend decomposition procedure based on loess", 1990. More than one
// season: Bandara, Hyndman & Bergmeir, "MSTL: a seasonal-trend decomposition algorithm for time series with multiple seasonal
// patterns", 2021, whose loop over the seasons is the host's (src/kernels/mstl-jobs.ts).

import { loessPoint, loessTile } from "./loess";
import { LANE_BYTES } from "./tiles";

/** A smoother skips this share of its window between fits, and draws lines between: as the authors do. */
const JUMP_DIVISOR: i32 = 10;

/** Weight of a remainder six times the median; one usual neighbour outweighs any number of such. */
const STRAY_WEIGHT: f64 = 1e-6;

/** Rows of scratch that stlTile needs, in f64[LANES]. */
export function stlWorkRows(length: i32, season: i32): i32 {
  // The season with a cycle more at either end, twice, and the weights of neighbours, which are at most `length`.
  return 2 * (length + 2 * season) + ((length + 7) >> 3);
}

/**
 * `turnCount` times: the season from the values less the trend, then the trend from the values less the season.
 *
 * @param valuesPtr f64[length][LANES], length >= 2 season
 * @param seasonWindow cycles that a seasonal value is smoothed over, odd; 10 length makes it periodic
 * @param trendWindow windows that the trend is smoothed over, odd
 * @param robustPtr f64[length][LANES], weights 0..1 of the values; 0 for none
 * @param trendPtr f64[length][LANES]; in: a first guess (zeros will do), out: the trend
 * @param seasonalPtr f64[length][LANES]; out
 * @param workPtr f64[stlWorkRows(length, season)][LANES]
 */
export function stlTile(
  valuesPtr: usize, length: i32, season: i32, seasonWindow: i32, trendWindow: i32, turnCount: i32, robustPtr: usize,
  trendPtr: usize, seasonalPtr: usize, workPtr: usize,
): void {
  assert(season > 1 && length >= 2 * season, "a season has been seen twice");
  const extendedCount = length + 2 * season;
  const otherPtr = workPtr + <usize>extendedCount * LANE_BYTES;
  const weightsPtr = otherPtr + <usize>extendedCount * LANE_BYTES;
  const lowWindow = season | 1;
  for (let turn: i32 = 0; turn < turnCount; turn++) {
    subtract(valuesPtr, trendPtr, length, seasonalPtr);
    smoothCycles(seasonalPtr, length, season, seasonWindow, robustPtr, weightsPtr, workPtr);
    // What the cycles have of the level, slower than a season, belongs to the trend.
    memory.copy(otherPtr, workPtr, <usize>extendedCount * LANE_BYTES);
    movingAverage(otherPtr, extendedCount, season);
    movingAverage(otherPtr, length + season + 1, season);
    movingAverage(otherPtr, length + 2, 3);
    smooth(otherPtr, length, lowWindow, 0, weightsPtr, seasonalPtr);
    subtract(workPtr + <usize>season * LANE_BYTES, seasonalPtr, length, seasonalPtr);
    subtract(valuesPtr, seasonalPtr, length, otherPtr);
    smooth(otherPtr, length, trendWindow, robustPtr, weightsPtr, trendPtr);
  }
}

/** A line through the neighbours of every row. */
function smooth(valuesPtr: usize, length: i32, window: i32, robustPtr: usize, weightsPtr: usize, outPtr: usize): void {
  loessTile(
    valuesPtr, LANE_BYTES, LANE_BYTES, length, window, 1, jumpOf(window), robustPtr, weightsPtr, outPtr, LANE_BYTES,
  );
}

// @ts-ignore: decorator
@inline
function jumpOf(window: i32): i32 {
  return (window + JUMP_DIVISOR - 1) / JUMP_DIVISOR;
}

/**
 * Smooths each phase of the season over its cycles, and goes on by a cycle at either end.
 * @param outPtr f64[length + 2 season][LANES]
 */
function smoothCycles(
  valuesPtr: usize, length: i32, season: i32, window: i32, robustPtr: usize, weightsPtr: usize, outPtr: usize,
): void {
  const cycles = length / season;
  const rest = length % season;
  // The phases of a cycle that has begun have been seen once more than the others.
  smoothPhases(valuesPtr, 0, rest, cycles + 1, season, window, robustPtr, weightsPtr, outPtr);
  smoothPhases(valuesPtr, rest, season - rest, cycles, season, window, robustPtr, weightsPtr, outPtr);
}

/** Phases first .. first + phaseCount - 1, side by side. */
function smoothPhases(
  valuesPtr: usize, first: i32, phaseCount: i32, cycles: i32, season: i32, window: i32, robustPtr: usize, weightsPtr: usize,
  outPtr: usize,
): void {
  if (phaseCount == 0) return;
  const offset = <usize>first * LANE_BYTES;
  const rowBytes = <usize>season * LANE_BYTES;
  const width = <usize>phaseCount * LANE_BYTES;
  const values = valuesPtr + offset;
  const robust = robustPtr == 0 ? <usize>0 : robustPtr + offset;
  const out = outPtr + offset;
  loessPoint(values, rowBytes, width, cycles, -1, window, 0, robust, weightsPtr, out);
  loessTile(values, rowBytes, width, cycles, window, 0, jumpOf(window), robust, weightsPtr, out + rowBytes, rowBytes);
  loessPoint(
    values, rowBytes, width, cycles, cycles, window, 0, robust, weightsPtr, out + <usize>(cycles + 1) * rowBytes,
  );
}

/** In place: row t becomes the mean of rows t .. t + window - 1; the last window - 1 rows are left as they were. */
function movingAverage(valuesPtr: usize, count: i32, window: i32): void {
  const share = f64x2.splat(1.0 / <f64>window);
  const ahead = <usize>window * LANE_BYTES;
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (let row = valuesPtr; row < valuesPtr + ahead; row += LANE_BYTES) {
    s0 = f64x2.add(s0, v128.load(row));
    s1 = f64x2.add(s1, v128.load(row, 16));
    s2 = f64x2.add(s2, v128.load(row, 32));
    s3 = f64x2.add(s3, v128.load(row, 48));
  }
  const last = valuesPtr + <usize>(count - window) * LANE_BYTES;
  for (let row = valuesPtr; row < last; row += LANE_BYTES) {
    const next = row + ahead;
    const d0 = f64x2.sub(v128.load(next), v128.load(row));
    const d1 = f64x2.sub(v128.load(next, 16), v128.load(row, 16));
    const d2 = f64x2.sub(v128.load(next, 32), v128.load(row, 32));
    const d3 = f64x2.sub(v128.load(next, 48), v128.load(row, 48));
    storeMean(row, share, s0, s1, s2, s3);
    s0 = f64x2.add(s0, d0);
    s1 = f64x2.add(s1, d1);
    s2 = f64x2.add(s2, d2);
    s3 = f64x2.add(s3, d3);
  }
  storeMean(last, share, s0, s1, s2, s3);
}

// @ts-ignore: decorator
@inline
function storeMean(row: usize, share: v128, s0: v128, s1: v128, s2: v128, s3: v128): void {
  v128.store(row, f64x2.mul(s0, share));
  v128.store(row, f64x2.mul(s1, share), 16);
  v128.store(row, f64x2.mul(s2, share), 32);
  v128.store(row, f64x2.mul(s3, share), 48);
}

/** out = values - others, row by row; out may be either. */
function subtract(valuesPtr: usize, othersPtr: usize, length: i32, outPtr: usize): void {
  for (const end = outPtr + <usize>length * LANE_BYTES; outPtr < end; outPtr += 16) {
    v128.store(outPtr, f64x2.sub(v128.load(valuesPtr), v128.load(othersPtr)));
    valuesPtr += 16;
    othersPtr += 16;
  }
}

/**
 * How much of a season is more than chance: 1 - Var(remainder) / Var(season + remainder), at least 0
 * (Wang, Smith & Hyndman, "Characteristic-based clustering for time series data", 2006).
 *
 * @param adjustedPtr f64[length][LANES], values less all seasons; the remainder is what the trend leaves of it
 * @param strengthPtr f64[LANES]; out. 0 where there is neither season nor remainder
 */
export function stlStrength(seasonalPtr: usize, adjustedPtr: usize, trendPtr: usize, length: i32, strengthPtr: usize): void {
  const zero = f64x2.splat(0);
  const bytes = <usize>length * LANE_BYTES;
  for (let lane: usize = 0; lane < LANE_BYTES; lane += 16) {
    let remainders = zero;
    let both = zero;
    // Neither has a mean to speak of: squares will do for variances.
    for (let at = lane; at < bytes; at += LANE_BYTES) {
      const remainder = f64x2.sub(v128.load(adjustedPtr + at), v128.load(trendPtr + at));
      const sum = f64x2.add(v128.load(seasonalPtr + at), remainder);
      remainders = f64x2.add(remainders, f64x2.mul(remainder, remainder));
      both = f64x2.add(both, f64x2.mul(sum, sum));
    }
    const isSomething = f64x2.gt(both, zero);
    const safe = v128.bitselect(both, f64x2.splat(1), isSomething);
    const strength = f64x2.max(zero, f64x2.sub(f64x2.splat(1), f64x2.div(remainders, safe)));
    v128.store(strengthPtr + lane, v128.bitselect(strength, zero, isSomething));
  }
}

/**
 * Leaves of a season its share, and gives the rest back to the values.
 *
 * @param adjustedPtr f64[length][LANES], values less all seasons
 * @param sharePtr f64[LANES], 0..1
 */
export function stlShrink(seasonalPtr: usize, adjustedPtr: usize, length: i32, sharePtr: usize): void {
  const bytes = <usize>length * LANE_BYTES;
  for (let lane: usize = 0; lane < LANE_BYTES; lane += 16) {
    const share = v128.load(sharePtr + lane);
    for (let at = lane; at < bytes; at += LANE_BYTES) {
      const whole = v128.load(seasonalPtr + at);
      const kept = f64x2.mul(share, whole);
      v128.store(seasonalPtr + at, kept);
      v128.store(adjustedPtr + at, f64x2.add(v128.load(adjustedPtr + at), f64x2.sub(whole, kept)));
    }
  }
}

/**
 * Bisquare weights of remainders: 1 at none, next to nothing from six times the median absolute one on.
 *
 * Next to nothing, and less the further off: an outlier among few cycles drags their mean away from all of them, and with
 * weights of zero none would be left to tell which is the odd one.
 *
 * @param remainderPtr f64[length][LANES]
 * @param weightsPtr f64[length][LANES]; out
 * @param workPtr f64[length], scratch
 */
export function stlRobustWeights(remainderPtr: usize, length: i32, weightsPtr: usize, workPtr: usize): void {
  assert(length > 0, "there are remainders");
  for (let lane: usize = 0; lane < LANE_BYTES; lane += 8) {
    for (let row: i32 = 0; row < length; row++) {
      store<f64>(workPtr + ((<usize>row) << 3), Math.abs(load<f64>(remainderPtr + <usize>row * LANE_BYTES + lane)));
    }
    const reach = 6.0 * select(workPtr, length, length >> 1);
    for (let row: i32 = 0; row < length; row++) {
      const at = <usize>row * LANE_BYTES + lane;
      const distance = Math.abs(load<f64>(remainderPtr + at));
      let weight = 1.0;
      if (distance >= 0.999 * reach && distance > 0) {
        weight = STRAY_WEIGHT * (reach / distance) * (reach / distance);
      } else if (distance > 0.001 * reach) {
        const share = distance / reach;
        const hollow = 1.0 - share * share;
        weight = hollow * hollow;
      }
      store<f64>(weightsPtr + at, weight);
    }
  }
}

/** The value with `rank` smaller ones, by Hoare's selection; reorders the values. NaN would make it wander: there is none. */
function select(valuesPtr: usize, count: i32, rank: i32): f64 {
  let low: i32 = 0;
  let high = count - 1;
  while (low < high) {
    const pivot = load<f64>(valuesPtr + ((<usize>rank) << 3));
    let left = low;
    let right = high;
    while (left <= right) {
      while (load<f64>(valuesPtr + ((<usize>left) << 3)) < pivot) left++;
      while (pivot < load<f64>(valuesPtr + ((<usize>right) << 3))) right--;
      if (left > right) break;
      const value = load<f64>(valuesPtr + ((<usize>left) << 3));
      store<f64>(valuesPtr + ((<usize>left) << 3), load<f64>(valuesPtr + ((<usize>right) << 3)));
      store<f64>(valuesPtr + ((<usize>right) << 3), value);
      left++;
      right--;
    }
    if (right < rank) low = left;
    if (rank < left) high = right;
  }
  return load<f64>(valuesPtr + ((<usize>rank) << 3));
}

/** Zeros `sizeBytes` from ptr on. */
export function clear(ptr: usize, sizeBytes: usize): void {
  memory.fill(ptr, 0, sizeBytes);
}
