// Direct regression of one series on its own lags: every step of the horizon is a small ridge problem with lags of its own,
// y[t + step] = constant + sum of weight_i * y[t - lag_i], fitted on every origin t of the history at once.
//
// All those problems draw on the same sums of products y[t - a] * y[t - b], and along a diagonal d = b - a these are
// differences of one running sum: Q_d(k) = sum of z[u] z[u - d] for u < k gives sum over origins = Q_d(end - a) - Q_d(first - a).
// So the whole fit costs one pass over the series per diagonal, whatever the number of steps, and no row is ever built.
// The rows may fade: row t weighs fade^(last - t); z[u] carries fade^(last - u), and the difference is divided by fade^a.

import { TILE } from "./layout";
import { ridgeSolve } from "./ridge";

/** Diagonals that run side by side: four v128 chains hide the latency of an addition. */
const DIAGONAL_GROUP: i32 = 8;

/** Log units. Flatter than that, a series has no shape that could be learnt. */
const DEVIATION_MIN: f64 = 1e-4;

/** f64 slots of scratch that `lagFit` needs. */
export function lagScratchCount(windows: i32, reach: i32, steps: i32, width: i32, groupCount: i32): i32 {
  const inputs = paddedInputs(width);
  return (
    2 * (windows + DIAGONAL_GROUP) +
    DIAGONAL_GROUP * (windows + 1) +
    (windows + 2) +
    groupCount * (reach + steps) * DIAGONAL_GROUP +
    (reach + steps) +
    inputs * (inputs + ((steps + TILE - 1) / TILE) * TILE) +
    4 * DIAGONAL_GROUP
  );
}

// @ts-ignore: decorator
@inline
function paddedInputs(width: i32): i32 {
  return ((1 + width + TILE - 1) / TILE) * TILE;
}

/**
 * Fits all steps of one series. Neighbouring steps with the same lags share one factorisation.
 * @param seriesPtr f64[windows], oldest first
 * @param lagsPtr i32[steps][width], ascending, each 1..reach; 0 fills up the row
 * @param priorPtr f64[steps][width]: the weights that the penalty pulls towards
 * @param groupsPtr i32[ceil((reach + steps) / 8)]: 0-based place of each group of eight diagonals, -1 for those not used
 * @param penalty ridge penalty of the standardised problem: share of the summed row weights, plus `penaltyFixed`
 * @param fade weight of a row against the next one's, in (0, 1]
 * @param hasConstant 0: no constant, of the standardised series
 * @param weightsPtr f64[steps][1 + width] out: constant in log units, then the weight of each lag
 * @returns 1, or 0 where the series is flat or the problem singular; then the weights mean nothing
 */
export function lagFit(
  seriesPtr: usize, windows: i32, lagsPtr: usize, steps: i32, width: i32, reach: i32, priorPtr: usize,
  groupsPtr: usize, groupCount: i32, penalty: f64, penaltyFixed: f64, fade: f64, hasConstant: i32,
  scratchPtr: usize, weightsPtr: usize,
): i32 {
  assert(steps > 0 && width > 0 && reach > 0, "a lag regression has steps and lags");
  assert(windows >= reach + steps, "one row fits into the history");
  assert(fade > 0 && fade <= 1, "old rows do not weigh more");
  const span = reach + steps;
  const inputs = paddedInputs(width);
  // Eight zeros in front: a group of diagonals begins where its first one does.
  const plain = scratchPtr + ((<usize>DIAGONAL_GROUP) << 3);
  const faded = plain + ((<usize>(windows + DIAGONAL_GROUP)) << 3);
  const running = faded + ((<usize>windows) << 3);
  const totals = running + ((<usize>(DIAGONAL_GROUP * (windows + 1))) << 3);
  const table = (totals + ((<usize>(windows + 2)) << 3) + 15) & ~15;
  const powers = table + ((<usize>(groupCount * span * DIAGONAL_GROUP)) << 3);
  const sums = (powers + ((<usize>span) << 3) + 15) & ~15;

  const mean = meanOf(seriesPtr, windows);
  const deviation = deviationOf(seriesPtr, windows, mean);
  if (!(deviation >= DEVIATION_MIN)) return 0;
  memory.fill(scratchPtr, 0, (<usize>DIAGONAL_GROUP) << 3);
  // Rows are the origins first .. end - 1; the newest one weighs 1.
  const first = reach;
  const end = windows - steps + 1;
  fillPowers(powers, span, steps, fade);
  // fade^(1 - steps): windows after the last origin weigh more than 1.
  let share = 1.0 / load<f64>(powers);
  for (let u = windows - 1; u >= 0; u--) {
    const at = (<usize>u) << 3;
    const value = (load<f64>(seriesPtr + at) - mean) / deviation;
    store<f64>(plain + at, value);
    store<f64>(faded + at, value * share);
    share *= fade;
  }
  let rowWeight: f64 = 0;
  share = 1;
  for (let t = end - 1; t >= first; t--) {
    rowWeight += share;
    share *= fade;
  }
  runningTotals(faded, windows, totals);
  for (let group: i32 = 0; group * DIAGONAL_GROUP < span; group++) {
    const slot = load<i32>(groupsPtr + ((<usize>group) << 2));
    if (slot < 0) continue;
    assert(slot < groupCount, "every group of diagonals has its place");
    runDiagonals(plain, faded, windows, group * DIAGONAL_GROUP, running);
    const out = table + ((<usize>(slot * span * DIAGONAL_GROUP)) << 3);
    takeDifferences(running, first, end, steps, reach - group * DIAGONAL_GROUP, powers, out);
  }

  for (let step: i32 = 0; step < steps; ) {
    const lags = lagsPtr + ((<usize>(step * width)) << 2);
    let together: i32 = 1;
    while (step + together < steps && memory.compare(lags, lags + ((<usize>(together * width)) << 2), (<usize>width) << 2) == 0) together++;
    const count = countLags(lags, width, reach);
    // A step alone needs no tiles: its one right-hand side is the column after its rows.
    const right = together == 1 ? 1 + count : inputs;
    const columns = together == 1 ? (right + 2) & ~1 : inputs + ((together + TILE - 1) / TILE) * TILE;
    memory.fill(sums, 0, (<usize>((together == 1 ? 1 + count : inputs) * columns)) << 3);
    const ridge = penalty * rowWeight + penaltyFixed;
    // Without a constant its row says only that the constant is zero.
    store<f64>(sums, hasConstant ? rowWeight : 1.0);
    for (let i: i32 = 0; i < count; i++) {
      const a = load<i32>(lags + ((<usize>i) << 2));
      const row = sums + ((<usize>((1 + i) * columns)) << 3);
      if (hasConstant) store<f64>(sums + ((<usize>(1 + i)) << 3), totalAt(totals, powers, first, end, a, steps));
      for (let j = i; j < count; j++) {
        const b = load<i32>(lags + ((<usize>j) << 2));
        store<f64>(row + ((<usize>(1 + j)) << 3), productAt(table, groupsPtr, span, steps, a, b));
      }
      const diagonal = row + ((<usize>(1 + i)) << 3);
      store<f64>(diagonal, load<f64>(diagonal) + ridge);
      for (let k: i32 = 0; k < together; k++) {
        const prior = load<f64>(priorPtr + ((<usize>((step + k) * width + i)) << 3));
        const product = productAt(table, groupsPtr, span, steps, -(step + k), a);
        store<f64>(row + ((<usize>(right + k)) << 3), product + ridge * prior);
      }
    }
    if (hasConstant) {
      for (let k: i32 = 0; k < together; k++) {
        store<f64>(sums + ((<usize>(right + k)) << 3), totalAt(totals, powers, first, end, -(step + k), steps));
      }
    }
    const failed = together == 1 ? solveOne(sums, right, columns) : ridgeSolve(sums, inputs, columns, 0);
    if (failed != 0) return 0;
    for (let k: i32 = 0; k < together; k++) {
      const out = weightsPtr + ((<usize>((step + k) * (1 + width))) << 3);
      const column = sums + ((<usize>(right + k)) << 3);
      let weightSum: f64 = 0;
      for (let i: i32 = 0; i < width; i++) {
        const weight = i < count ? load<f64>(column + ((<usize>((1 + i) * columns)) << 3)) : 0.0;
        weightSum += weight;
        store<f64>(out + ((<usize>(1 + i)) << 3), weight);
      }
      // Back from standardised to log units: only the constant changes.
      store<f64>(out, mean * (1.0 - weightSum) + deviation * load<f64>(column));
    }
    step += together;
  }
  return 1;
}

/**
 * out[h]: the fitted steps, and beyond them the same again with forecasts in the place of history.
 * @param endPtr one past the last window known: f64[reach] before it
 * @param outPtr f64[horizon]
 */
export function lagPredict(
  endPtr: usize, lagsPtr: usize, steps: i32, width: i32, weightsPtr: usize, horizon: i32, outPtr: usize,
): void {
  assert(steps > 0 && width > 0, "a lag regression has steps and lags");
  for (let h: i32 = 0; h < horizon; h++) {
    const step = h % steps;
    const origin = h - step;
    const lags = lagsPtr + ((<usize>(step * width)) << 2);
    const weights = weightsPtr + ((<usize>(step * (1 + width))) << 3);
    let value = load<f64>(weights);
    for (let i: i32 = 0; i < width; i++) {
      const lag = load<i32>(lags + ((<usize>i) << 2));
      if (lag == 0) break;
      const back = origin - lag;
      const input = back < 0 ? load<f64>(endPtr - ((<usize>-back) << 3)) : load<f64>(outPtr + ((<usize>back) << 3));
      value += load<f64>(weights + ((<usize>(1 + i)) << 3)) * input;
    }
    store<f64>(outPtr + ((<usize>h) << 3), value);
  }
}

/**
 * Fitted values of the first step: out[h] = constant + sum of weight_i * y[h - lag_i], where y goes on beyond `startPtr`.
 * @param startPtr f64[horizon] with f64[reach] of history before it; must not overlap `outPtr`
 */
export function lagFitted(startPtr: usize, lagsPtr: usize, width: i32, weightsPtr: usize, horizon: i32, outPtr: usize): void {
  assert(width > 0, "a lag regression has lags");
  for (let h: i32 = 0; h < horizon; h++) {
    const at = startPtr + ((<usize>h) << 3);
    let value = load<f64>(weightsPtr);
    for (let i: i32 = 0; i < width; i++) {
      const lag = load<i32>(lagsPtr + ((<usize>i) << 2));
      if (lag == 0) break;
      value += load<f64>(weightsPtr + ((<usize>(1 + i)) << 3)) * load<f64>(at - ((<usize>lag) << 3));
    }
    store<f64>(outPtr + ((<usize>h) << 3), value);
  }
}

function countLags(lags: usize, width: i32, reach: i32): i32 {
  let count: i32 = 0;
  let before: i32 = 0;
  for (; count < width; count++) {
    const lag = load<i32>(lags + ((<usize>count) << 2));
    if (lag == 0) break;
    assert(lag > before && lag <= reach, "lags ascend within the reach");
    before = lag;
  }
  return count;
}

// @ts-ignore: decorator
@inline
function meanOf(pointer: usize, count: i32): f64 {
  let sum: f64 = 0;
  const end = pointer + ((<usize>count) << 3);
  for (; pointer < end; pointer += 8) sum += load<f64>(pointer);
  return sum / <f64>count;
}

/** Root of the mean square. */
// @ts-ignore: decorator
@inline
function deviationOf(pointer: usize, count: i32, mean: f64): f64 {
  let sum: f64 = 0;
  const end = pointer + ((<usize>count) << 3);
  for (; pointer < end; pointer += 8) {
    const difference = load<f64>(pointer) - mean;
    sum += difference * difference;
  }
  return Math.sqrt(sum / <f64>count);
}

/** Against a matrix that is singular but for rounding; the same as in `ridgeSolve`. */
const TINY: f64 = 1e-9;

/**
 * Solves A x = b in place by Cholesky, A = U'U; b is carried along as the column after A's, and becomes x.
 * @param matrixPtr f64[size][columns], the upper triangle of A; columns even and above `size`
 * @returns 0, or 1 + the row whose pivot was not positive
 */
function solveOne(matrixPtr: usize, size: i32, columns: i32): i32 {
  const rowBytes = (<usize>columns) << 3;
  for (let i: i32 = 0; i < size; i++) {
    const row = matrixPtr + <usize>i * rowBytes;
    const end = row + rowBytes;
    const start = row + ((<usize>(i & ~1)) << 3);
    let factor = matrixPtr + ((<usize>i) << 3);
    let other = matrixPtr + ((<usize>(i & ~1)) << 3);
    let k: i32 = 0;
    for (; k + 4 <= i; k += 4) {
      const f0 = v128.load_splat<f64>(factor);
      const f1 = v128.load_splat<f64>(factor + rowBytes);
      const f2 = v128.load_splat<f64>(factor + 2 * rowBytes);
      const f3 = v128.load_splat<f64>(factor + 3 * rowBytes);
      let o0 = other;
      let o1 = o0 + rowBytes;
      let o2 = o1 + rowBytes;
      let o3 = o2 + rowBytes;
      for (let at = start; at < end; at += 16) {
        const low = f64x2.add(f64x2.mul(f0, v128.load(o0)), f64x2.mul(f1, v128.load(o1)));
        const high = f64x2.add(f64x2.mul(f2, v128.load(o2)), f64x2.mul(f3, v128.load(o3)));
        v128.store(at, f64x2.sub(v128.load(at), f64x2.add(low, high)));
        o0 += 16;
        o1 += 16;
        o2 += 16;
        o3 += 16;
      }
      factor += 4 * rowBytes;
      other += 4 * rowBytes;
    }
    for (; k < i; k++) {
      const f0 = v128.load_splat<f64>(factor);
      let o0 = other;
      for (let at = start; at < end; at += 16) {
        v128.store(at, f64x2.sub(v128.load(at), f64x2.mul(f0, v128.load(o0))));
        o0 += 16;
      }
      factor += rowBytes;
      other += rowBytes;
    }
    const pivotAt = row + ((<usize>i) << 3);
    const pivot = load<f64>(pivotAt) + TINY;
    if (!(pivot > 0)) return i + 1;
    const inverse = 1.0 / Math.sqrt(pivot);
    const share = f64x2.splat(inverse);
    for (let at = start; at < end; at += 16) v128.store(at, f64x2.mul(v128.load(at), share));
    // The way back multiplies by it.
    store<f64>(pivotAt, inverse);
  }
  const right = (<usize>size) << 3;
  for (let i = size - 1; i >= 0; i--) {
    const row = matrixPtr + <usize>i * rowBytes;
    let value = load<f64>(row + right);
    let x = row + rowBytes + right;
    for (let at = row + ((<usize>(i + 1)) << 3); at < row + right; at += 8) {
      value -= load<f64>(at) * load<f64>(x);
      x += rowBytes;
    }
    store<f64>(row + right, value * load<f64>(row + ((<usize>i) << 3)));
  }
  return 0;
}

/** powers[a + steps - 1] = fade^-a, for a = 1 - steps .. span - steps. */
function fillPowers(powers: usize, span: i32, steps: i32, fade: f64): void {
  let power: f64 = 1;
  for (let a = steps - 1; a >= 0; a--) {
    store<f64>(powers + ((<usize>a) << 3), power);
    power *= fade;
  }
  power = 1;
  for (let a = steps - 1; a < span; a++) {
    store<f64>(powers + ((<usize>a) << 3), power);
    power /= fade;
  }
}

/** totals[k] = sum of faded[u] for u < k. */
function runningTotals(faded: usize, windows: i32, totals: usize): void {
  let sum: f64 = 0;
  for (let u: i32 = 0; u < windows; u++) {
    store<f64>(totals + ((<usize>u) << 3), sum);
    sum += load<f64>(faded + ((<usize>u) << 3));
  }
  store<f64>(totals + ((<usize>windows) << 3), sum);
}

/** Sum over origins of the row weight times y[t - a]. */
// @ts-ignore: decorator
@inline
function totalAt(totals: usize, powers: usize, first: i32, end: i32, a: i32, steps: i32): f64 {
  const difference = load<f64>(totals + ((<usize>(end - a)) << 3)) - load<f64>(totals + ((<usize>(first - a)) << 3));
  return difference * load<f64>(powers + ((<usize>(a + steps - 1)) << 3));
}

/**
 * running[k][lane] = sum of faded[u] plain[u - d] for u < k, d = diagonal + lane; from k = diagonal on.
 *
 * Lanes go from the highest diagonal to the lowest, as the values lie in memory: lane 0 is diagonal + 7.
 */
function runDiagonals(plain: usize, faded: usize, windows: i32, diagonal: i32, running: usize): void {
  let s0 = f64x2.splat(0), s1 = f64x2.splat(0), s2 = f64x2.splat(0), s3 = f64x2.splat(0);
  let out = running + ((<usize>diagonal) << 6);
  let left = faded + ((<usize>diagonal) << 3);
  let right = plain - ((<usize>(DIAGONAL_GROUP - 1)) << 3);
  for (let u = diagonal; u < windows; u++) {
    v128.store(out, s0);
    v128.store(out, s1, 16);
    v128.store(out, s2, 32);
    v128.store(out, s3, 48);
    const value = v128.load_splat<f64>(left);
    s0 = f64x2.add(s0, f64x2.mul(value, v128.load(right)));
    s1 = f64x2.add(s1, f64x2.mul(value, v128.load(right, 16)));
    s2 = f64x2.add(s2, f64x2.mul(value, v128.load(right, 32)));
    s3 = f64x2.add(s3, f64x2.mul(value, v128.load(right, 48)));
    out += 64;
    left += 8;
    right += 8;
  }
  v128.store(out, s0);
  v128.store(out, s1, 16);
  v128.store(out, s2, 32);
  v128.store(out, s3, 48);
}

/**
 * table[a + steps - 1][lane] = powers * (running[end - a] - running[first - a]), a = 1 - steps .. reachLeft: beyond, the
 * other lag of the pair would lie outside the reach.
 */
function takeDifferences(running: usize, first: i32, end: i32, steps: i32, reachLeft: i32, powers: usize, table: usize): void {
  for (let a = 1 - steps; a <= reachLeft; a++) {
    const place = a + steps - 1;
    const power = v128.load_splat<f64>(powers + ((<usize>place) << 3));
    const high = running + ((<usize>(end - a)) << 6);
    const low = running + ((<usize>(first - a)) << 6);
    const out = table + ((<usize>place) << 6);
    v128.store(out, f64x2.mul(power, f64x2.sub(v128.load(high), v128.load(low))));
    v128.store(out, f64x2.mul(power, f64x2.sub(v128.load(high, 16), v128.load(low, 16))), 16);
    v128.store(out, f64x2.mul(power, f64x2.sub(v128.load(high, 32), v128.load(low, 32))), 32);
    v128.store(out, f64x2.mul(power, f64x2.sub(v128.load(high, 48), v128.load(low, 48))), 48);
  }
}

/** Sum over origins of the row weight times y[t - a] y[t - b], a <= b. */
// @ts-ignore: decorator
@inline
function productAt(table: usize, groupsPtr: usize, span: i32, steps: i32, a: i32, b: i32): f64 {
  const d = b - a;
  const slot = load<i32>(groupsPtr + ((<usize>(d >> 3)) << 2));
  const lane = 7 - (d & 7);
  return load<f64>(table + ((<usize>((slot * span + a + steps - 1) * DIAGONAL_GROUP + lane)) << 3));
}
