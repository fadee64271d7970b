// Pooled ridge regression, direct: the last `lagCount` values of a series -> its next `horizon` values, one model for
// many series. Training data enter only as sums, so a new window is added and an old one fades without a refit.
//
// A row of Z is [1, lags, 0.., targets, 0..]: `inputs` = 1 + lagCount and `outputs` = horizon, each padded to TILE;
// columns = inputs + outputs. Both parts are normalised by mean and mean absolute deviation of the last week before the
// origin, which makes series of any level and spread rows of the same problem.
// Sums are S = Z_inputs' Z, f64[inputs][columns]: X'X in its upper triangle (in tiles), X'Y to the right of it.

import { TILE } from "./layout";

/** Rows that a tile has subtracted in one pass: their lines, and what maps their pages, stay in the nearest caches. */
const PANEL_ROWS: i32 = 64;

/** Windows the level and the spread of a row are taken from. */
const LEVEL_WINDOWS: i32 = 168;

export function ridgeLevelWindows(): i32 {
  return LEVEL_WINDOWS;
}

/**
 * Writes one row for each listed series whose spread is at least `spreadMin`; flat series teach nothing.
 * @param seriesPtr f64[][stride], windows contiguous; row origin = first window to forecast
 * @param listPtr i32[count], series to take
 * @param horizon targets, 0 for inputs alone (then no series is left out)
 * @param rowsPtr f64[count][columns], zeroed by this kernel
 * @param levelPtr f64[count][2]: mean, and spread + spreadFloor, of each row written
 * @returns rows written
 */
export function ridgeRows(
  seriesPtr: usize, stride: i32, listPtr: usize, count: i32, origin: i32, lagCount: i32, horizon: i32,
  inputs: i32, columns: i32, spreadMin: f64, spreadFloor: f64, rowsPtr: usize, levelPtr: usize,
): i32 {
  assert(lagCount >= LEVEL_WINDOWS && origin >= lagCount && origin + horizon <= stride, "lags and targets are inside the series");
  assert(inputs > lagCount && inputs % TILE == 0 && columns % TILE == 0, "inputs and columns are padded to tiles");
  assert(columns >= inputs + horizon, "targets stand right of the inputs");
  let written: i32 = 0;
  memory.fill(rowsPtr, 0, (<usize>(count * columns)) << 3);
  for (let index: i32 = 0; index < count; index++) {
    const series = load<i32>(listPtr + ((<usize>index) << 2));
    const at = seriesPtr + ((<usize>(series * stride + origin)) << 3);
    const mean = meanOf(at - ((<usize>LEVEL_WINDOWS) << 3));
    const spread = deviationOf(at - ((<usize>LEVEL_WINDOWS) << 3), mean);
    if (horizon > 0 && !(spread >= spreadMin)) continue;
    const scale = spread + spreadFloor;
    const row = rowsPtr + ((<usize>(written * columns)) << 3);
    store<f64>(row, 1.0);
    normalise(at - ((<usize>lagCount) << 3), lagCount, mean, scale, row + 8);
    normalise(at, horizon, mean, scale, row + ((<usize>inputs) << 3));
    store<f64>(levelPtr + ((<usize>written) << 4), mean);
    store<f64>(levelPtr + ((<usize>written) << 4), scale, 8);
    written++;
  }
  return written;
}

/** Mean absolute deviation of the LEVEL_WINDOWS values before `endPtr` from `mean`. */
export function ridgeSpread(endPtr: usize, mean: f64): f64 {
  return deviationOf(endPtr - ((<usize>LEVEL_WINDOWS) << 3), mean);
}

/** Mean of the LEVEL_WINDOWS values before `endPtr`. */
export function ridgeLevel(endPtr: usize): f64 {
  return meanOf(endPtr - ((<usize>LEVEL_WINDOWS) << 3));
}

/** Mean of LEVEL_WINDOWS values, two interleaved sums. */
// @ts-ignore: decorator
@inline
function meanOf(pointer: usize): f64 {
  let sum = f64x2.splat(0);
  const end = pointer + ((<usize>LEVEL_WINDOWS) << 3);
  for (; pointer < end; pointer += 16) sum = f64x2.add(sum, v128.load(pointer));
  return (f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1)) / <f64>LEVEL_WINDOWS;
}

// @ts-ignore: decorator
@inline
function deviationOf(pointer: usize, mean: f64): f64 {
  let sum = f64x2.splat(0);
  const center = f64x2.splat(mean);
  const end = pointer + ((<usize>LEVEL_WINDOWS) << 3);
  for (; pointer < end; pointer += 16) sum = f64x2.add(sum, f64x2.abs(f64x2.sub(v128.load(pointer), center)));
  return (f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1)) / <f64>LEVEL_WINDOWS;
}

/** out = (in - mean) / scale; division, not a product with the inverse, to stay bit-equal with the plain formula. */
// @ts-ignore: decorator
@inline
function normalise(pointer: usize, count: i32, mean: f64, scale: f64, out: usize): void {
  const center = f64x2.splat(mean);
  const divisor = f64x2.splat(scale);
  let i: i32 = 0;
  for (; i + 2 <= count; i += 2) {
    const offset = (<usize>i) << 3;
    v128.store(out + offset, f64x2.div(f64x2.sub(v128.load(pointer + offset), center), divisor));
  }
  if (i < count) {
    const offset = (<usize>i) << 3;
    store<f64>(out + offset, (load<f64>(pointer + offset) - mean) / scale);
  }
}

/**
 * S += weight * (Z_inputs' Z), upper tiles only.
 *
 * Tiles of 4 x 4 sums live in eight registers while the rows stream past: 16 multiply-adds for 6 loads.
 * @param rowsPtr f64[rowCount][columns]; keep a call below about 64 rows, so that they stay in cache
 * @param sumsPtr f64[inputs][columns]
 */
export function ridgeAccumulate(rowsPtr: usize, rowCount: i32, inputs: i32, columns: i32, weight: f64, sumsPtr: usize): void {
  assert(inputs % TILE == 0 && columns % TILE == 0 && inputs <= columns, "sums come in tiles");
  const rowBytes = (<usize>columns) << 3;
  const share = f64x2.splat(weight);
  for (let i: i32 = 0; i < inputs; i += TILE) {
    for (let j: i32 = i; j < columns; j += TILE) {
      let s00 = f64x2.splat(0), s01 = f64x2.splat(0), s10 = f64x2.splat(0), s11 = f64x2.splat(0);
      let s20 = f64x2.splat(0), s21 = f64x2.splat(0), s30 = f64x2.splat(0), s31 = f64x2.splat(0);
      let left = rowsPtr + ((<usize>i) << 3);
      let right = rowsPtr + ((<usize>j) << 3);
      for (let r: i32 = 0; r < rowCount; r++) {
        const b0 = v128.load(right);
        const b1 = v128.load(right, 16);
        let a = v128.load_splat<f64>(left);
        s00 = f64x2.add(s00, f64x2.mul(a, b0));
        s01 = f64x2.add(s01, f64x2.mul(a, b1));
        a = v128.load_splat<f64>(left, 8);
        s10 = f64x2.add(s10, f64x2.mul(a, b0));
        s11 = f64x2.add(s11, f64x2.mul(a, b1));
        a = v128.load_splat<f64>(left, 16);
        s20 = f64x2.add(s20, f64x2.mul(a, b0));
        s21 = f64x2.add(s21, f64x2.mul(a, b1));
        a = v128.load_splat<f64>(left, 24);
        s30 = f64x2.add(s30, f64x2.mul(a, b0));
        s31 = f64x2.add(s31, f64x2.mul(a, b1));
        left += rowBytes;
        right += rowBytes;
      }
      let out = sumsPtr + ((<usize>(i * columns + j)) << 3);
      addTo(out, share, s00, s01);
      addTo((out += rowBytes), share, s10, s11);
      addTo((out += rowBytes), share, s20, s21);
      addTo((out += rowBytes), share, s30, s31);
    }
  }
}

// @ts-ignore: decorator
@inline
function addTo(out: usize, share: v128, low: v128, high: v128): void {
  v128.store(out, f64x2.add(v128.load(out), f64x2.mul(share, low)));
  v128.store(out, f64x2.add(v128.load(out, 16), f64x2.mul(share, high)), 16);
}

/** values *= factor: fades old training data. */
export function scaleInPlace(valuesPtr: usize, count: i32, factor: f64): void {
  const share = f64x2.splat(factor);
  let i: i32 = 0;
  for (; i + 2 <= count; i += 2) {
    const at = valuesPtr + ((<usize>i) << 3);
    v128.store(at, f64x2.mul(v128.load(at), share));
  }
  if (i < count) {
    const at = valuesPtr + ((<usize>i) << 3);
    store<f64>(at, load<f64>(at) * factor);
  }
}

/** out += factor * values. */
export function addScaled(valuesPtr: usize, count: i32, factor: f64, outPtr: usize): void {
  const share = f64x2.splat(factor);
  let i: i32 = 0;
  for (; i + 2 <= count; i += 2) {
    const offset = (<usize>i) << 3;
    v128.store(outPtr + offset, f64x2.add(v128.load(outPtr + offset), f64x2.mul(share, v128.load(valuesPtr + offset))));
  }
  if (i < count) {
    const offset = (<usize>i) << 3;
    store<f64>(outPtr + offset, load<f64>(outPtr + offset) + factor * load<f64>(valuesPtr + offset));
  }
}

/**
 * Solves (X'X + (lambda n + tiny) I) W = X'Y in place, n = sum of row weights = S[0][0].
 *
 * Cholesky X'X = U'U by blocks of TILE rows; carrying X'Y along as further columns does the forward substitution on the way. Every
 * number has the rows above it subtracted in their order, so that blocks change no bit.
 * @param sumsPtr f64[inputs][columns]: in, sums; out, W in columns inputs.. (U left of it)
 * @returns 0, or 1 + the row whose pivot was not positive (NaN or no data)
 */
export function ridgeSolve(sumsPtr: usize, inputs: i32, columns: i32, lambda: f64): i32 {
  assert(inputs % TILE == 0 && columns % TILE == 0 && columns > inputs, "there is something to solve for");
  const rowBytes = (<usize>columns) << 3;
  // The padding rows are all zero: any positive number on their diagonal leaves their weights at zero.
  const penalty = lambda * load<f64>(sumsPtr) + 1e-9;
  for (let i: i32 = 0; i < inputs; i++) {
    const at = sumsPtr + <usize>i * rowBytes + ((<usize>i) << 3);
    store<f64>(at, load<f64>(at) + penalty);
  }
  for (let top: i32 = 0; top < inputs; top += TILE) {
    for (let first: i32 = 0; first < top; first += PANEL_ROWS) {
      const end = min(first + PANEL_ROWS, top);
      for (let j = top; j < columns; j += TILE) eliminateTile(sumsPtr, rowBytes, top, j, first, end);
    }
    const block = sumsPtr + <usize>top * rowBytes;
    for (let i = top; i < top + TILE; i++) {
      const row = sumsPtr + <usize>i * rowBytes;
      const firstColumn = i & ~1;
      eliminate(block + ((<usize>i) << 3), rowBytes, i - top, block, row, firstColumn, columns);
      const pivot = load<f64>(row + ((<usize>i) << 3));
      if (!(pivot > 0)) return i + 1;
      const inverse = f64x2.splat(1.0 / Math.sqrt(pivot));
      for (let j = firstColumn; j < columns; j += 2) {
        const at = row + ((<usize>j) << 3);
        v128.store(at, f64x2.mul(v128.load(at), inverse));
      }
    }
  }
  for (let i = inputs - 1; i >= 0; i--) {
    const row = sumsPtr + <usize>i * rowBytes;
    eliminate(row + ((<usize>(i + 1)) << 3), 8, inputs - 1 - i, row + rowBytes, row, inputs, columns);
    const inverse = f64x2.splat(1.0 / load<f64>(row + ((<usize>i) << 3)));
    for (let j = inputs; j < columns; j += 2) {
      const at = row + ((<usize>j) << 3);
      v128.store(at, f64x2.mul(v128.load(at), inverse));
    }
  }
  return 0;
}

/**
 * S[top..top + 3][j..j + 3] -= sum over rows k of first..end - 1, in order, of S[k][top..top + 3]' S[k][j..j + 3].
 *
 * The tile lives in eight registers while the rows stream past: 16 multiply-subtracts for 6 loads.
 */
// @ts-ignore: decorator
@inline
function eliminateTile(sumsPtr: usize, rowBytes: usize, top: i32, j: i32, first: i32, end: i32): void {
  const t0 = sumsPtr + <usize>top * rowBytes + ((<usize>j) << 3);
  const t1 = t0 + rowBytes;
  const t2 = t1 + rowBytes;
  const t3 = t2 + rowBytes;
  let s00 = v128.load(t0), s01 = v128.load(t0, 16), s10 = v128.load(t1), s11 = v128.load(t1, 16);
  let s20 = v128.load(t2), s21 = v128.load(t2, 16), s30 = v128.load(t3), s31 = v128.load(t3, 16);
  const start = sumsPtr + <usize>first * rowBytes;
  let left = start + ((<usize>top) << 3);
  let right = start + ((<usize>j) << 3);
  for (let k = first; k < end; k++) {
    const b0 = v128.load(right);
    const b1 = v128.load(right, 16);
    let a = v128.load_splat<f64>(left);
    s00 = f64x2.sub(s00, f64x2.mul(a, b0));
    s01 = f64x2.sub(s01, f64x2.mul(a, b1));
    a = v128.load_splat<f64>(left, 8);
    s10 = f64x2.sub(s10, f64x2.mul(a, b0));
    s11 = f64x2.sub(s11, f64x2.mul(a, b1));
    a = v128.load_splat<f64>(left, 16);
    s20 = f64x2.sub(s20, f64x2.mul(a, b0));
    s21 = f64x2.sub(s21, f64x2.mul(a, b1));
    a = v128.load_splat<f64>(left, 24);
    s30 = f64x2.sub(s30, f64x2.mul(a, b0));
    s31 = f64x2.sub(s31, f64x2.mul(a, b1));
    left += rowBytes;
    right += rowBytes;
  }
  v128.store(t0, s00);
  v128.store(t0, s01, 16);
  v128.store(t1, s10);
  v128.store(t1, s11, 16);
  v128.store(t2, s20);
  v128.store(t2, s21, 16);
  v128.store(t3, s30);
  v128.store(t3, s31, 16);
}

/**
 * row[j] -= sum over k of factor_k * other_k[j], for j in firstColumn..columns, k in order: four rows a pass.
 * @param factorPtr f64, factorBytes apart
 * @param otherPtr the `count` rows to subtract, contiguous
 */
// @ts-ignore: decorator
@inline
function eliminate(
  factorPtr: usize, factorBytes: usize, count: i32, otherPtr: usize, row: usize, firstColumn: i32, columns: i32,
): void {
  const rowBytes = (<usize>columns) << 3;
  const end = row + rowBytes;
  const first = (<usize>firstColumn) << 3;
  let k: i32 = 0;
  for (; k + 4 <= count; k += 4) {
    const f0 = v128.load_splat<f64>(factorPtr);
    const f1 = v128.load_splat<f64>(factorPtr + factorBytes);
    const f2 = v128.load_splat<f64>(factorPtr + 2 * factorBytes);
    const f3 = v128.load_splat<f64>(factorPtr + 3 * factorBytes);
    let o0 = otherPtr + first;
    let o1 = o0 + rowBytes;
    let o2 = o1 + rowBytes;
    let o3 = o2 + rowBytes;
    for (let at = row + first; at < end; at += 16) {
      let value = v128.load(at);
      value = f64x2.sub(value, f64x2.mul(f0, v128.load(o0)));
      value = f64x2.sub(value, f64x2.mul(f1, v128.load(o1)));
      value = f64x2.sub(value, f64x2.mul(f2, v128.load(o2)));
      value = f64x2.sub(value, f64x2.mul(f3, v128.load(o3)));
      v128.store(at, value);
      o0 += 16;
      o1 += 16;
      o2 += 16;
      o3 += 16;
    }
    factorPtr += 4 * factorBytes;
    otherPtr += 4 * rowBytes;
  }
  for (; k < count; k++) {
    const factor = v128.load_splat<f64>(factorPtr);
    let other = otherPtr + first;
    for (let at = row + first; at < end; at += 16) {
      v128.store(at, f64x2.sub(v128.load(at), f64x2.mul(factor, v128.load(other))));
      other += 16;
    }
    factorPtr += factorBytes;
    otherPtr += rowBytes;
  }
}

/**
 * out += share * (Z_inputs W * scale + mean), row by row.
 *
 * Eight outputs of one row live in four registers while its inputs stream past.
 * @param rowsPtr f64[rowCount][inputs], from ridgeRows with horizon 0 and columns = inputs
 * @param levelPtr f64[rowCount][2]
 * @param listPtr i32[rowCount]: the row of `out` each belongs to
 * @param weightsPtr f64[inputs][columns] as ridgeSolve left it
 * @param outPtr f64[][horizon]
 */
export function ridgePredict(
  rowsPtr: usize, levelPtr: usize, listPtr: usize, rowCount: i32, inputs: i32, columns: i32, horizon: i32,
  share: f64, weightsPtr: usize, outPtr: usize,
): void {
  assert(inputs % TILE == 0 && columns >= inputs + horizon, "weights reach over the horizon");
  const rowBytes = (<usize>columns) << 3;
  const outputs = columns - inputs;
  for (let j: i32 = 0; j < outputs; j += 4) {
    const panel = weightsPtr + ((<usize>(inputs + j)) << 3);
    for (let r: i32 = 0; r < rowCount; r++) {
      let input = rowsPtr + ((<usize>(r * inputs)) << 3);
      const end = input + ((<usize>inputs) << 3);
      let weight = panel;
      let even0 = f64x2.splat(0), even1 = f64x2.splat(0), odd0 = f64x2.splat(0), odd1 = f64x2.splat(0);
      for (; input < end; input += 16) {
        let x = v128.load_splat<f64>(input);
        even0 = f64x2.add(even0, f64x2.mul(x, v128.load(weight)));
        even1 = f64x2.add(even1, f64x2.mul(x, v128.load(weight, 16)));
        weight += rowBytes;
        x = v128.load_splat<f64>(input, 8);
        odd0 = f64x2.add(odd0, f64x2.mul(x, v128.load(weight)));
        odd1 = f64x2.add(odd1, f64x2.mul(x, v128.load(weight, 16)));
        weight += rowBytes;
      }
      const mean = v128.load_splat<f64>(levelPtr + ((<usize>r) << 4));
      const scale = v128.load_splat<f64>(levelPtr + ((<usize>r) << 4), 8);
      const part = f64x2.splat(share);
      const low = f64x2.mul(part, f64x2.add(f64x2.mul(f64x2.add(even0, odd0), scale), mean));
      const high = f64x2.mul(part, f64x2.add(f64x2.mul(f64x2.add(even1, odd1), scale), mean));
      const out = outPtr + ((<usize>(load<i32>(listPtr + ((<usize>r) << 2)) * horizon + j)) << 3);
      addLane(out, f64x2.extract_lane(low, 0), j < horizon);
      addLane(out + 8, f64x2.extract_lane(low, 1), j + 1 < horizon);
      addLane(out + 16, f64x2.extract_lane(high, 0), j + 2 < horizon);
      addLane(out + 24, f64x2.extract_lane(high, 1), j + 3 < horizon);
    }
  }
}

// @ts-ignore: decorator
@inline
function addLane(out: usize, value: f64, isInside: bool): void {
  if (isInside) store<f64>(out, load<f64>(out) + value);
}
