// Exponential smoothing in its innovations form with additive errors, ETS(A, N|A|Ad, N|A), eight filters at a time:
//
//   e(t) = y(t) - l - phi b - s(t - m)      level l, trend b, seasonal states s, damping phi
//   l' = l + phi b + alpha e,   b' = phi b + beta e,   s'(t) = s(t - m) + gamma e
//
// (Hyndman, Koehler, Ord & Snyder, "Forecasting with exponential smoothing: the state space approach", 2008, table 2.2.)
// On logarithms it is smoothing with multiplicative trend, season and errors.
//
// A recursion waits for its own last result; eight independent ones side by side hide that. So everything comes in tiles
// of LANES = 8 f64, one cache line a time step: values[t][lane]. The lanes are eight series, or eight candidates for the
// parameters of one series whose values stand in all lanes: the code is the same.

/** f64 of one time step: filters that run side by side. */
const LANES: i32 = 8;
const LANE_BYTES: usize = <usize>LANES << 3;

// Offsets into parameters f64[4][LANES].
const ALPHA: usize = 0;
const BETA: usize = LANE_BYTES;
const GAMMA: usize = 2 * LANE_BYTES;
const PHI: usize = 3 * LANE_BYTES;

export function etsLanes(): i32 {
  return LANES;
}

/**
 * Filters values and leaves the states after the last one; adds up e(t)^2 of t >= `burnIn`.
 *
 * @param valuesPtr f64[blockCount][length][LANES]
 * @param season m; 0 without one. State and time are in step: the seasonal state of t is number t mod m
 * @param hasTrend 0 leaves out b; beta and phi are then not read
 * @param parametersPtr f64[blockCount][4][LANES]: alpha, beta, gamma, phi (1 is a trend without damping)
 * @param statesPtr f64[blockCount][2 + season][LANES]: level, trend, seasonal; in: before the first value, out: after the last
 * @param sumsPtr f64[blockCount][LANES]: sums of squared errors
 */
export function etsFilter(
  valuesPtr: usize, blockCount: i32, length: i32, burnIn: i32, season: i32, hasTrend: i32, parametersPtr: usize,
  statesPtr: usize, sumsPtr: usize,
): void {
  assert(length >= 0 && burnIn >= 0 && season >= 0, "counts are not negative");
  const stateBytes = <usize>(2 + season) * LANE_BYTES;
  for (let block: i32 = 0; block < blockCount; block++) {
    memory.fill(sumsPtr, 0, LANE_BYTES);
    // Season by season, so that seasonal states are walked through without a division.
    const cycle = season > 0 ? season : length;
    for (let first: i32 = 0; first < length; ) {
      let end = min(first + cycle, length);
      // The error sum starts anew at the end of the burn-in; a cycle that it falls into is cut in two.
      if (first < burnIn && burnIn < end) end = burnIn;
      const values = valuesPtr + <usize>first * LANE_BYTES;
      const seasonal = statesPtr + (season > 0 ? <usize>(2 + first % season) * LANE_BYTES : 0);
      const count = season > 0 ? min(end - first, season - (first % season)) : end - first;
      if (hasTrend != 0) {
        if (season > 0) filterCycle(values, count, true, true, parametersPtr, statesPtr, seasonal, sumsPtr);
        else filterCycle(values, count, true, false, parametersPtr, statesPtr, seasonal, sumsPtr);
      } else if (season > 0) filterCycle(values, count, false, true, parametersPtr, statesPtr, seasonal, sumsPtr);
      else filterCycle(values, count, false, false, parametersPtr, statesPtr, seasonal, sumsPtr);
      first += count;
      if (first == burnIn) memory.fill(sumsPtr, 0, LANE_BYTES);
    }
    valuesPtr += <usize>length * LANE_BYTES;
    parametersPtr += 4 * LANE_BYTES;
    statesPtr += stateBytes;
    sumsPtr += LANE_BYTES;
  }
}

/** At most one season of values; four vectors of two lanes, each with its own chain of states. */
// @ts-ignore: decorator
@inline
function filterCycle(
  values: usize, count: i32, hasTrend: bool, hasSeason: bool, parameters: usize, states: usize, seasonal: usize, sums: usize,
): void {
  let l0 = v128.load(states), l1 = v128.load(states, 16), l2 = v128.load(states, 32), l3 = v128.load(states, 48);
  let b0 = v128.load(states, 64), b1 = v128.load(states, 80), b2 = v128.load(states, 96), b3 = v128.load(states, 112);
  let q0 = v128.load(sums), q1 = v128.load(sums, 16), q2 = v128.load(sums, 32), q3 = v128.load(sums, 48);
  const end = values + <usize>count * LANE_BYTES;
  for (; values < end; values += LANE_BYTES) {
    let e0 = v128.load(values), e1 = v128.load(values, 16), e2 = v128.load(values, 32), e3 = v128.load(values, 48);
    if (hasTrend) {
      b0 = f64x2.mul(b0, v128.load(parameters, PHI));
      b1 = f64x2.mul(b1, v128.load(parameters, PHI + 16));
      b2 = f64x2.mul(b2, v128.load(parameters, PHI + 32));
      b3 = f64x2.mul(b3, v128.load(parameters, PHI + 48));
      l0 = f64x2.add(l0, b0);
      l1 = f64x2.add(l1, b1);
      l2 = f64x2.add(l2, b2);
      l3 = f64x2.add(l3, b3);
    }
    if (hasSeason) {
      // y - s does not wait for the last step's states: the chain is one subtraction shorter.
      e0 = f64x2.sub(e0, v128.load(seasonal));
      e1 = f64x2.sub(e1, v128.load(seasonal, 16));
      e2 = f64x2.sub(e2, v128.load(seasonal, 32));
      e3 = f64x2.sub(e3, v128.load(seasonal, 48));
    }
    e0 = f64x2.sub(e0, l0);
    e1 = f64x2.sub(e1, l1);
    e2 = f64x2.sub(e2, l2);
    e3 = f64x2.sub(e3, l3);
    l0 = f64x2.add(l0, f64x2.mul(v128.load(parameters, ALPHA), e0));
    l1 = f64x2.add(l1, f64x2.mul(v128.load(parameters, ALPHA + 16), e1));
    l2 = f64x2.add(l2, f64x2.mul(v128.load(parameters, ALPHA + 32), e2));
    l3 = f64x2.add(l3, f64x2.mul(v128.load(parameters, ALPHA + 48), e3));
    if (hasTrend) {
      b0 = f64x2.add(b0, f64x2.mul(v128.load(parameters, BETA), e0));
      b1 = f64x2.add(b1, f64x2.mul(v128.load(parameters, BETA + 16), e1));
      b2 = f64x2.add(b2, f64x2.mul(v128.load(parameters, BETA + 32), e2));
      b3 = f64x2.add(b3, f64x2.mul(v128.load(parameters, BETA + 48), e3));
    }
    if (hasSeason) {
      v128.store(seasonal, f64x2.add(v128.load(seasonal), f64x2.mul(v128.load(parameters, GAMMA), e0)));
      v128.store(seasonal, f64x2.add(v128.load(seasonal, 16), f64x2.mul(v128.load(parameters, GAMMA + 16), e1)), 16);
      v128.store(seasonal, f64x2.add(v128.load(seasonal, 32), f64x2.mul(v128.load(parameters, GAMMA + 32), e2)), 32);
      v128.store(seasonal, f64x2.add(v128.load(seasonal, 48), f64x2.mul(v128.load(parameters, GAMMA + 48), e3)), 48);
      seasonal += LANE_BYTES;
    }
    q0 = f64x2.add(q0, f64x2.mul(e0, e0));
    q1 = f64x2.add(q1, f64x2.mul(e1, e1));
    q2 = f64x2.add(q2, f64x2.mul(e2, e2));
    q3 = f64x2.add(q3, f64x2.mul(e3, e3));
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
