// Conditional sum of squares of seasonal ARMA models, eight at a time (Box & Jenkins, "Time Series Analysis", 7.1.2).
//
// A tile (tiles.ts) is f64[time][8], one row a time step and a cache line: a lane is one series with its own
// coefficients. Eight series make a tile, or one series eight times, for eight parameter vectors; the code is the same.
// Four f64x2 chains hide the latency of the recursion.
//
// With w the differenced series, the residuals are
//   v[t] = w[t] - sum of ar[k] w[t - lag(k)]         e[t] = v[t] - sum of ma[k] e[t - lag(k)]
// and lag(k) = 1, 2, 3, season, season + 1, season + 2, season + 3 for k = 0..6: the product of a short and a seasonal
// polynomial of order one has no other lags. Both lines are the same loop; the second is its own input.

import { LANE_BYTES } from "./tiles";

/** Rows are this many bytes: 8 f64. The constants 64, 128, .. 448 below are rows and pairs of lanes in bytes. */
const ROW_BYTES: usize = LANE_BYTES;

/** Longest short lag. */
const SHORT_MAX: i32 = 3;

/** Lags of each polynomial. */
const LAG_COUNT: i32 = 7;

/**
 * Residuals of rows first..count-1 and their sums of squares.
 * @param seriesPtr f64[count][8], differenced series
 * @param first the row the sum begins at: >= ar + season * seasonalAr; residuals before it are taken as zero
 * @param ar, ma short lags of each polynomial, 0..3
 * @param seasonalAr, seasonalMa 0 or 1
 * @param coefficientsPtr f64[2][7][8]: AR, then MA, by lag as above
 * @param residualsPtr f64[count][8], out; the season + 3 rows before it must be readable: they are zeroed here
 * @param sumsPtr f64[8], out
 */
export function cssResiduals(
  seriesPtr: usize, count: i32, first: i32, season: i32, ar: i32, seasonalAr: i32, ma: i32, seasonalMa: i32,
  coefficientsPtr: usize, residualsPtr: usize, sumsPtr: usize,
): void {
  assert(ar >= 0 && ar <= SHORT_MAX && ma >= 0 && ma <= SHORT_MAX, "three short lags at most");
  assert((seasonalAr | seasonalMa) >> 1 == 0, "one seasonal lag at most");
  assert(season >= 2 || (seasonalAr | seasonalMa) == 0, "a season of one is none: two rows a turn cannot wait for each other");
  assert(first >= ar + season * seasonalAr && first < count, "the sum begins where every lag is known");
  const before = residualsPtr - <usize>(season + SHORT_MAX) * ROW_BYTES;
  memory.fill(before, 0, <usize>(season + SHORT_MAX + first) * ROW_BYTES);
  const rows = count - first;
  const source = seriesPtr + <usize>first * ROW_BYTES;
  const target = residualsPtr + <usize>first * ROW_BYTES;
  const maPtr = coefficientsPtr + <usize>LAG_COUNT * ROW_BYTES;
  const back = <usize>season * ROW_BYTES;
  switch ((seasonalAr << 2) | ar) {
    case 0: filter(0, 0, false, source, target, rows, back, coefficientsPtr, sumsPtr); break;
    case 1: filter(1, 0, false, source, target, rows, back, coefficientsPtr, sumsPtr); break;
    case 2: filter(2, 0, false, source, target, rows, back, coefficientsPtr, sumsPtr); break;
    case 3: filter(3, 0, false, source, target, rows, back, coefficientsPtr, sumsPtr); break;
    case 4: filter(0, 1, false, source, target, rows, back, coefficientsPtr, sumsPtr); break;
    case 5: filter(1, 1, false, source, target, rows, back, coefficientsPtr, sumsPtr); break;
    case 6: filter(2, 1, false, source, target, rows, back, coefficientsPtr, sumsPtr); break;
    default: filter(3, 1, false, source, target, rows, back, coefficientsPtr, sumsPtr);
  }
  switch ((seasonalMa << 2) | ma) {
    case 0: filter(0, 0, true, target, target, rows, back, maPtr, sumsPtr); break;
    case 1: filter(1, 0, true, target, target, rows, back, maPtr, sumsPtr); break;
    case 2: filter(2, 0, true, target, target, rows, back, maPtr, sumsPtr); break;
    case 3: filter(3, 0, true, target, target, rows, back, maPtr, sumsPtr); break;
    case 4: filter(0, 1, true, target, target, rows, back, maPtr, sumsPtr); break;
    case 5: filter(1, 1, true, target, target, rows, back, maPtr, sumsPtr); break;
    case 6: filter(2, 1, true, target, target, rows, back, maPtr, sumsPtr); break;
    default: filter(3, 1, true, target, target, rows, back, maPtr, sumsPtr);
  }
}

/**
 * target[t] = source[t] - sum of coefficient[k] source[t - lag(k)]; in place it is a recursion. Writes the sums of squares.
 *
 * Inlined with constant orders, so that a variant reads the lags it has. V8 moves every load of a loop up to the store
 * before it; so a pair of lanes is stored before the next one is loaded, or there would be more values than registers.
 * Two rows a turn share coefficients and lags.
 */
// @ts-ignore: decorator
@inline
function filter(
  short: i32, seasonal: i32, isInPlace: bool, source: usize, target: usize, rows: i32, back: usize,
  coefficients: usize, sumsPtr: usize,
): void {
  if (rows & 1) {
    oneRow(short, seasonal, source, target, back, coefficients, sumsPtr);
    source += ROW_BYTES;
    target += ROW_BYTES;
  } else {
    memory.fill(sumsPtr, 0, ROW_BYTES);
  }
  let s0 = v128.load(sumsPtr), s1 = v128.load(sumsPtr, 16), s2 = v128.load(sumsPtr, 32), s3 = v128.load(sumsPtr, 48);
  // Offsets cannot be negative: `at` and `past` stand three rows before row t and row t - season.
  let at = source - 3 * ROW_BYTES;
  let past = at - back;
  const end = target + <usize>(rows & ~1) * ROW_BYTES;
  for (; target < end; target += 2 * ROW_BYTES) {
    const q0 = twoRows(short, seasonal, isInPlace, at, past, target, coefficients);
    const q1 = twoRows(short, seasonal, isInPlace, at + 16, past + 16, target + 16, coefficients + 16);
    const q2 = twoRows(short, seasonal, isInPlace, at + 32, past + 32, target + 32, coefficients + 32);
    const q3 = twoRows(short, seasonal, isInPlace, at + 48, past + 48, target + 48, coefficients + 48);
    if (isInPlace) {
      s0 = f64x2.add(s0, q0);
      s1 = f64x2.add(s1, q1);
      s2 = f64x2.add(s2, q2);
      s3 = f64x2.add(s3, q3);
    }
    at += 2 * ROW_BYTES;
    past += 2 * ROW_BYTES;
  }
  storeRow(sumsPtr, s0, s1, s2, s3);
}

/** Rows t and t + 1 of a pair of lanes; the far lags first. Returns the sum of their squares. */
// @ts-ignore: decorator
@inline
function twoRows(
  short: i32, seasonal: i32, isInPlace: bool, at: usize, past: usize, target: usize, coefficients: usize,
): v128 {
  const x = v128.load(at, 192);
  let a = x;
  let b = v128.load(at, 256);
  if (seasonal > 0) {
    const c3 = v128.load(coefficients, 192);
    const lag0 = v128.load(past, 192);
    if (short > 0) {
      const c4 = v128.load(coefficients, 256);
      const lag1 = v128.load(past, 128);
      if (short > 1) {
        const c5 = v128.load(coefficients, 320);
        const lag2 = v128.load(past, 64);
        if (short > 2) {
          const c6 = v128.load(coefficients, 384);
          a = minus(a, c6, v128.load(past));
          b = minus(b, c6, lag2);
        }
        a = minus(a, c5, lag2);
        b = minus(b, c5, lag1);
      }
      a = minus(a, c4, lag1);
      b = minus(b, c4, lag0);
    }
    a = minus(a, c3, lag0);
    b = minus(b, c3, v128.load(past, 256));
  }
  if (short > 0) {
    const c0 = v128.load(coefficients);
    const lag1 = v128.load(at, 128);
    if (short > 1) {
      const c1 = v128.load(coefficients, 64);
      const lag2 = v128.load(at, 64);
      if (short > 2) {
        const c2 = v128.load(coefficients, 128);
        a = minus(a, c2, v128.load(at));
        b = minus(b, c2, lag2);
      }
      a = minus(a, c1, lag2);
      b = minus(b, c1, lag1);
    }
    a = minus(a, c0, lag1);
    // Only this product and difference wait for the row before.
    b = minus(b, c0, isInPlace ? a : x);
  }
  v128.store(target, a);
  v128.store(target, b, 64);
  return f64x2.add(f64x2.mul(a, a), f64x2.mul(b, b));
}

/** The row that is left over of an odd number; the same order of operations. */
function oneRow(
  short: i32, seasonal: i32, source: usize, target: usize, back: usize, coefficients: usize, sumsPtr: usize,
): void {
  for (let lane: usize = 0; lane < ROW_BYTES; lane += 16) {
    let value = v128.load(source + lane);
    for (let k = seasonal > 0 ? short : -1; k >= 0; k--) {
      const past = source + lane - back - <usize>k * ROW_BYTES;
      value = minus(value, v128.load(coefficients + lane + <usize>(SHORT_MAX + k) * ROW_BYTES), v128.load(past));
    }
    for (let k = short; k > 0; k--)
      value = minus(value, v128.load(coefficients + lane + <usize>(k - 1) * ROW_BYTES), v128.load(source + lane - <usize>k * ROW_BYTES));
    v128.store(target + lane, value);
    v128.store(sumsPtr + lane, f64x2.mul(value, value));
  }
}

// @ts-ignore: decorator
@inline
function minus(sum: v128, coefficient: v128, value: v128): v128 {
  return f64x2.sub(sum, f64x2.mul(coefficient, value));
}

/**
 * What one step of Gauss-Newton needs: Z'Z with Z = [e0, e1 - e0, .., e7 - e0] of eight columns of residuals.
 *
 * With lane i at the parameters of lane 0 plus h along direction i, the first row of the result is the sum of squares and
 * h times half its gradient; the rest is h^2 J'J. The differences are taken first, so that nothing cancels in the sums.
 * @param residualsPtr f64[count][8]; afterwards it holds Z
 * @param gramPtr f64[8][8], out; only columns >= row are meant
 */
export function cssGram(residualsPtr: usize, count: i32, gramPtr: usize): void {
  const end = residualsPtr + <usize>count * ROW_BYTES;
  let r00 = f64x2.splat(0), r01 = f64x2.splat(0), r02 = f64x2.splat(0), r03 = f64x2.splat(0);
  let r10 = f64x2.splat(0), r11 = f64x2.splat(0), r12 = f64x2.splat(0), r13 = f64x2.splat(0);
  for (let at = residualsPtr; at < end; at += ROW_BYTES) {
    const base = v128.load_splat<f64>(at);
    let z0 = f64x2.sub(v128.load(at), base);
    const z1 = f64x2.sub(v128.load(at, 16), base);
    const z2 = f64x2.sub(v128.load(at, 32), base);
    const z3 = f64x2.sub(v128.load(at, 48), base);
    const next = v128.shuffle<f64>(z0, z0, 1, 1);
    z0 = v128.shuffle<f64>(base, z0, 0, 3);
    v128.store(at, z0);
    v128.store(at, z1, 16);
    v128.store(at, z2, 32);
    v128.store(at, z3, 48);
    r00 = f64x2.add(r00, f64x2.mul(base, z0));
    r01 = f64x2.add(r01, f64x2.mul(base, z1));
    r02 = f64x2.add(r02, f64x2.mul(base, z2));
    r03 = f64x2.add(r03, f64x2.mul(base, z3));
    r10 = f64x2.add(r10, f64x2.mul(next, z0));
    r11 = f64x2.add(r11, f64x2.mul(next, z1));
    r12 = f64x2.add(r12, f64x2.mul(next, z2));
    r13 = f64x2.add(r13, f64x2.mul(next, z3));
  }
  storeRow(gramPtr, r00, r01, r02, r03);
  storeRow(gramPtr + ROW_BYTES, r10, r11, r12, r13);
  gramOfRowsTwoAndThree(residualsPtr, end, gramPtr + 2 * ROW_BYTES);
  gramOfLastRows(residualsPtr, end, gramPtr + 4 * ROW_BYTES);
}

// Twenty sums do not fit into sixteen registers: rows 2 and 3, and rows 4 to 7, are passes of their own.
// @ts-ignore: decorator
@inline
function gramOfRowsTwoAndThree(at: usize, end: usize, gramPtr: usize): void {
  let r01 = f64x2.splat(0), r02 = f64x2.splat(0), r03 = f64x2.splat(0);
  let r11 = f64x2.splat(0), r12 = f64x2.splat(0), r13 = f64x2.splat(0);
  const none = f64x2.splat(0);
  for (; at < end; at += ROW_BYTES) {
    const z1 = v128.load(at, 16), z2 = v128.load(at, 32), z3 = v128.load(at, 48);
    const two = v128.load_splat<f64>(at, 16);
    const three = v128.load_splat<f64>(at, 24);
    r01 = f64x2.add(r01, f64x2.mul(two, z1));
    r02 = f64x2.add(r02, f64x2.mul(two, z2));
    r03 = f64x2.add(r03, f64x2.mul(two, z3));
    r11 = f64x2.add(r11, f64x2.mul(three, z1));
    r12 = f64x2.add(r12, f64x2.mul(three, z2));
    r13 = f64x2.add(r13, f64x2.mul(three, z3));
  }
  storeRow(gramPtr, none, r01, r02, r03);
  storeRow(gramPtr + ROW_BYTES, none, r11, r12, r13);
}

// @ts-ignore: decorator
@inline
function gramOfLastRows(at: usize, end: usize, gramPtr: usize): void {
  let r02 = f64x2.splat(0), r03 = f64x2.splat(0), r12 = f64x2.splat(0), r13 = f64x2.splat(0);
  let r23 = f64x2.splat(0), r33 = f64x2.splat(0);
  const none = f64x2.splat(0);
  for (; at < end; at += ROW_BYTES) {
    const z2 = v128.load(at, 32), z3 = v128.load(at, 48);
    const four = v128.load_splat<f64>(at, 32);
    const five = v128.load_splat<f64>(at, 40);
    r02 = f64x2.add(r02, f64x2.mul(four, z2));
    r03 = f64x2.add(r03, f64x2.mul(four, z3));
    r12 = f64x2.add(r12, f64x2.mul(five, z2));
    r13 = f64x2.add(r13, f64x2.mul(five, z3));
    r23 = f64x2.add(r23, f64x2.mul(v128.load_splat<f64>(at, 48), z3));
    r33 = f64x2.add(r33, f64x2.mul(v128.load_splat<f64>(at, 56), z3));
  }
  storeRow(gramPtr, none, none, r02, r03);
  storeRow(gramPtr + ROW_BYTES, none, none, r12, r13);
  storeRow(gramPtr + 2 * ROW_BYTES, none, none, none, r23);
  storeRow(gramPtr + 3 * ROW_BYTES, none, none, none, r33);
}

// @ts-ignore: decorator
@inline
function storeRow(at: usize, v0: v128, v1: v128, v2: v128, v3: v128): void {
  v128.store(at, v0);
  v128.store(at, v1, 16);
  v128.store(at, v2, 32);
  v128.store(at, v3, 48);
}

/**
 * Goes on with the recursion where the series ends: w[t] = sum of ar[k] w[t - lag(k)] + sum of ma[k] e[t - lag(k)], e[t] = 0.
 * @param seriesPtr f64[count + horizon][8]: rows count.. are written
 * @param ar, seasonalAr, ma, seasonalMa orders as in cssResiduals
 * @param residualsPtr f64[count + horizon][8], of cssResiduals: rows count.. are zeroed
 */
export function cssForecast(
  seriesPtr: usize, residualsPtr: usize, count: i32, horizon: i32, season: i32, ar: i32, seasonalAr: i32, ma: i32,
  seasonalMa: i32, coefficientsPtr: usize,
): void {
  assert(season >= 1 && count >= season + SHORT_MAX, "every lag of the first step is known");
  const from = <usize>count * ROW_BYTES;
  const maPtr = coefficientsPtr + <usize>LAG_COUNT * ROW_BYTES;
  memory.fill(residualsPtr + from, 0, <usize>horizon * ROW_BYTES);
  for (let step: i32 = 0; step < horizon; step++) {
    const row = from + <usize>step * ROW_BYTES;
    for (let lane: usize = 0; lane < ROW_BYTES; lane += 16) {
      // From the last known residual on there is nothing to add: all that the MA part remembers are zeros.
      const moving = step < season + SHORT_MAX
        ? lagSum(residualsPtr + row + lane, season, ma, seasonalMa, maPtr + lane)
        : f64x2.splat(0);
      const known = lagSum(seriesPtr + row + lane, season, ar, seasonalAr, coefficientsPtr + lane);
      v128.store(seriesPtr + row + lane, f64x2.add(moving, known));
    }
  }
}

/** Sum of coefficient[k] value[t - lag(k)]; the lag that was computed last comes last, so that the others need not wait. */
function lagSum(at: usize, season: i32, short: i32, seasonal: i32, coefficients: usize): v128 {
  let sum = f64x2.splat(0);
  for (let k = seasonal > 0 ? short : -1; k >= 0; k--) {
    const value = v128.load(at - <usize>(season + k) * ROW_BYTES);
    sum = f64x2.add(sum, f64x2.mul(v128.load(coefficients + <usize>(SHORT_MAX + k) * ROW_BYTES), value));
  }
  for (let k = short; k > 0; k--) {
    const value = v128.load(at - <usize>k * ROW_BYTES);
    sum = f64x2.add(sum, f64x2.mul(v128.load(coefficients + <usize>(k - 1) * ROW_BYTES), value));
  }
  return sum;
}
