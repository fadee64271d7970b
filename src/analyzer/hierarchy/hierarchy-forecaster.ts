import { assert } from '../../base/assert.ts';
import type { Forecast } from '../../model/forecast.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../model/load-profile.ts';
import { Forecaster, type ForecasterComponents } from '../forecaster.ts';
import type { History } from '../history.ts';
import type { MemberForecast } from '../make-forecast.ts';
import { ORIGIN_STRIDE } from '../origins.ts';
import type { ForecastSettings } from '../settings.ts';
import { aggregateCountOf } from './aggregates.ts';
import type { HierarchyCheckpoint } from './checkpoint.ts';
import { Sums } from './sums.ts';

/** Sums are forecast from so many weeks on: before, the shape of a week is mostly noise. */
const WEEKS_MIN = 2;

/** Of a long history that is taken in at once, so many of the last windows are used to see how far off forecasts of sums are. */
const RECORD_WINDOWS = 336;

const WEEK_MS = 7 * 86_400_000;

/**
 * Forecasts partitions, and where the settings ask for it clusters of partitions with a like week and the total as well, and
 * reconciles them: the partitions' means add up to what is forecast for the clusters and for all together.
 *
 * It is used as {@link Forecaster} is. Points, bounds, members and skill are those of the partitions by themselves.
 */
export class HierarchyForecaster {
  readonly #settings: ForecastSettings;
  readonly #components: ForecasterComponents;
  readonly #partitions: Forecaster;
  #sums: Sums | undefined;
  /** The partitions' history that the sums are of: another one when all is learnt anew. */
  #summed: Readonly<History> | undefined;
  #isBusy = false;

  /** @throws ForeshardError FORESHARD_CONFIG naming a setting that is out of range. */
  constructor(settings: ForecastSettings, components: ForecasterComponents, partitions?: Forecaster) {
    this.#settings = settings;
    this.#components = components;
    this.#partitions = partitions ?? new Forecaster(settings, components);
  }

  /** @throws ForeshardError as {@link Forecaster.observe} does; windows before the one at fault are taken in. */
  observe(profile: LoadProfile): Promise<void> {
    return this.#exclusively(async () => {
      let first = 0;
      for (const cut of this.#cuts(profile)) {
        await this.#partitions.observe(windowsOf(profile, first, cut));
        await this.#followSums();
        first = cut;
      }
    });
  }

  /** The means of every step agree with the sums'. @throws ForeshardError as {@link Forecaster.forecast} does. */
  forecast(
    options: { readonly horizonSteps?: number; readonly levels?: readonly number[] } = {},
  ): Promise<Forecast> {
    return this.#exclusively(async () => {
      const partitions = await this.#partitions.forecast(options);
      return this.#sums?.reconciled(partitions) ?? partitions;
    });
  }

  /** What each member alone says of the partitions. @throws ForeshardError as {@link Forecaster.forecast} does. */
  explain(options: { readonly horizonSteps?: number } = {}): Promise<readonly MemberForecast[]> {
    return this.#exclusively(() => this.#partitions.explain(options));
  }

  /** What it has taken in of the partitions, as {@link Forecaster.history}. */
  get history(): Readonly<History> | undefined {
    return this.#partitions.history;
  }

  /** All it knows, as {@link Forecaster.save}. */
  save(): HierarchyCheckpoint | undefined {
    assert(!this.#isBusy, 'a forecaster is saved when it rests');
    const partitions = this.#partitions.save();
    return partitions && this.#sums ? { ...partitions, sums: this.#sums.save() } : partitions;
  }

  /** Sums that are no longer wanted are left behind. @throws ForeshardError as {@link Forecaster.restore} does. */
  static restore(
    checkpoint: HierarchyCheckpoint,
    settings: ForecastSettings,
    components: ForecasterComponents,
  ): HierarchyForecaster {
    const partitions = Forecaster.restore(checkpoint, settings, components);
    const restored = new HierarchyForecaster(settings, components, partitions);
    if (checkpoint.sums === undefined || !settings.isReconciled) return restored;
    try {
      restored.#sums = Sums.restore(checkpoint.sums, settings, {
        components: restored.#sumsComponents(),
        partitionCount: checkpoint.shape.partitionCount,
      });
      restored.#summed = partitions.history;
    } catch (error) {
      restored.close();
      throw error;
    }
    return restored;
  }

  /** Gives the kernel memory back. */
  close(): void {
    assert(!this.#isBusy, 'a forecaster is closed when it rests');
    this.#partitions.close();
    this.#dropSums();
  }

  #dropSums(): void {
    this.#sums?.close();
    this.#sums = undefined;
  }

  /**
   * Where to stop in a profile, to form sums or to make forecasts of them that will be judged: ends of slices, the last of
   * them that of the profile. Windows that are known are in the first slice.
   */
  #cuts({ startMs, windowCount, windowMs, partitionCount }: LoadProfile): number[] {
    const { history } = this.#partitions;
    const cuts: number[] = [];
    if (this.#settings.isReconciled && aggregateCountOf(partitionCount) > 0) {
      const offset = Math.round((startMs - (history?.shape.startMs ?? startMs)) / windowMs);
      const known = history === undefined ? 0 : history.dropped + history.length - offset;
      const begin = windowsMin(windowMs, this.#settings) - offset;
      const first = Math.max(1, known + 1, begin, windowCount - RECORD_WINDOWS);
      for (let cut = first; cut < windowCount; cut++)
        if ((offset + cut) % ORIGIN_STRIDE === 0) cuts.push(cut);
    }
    cuts.push(windowCount);
    return cuts;
  }

  /** Takes what the partitions have taken in into the sums; forms these when there is enough history, or others are due. */
  async #followSums(): Promise<void> {
    const { history } = this.#partitions;
    if (!this.#settings.isReconciled || history === undefined) return;
    const { partitionCount, windowMs } = history.shape;
    if (aggregateCountOf(partitionCount) === 0) return;
    if (this.#summed !== history) this.#dropSums();
    await this.#sums?.observe(history);
    const components = this.#sumsComponents();
    if (this.#sums?.haveMoved(history, components)) this.#dropSums();
    if (this.#sums === undefined && history.length >= windowsMin(windowMs, this.#settings)) {
      this.#sums = await Sums.form(history, this.#settings, components);
      this.#summed = history;
    }
    if ((history.dropped + history.length) % ORIGIN_STRIDE === 0)
      await this.#sums?.keepClaims(await this.#partitions.forecast(), history);
  }

  /** The partitions draw the same chance as without sums. */
  #sumsComponents(): ForecasterComponents {
    return { ...this.#components, random: this.#components.random.fork('sums of partitions') };
  }

  async #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    assert(!this.#isBusy, 'a forecaster does one thing at a time');
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      this.#isBusy = false;
    }
  }
}

/** Half of the history at most: with short windows it never holds two weeks. */
const windowsMin = (windowMs: number, { historyWindows }: ForecastSettings): number =>
  Math.min(Math.ceil((WEEKS_MIN * WEEK_MS) / windowMs), Math.floor(historyWindows / 2));

/** Windows [first, end) of a profile, in the same memory. */
function windowsOf(profile: LoadProfile, first: number, end: number): LoadProfile {
  const stride = profile.partitionCount * LOAD_DIMENSION_COUNT;
  return {
    ...profile,
    startMs: profile.startMs + first * profile.windowMs,
    windowCount: end - first,
    values: profile.values.subarray(first * stride, end * stride),
    coverage: profile.coverage.subarray(first, end),
  };
}
