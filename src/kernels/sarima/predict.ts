import { LANES, type SarimaOrder, writeCoefficients } from './model.ts';
import { copyLast, filterFirst, integrate, makeStationary, profileOf, type SeriesPlan } from './series.ts';
import type { SarimaState } from './state.ts';
import type { Workspace } from './workspace.ts';

export interface PredictedRow {
  /** Log loads up to now. */
  readonly row: Float64Array;
  readonly state: SarimaState | null;
  /** f64[horizon]. */
  readonly out: Float64Array;
}

/** What has to be put back after the recursion. */
interface Lane {
  readonly predicted: PredictedRow;
  readonly state: SarimaState;
  readonly mean: number;
  readonly profile: Float64Array | null;
}

/**
 * Filters up to eight rows in one pass, each with its own model, and goes on for a horizon.
 *
 * Rows are aligned at their ends and summed from the same window on, and a lag that a model has not got has a coefficient of
 * zero: what a row is told does not depend on the rows beside it.
 *
 * @returns how many were forecast by a model; the others got their seasonal naive
 */
export function predictRows(
  workspace: Workspace,
  plan: SeriesPlan,
  rows: readonly PredictedRow[],
  seasons: { readonly dayWindows: number; readonly weekWindows: number },
): number {
  const { tile, coefficients, values } = workspace;
  tile.fill(0);
  coefficients.fill(0);
  const lanes: Lane[] = [];
  for (const predicted of rows) {
    seasonalNaive(predicted, seasons);
    const { row, state } = predicted;
    if (state === null) continue;
    const lane = lanes.length;
    const profile = profileOf(row, plan);
    copyLast(row, profile, values);
    const { count, mean } = makeStationary(values, plan.count, plan.season, state.order);
    for (let i = 0, at = (plan.count - count) * LANES + lane; i < count; i++, at += LANES)
      tile[at] = values[i] as number;
    writeCoefficients(state.order, state.free, 0, coefficients, lane);
    lanes.push({ predicted, state, mean, profile });
  }
  if (lanes.length === 0) return 0;
  recur(workspace, plan, lanes);
  let modelledCount = 0;
  lanes.forEach((lane, index) => {
    if (finish(workspace, plan, lane, index)) modelledCount++;
  });
  return modelledCount;
}

/** One pass of residuals and one of forecasts, with the longest polynomials that a lane has. */
function recur(
  { exports, pointers, horizon }: Workspace,
  { count, season }: SeriesPlan,
  lanes: Lane[],
): void {
  const most = (name: keyof SarimaOrder): number => Math.max(...lanes.map(({ state }) => state.order[name]));
  const orders = [most('ar'), most('seasonalAr'), most('ma'), most('seasonalMa')] as const;
  const { tile, residuals, coefficients, sums } = pointers;
  exports.cssResiduals(tile, count, filterFirst(season), season, ...orders, coefficients, residuals, sums);
  exports.cssForecast(tile, residuals, count, horizon, season, ...orders, coefficients);
}

/** Puts differences and profile back; leaves the naive where the result is not one that such a row can take. */
function finish(
  { tile, horizon }: Workspace,
  plan: SeriesPlan,
  { predicted, state, mean, profile }: Lane,
  lane: number,
): boolean {
  const forecast = new Float64Array(horizon);
  for (let step = 0; step < horizon; step++)
    forecast[step] = (tile[(plan.count + step) * LANES + lane] as number) + mean;
  const { row, out } = predicted;
  const last = new Float64Array(plan.season + 1);
  copyLast(row, profile, last);
  integrate(forecast, last, plan.season, state.order);
  if (profile !== null)
    for (let step = 0; step < horizon; step++)
      forecast[step] = (forecast[step] as number) + (profile[step % profile.length] as number);
  if (!isSane(forecast, row, row.length - plan.count)) return false;
  // A log load is not negative.
  for (let step = 0; step < horizon; step++) out[step] = Math.max(0, forecast[step] as number);
  return true;
}

/** A step further away from all that has been seen than the width of it comes from an exploding model, not from a load. */
function isSane(forecast: Float64Array, row: Float64Array, first: number): boolean {
  let low = row[first] as number;
  let high = low;
  for (let i = first; i < row.length; i++) {
    const value = row[i] as number;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const width = high - low;
  for (let step = 0; step < forecast.length; step++) {
    const value = forecast[step] as number;
    // Written so that NaN is not sane.
    if (!(value >= low - width && value <= high + width)) return false;
  }
  return true;
}

function seasonalNaive(
  { row, out }: PredictedRow,
  { dayWindows, weekWindows }: { readonly dayWindows: number; readonly weekWindows: number },
): void {
  const season = [weekWindows, dayWindows].find((windows) => windows <= row.length) ?? 1;
  for (let step = 0; step < out.length; step++)
    out[step] = row[row.length - season + (step % season)] as number;
}
