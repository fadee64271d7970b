// Conditional sum of squares of seasonal ARMA models, eight at a time (Box & Jenkins, "Time Series Analysis", 7.1.2).
//
// A tile is f64[time][LANES], one row a time step and a cache line: a lane is one series with its own coefficients. Eight
// series make a tile, or one series eight times, for eight parameter vectors; the code is the same. Four f64x2 chains
// hide the latency of the recursion.
//
// With w the differenced series, the residuals are
//   v[t] = w[t] - sum of ar[k] w[t - lag(k)]         e[t] = v[t] - sum of ma[k] e[t - lag(k)]
// and lag(k) = 1, 2, 3, season, season + 1, season + 2, season + 3 for k = 0..6: the product of a short and a seasonal
// polynomial of order one has no other lags. Both lines are the same loop; the second is its own input.

/** Series side by side in a tile. */
const LANES: i32 = 8;

/** Rows are this many bytes: 8 f64. The constants 64, 128, .. 240 below are rows and pairs of lanes in bytes. */
const ROW_BYTES: usize = 64;

/** Longest short lag. */
const SHORT_MAX: i32 = 3;

/** Lags of each polynomial. */
const LAG_COUNT: i32 = 7;

export function cssLanes(): i32 {
  return LANES;
}

/** Writes one series into every lane of a tile. */
export function cssSpread(valuesPtr: usize, count: i32, tilePtr: usize): void {
  for (let i: i32 = 0; i < count; i++) {
    const value = v128.load_splat<f64>(valuesPtr);
    v128.store(tilePtr, value);
    v128.store(tilePtr, value, 16);
    v128.store(tilePtr, value, 32);
    v128.store(tilePtr, value, 48);
    valuesPtr += 8;
    tilePtr += ROW_BYTES;
  }
}

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
  assert(season >= 1 && first >= ar + season * seasonalAr && first < count, "the sum begins where every lag is known");
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
 * target[t] = source[t] - sum of coefficient[k] source[t - lag(k)]; in place it is a recursion, and then sums squares too.
 *
 * Inlined with constant orders, so that a variant reads the lags it has. The last lag added is the one that was computed
 * last, from registers: only its product and difference lie on the critical path.
 */
// @ts-ignore: decorator
@inline
function filter(
  short: i32, seasonal: i32, isInPlace: bool, source: usize, target: usize, rows: i32, back: usize,
  coefficients: usize, sumsPtr: usize,
): void {
  // Offsets cannot be negative: `at` and `past` stand three rows before row t and row t - season.
  let at = source - 3 * ROW_BYTES;
  let past = at - back;
  const end = target + <usize>rows * ROW_BYTES;
  let b0 = v128.load(at, 128), b1 = v128.load(at, 144), b2 = v128.load(at, 160), b3 = v128.load(at, 176);
  let s0 = f64x2.splat(0), s1 = f64x2.splat(0), s2 = f64x2.splat(0), s3 = f64x2.splat(0);
  for (; target < end; target += ROW_BYTES) {
    const x0 = v128.load(at, 192), x1 = v128.load(at, 208), x2 = v128.load(at, 224), x3 = v128.load(at, 240);
    let a0 = x0, a1 = x1, a2 = x2, a3 = x3;
    if (seasonal > 0) {
      if (short > 2) {
        a0 = minus(a0, v128.load(coefficients, 384), v128.load(past));
        a1 = minus(a1, v128.load(coefficients, 400), v128.load(past, 16));
        a2 = minus(a2, v128.load(coefficients, 416), v128.load(past, 32));
        a3 = minus(a3, v128.load(coefficients, 432), v128.load(past, 48));
      }
      if (short > 1) {
        a0 = minus(a0, v128.load(coefficients, 320), v128.load(past, 64));
        a1 = minus(a1, v128.load(coefficients, 336), v128.load(past, 80));
        a2 = minus(a2, v128.load(coefficients, 352), v128.load(past, 96));
        a3 = minus(a3, v128.load(coefficients, 368), v128.load(past, 112));
      }
      if (short > 0) {
        a0 = minus(a0, v128.load(coefficients, 256), v128.load(past, 128));
        a1 = minus(a1, v128.load(coefficients, 272), v128.load(past, 144));
        a2 = minus(a2, v128.load(coefficients, 288), v128.load(past, 160));
        a3 = minus(a3, v128.load(coefficients, 304), v128.load(past, 176));
      }
      a0 = minus(a0, v128.load(coefficients, 192), v128.load(past, 192));
      a1 = minus(a1, v128.load(coefficients, 208), v128.load(past, 208));
      a2 = minus(a2, v128.load(coefficients, 224), v128.load(past, 224));
      a3 = minus(a3, v128.load(coefficients, 240), v128.load(past, 240));
      past += ROW_BYTES;
    }
    if (short > 2) {
      a0 = minus(a0, v128.load(coefficients, 128), v128.load(at));
      a1 = minus(a1, v128.load(coefficients, 144), v128.load(at, 16));
      a2 = minus(a2, v128.load(coefficients, 160), v128.load(at, 32));
      a3 = minus(a3, v128.load(coefficients, 176), v128.load(at, 48));
    }
    if (short > 1) {
      a0 = minus(a0, v128.load(coefficients, 64), v128.load(at, 64));
      a1 = minus(a1, v128.load(coefficients, 80), v128.load(at, 80));
      a2 = minus(a2, v128.load(coefficients, 96), v128.load(at, 96));
      a3 = minus(a3, v128.load(coefficients, 112), v128.load(at, 112));
    }
    if (short > 0) {
      a0 = minus(a0, v128.load(coefficients), b0);
      a1 = minus(a1, v128.load(coefficients, 16), b1);
      a2 = minus(a2, v128.load(coefficients, 32), b2);
      a3 = minus(a3, v128.load(coefficients, 48), b3);
    }
    v128.store(target, a0);
    v128.store(target, a1, 16);
    v128.store(target, a2, 32);
    v128.store(target, a3, 48);
    if (isInPlace) {
      b0 = a0, b1 = a1, b2 = a2, b3 = a3;
      s0 = f64x2.add(s0, f64x2.mul(a0, a0));
      s1 = f64x2.add(s1, f64x2.mul(a1, a1));
      s2 = f64x2.add(s2, f64x2.mul(a2, a2));
      s3 = f64x2.add(s3, f64x2.mul(a3, a3));
    } else {
      b0 = x0, b1 = x1, b2 = x2, b3 = x3;
    }
    at += ROW_BYTES;
  }
  if (isInPlace) {
    v128.store(sumsPtr, s0);
    v128.store(sumsPtr, s1, 16);
    v128.store(sumsPtr, s2, 32);
    v128.store(sumsPtr, s3, 48);
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
 * @param residualsPtr f64[count + horizon][8], of cssResiduals: rows count.. are zeroed
 */
export function cssForecast(
  seriesPtr: usize, residualsPtr: usize, count: i32, horizon: i32, season: i32, coefficientsPtr: usize,
): void {
  assert(season >= 1 && count >= season + SHORT_MAX, "every lag of the first step is known");
  const from = <usize>count * ROW_BYTES;
  memory.fill(residualsPtr + from, 0, <usize>horizon * ROW_BYTES);
  for (let lane: usize = 0; lane < ROW_BYTES; lane += 16) {
    let at = seriesPtr + from + lane;
    let error = residualsPtr + from + lane;
    const end = at + <usize>horizon * ROW_BYTES;
    for (; at < end; at += ROW_BYTES) {
      let value = f64x2.splat(0);
      for (let k: i32 = 0; k < LAG_COUNT; k++) {
        const lag = k < SHORT_MAX ? k + 1 : season + k - SHORT_MAX;
        const back = <usize>lag * ROW_BYTES;
        const coefficient = coefficientsPtr + <usize>k * ROW_BYTES + lane;
        value = f64x2.add(value, f64x2.mul(v128.load(coefficient), v128.load(at - back)));
        value = f64x2.add(value, f64x2.mul(v128.load(coefficient, 448), v128.load(error - back)));
      }
      v128.store(at, value);
      error += ROW_BYTES;
    }
  }
}
