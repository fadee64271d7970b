import { InvariantError } from '../base/errors.ts';
import type { KernelExports, Pointer } from './exports.ts';
import type { Job, JobContext } from './job.ts';
import { paddedToTile } from './layout.ts';
import { liftToZero } from './series-rows.ts';

/** Where the series and one ridge problem lie in kernel memory. */
export interface RidgeShape {
  /** f64[partition][stride], log loads. */
  readonly series: Pointer;
  readonly stride: number;
  readonly lagCount: number;
  readonly horizon: number;
  readonly spreadMin: number;
  readonly spreadFloor: number;
  /** f64[ridgeScratchCells]: used by one job at a time. */
  readonly scratch: Pointer;
}

/** One model: the partitions it serves, its moments (assembly/ridge-sums.ts) and its solved weights, f64[inputs][columns]. */
export interface RidgeGroup {
  /** i32[count]. */
  readonly list: Pointer;
  readonly count: number;
  readonly moments: Pointer;
  readonly weights: Pointer;
}

/** 128 rows of a week of lags and a week of targets are 350 KB: they stay in a level-2 cache. */
export const RIDGE_BATCH_ROWS = 128;

/** Origins of one block share one level and one spread: after a week both may have changed. */
export const RIDGE_BLOCK_ORIGINS = 168;

export interface RidgeLayout {
  /** Columns of the normal equations: [1, lags, 0..] and [targets, 0..]. */
  readonly inputs: number;
  readonly columns: number;
  /** Rows and columns of a model's moments. */
  readonly lagColumns: number;
  readonly momentColumns: number;
  readonly momentCells: number;
  readonly scratchCells: number;
}

export function ridgeLayout(shape: { readonly lagCount: number; readonly horizon: number }): RidgeLayout {
  const inputs = paddedToTile(1 + shape.lagCount);
  const columns = inputs + paddedToTile(shape.horizon);
  const lagColumns = paddedToTile(shape.lagCount);
  const momentColumns = paddedToTile(shape.lagCount + shape.horizon);
  const momentCells = (lagColumns + 2) * momentColumns + COUNT_CELLS;
  // Rows of a batch, their levels, and the values of a block.
  const batchCells = RIDGE_BATCH_ROWS * (Math.max(2 * momentColumns, inputs) + 2) + RIDGE_BLOCK_ORIGINS;
  return {
    inputs,
    columns,
    lagColumns,
    momentColumns,
    momentCells,
    scratchCells: Math.max(batchCells + momentColumns, momentCells + momentColumns),
  };
}

/**
 * The larger of the spreads at a block's ends over the smaller, beyond which the block teaches nothing. Where a partition
 * wakes or falls silent inside, its loads are tens of spreads away from its level, and enter squared: one such block
 * outweighs all others for weeks. On M4's training part 3 costs nothing.
 */
const SPREAD_RATIO_MAX = 3;

/** The sum of weights, padded so that moments are a multiple of a vector. */
const COUNT_CELLS = 4;

export interface AbsorbParameters {
  readonly shape: RidgeShape;
  /** Blocks of each model: partition, first origin (window of the row), origins; i32[block][3]. */
  readonly models: readonly { readonly moments: Pointer; readonly blocks: Int32Array }[];
  /** The weight of a row whose origin is window 0, and how it grows from window to window. */
  readonly weight: number;
  readonly growth: number;
}

/** Adds blocks of origins to the moments of their models. Returns how many rows that were; flat and breaking blocks are left out. */
const ridgeAbsorb: Job<AbsorbParameters, { readonly rowCount: number }> = {
  run(context, parameters) {
    let rowCount = 0;
    for (const { moments, blocks } of parameters.models)
      rowCount += absorb(context.exports, parameters, moments, blocks);
    return { rowCount };
  },
  warmUp: warmUpRidge,
};

function absorb(
  exports: KernelExports,
  { shape, weight, growth }: AbsorbParameters,
  moments: Pointer,
  blocks: Int32Array,
): number {
  const { lagCount, horizon, spreadMin, spreadFloor } = shape;
  const { lagColumns, momentColumns } = ridgeLayout(shape);
  const rowBytes = momentColumns * 8;
  const firstRows = shape.scratch;
  const lastRows = firstRows + RIDGE_BATCH_ROWS * rowBytes;
  const values = lastRows + RIDGE_BATCH_ROWS * rowBytes;
  let rowCount = 0;
  let filled = 0;
  let batchWeight = 0;
  const flush = (): void => {
    if (filled > 0) {
      exports.ridgeAccumulate(firstRows, filled, lagColumns, momentColumns, -batchWeight, moments);
      exports.ridgeAccumulate(lastRows, filled, lagColumns, momentColumns, batchWeight, moments);
    }
    filled = 0;
  };
  for (let at = 0; at < blocks.length; at += 3) {
    const [partition, first, count] = blocks.subarray(at, at + 3) as unknown as [number, number, number];
    const row = shape.series + partition * shape.stride * 8;
    const lastEnd = row + (first + count - 1) * 8;
    const center = exports.ridgeLevel(lastEnd);
    const firstEnd = row + first * 8;
    const firstSpread = exports.ridgeSpread(firstEnd, exports.ridgeLevel(firstEnd));
    const lastSpread = exports.ridgeSpread(lastEnd, center);
    const spread = (firstSpread + lastSpread) / 2;
    if (!(spread >= spreadMin)) continue;
    if (Math.max(firstSpread, lastSpread) > SPREAD_RATIO_MAX * Math.min(firstSpread, lastSpread)) continue;
    const blockWeight = weight * growth ** (first + count / 2);
    // Blocks of one batch share a weight; of blocks days apart it differs by a hundredth, which nobody can tell.
    if (filled === RIDGE_BATCH_ROWS || Math.abs(blockWeight / batchWeight - 1) > 0.02) {
      flush();
      batchWeight = blockWeight;
    }
    exports.ridgeBlock(
      row + (first - lagCount) * 8,
      count,
      lagCount,
      horizon,
      momentColumns,
      center,
      spread + spreadFloor,
      batchWeight,
      values,
      firstRows + filled * rowBytes,
      lastRows + filled * rowBytes,
      moments + lagColumns * rowBytes,
    );
    filled++;
    rowCount += count;
  }
  flush();
  return rowCount;
}

export interface SolveParameters {
  readonly shape: RidgeShape;
  readonly groups: readonly RidgeGroup[];
  /** The moments of all groups of one clustering together. */
  readonly pooled: Pointer;
  /** Share of `pooled` in each group's problem, 0..1: what keeps a small cluster sane. */
  readonly poolingShare: number;
  /** Ridge penalty as a share of the number of rows. */
  readonly lambda: number;
}

const ridgeSolve: Job<SolveParameters, { readonly solvedCount: number }> = {
  run({ exports, buffer, isCancelled }, { shape, groups, pooled, poolingShare, lambda }) {
    const { lagCount, horizon, scratch } = shape;
    const { inputs, columns, lagColumns, momentColumns, momentCells } = ridgeLayout(shape);
    const level = scratch + momentCells * 8;
    let solvedCount = 0;
    for (const { moments, weights } of groups) {
      if (isCancelled()) break;
      new Uint8Array(buffer).copyWithin(scratch, moments, moments + momentCells * 8);
      exports.scaleInPlace(scratch, momentCells, 1 - poolingShare);
      exports.addScaled(pooled, momentCells, poolingShare, scratch);
      exports.ridgeNormalEquations(
        scratch,
        lagCount,
        horizon,
        lagColumns,
        momentColumns,
        inputs,
        columns - inputs,
        level,
        weights,
      );
      const failedRow = exports.ridgeSolve(weights, inputs, columns, lambda);
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
    liftToZero(new Float64Array(buffer, out, count * shape.horizon));
    return null;
  },
};

function predictGroup(
  exports: KernelExports,
  options: { shape: RidgeShape; group: RidgeGroup; share: number; origin: number; out: Pointer },
): void {
  const { shape, group, share, origin, out } = options;
  const { inputs, columns } = ridgeLayout(shape);
  const rows = shape.scratch;
  const level = rows + RIDGE_BATCH_ROWS * inputs * 8;
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
      rows,
      level,
    );
    exports.ridgePredict(rows, level, list, count, inputs, columns, shape.horizon, share, group.weights, out);
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

export const ridgeJobs = { ridgeAbsorb, ridgeSolve, ridgePredict };
