import {
  type EtsJobParameters,
  type EtsPredictParameters,
  isPlausible,
  predictNaive,
  readFit,
  writeFit,
} from './ets-jobs.ts';
import { CANDIDATES } from './ets-search.ts';
import { EtsWorkspace, TILE_ROW_BYTES } from './ets-workspace.ts';
import type { Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';
import { type MstlPlan, MstlWorkspace } from './mstl-workspace.ts';
import { liftToZero } from './series-rows.ts';

/** `plan` is for what is left of the series without its seasons, and has none itself. */
export interface MstlJobParameters extends EtsJobParameters {
  readonly decomposition: MstlPlan;
  /** A block of `mstlScratchBytes`. */
  readonly scratch: Pointer;
}

export interface MstlPredictParameters extends EtsPredictParameters {
  readonly decomposition: MstlPlan;
  readonly scratch: Pointer;
}

export const mstlScratchBytes = ({
  plan,
  decomposition,
}: Pick<MstlJobParameters, 'plan' | 'decomposition'>): number =>
  EtsWorkspace.bytes(plan) + MstlWorkspace.bytes(decomposition) + plan.windows * 8;

interface Workspaces {
  readonly smoothing: EtsWorkspace;
  readonly decomposition: MstlWorkspace;
  /** f64[plan.windows]: one series without its seasons. */
  readonly row: Float64Array;
}

function workspacesOf(context: JobContext, { plan, decomposition, scratch }: MstlJobParameters): Workspaces {
  const second = scratch + MstlWorkspace.bytes(decomposition);
  return {
    decomposition: new MstlWorkspace(context, decomposition, scratch),
    row: new Float64Array(context.buffer, second, plan.windows),
    smoothing: new EtsWorkspace(context, plan, second + plan.windows * 8),
  };
}

/** Decomposes up to eight rows, with each season as strong as it has shown to be. */
function decomposeRows(
  context: JobContext,
  { plan, series, stride, length }: MstlJobParameters,
  { smoothing, decomposition }: Workspaces,
  rows: readonly number[],
): void {
  smoothing.takeRows(series + (length - plan.windows) * 8, stride, rows);
  copyTile(context, smoothing.tile, decomposition.values, plan.windows);
  decomposition.decompose();
  decomposition.shrink();
}

function copyTile({ buffer }: JobContext, from: Pointer, to: Pointer, windows: number): void {
  new Uint8Array(buffer).copyWithin(to, from, from + windows * TILE_ROW_BYTES);
}

/** Fits the smoothing of what each series is without its seasons; these are worked out anew whenever they are needed. */
const mstlFit: Job<MstlJobParameters, { readonly fittedCount: number }> = {
  run(context, parameters) {
    const { plan, count, fits } = parameters;
    const workspaces = workspacesOf(context, parameters);
    const { smoothing, decomposition, row } = workspaces;
    const adjusted = new Float64Array(context.buffer, decomposition.adjusted, plan.windows * CANDIDATES);
    for (let first = 0; first < count; first += CANDIDATES) {
      if (context.isCancelled()) return { fittedCount: first };
      const rows = rowsFrom(first, count);
      decomposeRows(context, parameters, workspaces, rows);
      rows.forEach((index, lane) => {
        for (let t = 0; t < plan.windows; t++) row[t] = adjusted[t * CANDIDATES + lane] as number;
        smoothing.takeOne(row.byteOffset);
        writeFit(context, fits, index, smoothing.fit());
      });
    }
    return { fittedCount: count };
  },
  warmUp(context, scratch) {
    // Smoothing is warmed up by its own job; here it is what the decomposition calls.
    const windows = 96;
    const decomposition: MstlPlan = {
      windows,
      seasons: [
        { season: 4, cycleWindow: 11, trendWindow: 7 },
        { season: 12, cycleWindow: 15, trendWindow: 21 },
      ],
      iterations: 2,
      robustRounds: 1,
    };
    const workspace = new MstlWorkspace(context, decomposition, scratch.pointer);
    const values = new Float64Array(context.buffer, workspace.values, windows * CANDIDATES);
    for (let i = 0; i < values.length; i++) values[i] = ((i * 7919) % 101) / 101;
    for (let repeat = 0; repeat < 20; repeat++) workspace.decompose();
  },
};

const rowsFrom = (first: number, count: number): number[] =>
  Array.from({ length: Math.min(CANDIDATES, count - first) }, (_, lane) => first + lane);

/** What the smoothing makes of the series without its seasons, and the last cycle of each season again. */
const mstlPredict: Job<MstlPredictParameters, null> = {
  run(context, parameters) {
    const { plan, count, horizon, out } = parameters;
    const workspaces = workspacesOf(context, parameters);
    const { smoothing, decomposition } = workspaces;
    for (let first = 0; first < count; first += CANDIDATES) {
      if (context.isCancelled()) return null;
      const rows = rowsFrom(first, count);
      decomposeRows(context, parameters, workspaces, rows);
      copyTile(context, decomposition.adjusted, smoothing.tile, plan.windows);
      const fits = rows.map((index) => readFit(context, parameters, index));
      fits.forEach((fit, lane) => {
        smoothing.setLane(lane, fit?.parameters ?? NO_SMOOTHING);
      });
      smoothing.forecast({ seasonCount: 0, rowCount: rows.length, horizon, out });
      rows.forEach((index, lane) => {
        addSeasons(context, parameters, decomposition, { lane, row: out + index * horizon * 8 });
        if (fits[lane] === undefined || !isPlausible(context, parameters, index))
          predictNaive(context, parameters, index);
      });
    }
    liftToZero(new Float64Array(context.buffer, out, count * horizon));
    return null;
  },
};

const NO_SMOOTHING = { alpha: 0, beta: 0, phi: 0, gamma: 0, delta: 0 };

function addSeasons(
  { buffer }: JobContext,
  { plan, decomposition, horizon }: MstlPredictParameters,
  workspace: MstlWorkspace,
  { lane, row }: { readonly lane: number; readonly row: Pointer },
): void {
  const out = new Float64Array(buffer, row, horizon);
  for (const [index, { season }] of decomposition.seasons.entries()) {
    const pointer = workspace.seasonal[index] as Pointer;
    const seasonal = new Float64Array(buffer, pointer, plan.windows * CANDIDATES);
    const last = plan.windows - season;
    for (let step = 0; step < horizon; step++)
      out[step] = (out[step] as number) + (seasonal[(last + (step % season)) * CANDIDATES + lane] as number);
  }
}

export const mstlJobs = { mstlFit, mstlPredict };
