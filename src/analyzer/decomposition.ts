import { ForeshardError } from '../base/errors.ts';
import { CANDIDATES } from '../kernels/ets-search.ts';
import type { Kernels } from '../kernels/instance.ts';
import { jobContext } from '../kernels/job.ts';
import { MstlWorkspace, mstlSeasons } from '../kernels/mstl-workspace.ts';

/** values = trend + all seasonal rows + remainder, window by window, in the units of the values. */
export interface Decomposition {
  /** Ascending: those of the periods asked for that the values hold twice. */
  readonly periods: readonly number[];
  readonly trend: Float64Array;
  /** In the order of `periods`. */
  readonly seasonal: readonly Float64Array[];
  readonly remainder: Float64Array;
  /** Per period, 0..1: how much of the season is more than chance, 1 - Var(remainder) / Var(season + remainder). */
  readonly strengths: readonly number[];
}

export interface DecompositionOptions {
  /** Windows, each more than one: 24 and 168 for a day and a week of hours. */
  readonly periods: readonly number[];
  /** Outliers neither bend the trend nor the seasons: they are left in the remainder. Three times the work. */
  readonly isRobust?: boolean;
  /** Every cycle is the same, instead of changing slowly. */
  readonly isPeriodic?: boolean;
}

/** Rounds of weights after which they hardly change any more. */
const ROBUST_ROUNDS = 2;

/**
 * Takes a series apart into trend, seasons and remainder, to be looked at. Loads are best given as logarithms: their
 * seasons multiply.
 *
 * @throws ForeshardError FORESHARD_NOT_READY when no period has been seen twice; FORESHARD_CORRUPT on a value that is not
 *   finite; FORESHARD_LIMIT when kernel memory is full: a window takes half a kilobyte to a kilobyte while it works.
 * @see Bandara, Hyndman & Bergmeir, "MSTL: a seasonal-trend decomposition algorithm for time series with multiple seasonal
 *   patterns", 2021
 */
export function decompose(
  values: ArrayLike<number>,
  { periods, isRobust = false, isPeriodic = false }: DecompositionOptions,
  kernels: Kernels,
): Decomposition {
  const windows = values.length;
  const sorted = [...new Set(periods)].sort((a, b) => a - b);
  const seasons = mstlSeasons(sorted, { windows, isPeriodic });
  if (seasons.length === 0)
    throw new ForeshardError(
      'FORESHARD_NOT_READY',
      'wait',
      `${windows} windows hold none of the periods ${sorted.join(', ')} twice`,
    );
  const plan = { windows, seasons, iterations: 2, robustRounds: isRobust ? ROBUST_ROUNDS : 0 };
  const block = kernels.arena.alloc(MstlWorkspace.bytes(plan));
  try {
    const { buffer } = kernels.memory;
    const workspace = new MstlWorkspace(jobContext(kernels.exports, buffer, 0), plan, block.pointer);
    const tile = new Float64Array(buffer, workspace.values, windows * CANDIDATES);
    for (let window = 0; window < windows; window++) {
      const value = values[window] as number;
      if (!Number.isFinite(value))
        throw new ForeshardError('FORESHARD_CORRUPT', 're-read', `value of window ${window} is ${value}`);
      tile.fill(value, window * CANDIDATES, (window + 1) * CANDIDATES);
    }
    workspace.decompose();
    // The tile holds the series eight times; any lane is the result.
    const rowOf = (pointer: number): Float64Array => {
      const lanes = new Float64Array(buffer, pointer, windows * CANDIDATES);
      return Float64Array.from({ length: windows }, (_, window) => lanes[window * CANDIDATES] as number);
    };
    const strengths = workspace
      .strengths()
      .map((pointer) => new Float64Array(buffer, pointer, 1)[0] as number);
    const trend = rowOf(workspace.trend);
    const remainder = rowOf(workspace.adjusted).map((value, window) => value - (trend[window] as number));
    return {
      periods: seasons.map(({ season }) => season),
      trend,
      seasonal: workspace.seasonal.map(rowOf),
      remainder,
      strengths,
    };
  } finally {
    kernels.arena.free(block);
  }
}
