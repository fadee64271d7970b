// Exponential smoothing in its innovations form with additive errors and up to two seasons, eight filters at a time:
//
//   e(t) = y(t) - l - phi b - s(t - m) - z(t - n)     level l, trend b, seasonal states s and z, damping phi
//   l' = l + phi b + alpha e,   b' = phi b + beta e,   s'(t) = s(t - m) + gamma e,   z'(t) = z(t - n) + delta e
//
// (Hyndman, Koehler, Ord & Snyder, "Forecasting with exponential smoothing: the state space approach", 2008, table 2.2;
// the second season: Taylor, "Triple seasonal methods for short-term electricity demand forecasting", 2010.)
// On logarithms it is smoothing with multiplicative trend, seasons and errors.
//
// A recursion waits for its own last result; eight independent ones side by side hide that. So everything comes in tiles
// of LANES = 8 f64, one cache line a time step: values[t][lane]. The lanes are eight series, or eight candidates for the
// parameters of one series whose values stand in all lanes: the code is the same.
//
// States f64[2 + m + n][LANES]: level, trend, first season, second season. A season keeps step with the windows:
// its state for window t is number t mod m. A season of 0 windows is none.

import { LANE_BYTES, LANES } from "./tiles";

// Offsets into parameters f64[5][LANES]: alpha, beta, phi, gamma, delta. phi = 1 is a trend without damping; phi = 0 and
// beta = 0 are none.
const BETA: usize = LANE_BYTES;
const PHI: usize = 2 * LANE_BYTES;
const GAMMA: usize = 3 * LANE_BYTES;
const DELTA: usize = 4 * LANE_BYTES;

/**
 * Filters windows first .. end - 1 and adds up their squared errors.
 *
 * @param valuesPtr f64[end][LANES]
 * @param parametersPtr f64[5][LANES]
 * @param statesPtr f64[2 + m + n][LANES]; in: before window `first`, out: after the last
 * @param sumsPtr f64[LANES]: sums of squared errors are added to what stands there
 */
export function etsFilter(
  valuesPtr: usize, first: i32, end: i32, season: i32, secondSeason: i32, parametersPtr: usize, statesPtr: usize,
  sumsPtr: usize,
): void {
  assertSeasons(season, secondSeason);
  assert(0 <= first && first <= end, "windows are in order");
  filter(valuesPtr, first, end - first, LANE_BYTES, season, secondSeason, parametersPtr, statesPtr, sumsPtr);
}

/**
 * Filters windows end - 1 .. 0, backwards in time: what the smoothing makes of the beginning, as states to begin from.
 * The trend is left at zero, since a slope seen backwards is not the one that led there.
 *
 * @param statesPtr in: after window `end - 1`, out: before window 0
 */
export function etsBackcast(
  valuesPtr: usize, end: i32, season: i32, secondSeason: i32, parametersPtr: usize, statesPtr: usize, sumsPtr: usize,
): void {
  assertSeasons(season, secondSeason);
  filter(valuesPtr, end - 1, end, -LANE_BYTES, season, secondSeason, parametersPtr, statesPtr, sumsPtr);
  memory.fill(statesPtr + LANE_BYTES, 0, LANE_BYTES);
}

/**
 * Judges parameters by errors of several steps ahead: the states are backcast, then a filter runs over all windows and
 * forecasts `leads` at every `spacing`-th of them.
 *
 * One step ahead, fast smoothing looks best even where the level hardly moves; the sum over leads up to the horizon
 * does not reward it. (Trace of squared forecast errors; Svetunkov, Kourentzes & Killick, "Multi-step estimators and shrinkage
 * effect in time series models", 2023.)
 *
 * @param valuesPtr f64[length][LANES]
 * @param backcastWindows windows that the backcast runs over
 * @param judgedFrom the first window to forecast from
 * @param startPtr f64[2 + m + n][LANES]: states after window backcastWindows - 1, from which the backcast begins
 * @param statesPtr f64[2 + m + n][LANES]: out, states after the last window
 * @param leadsPtr i32[leadCount], ascending, each >= 1
 * @param workPtr f64[leadCount + 1][LANES], scratch
 * @param sumsPtr f64[LANES]: out, sums of squared errors over all origins and leads inside the values
 */
export function etsJudge(
  valuesPtr: usize, length: i32, backcastWindows: i32, judgedFrom: i32, season: i32, secondSeason: i32, parametersPtr: usize,
  startPtr: usize, statesPtr: usize, leadsPtr: usize, leadCount: i32, spacing: i32, workPtr: usize, sumsPtr: usize,
): void {
  assert(0 < backcastWindows && backcastWindows <= length && judgedFrom <= length && spacing > 0, "there are windows to judge by");
  memory.copy(statesPtr, startPtr, <usize>(2 + season + secondSeason) * LANE_BYTES);
  const unusedPtr = workPtr + <usize>leadCount * LANE_BYTES;
  etsBackcast(valuesPtr, backcastWindows, season, secondSeason, parametersPtr, statesPtr, unusedPtr);
  trendFactors(parametersPtr, leadsPtr, leadCount, workPtr);
  memory.fill(sumsPtr, 0, LANE_BYTES);
  filter(valuesPtr, 0, judgedFrom, LANE_BYTES, season, secondSeason, parametersPtr, statesPtr, unusedPtr);
  for (let first = judgedFrom; first < length; first += spacing) {
    addLeadErrors(valuesPtr, length, first, season, secondSeason, statesPtr, leadsPtr, leadCount, workPtr, sumsPtr);
    const count = min(spacing, length - first);
    filter(valuesPtr, first, count, LANE_BYTES, season, secondSeason, parametersPtr, statesPtr, unusedPtr);
  }
}

/** phi + phi^2 + .. + phi^lead: what is ahead of a trend of 1. */
function trendFactors(parametersPtr: usize, leadsPtr: usize, leadCount: i32, factorsPtr: usize): void {
  for (let lane: usize = 0; lane < LANE_BYTES; lane += 8) {
    const phi = load<f64>(parametersPtr + lane, PHI);
    let power = 1.0;
    let factor = 0.0;
    let step: i32 = 0;
    for (let index: i32 = 0; index < leadCount; index++) {
      for (; step < load<i32>(leadsPtr + ((<usize>index) << 2)); step++) {
        power *= phi;
        factor += power;
      }
      store<f64>(factorsPtr + <usize>index * LANE_BYTES + lane, factor);
    }
  }
}

/** Squared errors of the forecasts made before window `origin`. */
function addLeadErrors(
  valuesPtr: usize, length: i32, origin: i32, season: i32, secondSeason: i32, statesPtr: usize, leadsPtr: usize,
  leadCount: i32, factorsPtr: usize, sumsPtr: usize,
): void {
  const seasonPtr = statesPtr + 2 * LANE_BYTES;
  const secondPtr = seasonPtr + <usize>season * LANE_BYTES;
  for (let index: i32 = 0; index < leadCount; index++) {
    const window = origin + load<i32>(leadsPtr + ((<usize>index) << 2)) - 1;
    if (window >= length) return;
    const value = valuesPtr + <usize>window * LANE_BYTES;
    const first = season > 0 ? seasonPtr + <usize>(window % season) * LANE_BYTES : 0;
    const second = secondSeason > 0 ? secondPtr + <usize>(window % secondSeason) * LANE_BYTES : 0;
    const factor = factorsPtr + <usize>index * LANE_BYTES;
    for (let lane: usize = 0; lane < LANE_BYTES; lane += 16) {
      let error = v128.load(value + lane);
      if (season > 0) error = f64x2.sub(error, v128.load(first + lane));
      if (secondSeason > 0) error = f64x2.sub(error, v128.load(second + lane));
      error = f64x2.sub(error, v128.load(statesPtr + lane));
      error = f64x2.sub(error, f64x2.mul(v128.load(factor + lane), v128.load(statesPtr + lane, LANE_BYTES)));
      const sum = sumsPtr + lane;
      v128.store(sum, f64x2.add(v128.load(sum), f64x2.mul(error, error)));
    }
  }
}

/**
 * The forecasts from states after window `length - 1`.
 *
 * @param listPtr i32[count]: the row of `out` that each of the first `count` lanes is written to
 * @param outPtr f64[][horizon]
 */
export function etsForecast(
  statesPtr: usize, length: i32, season: i32, secondSeason: i32, parametersPtr: usize, listPtr: usize, count: i32,
  horizon: i32, outPtr: usize,
): void {
  assert(0 < count && count <= LANES, "a forecast is of some of the lanes");
  const seasonPtr = statesPtr + 2 * LANE_BYTES;
  const secondPtr = seasonPtr + <usize>season * LANE_BYTES;
  for (let index: i32 = 0; index < count; index++) {
    const lane = (<usize>index) << 3;
    let out = outPtr + ((<usize>(load<i32>(listPtr + ((<usize>index) << 2)) * horizon)) << 3);
    const phi = load<f64>(parametersPtr + lane, PHI);
    let level = load<f64>(statesPtr + lane);
    let trend = load<f64>(statesPtr + lane, LANE_BYTES);
    let phase: i32 = season > 0 ? length % season : 0;
    let secondPhase: i32 = secondSeason > 0 ? length % secondSeason : 0;
    for (let step: i32 = 0; step < horizon; step++) {
      trend *= phi;
      level += trend;
      let value = level;
      if (season > 0) value += load<f64>(seasonPtr + <usize>phase * LANE_BYTES + lane);
      if (secondSeason > 0) value += load<f64>(secondPtr + <usize>secondPhase * LANE_BYTES + lane);
      store<f64>(out, value);
      out += 8;
      if (++phase == season) phase = 0;
      if (++secondPhase == secondSeason) secondPhase = 0;
    }
  }
}

// @ts-ignore: decorator
@inline
function assertSeasons(season: i32, secondSeason: i32): void {
  assert(season >= 0 && secondSeason >= 0, "a season has windows, or none");
  assert(secondSeason == 0 || season > 0, "a second season comes with a first");
}

/** `count` windows from `first` on, or back where stepBytes is -LANE_BYTES: one function a form, so that no loop asks. */
function filter(
  valuesPtr: usize, first: i32, count: i32, stepBytes: usize, season: i32, secondSeason: i32, parametersPtr: usize,
  statesPtr: usize, sumsPtr: usize,
): void {
  const values = valuesPtr + <usize>first * LANE_BYTES;
  if (count == 0) return;
  if (season == 0) filterLevel(values, count, stepBytes, parametersPtr, statesPtr, sumsPtr);
  else if (secondSeason == 0) {
    filterSeason(values, count, stepBytes, first % season, season, parametersPtr, statesPtr, sumsPtr);
  } else {
    filterSeasons(
      values, count, stepBytes, first % season, season, first % secondSeason, secondSeason, parametersPtr, statesPtr, sumsPtr,
    );
  }
}

function filterLevel(
  values: usize, count: i32, stepBytes: usize, parameters: usize, states: usize, sums: usize,
): void {
  filterTile(values, count, stepBytes, 0, 0, 0, 0, parameters, states, sums, false, false);
}

function filterSeason(
  values: usize, count: i32, stepBytes: usize, phase: i32, season: i32, parameters: usize, states: usize, sums: usize,
): void {
  filterTile(values, count, stepBytes, phase, season, 0, 0, parameters, states, sums, true, false);
}

function filterSeasons(
  values: usize, count: i32, stepBytes: usize, phase: i32, season: i32, secondPhase: i32, secondSeason: i32,
  parameters: usize, states: usize, sums: usize,
): void {
  filterTile(values, count, stepBytes, phase, season, secondPhase, secondSeason, parameters, states, sums, true, true);
}

/**
 * Four vectors of two lanes, each with its own chain of states, written out one after the other: a processor runs them
 * side by side by itself, and V8 has fewer vectors to keep in registers than step by step.
 */
// @ts-ignore: decorator
@inline
function filterTile(
  values: usize, count: i32, stepBytes: usize, phase: i32, season: i32, secondPhase: i32, secondSeason: i32,
  parameters: usize, states: usize, sums: usize, hasSeason: bool, hasSecond: bool,
): void {
  let l0 = v128.load(states), l1 = v128.load(states, 16), l2 = v128.load(states, 32), l3 = v128.load(states, 48);
  let b0 = v128.load(states, 64), b1 = v128.load(states, 80), b2 = v128.load(states, 96), b3 = v128.load(states, 112);
  let q0 = v128.load(sums), q1 = v128.load(sums, 16), q2 = v128.load(sums, 32), q3 = v128.load(sums, 48);
  const alpha0 = v128.load(parameters), alpha1 = v128.load(parameters, 16), alpha2 = v128.load(parameters, 32), alpha3 = v128.load(parameters, 48);
  const beta0 = v128.load(parameters, BETA), beta1 = v128.load(parameters, BETA + 16), beta2 = v128.load(parameters, BETA + 32), beta3 = v128.load(parameters, BETA + 48);
  const phi0 = v128.load(parameters, PHI), phi1 = v128.load(parameters, PHI + 16), phi2 = v128.load(parameters, PHI + 32), phi3 = v128.load(parameters, PHI + 48);
  const gamma0 = v128.load(parameters, GAMMA), gamma1 = v128.load(parameters, GAMMA + 16), gamma2 = v128.load(parameters, GAMMA + 32), gamma3 = v128.load(parameters, GAMMA + 48);
  const delta0 = v128.load(parameters, DELTA), delta1 = v128.load(parameters, DELTA + 16), delta2 = v128.load(parameters, DELTA + 32), delta3 = v128.load(parameters, DELTA + 48);
  // A seasonal state is one row on from the last; past the end of the season it begins again (backwards: the other way).
  const rows = states + 2 * LANE_BYTES;
  const secondRows = rows + <usize>season * LANE_BYTES;
  const isForward = stepBytes == LANE_BYTES;
  const last = <usize>(season - 1) * LANE_BYTES;
  const secondLast = <usize>(secondSeason - 1) * LANE_BYTES;
  const limit = isForward ? rows + last : rows;
  const restart = isForward ? rows : rows + last;
  const secondLimit = isForward ? secondRows + secondLast : secondRows;
  const secondRestart = isForward ? secondRows : secondRows + secondLast;
  let s = rows + <usize>phase * LANE_BYTES;
  let z = secondRows + <usize>secondPhase * LANE_BYTES;
  for (let i: i32 = 0; i < count; i++) {
    b0 = f64x2.mul(b0, phi0);
    l0 = f64x2.add(l0, b0);
    let e0 = v128.load(values);
    if (hasSeason) e0 = f64x2.sub(e0, v128.load(s));
    if (hasSecond) e0 = f64x2.sub(e0, v128.load(z));
    e0 = f64x2.sub(e0, l0);
    l0 = f64x2.add(l0, f64x2.mul(alpha0, e0));
    b0 = f64x2.add(b0, f64x2.mul(beta0, e0));
    if (hasSeason) v128.store(s, f64x2.add(v128.load(s), f64x2.mul(gamma0, e0)));
    if (hasSecond) v128.store(z, f64x2.add(v128.load(z), f64x2.mul(delta0, e0)));
    q0 = f64x2.add(q0, f64x2.mul(e0, e0));

    b1 = f64x2.mul(b1, phi1);
    l1 = f64x2.add(l1, b1);
    let e1 = v128.load(values, 16);
    if (hasSeason) e1 = f64x2.sub(e1, v128.load(s, 16));
    if (hasSecond) e1 = f64x2.sub(e1, v128.load(z, 16));
    e1 = f64x2.sub(e1, l1);
    l1 = f64x2.add(l1, f64x2.mul(alpha1, e1));
    b1 = f64x2.add(b1, f64x2.mul(beta1, e1));
    if (hasSeason) v128.store(s, f64x2.add(v128.load(s, 16), f64x2.mul(gamma1, e1)), 16);
    if (hasSecond) v128.store(z, f64x2.add(v128.load(z, 16), f64x2.mul(delta1, e1)), 16);
    q1 = f64x2.add(q1, f64x2.mul(e1, e1));

    b2 = f64x2.mul(b2, phi2);
    l2 = f64x2.add(l2, b2);
    let e2 = v128.load(values, 32);
    if (hasSeason) e2 = f64x2.sub(e2, v128.load(s, 32));
    if (hasSecond) e2 = f64x2.sub(e2, v128.load(z, 32));
    e2 = f64x2.sub(e2, l2);
    l2 = f64x2.add(l2, f64x2.mul(alpha2, e2));
    b2 = f64x2.add(b2, f64x2.mul(beta2, e2));
    if (hasSeason) v128.store(s, f64x2.add(v128.load(s, 32), f64x2.mul(gamma2, e2)), 32);
    if (hasSecond) v128.store(z, f64x2.add(v128.load(z, 32), f64x2.mul(delta2, e2)), 32);
    q2 = f64x2.add(q2, f64x2.mul(e2, e2));

    b3 = f64x2.mul(b3, phi3);
    l3 = f64x2.add(l3, b3);
    let e3 = v128.load(values, 48);
    if (hasSeason) e3 = f64x2.sub(e3, v128.load(s, 48));
    if (hasSecond) e3 = f64x2.sub(e3, v128.load(z, 48));
    e3 = f64x2.sub(e3, l3);
    l3 = f64x2.add(l3, f64x2.mul(alpha3, e3));
    b3 = f64x2.add(b3, f64x2.mul(beta3, e3));
    if (hasSeason) v128.store(s, f64x2.add(v128.load(s, 48), f64x2.mul(gamma3, e3)), 48);
    if (hasSecond) v128.store(z, f64x2.add(v128.load(z, 48), f64x2.mul(delta3, e3)), 48);
    q3 = f64x2.add(q3, f64x2.mul(e3, e3));

    values += stepBytes;
    if (hasSeason) s = s == limit ? restart : s + stepBytes;
    if (hasSecond) z = z == secondLimit ? secondRestart : z + stepBytes;
  }
  v128.store(states, l0);
  v128.store(states, l1, 16);
  v128.store(states, l2, 32);
  v128.store(states, l3, 48);
  v128.store(states, b0, 64);
  v128.store(states, b1, 80);
  v128.store(states, b2, 96);
  v128.store(states, b3, 112);
  v128.store(sums, q0);
  v128.store(sums, q1, 16);
  v128.store(sums, q2, 32);
  v128.store(sums, q3, 48);
}
