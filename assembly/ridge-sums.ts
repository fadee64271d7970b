// Sums of a pooled ridge regression without its rows.
//
// Neighbouring origins share all but one of their values: with v(o) = [y(o-L) .. y(o+H-1)] and S = sum of v(o) v(o)' over
// a block of origins first..last,
//   S[i+1][j+1] = S[i][j] - v(first)[i] v(first)[j] + v(last+1)[i] v(last+1)[j].
// So a block costs its first row S[0][..] and two products of rows, however many origins it has, and the differences
// M[i][j] = S[i+1][j+1] - S[i][j] may be added up over series and blocks before they are summed along the diagonals.
//
// A row of the regression is v(o) less its level, a(o) = mean of the last LEVEL_WINDOWS lags, over the series' spread in that
// block. Subtracting the level is linear in v, hence done once, on the sums: u = v - a 1.
//
// Moments of a model: [M f64[lagColumns][columns] | base f64[columns] = S[0][..] | linear f64[columns] = sum of v |
// count f64[4], the first is the sum of weights]; columns = L + H and lagColumns = L, each padded to TILE.

import { TILE } from "./layout";

/** Windows the level of a row is the mean of. */
const LEVEL_WINDOWS: i32 = 168;

/**
 * Normalised values of one series and block, into two rows of the products and into base, linear and count.
 * @param seriesPtr f64, window first - L of the series on: L + count + H - 1 windows
 * @param count origins of the block
 * @param valuesPtr f64[L + count + H] scratch
 * @param firstRowPtr f64[columns] v(first), @param lastRowPtr f64[columns] v(last + 1)
 * @param basePtr f64[2 * columns + 4], base, linear and count of the model
 */
export function ridgeBlock(
  seriesPtr: usize, count: i32, lagCount: i32, horizon: i32, columns: i32, center: f64, scale: f64, weight: f64,
  valuesPtr: usize, firstRowPtr: usize, lastRowPtr: usize, basePtr: usize,
): void {
  const width = lagCount + horizon;
  assert(count > 0 && columns >= width && columns % TILE == 0, "rows are padded to tiles");
  const known = count + width - 1;
  const inverse = 1.0 / scale;
  for (let i: i32 = 0; i < known; i++) {
    const offset = (<usize>i) << 3;
    store<f64>(valuesPtr + offset, (load<f64>(seriesPtr + offset) - center) * inverse);
  }
  // The value after the last target is not known and not used: it stands in the last column of M alone.
  store<f64>(valuesPtr + ((<usize>known) << 3), 0);
  const endPtr = valuesPtr + ((<usize>count) << 3);
  const widthBytes = (<usize>width) << 3;
  const columnBytes = (<usize>columns) << 3;
  memory.copy(firstRowPtr, valuesPtr, widthBytes);
  memory.fill(firstRowPtr + widthBytes, 0, columnBytes - widthBytes);
  memory.copy(lastRowPtr, endPtr, widthBytes);
  memory.fill(lastRowPtr + widthBytes, 0, columnBytes - widthBytes);

  addLaggedProducts(valuesPtr, count, width, weight, basePtr);
  let total: f64 = 0;
  for (let i: i32 = 0; i < count; i++) total += load<f64>(valuesPtr + ((<usize>i) << 3));
  const linear = basePtr + columnBytes;
  for (let i: i32 = 0; i < width; i++) {
    const offset = (<usize>i) << 3;
    store<f64>(linear + offset, load<f64>(linear + offset) + weight * total);
    total += load<f64>(endPtr + offset) - load<f64>(valuesPtr + offset);
  }
  const counted = linear + columnBytes;
  store<f64>(counted, load<f64>(counted) + weight * <f64>count);
}

/** base[d] += weight * sum over t < count of values[t] values[t + d]: eight lags a pass. */
// @ts-ignore: decorator
@inline
function addLaggedProducts(valuesPtr: usize, count: i32, width: i32, weight: f64, basePtr: usize): void {
  const end = valuesPtr + ((<usize>count) << 3);
  const share = f64x2.splat(weight);
  let d: i32 = 0;
  for (; d + 8 <= width; d += 8) {
    let s0 = f64x2.splat(0), s1 = f64x2.splat(0), s2 = f64x2.splat(0), s3 = f64x2.splat(0);
    let other = valuesPtr + ((<usize>d) << 3);
    for (let at = valuesPtr; at < end; at += 8) {
      const value = v128.load_splat<f64>(at);
      s0 = f64x2.add(s0, f64x2.mul(value, v128.load(other)));
      s1 = f64x2.add(s1, f64x2.mul(value, v128.load(other, 16)));
      s2 = f64x2.add(s2, f64x2.mul(value, v128.load(other, 32)));
      s3 = f64x2.add(s3, f64x2.mul(value, v128.load(other, 48)));
      other += 8;
    }
    const out = basePtr + ((<usize>d) << 3);
    v128.store(out, f64x2.add(v128.load(out), f64x2.mul(share, s0)));
    v128.store(out, f64x2.add(v128.load(out, 16), f64x2.mul(share, s1)), 16);
    v128.store(out, f64x2.add(v128.load(out, 32), f64x2.mul(share, s2)), 32);
    v128.store(out, f64x2.add(v128.load(out, 48), f64x2.mul(share, s3)), 48);
  }
  for (; d < width; d++) {
    let sum: f64 = 0;
    const offset = (<usize>d) << 3;
    for (let at = valuesPtr; at < end; at += 8) sum += load<f64>(at) * load<f64>(at + offset);
    const out = basePtr + offset;
    store<f64>(out, load<f64>(out) + weight * sum);
  }
}

/**
 * The normal equations as ridgeSolve takes them: [1, lags, 0..] by [1, lags, 0.., targets, 0..], upper triangle.
 * @param momentsPtr of one model; its M is summed along the diagonals in place, so that nothing can be added any more
 * @param levelPtr f64[columns] scratch
 * @param outPtr f64[inputs][inputs + outputs], inputs = 1 + L padded, outputs = H padded
 */
export function ridgeNormalEquations(
  momentsPtr: usize, lagCount: i32, horizon: i32, lagColumns: i32, columns: i32, inputs: i32, outputs: i32,
  levelPtr: usize, outPtr: usize,
): void {
  assert(lagCount >= LEVEL_WINDOWS && lagColumns >= lagCount && columns >= lagCount + horizon, "lags hold the level");
  assert(inputs > lagCount && inputs % TILE == 0 && outputs >= horizon && outputs % TILE == 0, "equations are padded to tiles");
  const width = lagCount + horizon;
  const rowBytes = (<usize>columns) << 3;
  const base = momentsPtr + <usize>lagColumns * rowBytes;
  const linear = base + rowBytes;
  const count = load<f64>(linear + rowBytes);
  // M[i] becomes S[i + 1], shifted by one column: S[i + 1][j + 1] stands at M[i][j].
  for (let j: i32 = 0; j < width; j++) {
    const offset = (<usize>j) << 3;
    store<f64>(momentsPtr + offset, load<f64>(momentsPtr + offset) + load<f64>(base + offset));
  }
  for (let i: i32 = 1; i < lagCount; i++) {
    const row = momentsPtr + <usize>i * rowBytes;
    const above = row - rowBytes - 8;
    // In pairs; the columns beyond the width are padding that nobody reads.
    for (let j: i32 = i & ~1; j < width; j += 2) {
      const at = row + ((<usize>j) << 3);
      v128.store(at, f64x2.add(v128.load(at), v128.load(above + ((<usize>j) << 3))));
    }
  }
  // level[j] = sum over origins of a v_j; the mean over the lags of the level is that of a a.
  const firstLevel = lagCount - LEVEL_WINDOWS;
  let square: f64 = 0;
  let mean: f64 = 0;
  for (let j: i32 = 0; j < width; j++) {
    let sum: f64 = 0;
    for (let i = firstLevel; i < lagCount; i++) sum += product(momentsPtr, base, rowBytes, min(i, j), max(i, j));
    sum /= <f64>LEVEL_WINDOWS;
    store<f64>(levelPtr + ((<usize>j) << 3), sum);
    if (j >= firstLevel && j < lagCount) {
      square += sum / <f64>LEVEL_WINDOWS;
      mean += load<f64>(linear + ((<usize>j) << 3)) / <f64>LEVEL_WINDOWS;
    }
  }
  const outBytes = (<usize>(inputs + outputs)) << 3;
  memory.fill(outPtr, 0, <usize>inputs * outBytes);
  store<f64>(outPtr, count);
  for (let j: i32 = 0; j < width; j++) {
    store<f64>(outPtr + columnOf(j, lagCount, inputs), load<f64>(linear + ((<usize>j) << 3)) - mean);
  }
  for (let i: i32 = 0; i < lagCount; i++) {
    const row = outPtr + <usize>(i + 1) * outBytes;
    const own = load<f64>(levelPtr + ((<usize>i) << 3)) - square;
    for (let j = i; j < width; j++) {
      const value = product(momentsPtr, base, rowBytes, i, j) - own - load<f64>(levelPtr + ((<usize>j) << 3));
      store<f64>(row + columnOf(j, lagCount, inputs), value);
    }
  }
}

/** S[i][j], i <= j, after the sums along the diagonals. */
// @ts-ignore: decorator
@inline
function product(momentsPtr: usize, basePtr: usize, rowBytes: usize, i: i32, j: i32): f64 {
  if (i == 0) return load<f64>(basePtr + ((<usize>j) << 3));
  return load<f64>(momentsPtr + <usize>(i - 1) * rowBytes + ((<usize>(j - 1)) << 3));
}

/** Offset of value j of a row: lags behind the intercept, targets behind the inputs. */
// @ts-ignore: decorator
@inline
function columnOf(j: i32, lagCount: i32, inputs: i32): usize {
  return (<usize>(j < lagCount ? j + 1 : inputs + j - lagCount)) << 3;
}
