// What the LSTM reads and what it says, for load series: a step is a segment of SEGMENT windows, and the network does not
// forecast loads but corrects seasonal forecasts, of which it chooses the mixture.
//
// From every origin four seasonal forecasts are made: the last day again, the mean of up to 7 days, the last week again,
// the mean of up to 4 weeks. Their mean is the base b. With contrasts d_k = s_k - b, k = 0..2 (the fourth follows from
// them), a level m, a scale and the network's outputs r (a step each) and w (a band of steps each), the forecast is
//   b + scale (r + sum over k of w_k d_k / scale)
// All are log loads. An untrained network with r = w = 0 says b: it starts from the seasons and learns only what they miss.
// Each step is normalised by its own level, so that no step knows of what comes after it.
// @see Smyl, "A hybrid method of exponential smoothing and recurrent neural networks", 2020 (steps normalised by their own
// level); Lin et al., "SegRNN", 2023 (segments as steps); Montero-Manso et al., "FFORMA", 2020 (learnt mixtures)

import { CONTRASTS, paddedHorizon } from "./lstm-outputs";

/** Windows of a step. A day of hours, and no more for shorter windows: the seasons know the day, the steps what is new. */
const SEGMENT: i32 = 24;
const SEASONALS: i32 = 4;
const DAYS_MAX: i32 = 7;
const WEEKS_MAX: i32 = 4;
/** Sines and cosines of the day (1) and the week (2). */
const PHASES: i32 = 6;
/** An input: the segment, how the seasons missed it, how far each did, the change of level, the phases, 1. */
const INPUTS: i32 = 2 * SEGMENT + SEASONALS + 1 + PHASES + 1;
/** Spreads from the level; beyond, an input says no more than "extreme". */
const INPUT_MAX: f64 = 8;

export function lstmSegmentWindows(): i32 {
  return SEGMENT;
}

export function lstmInputCount(): i32 {
  return INPUTS;
}

/** Windows of history that a sequence needs before its origin. */
export function lstmLookback(steps: i32, dayWindows: i32): i32 {
  return steps * SEGMENT + (dayWindows > SEGMENT ? dayWindows : SEGMENT);
}

/** f64 of scratch that `lstmRow` and `lstmBase` need: seasonals and base, [SEASONALS + 1][width]. */
export function lstmScratchCount(horizon: i32): i32 {
  return (SEASONALS + 1) * scratchWidth(horizon);
}

// @ts-ignore: decorator
@inline
function scratchWidth(horizon: i32): i32 {
  const padded = paddedHorizon(horizon);
  return padded > SEGMENT ? padded : SEGMENT;
}

/** A week, or for short windows two days, at most a day of minutes: whole segments that level and spread are taken from. */
// @ts-ignore: decorator
@inline
function levelSegments(dayWindows: i32): i32 {
  let windows = 2 * dayWindows;
  if (windows > 1440) windows = 1440;
  if (windows < 168) windows = 168;
  return (windows + SEGMENT - 1) / SEGMENT;
}

/** Mean of `cycles` cycles before the origin by phase, repeated over `count` steps (up to one more is written). */
// @ts-ignore: decorator
@inline
function cycleMean(origin: usize, cycle: i32, cycles: i32, count: i32, out: usize): void {
  const cycleBytes = (<usize>cycle) << 3;
  const share = f64x2.splat(1.0 / <f64>cycles);
  const once = count < cycle ? count : cycle;
  for (let i: i32 = 0; i < once; i += 2) {
    const offset = (<usize>i) << 3;
    let at = origin - cycleBytes + offset;
    let sum = v128.load(at);
    for (let k: i32 = 1; k < cycles; k++) {
      at -= cycleBytes;
      sum = f64x2.add(sum, v128.load(at));
    }
    v128.store(out + offset, f64x2.mul(sum, share));
  }
  for (let i = cycle; i < count; i++) {
    const at = out + ((<usize>i) << 3);
    store<f64>(at, load<f64>(at - cycleBytes));
  }
}

/**
 * Seasonal forecasts of `count` (even) steps and, behind them, their mean.
 * @param seriesPtr f64[], one series; windows before `originWindow` are read
 * @param scratchPtr f64[SEASONALS + 1][width]
 */
// @ts-ignore: decorator
@inline
function seasonals(
  seriesPtr: usize, originWindow: i32, dayWindows: i32, weekWindows: i32, count: i32, scratchPtr: usize, widthBytes: usize,
): void {
  const origin = seriesPtr + ((<usize>originWindow) << 3);
  let days = originWindow / dayWindows;
  if (days > DAYS_MAX) days = DAYS_MAX;
  let weeks = originWindow / weekWindows;
  if (weeks > WEEKS_MAX) weeks = WEEKS_MAX;
  cycleMean(origin, dayWindows, 1, count, scratchPtr);
  cycleMean(origin, dayWindows, days, count, scratchPtr + widthBytes);
  const week = scratchPtr + 2 * widthBytes;
  // Before there is a week, what is known of weeks is what is known of days.
  if (weeks > 0) {
    cycleMean(origin, weekWindows, 1, count, week);
    cycleMean(origin, weekWindows, weeks, count, week + widthBytes);
  } else memory.copy(week, scratchPtr, 2 * widthBytes);
  const base = scratchPtr + <usize>SEASONALS * widthBytes;
  const quarter = f64x2.splat(0.25);
  for (let at: usize = 0; at < ((<usize>count) << 3); at += 16) {
    const pair = scratchPtr + at;
    const low = f64x2.add(v128.load(pair), v128.load(pair + widthBytes));
    const high = f64x2.add(v128.load(pair + 2 * widthBytes), v128.load(pair + 3 * widthBytes));
    v128.store(base + at, f64x2.mul(f64x2.add(low, high), quarter));
  }
}

/** The base forecast of `horizon` steps of one series, into the last row of scratch: f64[horizon]. Returns its address. */
export function lstmBase(
  seriesPtr: usize, origin: i32, dayWindows: i32, weekWindows: i32, horizon: i32, scratchPtr: usize,
): usize {
  assert(origin >= dayWindows && dayWindows > 0 && horizon > 0, "a base needs a day of history");
  const widthBytes = (<usize>scratchWidth(horizon)) << 3;
  seasonals(seriesPtr, origin, dayWindows, weekWindows, (horizon + 1) & ~1, scratchPtr, widthBytes);
  return scratchPtr + <usize>SEASONALS * widthBytes;
}

/** Mean of the last segments before `end` (a window), as many as there are up to `segments`. */
// @ts-ignore: decorator
@inline
function levelOf(seriesPtr: usize, end: i32, segments: i32): f64 {
  const available = end / SEGMENT;
  const windows = SEGMENT * (available < segments ? available : segments);
  const endPtr = seriesPtr + ((<usize>end) << 3);
  let sum = f64x2.splat(0);
  for (let at = endPtr - ((<usize>windows) << 3); at < endPtr; at += 16) sum = f64x2.add(sum, v128.load(at));
  return lanesTotal(sum) / <f64>windows;
}

// @ts-ignore: decorator
@inline
function deviationOf(seriesPtr: usize, end: i32, segments: i32, level: f64): f64 {
  const available = end / SEGMENT;
  const windows = SEGMENT * (available < segments ? available : segments);
  const endPtr = seriesPtr + ((<usize>end) << 3);
  const center = f64x2.splat(level);
  let sum = f64x2.splat(0);
  for (let at = endPtr - ((<usize>windows) << 3); at < endPtr; at += 16)
    sum = f64x2.add(sum, f64x2.abs(f64x2.sub(v128.load(at), center)));
  return lanesTotal(sum) / <f64>windows;
}

// @ts-ignore: decorator
@inline
function lanesTotal(sum: v128): f64 {
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/** Two f64, normalised and cut to +-INPUT_MAX, as two f32. */
// @ts-ignore: decorator
@inline
function storeInputs(value: v128, center: v128, inverse: v128, out: usize): void {
  const x = f64x2.mul(f64x2.sub(value, center), inverse);
  const cut = f64x2.pmin(f64x2.pmax(x, f64x2.splat(-INPUT_MAX)), f64x2.splat(INPUT_MAX));
  store<f64>(out, f64x2.extract_lane(f32x4.demote_f64x2_zero(cut), 0));
}

// @ts-ignore: decorator
@inline
function cutInput(value: f64): f32 {
  return <f32>(value > INPUT_MAX ? INPUT_MAX : value < -INPUT_MAX ? -INPUT_MAX : value);
}

/**
 * Writes one sequence of one series: inputs of every step, and contrasts and targets of the steps that the head is read at.
 * @param seriesPtr f64[], log loads of the series; windows before `origin` are inputs, those before `known` targets
 * @param outagesPtr u8[known]: 1 where a window was an outage, which is no target; or 0
 * @param origin first window after the sequence, >= lstmLookback
 * @param phasesPtr f32[weekWindows][PHASES]; `phase` is that of window 0, in windows of the week
 * @param inputsPtr f32[steps][INPUTS]
 * @param contrastsPtr f32[steps - firstOutput][CONTRASTS][padded horizon]
 * @param targetsPtr f32[steps - firstOutput][padded horizon], NaN where nothing is known; or 0
 * @param scratchPtr f64[lstmScratchCount]; keeps the base of the last step as its last row
 * @returns spread before the origin + spreadFloor: the scale of contrasts and targets
 */
export function lstmRow(
  seriesPtr: usize, known: i32, outagesPtr: usize, origin: i32, dayWindows: i32, weekWindows: i32, phasesPtr: usize,
  phase: i32, steps: i32, firstOutput: i32, horizon: i32, spreadFloor: f64, inputsPtr: usize, contrastsPtr: usize,
  targetsPtr: usize, scratchPtr: usize,
): f64 {
  assert(dayWindows > 0 && weekWindows > 0 && phase >= 0 && spreadFloor > 0, "there are a day and a week");
  assert(origin >= lstmLookback(steps, dayWindows) && origin <= known, "a sequence lies inside the history");
  assert(firstOutput >= 0 && firstOutput < steps && horizon > 0, "outputs begin inside the sequence");
  const segments = levelSegments(dayWindows);
  const padded = paddedHorizon(horizon);
  const widthBytes = (<usize>scratchWidth(horizon)) << 3;
  const base = scratchPtr + <usize>SEASONALS * widthBytes;
  const scale = deviationOf(seriesPtr, origin, segments, levelOf(seriesPtr, origin, segments)) + spreadFloor;
  const inverse = 1 / scale;
  let end = origin - steps * SEGMENT;
  let level = levelOf(seriesPtr, end, segments);
  seasonals(seriesPtr, end, dayWindows, weekWindows, SEGMENT, scratchPtr, widthBytes);
  for (let step: i32 = 0; step < steps; step++) {
    const at = seriesPtr + ((<usize>end) << 3);
    end += SEGMENT;
    const before = level;
    level = levelOf(seriesPtr, end, segments);
    writeSegment(at, level, inverse, scratchPtr, widthBytes, inputsPtr);
    const rest = inputsPtr + ((<usize>(2 * SEGMENT + SEASONALS)) << 2);
    store<f32>(rest, cutInput((level - before) * inverse));
    memory.copy(rest + 4, phasesPtr + ((<usize>(((phase + end) % weekWindows) * PHASES)) << 2), (<usize>PHASES) << 2);
    store<f32>(rest + ((<usize>(1 + PHASES)) << 2), 1);
    inputsPtr += (<usize>INPUTS) << 2;
    const isOutput = step >= firstOutput;
    // The same seasonals serve this step's outputs and the next step's inputs.
    const count = isOutput && padded > SEGMENT ? padded : SEGMENT;
    seasonals(seriesPtr, end, dayWindows, weekWindows, count, scratchPtr, widthBytes);
    if (!isOutput) continue;
    writeContrasts(inverse, scratchPtr, widthBytes, base, padded, contrastsPtr);
    contrastsPtr += (<usize>(CONTRASTS * padded)) << 2;
    if (targetsPtr == 0) continue;
    writeTargets(seriesPtr, end, known, outagesPtr, inverse, base, horizon, padded, targetsPtr);
    targetsPtr += (<usize>padded) << 2;
  }
  return scale;
}

/** The windows of a segment less their level, less their base, and how far each seasonal was off on average. */
// @ts-ignore: decorator
@inline
function writeSegment(
  at: usize, level: f64, inverse: f64, scratchPtr: usize, widthBytes: usize, out: usize,
): void {
  const base = scratchPtr + <usize>SEASONALS * widthBytes;
  const center = f64x2.splat(level);
  const factor = f64x2.splat(inverse);
  const segmentBytes = (<usize>SEGMENT) << 3;
  for (let offset: usize = 0; offset < segmentBytes; offset += 16) {
    const value = v128.load(at + offset);
    storeInputs(value, center, factor, out + (offset >> 1));
    storeInputs(value, v128.load(base + offset), factor, out + ((segmentBytes + offset) >> 1));
  }
  for (let k: i32 = 0; k < SEASONALS; k++) {
    const seasonal = scratchPtr + <usize>k * widthBytes;
    let sum = f64x2.splat(0);
    for (let offset: usize = 0; offset < segmentBytes; offset += 16)
      sum = f64x2.add(sum, f64x2.abs(f64x2.sub(v128.load(at + offset), v128.load(seasonal + offset))));
    store<f32>(out + segmentBytes + ((<usize>k) << 2), cutInput((lanesTotal(sum) * inverse) / <f64>SEGMENT));
  }
}

// @ts-ignore: decorator
@inline
function writeContrasts(
  inverse: f64, scratchPtr: usize, widthBytes: usize, base: usize, padded: i32, out: usize,
): void {
  const factor = f64x2.splat(inverse);
  const bytes = (<usize>padded) << 3;
  for (let k: i32 = 0; k < CONTRASTS; k++) {
    for (let offset: usize = 0; offset < bytes; offset += 16)
      storeInputs(v128.load(scratchPtr + offset), v128.load(base + offset), factor, out + (offset >> 1));
    scratchPtr += widthBytes;
    out += bytes >> 1;
  }
}

// @ts-ignore: decorator
@inline
function writeTargets(
  seriesPtr: usize, origin: i32, known: i32, outagesPtr: usize, inverse: f64, base: usize, horizon: i32, padded: i32,
  out: usize,
): void {
  for (let i: i32 = 0; i < padded; i++) {
    const window = origin + i;
    let target: f32 = NaN;
    const isKnown = i < horizon && window < known && (outagesPtr == 0 || load<u8>(outagesPtr + <usize>window) == 0);
    if (isKnown) {
      const value = load<f64>(seriesPtr + ((<usize>window) << 3));
      target = <f32>((value - load<f64>(base + ((<usize>i) << 3))) * inverse);
    }
    store<f32>(out + ((<usize>i) << 2), target);
  }
}
