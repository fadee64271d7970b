// The Delta part of Card: no regression, only recent cycles, the newest ones first, and how the level has moved since.

import { fillPeriods } from "./periods";

/** Share of the last day's distance from its weekly profile that a forecast keeps: most of a level's moves last. */
const WEEK_LEVEL_SHARE: f64 = 0.9;
/** The same for the daily profile: half, since part of that distance is only another weekday. */
const DAY_LEVEL_SHARE: f64 = 0.5;

/**
 * out = (weekly + daily) / 2, each a profile of the last cycles plus a share of the last day's distance from the profile
 * before it. Weights of weeks are 4, 2, 1, of days 9, 3, 2, 1, newest first, as far as history goes; without a whole week
 * and a day, daily alone.
 * @param endPtr one past the last of f64[length] windows, length >= 2 * day
 * @param scratchPtr f64[horizon]
 * @param outPtr f64[horizon]
 */
export function deltaForecast(
  endPtr: usize, length: i32, day: i32, week: i32, horizon: i32, scratchPtr: usize, outPtr: usize,
): void {
  assert(day > 0 && week >= day && horizon > 0 && length >= 2 * day, "two days show how the level moves");
  const days = min(4, length / day - 1);
  profileForecast(endPtr, day, days, 9, 3, 2, 1, day, DAY_LEVEL_SHARE, horizon, outPtr);
  const weeks = min(3, (length - day) / week);
  if (weeks == 0) return;
  profileForecast(endPtr, week, weeks, 4, 2, 1, 0, day, WEEK_LEVEL_SHARE, horizon, scratchPtr);
  for (let h: i32 = 0; h < horizon; h++) {
    const at = (<usize>h) << 3;
    store<f64>(outPtr + at, 0.5 * (load<f64>(outPtr + at) + load<f64>(scratchPtr + at)));
  }
}

/** Profile of up to four cycles by phase, moved by `share` of the mean distance of the last day from the same before it. */
function profileForecast(
  endPtr: usize, season: i32, cycles: i32, w0: f64, w1: f64, w2: f64, w3: f64, day: i32, share: f64, horizon: i32, outPtr: usize,
): void {
  const total = w0 + (cycles > 1 ? w1 : 0.0) + (cycles > 2 ? w2 : 0.0) + (cycles > 3 ? w3 : 0.0);
  const phases = min(season, horizon);
  let distance: f64 = 0;
  for (let i: i32 = 1; i <= day; i++) {
    const at = endPtr - ((<usize>i) << 3);
    distance += load<f64>(at) - profileAt(at, season, cycles, w0, w1, w2, w3) / total;
  }
  const shift = (share * distance) / <f64>day;
  for (let h: i32 = 0; h < phases; h++) {
    const at = (<usize>h) << 3;
    store<f64>(outPtr + at, profileAt(endPtr + at, season, cycles, w0, w1, w2, w3) / total + shift);
  }
  fillPeriods(outPtr, season, horizon);
}

/** Weighted sum of the values one, two .. `cycles` seasons before `at`. */
// @ts-ignore: decorator
@inline
function profileAt(at: usize, season: i32, cycles: i32, w0: f64, w1: f64, w2: f64, w3: f64): f64 {
  const back = (<usize>season) << 3;
  let sum = w0 * load<f64>(at - back);
  if (cycles > 1) sum += w1 * load<f64>(at - 2 * back);
  if (cycles > 2) sum += w2 * load<f64>(at - 3 * back);
  if (cycles > 3) sum += w3 * load<f64>(at - 4 * back);
  return sum;
}
