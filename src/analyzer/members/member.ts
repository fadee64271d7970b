import type { Logger } from '../../base/logger.ts';
import type { Random } from '../../base/random.ts';
import type { Pointer } from '../../kernels/exports.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import type { History } from '../history.ts';

/** Partitions first .. first + count - 1, whose rows lie side by side in the history. */
export interface PartitionRange {
  readonly first: number;
  readonly count: number;
}

export interface MemberComponents {
  /** Rows of log loads in kernel memory; they move to the front from time to time: ask for pointer and length at each call. */
  readonly history: History;
  readonly runner: KernelRunner;
  readonly random: Random;
  readonly logger: Logger;
  /** Windows each prediction covers. */
  readonly horizon: number;
}

/** What a member must remember to go on after a restart: plain data that msgpackr keeps exactly. */
export type MemberState = { readonly [key: string]: MemberStateValue };
export type MemberStateValue =
  | number
  | string
  | boolean
  | null
  | Float64Array
  | Float32Array
  | Int32Array
  | readonly MemberStateValue[]
  | MemberState;

/**
 * One way to forecast: fit -> parameters -> predict.
 *
 * Between two calls a member keeps parameters, never a position in time: a prediction filters the rows anew, which costs
 * less than keeping a state per partition in step, and makes every member restartable. A model that cannot be fitted for a
 * partition (flat, silent, singular) predicts there what the seasonal naive would; a prediction is always finite.
 */
export interface Member {
  readonly name: string;
  /** Windows of history from which it can say anything; below, neither `fit` nor `predict` is called. */
  readonly windowsMin: number;
  /** Windows after which a partition's parameters should be fitted again; 0: there is nothing to fit. */
  readonly refitWindows: number;
  /** All partitions share what is fitted: `fit` is called for all of them at once, never for some. */
  readonly isShared?: boolean;
  /**
   * Called after new windows have come, for members that learn by sums: after each one, or after many when a long history
   * is taken in at once. Must not cost what a fit costs.
   */
  advance?(): Promise<void>;
  /** Fits the parameters of these partitions to the history as it is now. */
  fit(range: PartitionRange): Promise<void>;
  /**
   * Begins to fit all partitions in the background, where that takes so long that no window should wait for it: the calls of
   * `advance` to come do the work, some of it each, and what was fitted last is in use until it is done.
   */
  beginFit?(): void;
  /**
   * Writes the log loads of windows history.length .. history.length + horizon - 1, none of them negative.
   *
   * @param out f64[range.count][horizon] in kernel memory.
   */
  predict(range: PartitionRange, out: Pointer): Promise<void>;
  save(): MemberState;
  /** @throws ForeshardError FORESHARD_CORRUPT when the state is not one of this member's. */
  load(state: MemberState): void;
  /** Gives kernel memory back. */
  close(): void;
}
