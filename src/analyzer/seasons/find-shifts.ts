import { ForeshardError } from '../../base/errors.ts';
import { incompleteBeta } from '../distributions.ts';
import { profileOf, withoutProfile } from './fold.ts';
import { medianOf, robustDeviation } from './order-statistics.ts';
import { type PreparedRow, type WindowMask, withSums } from './prepared-row.ts';
import { changePoints, meanOver, type Sums, sumsOf } from './segmentation.ts';

/** A lasting change of level. */
export interface Shift {
  /** The first window of the new level. */
  readonly window: number;
  /** New level - old one, units of the values: 0.69 in log loads is a doubling. */
  readonly size: number;
  /** 1 - probability that the series drifts as far by itself somewhere, 0..1. */
  readonly confidence: number;
}

export interface ShiftOptions {
  /** What the series repeats, so that a morning is no change of level. */
  readonly seasons?: readonly { readonly period: number }[];
  readonly mask?: WindowMask;
  /** A level lasts at least so long, windows, 6 at least; what is shorter is a burst. */
  readonly segmentMin?: number;
  /** How often a shift may be found in a series without any. */
  readonly significance?: number;
}

interface KnownValues {
  readonly values: Float64Array;
  /** 1 where the value is known, else 0. */
  readonly weights: Float64Array;
}

/** A day of hours. */
const SEGMENT_MIN_DEFAULT = 24;
const SIGNIFICANCE_DEFAULT = 0.01;
/** Cuts that are tested; each test compares with all places of the series. */
const CUTS_MAX = 32;
/** Means of fewer windows are too rough to tell a level from noise. */
const SEGMENT_FLOOR = 6;
/** Stretches are cut on a grid of this share of the shortest one, which makes the search quadratic in little. */
const GRID_SHARE = 4;
/** Penalty of a boundary in long-run variances and log grid cells; generous, the test for significance comes after. */
const PENALTY_FACTOR = 3;
/** A mean over this share of the series is compared with as many others as its significance needs. */
const COMPARED_SHARE = 1 / 16;

/**
 * Lasting changes of level, as most loads have when a release or a tenant comes or goes.
 *
 * Seasons are taken out, single spikes by a running median, and the rest is cut by PELT. A cut counts only if the step
 * over it is one that the series does not make elsewhere: it is compared with the steps over all other places, between
 * means of equally long stretches. So a random walk, which drifts everywhere, has no shifts.
 *
 * @param values f64[window], log loads for sizes that are factors. NaN counts as masked.
 * @throws ForeshardError FORESHARD_CONFIG when the mask is of another length.
 */
export function findShifts(values: Float64Array, options: ShiftOptions = {}): Shift[] {
  const { mask, significance = SIGNIFICANCE_DEFAULT } = options;
  const segmentMin = Math.max(SEGMENT_FLOOR, options.segmentMin ?? SEGMENT_MIN_DEFAULT);
  if (mask !== undefined && mask.length !== values.length)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `the mask has ${mask.length} windows, the series ${values.length}`,
    );
  if (values.length < 4 * segmentMin) return [];
  const weights = values.map((value, t) => (Number.isFinite(value) && !mask?.[t] ? 1 : 0));
  const known = withSums(
    values.map((value, t) => (weights[t] ? value : 0)),
    weights,
  );
  let shifts: Shift[] = [];
  // A shift blurs the seasons around it, and they it: once more with the shifts of the first look taken out of the seasons.
  for (let look = 0; look < 2; look++) {
    const rest = withoutSeasons(known, options.seasons ?? [], shifts);
    shifts = significantShifts(rest, segmentMin, significance);
    if (shifts.length === 0 || (options.seasons ?? []).length === 0) break;
  }
  return shifts;
}

function withoutSeasons(
  row: PreparedRow,
  seasons: readonly { readonly period: number }[],
  shifts: readonly Shift[],
): KnownValues {
  let rest = row;
  const levels = row.values.map((value, t) =>
    shifts.reduce((left, { window, size }) => (row.weights[t] && t >= window ? left - size : left), value),
  );
  let steady = withSums(levels, row.weights);
  for (const { period } of [...seasons].sort((a, b) => a.period - b.period)) {
    if (!(period >= 2 && period <= row.values.length / 2)) continue;
    const profile = profileOf(steady, period);
    steady = withoutProfile(steady, profile);
    rest = withoutProfile(rest, profile);
  }
  return { values: runningMedian(rest), weights: rest.weights };
}

/** Of five windows: spikes of one or two go, edges stay. */
function runningMedian({ values, weights }: KnownValues): Float64Array {
  const n = values.length;
  return values.map((value, t) => {
    if (weights[t] === 0) return value;
    const near: number[] = [];
    for (let u = Math.max(0, t - 2); u <= Math.min(n - 1, t + 2); u++)
      if (weights[u] === 1) near.push(values[u] as number);
    return medianOf(Float64Array.from(near));
  });
}

/** Bursts put aside in one series before their number says that it is nothing but bursts. */
const BURSTS_MAX = 16;

function significantShifts(row: KnownValues, segmentMin: number, significance: number): Shift[] {
  let weights = row.weights;
  for (let bursts = 0; ; bursts++) {
    const sums = sumsOf(row.values, weights);
    const cuts = coarseCuts({ values: row.values, weights }, sums, segmentMin).map((cut) =>
      sharpened(sums, cut, segmentMin),
    );
    const burst = cuts.findIndex((cut, i) => (cuts[i + 1] as number) - cut < segmentMin);
    if (burst < 0 || bursts === BURSTS_MAX) return confirmed(sums, cuts, { segmentMin, significance });
    // Up and down again within less than a level lasts: looked away from, like an outage.
    const [first, end] = [cuts[burst] as number, cuts[burst + 1] as number];
    weights = weights.map((weight, t) => (t >= first && t < end ? 0 : weight));
  }
}

/** The cuts that stand the test; the weakest goes first, since without it its neighbours have longer stretches to show themselves on. */
function confirmed(
  sums: Sums,
  candidates: readonly number[],
  { segmentMin, significance }: { readonly segmentMin: number; readonly significance: number },
): Shift[] {
  const n = sums.weight.length - 1;
  let cuts = [...candidates];
  for (;;) {
    const edges = [0, ...cuts, n];
    const shifts = cuts.map((window, i): Shift => {
      const room = Math.min(window - (edges[i] as number), (edges[i + 2] as number) - window);
      const width = Math.min(room, Math.max(segmentMin, Math.floor(n * COMPARED_SHARE)));
      return { window, ...stepAt(sums, { window, width, cuts }) };
    });
    const weakest = shifts.reduce<Shift | undefined>(
      (least, shift) => (least === undefined || shift.confidence < least.confidence ? shift : least),
      undefined,
    );
    if (weakest === undefined || weakest.confidence >= 1 - significance) return shifts;
    cuts = cuts.filter((cut) => cut !== weakest.window);
  }
}

/** PELT on means over grid cells. */
function coarseCuts({ values, weights }: KnownValues, sums: Sums, segmentMin: number): number[] {
  const cell = Math.max(1, Math.floor(segmentMin / GRID_SHARE));
  const count = Math.floor(values.length / cell);
  const means = new Float64Array(count);
  const known = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    means[i] = meanOver(sums, i * cell, (i + 1) * cell);
    for (let t = i * cell; t < (i + 1) * cell; t++)
      known[i] = (known[i] as number) + (weights[t] as number) / cell;
  }
  // Variance of a cell's mean that lasts: from steps between neighbouring stretches, which shifts hardly touch.
  const steps = stepsOver(sums, segmentMin, values.length);
  const longRun = (robustDeviation(steps) ** 2 / 2) * (segmentMin / cell);
  if (!(longRun > 0)) return [];
  const cellsMin = Math.ceil(segmentMin / cell);
  const cells = sumsOf(means, known);
  // A series that is all steps has no level to speak of: only its greatest ones are worth a test.
  for (let penalty = PENALTY_FACTOR * longRun * Math.log(Math.max(2, count)); ; penalty *= 2) {
    const starts = changePoints(cells, { penalty, segmentMin: cellsMin });
    if (starts.length <= CUTS_MAX) return starts.map((start) => start * cell);
  }
}

/** The place near a cut where the means before and after differ most, for their lengths. */
function sharpened(sums: Sums, cut: number, segmentMin: number): number {
  const n = sums.weight.length - 1;
  const first = Math.max(0, cut - segmentMin);
  const end = Math.min(n, cut + segmentMin);
  let [best, bestGain] = [cut, -1];
  const reach = Math.ceil(segmentMin / 2);
  for (let at = Math.max(first + 1, cut - reach); at <= Math.min(end - 1, cut + reach); at++) {
    const before = (sums.weight[at] as number) - (sums.weight[first] as number);
    const after = (sums.weight[end] as number) - (sums.weight[at] as number);
    if (before === 0 || after === 0) continue;
    const difference = meanOver(sums, at, end) - meanOver(sums, first, at);
    const gain = (difference ** 2 * before * after) / (before + after);
    if (gain > bestGain) [best, bestGain] = [at, gain];
  }
  return best;
}

/** f64[place]: mean of the `width` windows after every place - that of those before. */
function stepsOver(sums: Sums, width: number, n: number): Float64Array {
  return Float64Array.from({ length: Math.max(0, n - 2 * width + 1) }, (_, i) => {
    const at = i + width;
    return meanOver(sums, at, at + width) - meanOver(sums, at - width, at);
  });
}

/** Places that a cut could have been at, for each mean's width, the best of which was chosen; set so that noise keeps the significance. */
const PLACES_PER_WIDTH = 8;

function stepAt(
  sums: Sums,
  {
    window,
    width,
    cuts,
  }: { readonly window: number; readonly width: number; readonly cuts: readonly number[] },
): { readonly size: number; readonly confidence: number } {
  const n = sums.weight.length - 1;
  const size = meanOver(sums, window, window + width) - meanOver(sums, window - width, window);
  const elsewhere = stepsOver(sums, width, n).filter((_, i) =>
    cuts.every((cut) => Math.abs(i + width - cut) >= width),
  );
  // Steps less than a width apart share most of their windows.
  const independent = elsewhere.length / width;
  // With too little of the series left undisturbed there is nothing to compare with.
  if (independent < 4) return { size, confidence: 0 };
  const deviation = robustDeviation(elsewhere);
  if (deviation === 0) return { size, confidence: size === 0 ? 0 : 1 };
  // Student's t: the deviation is an estimate from so many steps.
  const tail = incompleteBeta(independent / (independent + (size / deviation) ** 2), independent / 2, 0.5);
  return { size, confidence: Math.max(0, 1 - ((PLACES_PER_WIDTH * n) / width) * tail) };
}
