import type { KernelExports, Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';

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

/** Which lags each step looks at, in kernel memory (assembly/lag-regression.ts). */
export interface LagTable {
  readonly steps: number;
  readonly width: number;
  readonly reach: number;
  readonly lags: Pointer;
  readonly prior: Pointer;
  readonly groups: Pointer;
  readonly groupCount: number;
}

export interface LagFitParameters {
  readonly rows: SeriesRows;
  readonly table: LagTable;
  /** Number of the table, kept with the weights. */
  readonly tableIndex: number;
  /** Windows of each row to learn from, the last ones. */
  readonly windows: number;
  readonly penalty: number;
  readonly penaltyFixed: number;
  readonly fade: number;
  readonly hasConstant: boolean;
  readonly scratch: Pointer;
  /** f64[count][1 + steps * (1 + width)]: number of the table, or -1 where there is no model; then the weights. */
  readonly out: Pointer;
}

export const lagParameterCount = (table: { readonly steps: number; readonly width: number }): number =>
  1 + table.steps * (1 + table.width);

/** Fits a lag regression to each row. */
const lagFit: Job<LagFitParameters, void> = {
  run(context, { rows, table, tableIndex, windows, penalty, penaltyFixed, fade, hasConstant, scratch, out }) {
    const { exports, buffer } = context;
    forEachRow(context, rows, (end, index) => {
      const at = out + index * lagParameterCount(table) * 8;
      const isFitted = exports.lagFit(
        end - windows * 8,
        windows,
        table.lags,
        table.steps,
        table.width,
        table.reach,
        table.prior,
        table.groups,
        table.groupCount,
        penalty,
        penaltyFixed,
        fade,
        hasConstant ? 1 : 0,
        scratch,
        at + 8,
      );
      new Float64Array(buffer, at, 1)[0] = isFitted === 1 ? tableIndex : -1;
    });
  },
  warmUp: warmUpLags,
};

export interface LagPredictParameters {
  readonly rows: SeriesRows;
  readonly tables: readonly LagTable[];
  /** As `lagFit` left it. */
  readonly parameters: Pointer;
  readonly horizon: number;
  /** f64[count][horizon]. */
  readonly out: Pointer;
}

/** Forecasts each row with its weights, or as the seasonal naive does where it has none. */
const lagPredict: Job<LagPredictParameters, void> = {
  run(context, { rows, tables, parameters, horizon, out }) {
    const { exports, buffer } = context;
    forEachForecast(context, { rows, horizon, out }, (end, index, target) => {
      const at = parameters + index * lagParameterCount(tables[0] as LagTable) * 8;
      const table = tables[new Float64Array(buffer, at, 1)[0] as number];
      if (table === undefined || table.reach > rows.length) return false;
      exports.lagPredict(end, table.lags, table.steps, table.width, at + 8, horizon, target);
      return true;
    });
  },
};

export interface KernelRegressionParameters {
  readonly rows: SeriesRows;
  readonly windows: number;
  readonly inputs: number;
  readonly bandwidth: number;
  readonly isLevelled: boolean;
  readonly scratch: Pointer;
  readonly horizon: number;
  readonly out: Pointer;
}

const kernelRegression: Job<KernelRegressionParameters, void> = {
  run(context, { rows, windows, inputs, bandwidth, isLevelled, scratch, horizon, out }) {
    forEachForecast(
      context,
      { rows, horizon, out },
      (end, _index, target) =>
        context.exports.kernelRegression(
          end - windows * 8,
          windows,
          inputs,
          horizon,
          bandwidth,
          isLevelled ? 1 : 0,
          scratch,
          target,
        ) === 1,
    );
  },
};

/** Calls `work` with the end of each row, until the job is cancelled: a row is far below 10 ms. */
function forEachRow(
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
function forEachForecast(
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

/** Small problems of each kind, often enough for V8 to optimise the kernels. */
function warmUpLags({ exports, buffer }: JobContext, scratch: { readonly pointer: Pointer }): void {
  const [windows, steps, width, reach, groupCount] = [96, 4, 3, 12, 2];
  const series = scratch.pointer;
  const lags = series + windows * 8;
  const prior = lags + steps * width * 4;
  const groups = prior + steps * width * 8;
  const weights = groups + 16;
  const out = weights + steps * (1 + width) * 8;
  const work = out + windows * 8;
  const values = new Float64Array(buffer, series, windows);
  for (let i = 0; i < windows; i++) values[i] = ((i * 7919) % 101) / 101;
  new Int32Array(buffer, groups, 2).set([0, 1]);
  for (let step = 0; step < steps; step++)
    new Int32Array(buffer, lags + step * width * 4, width).set([1, 2 + step, 8 + step]);
  for (let repeat = 0; repeat < 100; repeat++) {
    exports.lagFit(
      series,
      windows,
      lags,
      steps,
      width,
      reach,
      prior,
      groups,
      groupCount,
      0.1,
      0,
      0.99,
      1,
      work,
      weights,
    );
    exports.lagPredict(series + windows * 8, lags, steps, width, weights, windows, out);
    exports.kernelRegression(series, windows, 12, 12, 1, 0, work, out);
    exports.boundForecast(series, windows, out, 12);
  }
}

export const regressionJobs = { lagFit, lagPredict, kernelRegression };
