import { ForeshardError } from '../../base/errors.ts';
import type { Block, TypedBlock } from '../../kernels/arena.ts';
import {
  ETS_FIT_WIDTH,
  type EtsJobParameters,
  type EtsPlan,
  etsScratchBytes,
} from '../../kernels/ets-jobs.ts';
import type { Pointer } from '../../kernels/exports.ts';
import { etsPlan, naiveSeasonOf } from './ets-plan.ts';
import type { Member, MemberComponents, MemberState, PartitionRange } from './member.ts';

/** A week of hours: gains change slowly, and the states are filtered anew for each prediction anyway. */
const REFIT_WINDOWS = 168;

/**
 * Exponential smoothing with a damped trend and up to two seasons, day and week, each partition by itself.
 *
 * Parameters minimise the squared errors of forecasts up to two days ahead, not only of the next window; a season is
 * taken where it earns its states. Both are measured: docs/forecasting.md.
 *
 * @see Hyndman, Koehler, Ord & Snyder, "Forecasting with exponential smoothing: the state space approach", 2008
 * @see Taylor, "Triple seasonal methods for short-term electricity demand forecasting", 2010
 */
class Ets implements Member {
  readonly name = 'ets';
  readonly windowsMin: number;
  readonly refitWindows = REFIT_WINDOWS;
  readonly #components: MemberComponents;
  /** f64[partition][ETS_FIT_WIDTH]. */
  readonly #fits: TypedBlock<Float64Array>;
  #scratch: Block | undefined;

  constructor(components: MemberComponents) {
    const { partitionCount, dayWindows } = components.history.shape;
    this.#components = components;
    this.windowsMin = 2 * dayWindows;
    this.#fits = components.runner.kernels.arena.f64(partitionCount * ETS_FIT_WIDTH);
    this.#fits.view.fill(Number.NaN);
  }

  async fit(range: PartitionRange): Promise<void> {
    await this.#components.runner.run('etsFit', this.#jobOf(range));
  }

  async predict(range: PartitionRange, out: Pointer): Promise<void> {
    const { history, runner, horizon } = this.#components;
    const naiveSeason = naiveSeasonOf(history.shape, history.length);
    await runner.run('etsPredict', { ...this.#jobOf(range), horizon, naiveSeason, out });
  }

  save(): MemberState {
    return { fits: this.#fits.view.slice() };
  }

  load(state: MemberState): void {
    const { fits } = state as { fits?: Float64Array };
    if (fits?.length !== this.#fits.view.length)
      throw new ForeshardError('FORESHARD_CORRUPT', 'restart', 'ets: the saved fits are of other partitions');
    this.#fits.view.set(fits);
  }

  close(): void {
    const { arena } = this.#components.runner.kernels;
    arena.free(this.#fits);
    if (this.#scratch !== undefined) arena.free(this.#scratch);
  }

  #jobOf({ first, count }: PartitionRange): EtsJobParameters {
    const { history, horizon } = this.#components;
    const { length, stride } = history;
    const plan = etsPlan(history.shape, { length, horizon, hasSeasons: true });
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
    const sizeBytes = etsScratchBytes(plan);
    if (this.#scratch !== undefined && this.#scratch.sizeBytes < sizeBytes) {
      arena.free(this.#scratch);
      this.#scratch = undefined;
    }
    this.#scratch ??= arena.alloc(sizeBytes);
    return this.#scratch.pointer;
  }
}

/** Exponential smoothing: see {@link Ets}. */
export const etsMember = (components: MemberComponents): Member => new Ets(components);
