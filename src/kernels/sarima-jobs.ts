import type { Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';
import { fitRow } from './sarima/fit.ts';
import { LANES } from './sarima/model.ts';
import { type PredictedRow, predictRows } from './sarima/predict.ts';
import { planSeries, type RowShape } from './sarima/series.ts';
import { readState, STATE_COUNT, writeState } from './sarima/state.ts';
import { workspaceAt, workspaceBytes } from './sarima/workspace.ts';

/** Rows of log loads and the models of their partitions, in kernel memory. */
interface SarimaRows {
  /** f64[count][stride]: the rows of the partitions in question. */
  readonly series: Pointer;
  readonly stride: number;
  readonly count: number;
  /** Windows in each row: at least windowsNeeded. */
  readonly length: number;
  readonly dayWindows: number;
  readonly weekWindows: number;
  /** f64[count][STATE_COUNT]. */
  readonly states: Pointer;
  /** sarimaScratchBytes of them, for this job alone. */
  readonly scratch: Pointer;
}

export interface SarimaFitParameters extends SarimaRows {
  /** The order is looked for again at every so many fits; between them its parameters alone are fitted on. */
  readonly selectEvery: number;
}

export interface SarimaPredictParameters extends SarimaRows {
  readonly horizon: number;
  /** f64[count][horizon]. */
  readonly out: Pointer;
}

export const sarimaScratchBytes = (shape: RowShape & { readonly horizon: number }): number =>
  workspaceBytes({ ...planSeries(shape), horizon: shape.horizon });

const sarimaFit: Job<SarimaFitParameters, { readonly fittedCount: number }> = {
  run({ exports, buffer, isCancelled, reportProgress }, parameters) {
    const { count, length, stride, selectEvery } = parameters;
    const plan = planSeries(parameters);
    const workspace = workspaceAt(exports, buffer, parameters.scratch, { ...plan, horizon: 0 });
    const states = new Float64Array(buffer, parameters.states, count * STATE_COUNT);
    let fittedCount = 0;
    for (let index = 0; index < count && !isCancelled(); index++) {
      const row = new Float64Array(buffer, parameters.series + index * stride * 8, length);
      const state = fitRow(workspace, row, plan, readState(states, index), selectEvery);
      writeState(states, index, state);
      if (state !== null) fittedCount++;
      reportProgress(index + 1);
    }
    return { fittedCount };
  },
  warmUp,
};

const sarimaPredict: Job<SarimaPredictParameters, { readonly modelledCount: number }> = {
  run({ exports, buffer, isCancelled, reportProgress }, parameters) {
    const { count, length, stride, dayWindows, weekWindows, horizon } = parameters;
    const plan = planSeries(parameters);
    const workspace = workspaceAt(exports, buffer, parameters.scratch, { ...plan, horizon });
    const states = new Float64Array(buffer, parameters.states, count * STATE_COUNT);
    let modelledCount = 0;
    for (let first = 0; first < count && !isCancelled(); first += LANES) {
      const rows: PredictedRow[] = [];
      for (let index = first; index < Math.min(first + LANES, count); index++)
        rows.push({
          row: new Float64Array(buffer, parameters.series + index * stride * 8, length),
          state: readState(states, index),
          out: new Float64Array(buffer, parameters.out + index * horizon * 8, horizon),
        });
      modelledCount += predictRows(workspace, plan, rows, { dayWindows, weekWindows });
      reportProgress(first + rows.length);
    }
    return { modelledCount };
  },
};

/** Two small weeks, fitted and forecast: some hundred passes, which V8 takes for reason enough to optimise the kernels. */
function warmUp(context: JobContext, scratch: { readonly pointer: Pointer }): void {
  const { buffer } = context;
  const shape = { length: 112, dayWindows: 8, weekWindows: 56, horizon: 8 };
  const rows = {
    stride: shape.length,
    count: 1,
    length: shape.length,
    dayWindows: shape.dayWindows,
    weekWindows: shape.weekWindows,
  };
  const series = scratch.pointer;
  const states = series + shape.length * 8;
  const out = states + STATE_COUNT * 8;
  const pointers = { series, states, scratch: out + shape.horizon * 8 };
  const values = new Float64Array(buffer, series, shape.length);
  for (let i = 0; i < values.length; i++) values[i] = ((i * 7919) % 101) / 101 + Math.sin(i / 4);
  for (let repeat = 0; repeat < 4; repeat++) {
    sarimaFit.run(context, { ...rows, ...pointers, selectEvery: 1 });
    sarimaPredict.run(context, { ...rows, ...pointers, out, horizon: shape.horizon });
  }
}

export const sarimaJobs = { sarimaFit, sarimaPredict };
