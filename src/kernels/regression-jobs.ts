import { cardJobs } from './card-jobs.ts';
import type { Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';
import { type LagTable, lagParameterCount } from './lag-table.ts';
import { forEachForecast, forEachRow, type SeriesRows } from './series-rows.ts';

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

export interface CountsParameters {
  readonly rows: SeriesRows;
  readonly windows: number;
  /** Mean log load from which a series is none of few events. */
  readonly meanMax: number;
  readonly fade: number;
  readonly levelFade: number;
  readonly dayPull: number;
  readonly weekPull: number;
  readonly levelPull: number;
  readonly scratch: Pointer;
  readonly horizon: number;
  readonly out: Pointer;
}

const countsPredict: Job<CountsParameters, void> = {
  run(context, job) {
    const { rows, windows, meanMax, fade, levelFade, dayPull, weekPull, levelPull, scratch, horizon, out } =
      job;
    const { dayWindows, weekWindows } = rows;
    forEachForecast(context, { rows, horizon, out }, (end, _index, target) => {
      const series = end - windows * 8;
      const values = new Float64Array(context.buffer, series, windows);
      if (!(values.reduce((sum, value) => sum + value, 0) < meanMax * windows)) return false;
      context.exports.countsForecast(
        series,
        windows,
        dayWindows,
        weekWindows,
        fade,
        levelFade,
        dayPull,
        weekPull,
        levelPull,
        horizon,
        scratch,
        target,
      );
      return true;
    });
  },
};

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
    exports.lagFitted(series + reach * 8, lags, width, weights, windows - reach, out);
    exports.deltaForecast(series + windows * 8, windows, 6, 42, 12, work, out);
    exports.countsForecast(series, windows, 6, 42, 0.9, 0.9, 1, 1, 1, 12, work, out);
    exports.boundForecast(series, windows, out, 12);
  }
}

export const regressionJobs = { lagFit, lagPredict, kernelRegression, countsPredict, ...cardJobs };
