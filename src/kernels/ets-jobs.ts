import { CANDIDATES } from './ets-search.ts';
import { type EtsFit, type EtsPlan, EtsWorkspace, seasonCountOf } from './ets-workspace.ts';
import type { Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';
import { liftToZero } from './series-rows.ts';

/** f64 that a fitted series takes: number of seasons (NaN: nothing was fitted), alpha, beta, phi, gamma, delta, loss. */
export const ETS_FIT_WIDTH = 7;

export interface EtsJobParameters {
  readonly plan: EtsPlan;
  /** f64[count][stride]: log loads of the first series to take. */
  readonly series: Pointer;
  readonly stride: number;
  readonly count: number;
  /** Windows of history; the last `plan.windows` of them are read. */
  readonly length: number;
  /** A block of `EtsWorkspace.bytes(plan)`. */
  readonly scratch: Pointer;
  /** f64[count][ETS_FIT_WIDTH]. */
  readonly fits: Pointer;
}

/** Fits each series by itself; returns how many it got through before it was cancelled. */
const etsFit: Job<EtsJobParameters, { readonly fittedCount: number }> = {
  run(context, { plan, series, stride, count, length, scratch, fits }) {
    const first = series + (length - plan.windows) * 8;
    const workspace = new EtsWorkspace(context, plan, scratch);
    for (let index = 0; index < count; index++) {
      if (context.isCancelled()) return { fittedCount: index };
      workspace.takeOne(first + index * stride * 8);
      writeFit(context, fits, index, workspace.fit());
    }
    return { fittedCount: count };
  },
  warmUp(context, scratch) {
    const windows = 96;
    const series = new Float64Array(context.buffer, scratch.pointer, windows);
    series.forEach((_, i) => {
      series[i] = ((i * 7919) % 101) / 101;
    });
    const plan: EtsPlan = {
      windows,
      startWindows: 48,
      backcastWindows: 48,
      levelWindows: 4,
      season: 4,
      secondSeason: 12,
      leads: [1, 3, 6],
      spacing: 5,
      rounds: 8,
    };
    const fits = scratch.pointer + windows * 8;
    const parameters = { plan, series: scratch.pointer, stride: windows, count: 1, length: windows, fits };
    for (let repeat = 0; repeat < 40; repeat++)
      etsFit.run(context, { ...parameters, scratch: fits + ETS_FIT_WIDTH * 8 });
  },
};

/** A series without a fit is remembered as NaN seasons. */
export function writeFit(
  { buffer }: JobContext,
  fits: Pointer,
  index: number,
  fit: EtsFit | undefined,
): void {
  const out = new Float64Array(buffer, fits + index * ETS_FIT_WIDTH * 8, ETS_FIT_WIDTH);
  if (fit === undefined) {
    out.fill(Number.NaN);
    return;
  }
  const { alpha, beta, phi, gamma, delta } = fit.parameters;
  out.set([fit.seasonCount, alpha, beta, phi, gamma, delta, fit.loss]);
}

/** undefined where nothing was fitted, or with a season that is no longer there. */
export function readFit(
  { buffer }: JobContext,
  { plan, fits }: EtsJobParameters,
  index: number,
): EtsFit | undefined {
  const [seasonCount, alpha, beta, phi, gamma, delta, loss] = new Float64Array(
    buffer,
    fits + index * ETS_FIT_WIDTH * 8,
    ETS_FIT_WIDTH,
  ) as unknown as [number, number, number, number, number, number, number];
  const isUsable = seasonCount >= 0 && seasonCount <= seasonCountOf(plan);
  return isUsable ? { seasonCount, parameters: { alpha, beta, phi, gamma, delta }, loss } : undefined;
}

export interface EtsPredictParameters extends EtsJobParameters {
  readonly horizon: number;
  /** Windows, at most `length`: where nothing was fitted, the last cycle of so many is repeated. */
  readonly naiveSeason: number;
  /** f64[count][horizon]. */
  readonly out: Pointer;
}

/** Filters the last windows with the fitted parameters, eight series at a time, and writes what comes next. */
const etsPredict: Job<EtsPredictParameters, null> = {
  run(context, parameters) {
    const { plan, series, stride, count, length, horizon, out } = parameters;
    const workspace = new EtsWorkspace(context, plan, parameters.scratch);
    const fits = Array.from({ length: count }, (_, index) => readFit(context, parameters, index));
    // Series of one form share a tile: a season that is not there would cost as much as one that is.
    for (let seasonCount = 0; seasonCount <= seasonCountOf(plan); seasonCount++) {
      const alike = [...fits.keys()].filter((index) => fits[index]?.seasonCount === seasonCount);
      for (let from = 0; from < alike.length; from += CANDIDATES) {
        if (context.isCancelled()) return null;
        const rows = alike.slice(from, from + CANDIDATES);
        workspace.takeRows(series + (length - plan.windows) * 8, stride, rows);
        rows.forEach((index, lane) => {
          workspace.setLane(lane, (fits[index] as EtsFit).parameters);
        });
        workspace.forecast({ seasonCount, rowCount: rows.length, horizon, out });
      }
    }
    for (const [index, fit] of fits.entries())
      if (fit === undefined || !isPlausible(context, parameters, index))
        predictNaive(context, parameters, index);
    liftToZero(new Float64Array(context.buffer, out, count * horizon));
    return null;
  },
};

/**
 * Log units beyond what a series has shown: a forecast that goes further (20 times the highest load) is a filter that
 * runs away, not a forecast.
 */
const OVERSHOOT_MAX = 3;

/** Whether a row of the output is finite and near what the series has shown. */
export function isPlausible(
  { buffer }: JobContext,
  { plan, series, stride, length, horizon, out }: EtsPredictParameters,
  index: number,
): boolean {
  const first = series + (index * stride + length - plan.windows) * 8;
  const shown = rangeOf(new Float64Array(buffer, first, plan.windows));
  const forecast = rangeOf(new Float64Array(buffer, out + index * horizon * 8, horizon));
  return forecast.low >= shown.low - OVERSHOOT_MAX && forecast.high <= shown.high + OVERSHOOT_MAX;
}

/** NaN, where a value is. */
function rangeOf(values: Float64Array): { readonly low: number; readonly high: number } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let sum = 0;
  // By index: an iterator over shared memory takes longer than the filter.
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value < low) low = value;
    if (value > high) high = value;
    sum += value;
  }
  return Number.isFinite(sum) ? { low, high } : { low: Number.NaN, high: Number.NaN };
}

/** The last cycle again, in place of a forecast. */
export function predictNaive({ exports }: JobContext, parameters: EtsPredictParameters, index: number): void {
  const { series, stride, length, naiveSeason, horizon, out } = parameters;
  const row = series + index * stride * 8;
  exports.seasonalNaive(row, 1, stride, length, naiveSeason, horizon, out + index * horizon * 8);
}

export const etsJobs = { etsFit, etsPredict };
