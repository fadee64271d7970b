import type { Block, TypedBlock } from '../../kernels/arena.ts';
import { ETS_FIT_WIDTH, type EtsJobParameters, type EtsPredictParameters } from '../../kernels/ets-jobs.ts';
import type { EtsPlan } from '../../kernels/ets-workspace.ts';
import type { Pointer } from '../../kernels/exports.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import { naiveSeasonOf } from './ets-plan.ts';
import type { Member, MemberComponents, MemberState, PartitionRange } from './member.ts';
import { SavedState } from './saved-state.ts';

/** A week of hours: gains change slowly, and the states are filtered anew for each prediction anyway. */
const REFIT_WINDOWS = 168;

/** Windows of which one half begins the states and the other judges the parameters, where a day has hardly any. */
const WINDOWS_MIN = 8;

/** What the members that smooth differ in. */
export interface SmoothingMethod {
  readonly name: string;
  planOf(components: MemberComponents): EtsPlan;
  scratchBytes(plan: EtsPlan): number;
  fit(runner: KernelRunner, job: EtsJobParameters): Promise<unknown>;
  predict(runner: KernelRunner, job: EtsPredictParameters): Promise<unknown>;
}

/** Members whose parameters are one fit of exponential smoothing a partition: all that they remember. */
export class SmoothingMember implements Member {
  readonly name: string;
  readonly windowsMin: number;
  readonly refitWindows = REFIT_WINDOWS;
  readonly #method: SmoothingMethod;
  readonly #components: MemberComponents;
  /** f64[partition][ETS_FIT_WIDTH]; NaN where nothing is fitted. */
  readonly #fits: TypedBlock<Float64Array>;
  #scratch: Block | undefined;

  constructor(method: SmoothingMethod, components: MemberComponents) {
    const { partitionCount, dayWindows } = components.history.shape;
    this.name = method.name;
    this.#method = method;
    this.#components = components;
    this.windowsMin = Math.max(WINDOWS_MIN, 2 * dayWindows);
    this.#fits = components.runner.kernels.arena.f64(partitionCount * ETS_FIT_WIDTH);
    this.#fits.view.fill(Number.NaN);
  }

  async fit(range: PartitionRange): Promise<void> {
    await this.#method.fit(this.#components.runner, this.#jobOf(range));
  }

  async predict(range: PartitionRange, out: Pointer): Promise<void> {
    const { history, runner, horizon } = this.#components;
    const naiveSeason = naiveSeasonOf(history.shape, history.length);
    await this.#method.predict(runner, { ...this.#jobOf(range), horizon, naiveSeason, out });
  }

  save(): MemberState {
    return { fits: this.#fits.view.slice() };
  }

  load(state: MemberState): void {
    const saved = new SavedState(this.name, state);
    const fits = saved.numbersLike('fits', this.#fits.view, isAnyNumber);
    for (let at = 0; at < fits.length; at += ETS_FIT_WIDTH)
      if (!isFit(fits.subarray(at, at + ETS_FIT_WIDTH)))
        throw saved.corrupt('fits', `are neither a fit nor none for partition ${at / ETS_FIT_WIDTH}`);
    this.#fits.view.set(fits);
  }

  close(): void {
    const { arena } = this.#components.runner.kernels;
    arena.free(this.#fits);
    if (this.#scratch !== undefined) arena.free(this.#scratch);
  }

  #jobOf({ first, count }: PartitionRange): EtsJobParameters {
    const { history } = this.#components;
    const { length, stride } = history;
    const plan = this.#method.planOf(this.#components);
    return {
      plan,
      series: history.pointer + first * stride * 8,
      stride,
      count,
      length,
      scratch: this.#scratchFor(plan),
      fits: this.#fits.pointer + first * ETS_FIT_WIDTH * 8,
    };
  }

  /** One block, made larger while the history grows to what a plan reads at most. */
  #scratchFor(plan: EtsPlan): Pointer {
    const { arena } = this.#components.runner.kernels;
    const sizeBytes = this.#method.scratchBytes(plan);
    if (this.#scratch !== undefined && this.#scratch.sizeBytes < sizeBytes) {
      arena.free(this.#scratch);
      this.#scratch = undefined;
    }
    this.#scratch ??= arena.alloc(sizeBytes);
    return this.#scratch.pointer;
  }
}

/** NaN stands for what is not fitted: rows are looked at as a whole. */
const isAnyNumber = (): boolean => true;

/** What the jobs write: seasons and parameters, or NaN throughout. */
const isFit = (row: Float64Array): boolean =>
  row.every(Number.isNaN) || ([0, 1, 2].includes(row[0] as number) && row.every(Number.isFinite));
