import type { KernelExports, Pointer } from './exports.ts';
import type { JobContext } from './job.ts';

/** Rows of log loads that lie side by side, and the seasons to fall back on. */
export interface SeriesRows {
  /** f64[count][stride]: the first of these rows. */
  readonly series: Pointer;
  readonly stride: number;
  readonly count: number;
  /** Windows that are filled: a forecast begins at this one. */
  readonly length: number;
  readonly dayWindows: number;
  readonly weekWindows: number;
}

/** No log load is negative: a linear model does not know that. */
export function liftToZero(forecasts: Float64Array): void {
  // By index: an iterator over shared memory takes longer than the forecast.
  for (let i = 0; i < forecasts.length; i++) if ((forecasts[i] as number) < 0) forecasts[i] = 0;
}

/** Calls `work` with the end of each row, until the job is cancelled: a row is far below 10 ms. */
export function forEachRow(
  context: JobContext,
  rows: SeriesRows,
  work: (end: Pointer, index: number) => void,
): void {
  for (let index = 0; index < rows.count; index++) {
    if (context.isCancelled()) return;
    work(rows.series + (index * rows.stride + rows.length) * 8, index);
    context.reportProgress(index + 1);
  }
}

/** The last windows whose range bounds a forecast: a month of hours. */
const BOUND_WEEKS = 4;

/** As {@link forEachRow}; bounds what `forecast` wrote, and writes the seasonal naive where it could write nothing. */
export function forEachForecast(
  context: JobContext,
  { rows, horizon, out }: { rows: SeriesRows; horizon: number; out: Pointer },
  forecast: (end: Pointer, index: number, target: Pointer) => boolean,
): void {
  const { exports } = context;
  const windows = Math.min(rows.length, BOUND_WEEKS * rows.weekWindows);
  forEachRow(context, rows, (end, index) => {
    const target = out + index * horizon * 8;
    const isUseful =
      forecast(end, index, target) &&
      exports.boundForecast(end - windows * 8, windows, target, horizon) === 1;
    if (!isUseful) writeNaive(exports, rows, { end, horizon, target });
  });
}

/** What the seasonal naive says: the week before, else the day before, else the last window. */
function writeNaive(
  exports: KernelExports,
  rows: SeriesRows,
  { end, horizon, target }: { end: Pointer; horizon: number; target: Pointer },
): void {
  const season = [rows.weekWindows, rows.dayWindows].find((windows) => windows <= rows.length) ?? 1;
  const { length } = rows;
  exports.seasonalNaive(end - length * 8, 1, length, length, season, horizon, target);
}
