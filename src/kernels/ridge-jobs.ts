import { InvariantError } from '../base/errors.ts';
import type { KernelExports, Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';
import { paddedToTile } from './layout.ts';

/** Where the series and one ridge problem lie in kernel memory. */
export interface RidgeShape {
  /** f64[partition][stride], log loads. */
  readonly series: Pointer;
  readonly stride: number;
  readonly lagCount: number;
  readonly horizon: number;
  readonly spreadMin: number;
  readonly spreadFloor: number;
  /** f64[RIDGE_BATCH_ROWS][columns] and f64[RIDGE_BATCH_ROWS][2]: scratch, used by one job at a time. */
  readonly rows: Pointer;
  readonly level: Pointer;
}

/** One model: the partitions it serves, its sums and its solved weights, f64[inputs][columns] each. */
export interface RidgeGroup {
  /** i32[count]. */
  readonly list: Pointer;
  readonly count: number;
  readonly sums: Pointer;
  readonly weights: Pointer;
}

/** 128 rows of a week of lags and a week of targets are 350 KB: they stay in a level-2 cache. */
export const RIDGE_BATCH_ROWS = 128;

export function ridgeColumns(shape: { readonly lagCount: number; readonly horizon: number }): {
  inputs: number;
  columns: number;
} {
  const inputs = paddedToTile(1 + shape.lagCount);
  return { inputs, columns: inputs + paddedToTile(shape.horizon) };
}

export interface TrainParameters {
  readonly shape: RidgeShape;
  readonly groups: readonly RidgeGroup[];
  /** First window to predict of each row, and the weight of that row. */
  readonly origins: readonly number[];
  readonly weights: readonly number[];
}

/** Adds one row per partition and origin to the sums of its group. Returns how many rows were not flat. */
const ridgeTrain: Job<TrainParameters, { readonly rowCount: number }> = {
  run(context, parameters) {
    let rowCount = 0;
    for (const group of parameters.groups) {
      if (context.isCancelled()) break;
      rowCount += trainGroup(context.exports, parameters, group);
    }
    return { rowCount };
  },
  warmUp: warmUpRidge,
};

function trainGroup(
  exports: KernelExports,
  { shape, origins, weights }: TrainParameters,
  group: RidgeGroup,
): number {
  const { inputs, columns } = ridgeColumns(shape);
  let total = 0;
  let filled = 0;
  let weight = 0;
  const flush = (): void => {
    if (filled > 0) exports.ridgeAccumulate(shape.rows, filled, inputs, columns, weight, group.sums);
    total += filled;
    filled = 0;
  };
  origins.forEach((origin, index) => {
    const originWeight = weights[index] as number;
    // Rows of one batch share a weight; neighbouring origins differ by a thousandth, which nobody can tell.
    if (weight === 0 || Math.abs(originWeight / weight - 1) > 0.01) {
      flush();
      weight = originWeight;
    }
    for (let first = 0; first < group.count; ) {
      if (filled === RIDGE_BATCH_ROWS) flush();
      const count = Math.min(RIDGE_BATCH_ROWS - filled, group.count - first);
      filled += exports.ridgeRows(
        shape.series,
        shape.stride,
        group.list + first * 4,
        count,
        origin,
        shape.lagCount,
        shape.horizon,
        inputs,
        columns,
        shape.spreadMin,
        shape.spreadFloor,
        shape.rows + filled * columns * 8,
        shape.level + filled * 16,
      );
      first += count;
    }
  });
  flush();
  return total;
}

export interface SolveParameters {
  readonly shape: RidgeShape;
  readonly groups: readonly RidgeGroup[];
  /** f64[inputs][columns]: the sums of all groups of one clustering together. */
  readonly pooled: Pointer;
  /** Share of `pooled` in each group's problem, 0..1: what keeps a small cluster sane. */
  readonly poolingShare: number;
  /** Ridge penalty as a share of the number of rows. */
  readonly lambda: number;
}

const ridgeSolve: Job<SolveParameters, { readonly solvedCount: number }> = {
  run({ exports, buffer }, { shape, groups, pooled, poolingShare, lambda }) {
    const { inputs, columns } = ridgeColumns(shape);
    const count = inputs * columns;
    let solvedCount = 0;
    for (const group of groups) {
      new Uint8Array(buffer).copyWithin(group.weights, group.sums, group.sums + count * 8);
      exports.scaleInPlace(group.weights, count, 1 - poolingShare);
      exports.addScaled(pooled, count, poolingShare, group.weights);
      const failedRow = exports.ridgeSolve(group.weights, inputs, columns, lambda);
      if (failedRow !== 0)
        throw new InvariantError(`ridge: no positive pivot in row ${failedRow - 1} of ${inputs}`);
      solvedCount++;
    }
    return { solvedCount };
  },
};

export interface PredictParameters {
  readonly shape: RidgeShape;
  /** Each group's list cut to the partitions that are asked for. */
  readonly groups: readonly RidgeGroup[];
  /** Each group's share of a partition's forecast: 1 / clusterings that are averaged. */
  readonly share: number;
  /** Windows of history: the forecast begins at this one. */
  readonly origin: number;
  /** f64[count][horizon]. */
  readonly out: Pointer;
  readonly count: number;
  /** The partition whose forecast stands first in `out`. */
  readonly firstPartition: number;
}

const ridgePredict: Job<PredictParameters, null> = {
  run({ exports, buffer }, { shape, groups, share, origin, out, count, firstPartition }) {
    new Float64Array(buffer, out, count * shape.horizon).fill(0);
    // The kernel writes to row `partition` of its output; pointers wrap, so that the base may lie before `out`.
    const base = out - firstPartition * shape.horizon * 8;
    for (const group of groups) predictGroup(exports, { shape, group, share, origin, out: base });
    return null;
  },
};

function predictGroup(
  exports: KernelExports,
  options: { shape: RidgeShape; group: RidgeGroup; share: number; origin: number; out: Pointer },
): void {
  const { shape, group, share, origin, out } = options;
  const { inputs, columns } = ridgeColumns(shape);
  for (let first = 0; first < group.count; first += RIDGE_BATCH_ROWS) {
    const list = group.list + first * 4;
    const count = Math.min(RIDGE_BATCH_ROWS, group.count - first);
    exports.ridgeRows(
      shape.series,
      shape.stride,
      list,
      count,
      origin,
      shape.lagCount,
      0,
      inputs,
      inputs,
      shape.spreadMin,
      shape.spreadFloor,
      shape.rows,
      shape.level,
    );
    exports.ridgePredict(
      shape.rows,
      shape.level,
      list,
      count,
      inputs,
      columns,
      shape.horizon,
      share,
      group.weights,
      out,
    );
  }
}

/** A tiny problem of 8 inputs and 4 outputs, often enough for V8 to optimise the kernels that matter. */
function warmUpRidge(context: JobContext, scratch: { readonly pointer: Pointer }): void {
  const { exports, buffer } = context;
  const [inputs, columns, rowCount] = [8, 12, 64];
  const rows = scratch.pointer;
  const sums = rows + rowCount * columns * 8;
  const list = sums + inputs * columns * 8;
  const out = list + rowCount * 4;
  const values = new Float64Array(buffer, rows, rowCount * columns);
  for (let i = 0; i < values.length; i++) values[i] = ((i * 7919) % 101) / 101;
  for (let repeat = 0; repeat < 200; repeat++) {
    new Float64Array(buffer, sums, inputs * columns).fill(0);
    exports.ridgeAccumulate(rows, rowCount, inputs, columns, 1, sums);
    exports.ridgeSolve(sums, inputs, columns, 0.1);
    exports.ridgePredict(rows, rows, list, rowCount, inputs, columns, columns - inputs, 1, sums, out);
  }
}

export const ridgeJobs = { ridgeTrain, ridgeSolve, ridgePredict };
