import type { TypedBlock } from '../../kernels/arena.ts';
import type { Pointer } from '../../kernels/exports.ts';
import { planSeries, windowsNeeded } from '../../kernels/sarima/series.ts';
import { isState, STATE_COUNT } from '../../kernels/sarima/state.ts';
import { sarimaScratchBytes } from '../../kernels/sarima-jobs.ts';
import type { Member, MemberComponents, MemberState, PartitionRange } from './member.ts';
import { SavedState } from './saved-state.ts';

/** Parameters of a daily rhythm hold for a week; a fit that starts from them costs a tenth of choosing an order. */
const REFIT_DAYS = 7;

/** Orders hold longer than parameters. */
const SELECT_EVERY_FITS = 4;

/**
 * Seasonal ARIMA of each partition's log loads with a season of a day: parameters by conditional least squares, order by
 * AICc, differences by seasonal strength and the KPSS test.
 *
 * From two weeks on, what the week does to a day is taken off first. Days of more than 192 windows are taken off as a mean day,
 * and the rest is modelled without season.
 *
 * @see Box & Jenkins, "Time Series Analysis", 1970; Hyndman & Khandakar, "Automatic time series forecasting", 2008
 */
export class SarimaMember implements Member {
  readonly name = 'sarima';
  readonly windowsMin: number;
  readonly refitWindows: number;
  readonly #components: MemberComponents;
  /** f64[partition][STATE_COUNT]. */
  readonly #states: TypedBlock<Float64Array>;

  constructor(components: MemberComponents) {
    const { dayWindows, partitionCount } = components.history.shape;
    this.#components = components;
    this.windowsMin = windowsNeeded(components.history.shape);
    this.refitWindows = Math.max(1, REFIT_DAYS * dayWindows);
    this.#states = components.runner.kernels.arena.f64(partitionCount * STATE_COUNT);
  }

  async fit(range: PartitionRange): Promise<void> {
    await this.#withScratch(0, (scratch) =>
      this.#components.runner.run('sarimaFit', {
        ...this.#rows(range),
        scratch,
        selectEvery: SELECT_EVERY_FITS,
      }),
    );
  }

  async predict(range: PartitionRange, out: Pointer): Promise<void> {
    const { horizon, runner } = this.#components;
    await this.#withScratch(horizon, (scratch) =>
      runner.run('sarimaPredict', { ...this.#rows(range), scratch, horizon, out }),
    );
  }

  save(): MemberState {
    return { states: this.#states.view.slice() };
  }

  load(state: MemberState): void {
    const saved = new SavedState(this.name, state);
    const { view } = this.#states;
    const states = saved.numbersLike('states', view);
    const { season } = planSeries({ ...this.#components.history.shape, length: this.windowsMin });
    for (let at = 0; at < states.length; at += STATE_COUNT)
      if (!isState(states.subarray(at, at + STATE_COUNT), season > 1))
        throw saved.corrupt('states', `are no orders and parameters for partition ${at / STATE_COUNT}`);
    view.set(states);
  }

  close(): void {
    this.#components.runner.kernels.arena.free(this.#states);
  }

  #rows({ first, count }: PartitionRange) {
    const { pointer, stride, length, shape } = this.#components.history;
    return {
      series: pointer + first * stride * 8,
      stride,
      count,
      length,
      dayWindows: shape.dayWindows,
      weekWindows: shape.weekWindows,
      states: this.#states.pointer + first * STATE_COUNT * 8,
    };
  }

  /** Each call has its own: fits and predictions of different ranges may run at the same time. */
  async #withScratch(horizon: number, work: (scratch: Pointer) => Promise<unknown>): Promise<void> {
    const { arena } = this.#components.runner.kernels;
    const { length, shape } = this.#components.history;
    const scratch = arena.alloc(sarimaScratchBytes({ ...shape, length, horizon }));
    try {
      await work(scratch.pointer);
    } finally {
      arena.free(scratch);
    }
  }
}

export const sarimaMember = (components: MemberComponents): Member => new SarimaMember(components);
