import { assert } from '../base/assert.ts';
import { ForeshardError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import type { KernelRunner } from '../kernels/pool.ts';
import type { Forecast } from '../model/forecast.ts';
import type { LoadProfile } from '../model/load-profile.ts';
import {
  assertRestorable,
  CHECKPOINT_VERSION,
  checkpointShape,
  type ForecasterCheckpoint,
} from './checkpoint.ts';
import { History } from './history.ts';
import { issueForecast } from './issue.ts';
import type { Knowledge } from './knowledge.ts';
import { LevelShifts } from './level-shifts.ts';
import { explainForecast, type MemberForecast, makeForecast } from './make-forecast.ts';
import { Roster } from './members/roster.ts';
import { rangesToIssue } from './origins.ts';
import { type SeasonLengths, seasonLengths } from './season-lengths.ts';
import { SeasonWatch } from './season-watch.ts';
import { assertForecastSettings, type ForecastSettings, trackedLevels } from './settings.ts';
import { endedSilence } from './silences.ts';
import { TrackRecord } from './track-record.ts';

/** Two windows could be anything; from the third on there is at least a mean and an error of it. */
export const WINDOWS_MIN = 3;

export interface ForecasterComponents {
  /** The pool, or the calling thread. */
  readonly runner: KernelRunner;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Forecasts every partition's load.
 *
 * Several members (`members/registry.ts`) are combined in log space with weights from their own record. Windows are taken in
 * one at a time, in order; on the way a forecast is issued every few windows (`origins.ts`) and judged as its steps come true,
 * so that weights, bounds and skill rest on errors made on windows that were not known then. Deterministic for a seed and a history; a history taken in at once and window by window give
 * the same judgements but not the same models to the last bit, since those are solved at other times.
 */
export class Forecaster {
  readonly #settings: ForecastSettings;
  readonly #components: ForecasterComponents;
  #state: Knowledge | undefined;
  #isBusy = false;
  #seasons: SeasonWatch;

  /** @throws ForeshardError FORESHARD_CONFIG naming a setting that is out of range. */
  constructor(settings: ForecastSettings, components: ForecasterComponents) {
    assertForecastSettings(settings);
    this.#settings = settings;
    this.#components = components;
    this.#seasons = new SeasonWatch(settings.driver, 0);
  }

  /**
   * Takes in the windows that are new: those from the end of what is known on. Windows missing between count as outages.
   *
   * @param options.onWindow told after each window how many of the profile's are taken in.
   * @throws ForeshardError FORESHARD_CORRUPT on loads that are no finite numbers >= 0.
   * @throws ForeshardError FORESHARD_CONFIG when the profile has another shape than the ones before.
   */
  observe(
    profile: LoadProfile,
    options: { readonly onWindow?: (windowCount: number) => void } = {},
  ): Promise<void> {
    return this.#exclusively(() => this.#observe(profile, options.onWindow));
  }

  /**
   * The next windows after the last one observed.
   *
   * @param horizonSteps 1..settings.horizonSteps, that by default.
   * @param levels of the `intervals`: of settings.level and settings.levels; none by default.
   * @throws ForeshardError FORESHARD_NOT_READY below WINDOWS_MIN windows of history.
   */
  forecast(
    options: { readonly horizonSteps?: number; readonly levels?: readonly number[] } = {},
  ): Promise<Forecast> {
    const { horizonSteps = this.#settings.horizonSteps, levels = [] } = options;
    return this.#exclusively(() =>
      makeForecast(this.#readyState(horizonSteps), {
        horizonSteps,
        levelIndex: this.#levelIndex(this.#settings.level),
        intervalIndexes: levels.map((level) => this.#levelIndex(level)),
      }),
    );
  }

  /**
   * What each member alone says, for people and benches: who disagrees with whom, and who is listened to.
   *
   * @returns per available member its mean weight and f64[step][partition] of the driver dimension.
   * @throws ForeshardError as {@link forecast} does.
   */
  explain(options: { readonly horizonSteps?: number } = {}): Promise<readonly MemberForecast[]> {
    const { horizonSteps = this.#settings.horizonSteps } = options;
    return this.#exclusively(() => explainForecast(this.#readyState(horizonSteps), horizonSteps));
  }

  /** What it has taken in, to be read between two calls; undefined before the first window. */
  get history(): Readonly<History> | undefined {
    return this.#state?.history;
  }

  /**
   * All it knows, to be stored and given to {@link Forecaster.restore} after a restart; undefined before the first window.
   */
  save(): ForecasterCheckpoint | undefined {
    assert(!this.#isBusy, 'a forecaster is saved when it rests');
    if (this.#state === undefined) return undefined;
    const { history, roster, record, shifts } = this.#state;
    return {
      version: CHECKPOINT_VERSION,
      shape: checkpointShape(this.#settings, history.shape),
      history: history.save(),
      members: roster.save(),
      record: record.save(),
      shifts: shifts.save(),
    };
  }

  /**
   * A forecaster that goes on where the saved one was: the same forecasts, nothing is fitted again.
   *
   * @throws ForeshardError FORESHARD_CONFIG when it was saved by another version, or with settings that do not fit these.
   * @throws ForeshardError FORESHARD_CORRUPT when parts are missing.
   */
  static restore(
    checkpoint: ForecasterCheckpoint,
    settings: ForecastSettings,
    components: ForecasterComponents,
  ): Forecaster {
    const forecaster = new Forecaster(settings, components);
    assertRestorable(checkpoint, settings);
    const state = forecaster.#newState(checkpoint.shape);
    try {
      state.history.load(checkpoint.history);
      state.roster.load(checkpoint.members);
      state.record.load(checkpoint.record);
      state.shifts.load(checkpoint.shifts);
    } catch (error) {
      forecaster.close();
      throw error;
    }
    return forecaster;
  }

  /** Gives the kernel memory back. */
  close(): void {
    assert(!this.#isBusy, 'a forecaster is closed when it rests');
    if (this.#state !== undefined) this.#close(this.#state);
  }

  #close({ roster, history }: Knowledge): void {
    roster.close();
    history.close();
    this.#state = undefined;
  }

  async #observe(profile: LoadProfile, onWindow?: (windowCount: number) => void): Promise<void> {
    const state = this.#stateFor(profile);
    const { history } = state;
    const firstNew = Math.round((history.endMs - profile.startMs) / profile.windowMs);
    const missing = Math.max(0, -firstNew);
    if (missing >= this.#settings.historyWindows)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'restart',
        `${missing} windows are missing between the history and this profile: nothing known is left to forecast from`,
      );
    const windowsTaken = missing + profile.windowCount - Math.max(0, firstNew);
    for (let i = 0; i < missing; i++) {
      history.appendOutage();
      await this.#afterWindow(state, { isNewest: false, windowsTaken });
    }
    for (let index = Math.max(0, firstNew); index < profile.windowCount; index++) {
      history.append(profile, index);
      await this.#afterWindow(state, { isNewest: index === profile.windowCount - 1, windowsTaken });
      onWindow?.(index + 1);
    }
  }

  async #afterWindow(
    state: Knowledge,
    taking: { readonly isNewest: boolean; readonly windowsTaken: number },
  ): Promise<void> {
    const { history, record, roster } = state;
    record.judge(history);
    const end = history.dropped + history.length;
    for (const shift of state.shifts.watch(history, (p, window) => record.surprise(history, p, window))) {
      history.rescale(shift.partition, shift.window, shift.factor);
      record.rescale(shift, end);
      this.#components.logger.info(
        { ...shift, window: history.dropped + shift.window },
        'a level has shifted',
      );
    }
    for (let p = 0; p < history.shape.partitionCount; p++) {
      const silence = endedSilence(history, p);
      if (silence === undefined) continue;
      history.fill(p, silence);
      state.shifts.forget(history, p, silence);
      record.forgetSilence(p, silence, history.dropped);
      this.#components.logger.info(
        { partition: p, window: history.dropped + silence.first, windows: silence.end - silence.first },
        'what was lost in a silence is filled in',
      );
    }
    // In the middle of a long history members need to be up to date only where a forecast is judged.
    const due = history.length < WINDOWS_MIN ? [] : rangesToIssue(history.shape.partitionCount, end);
    if (due.length > 0 || taking.isNewest) await roster.catchUp(taking);
    for (const range of due) await issueForecast(state, range);
  }

  /** @throws ForeshardError FORESHARD_CONFIG on a level whose record is not kept. */
  #levelIndex(level: number): number {
    const levels = trackedLevels(this.#settings);
    const index = levels.indexOf(level);
    if (index < 0)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `no record is kept of bounds at level ${level}, only at ${levels.join(', ')}: add it to forecast.levels`,
      );
    return index;
  }

  /** @throws ForeshardError where nothing, or nothing of that length, can be forecast. */
  #readyState(horizonSteps: number): Knowledge {
    const state = this.#state;
    const windows = state?.history.length ?? 0;
    if (state === undefined || windows < WINDOWS_MIN)
      throw new ForeshardError(
        'FORESHARD_NOT_READY',
        'wait',
        `${windows} windows of history, ${WINDOWS_MIN} are needed for a forecast`,
      );
    if (!(Number.isInteger(horizonSteps) && horizonSteps >= 1 && horizonSteps <= this.#settings.horizonSteps))
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `horizonSteps must be an integer in 1..${this.#settings.horizonSteps} (the forecaster's own), got ${horizonSteps}`,
      );
    return state;
  }

  #stateFor(profile: LoadProfile): Knowledge {
    const { partitionCount, windowMs, startMs } = profile;
    if (this.#state !== undefined) {
      const { shape } = this.#state.history;
      const isAligned = (startMs - shape.startMs) % windowMs === 0;
      if (shape.partitionCount === partitionCount && shape.windowMs === windowMs && isAligned)
        return this.#stateInSeason(this.#state, profile);
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'restart',
        `this forecaster knows ${shape.partitionCount} partitions in windows of ${shape.windowMs} ms, the profile has ` +
          `${partitionCount} in windows of ${windowMs} ms${isAligned ? '' : ', and its windows begin in between'}`,
      );
    }
    this.#seasons = new SeasonWatch(this.#settings.driver, profile.windowCount);
    return this.#newState({ ...profile, ...seasonLengths(profile, this.#settings.driver) });
  }

  /** Where the load turns out to have other seasons than those that members know, all is learnt anew from the profile. */
  #stateInSeason(state: Knowledge, profile: LoadProfile): Knowledge {
    const { history } = state;
    const { shape } = history;
    const isWhole = profile.startMs <= shape.startMs + history.dropped * shape.windowMs;
    if (!isWhole) return state;
    const end = (profile.startMs - shape.startMs) / shape.windowMs + profile.windowCount;
    const newWindows = end - history.dropped - history.length;
    const found = this.#seasons.look(profile, { end, newWindows });
    if (found === undefined) return state;
    const { dayWindows, weekWindows } = found;
    if (dayWindows === shape.dayWindows && weekWindows === shape.weekWindows) return state;
    this.#components.logger.info(
      { dayWindows, weekWindows },
      'the load has other seasons: all is learnt anew',
    );
    this.#close(state);
    this.#seasons = new SeasonWatch(this.#settings.driver, profile.windowCount);
    return this.#newState({ ...profile, dayWindows, weekWindows });
  }

  #newState({
    partitionCount,
    windowMs,
    startMs,
    dayWindows,
    weekWindows,
  }: Pick<LoadProfile, 'partitionCount' | 'windowMs' | 'startMs'> & SeasonLengths): Knowledge {
    const { arena } = this.#components.runner.kernels;
    const history = new History(
      {
        partitionCount,
        windowMs,
        startMs,
        driver: this.#settings.driver,
        windowsMax: this.#settings.historyWindows,
        dayWindows,
        weekWindows,
      },
      arena,
    );
    const roster = new Roster(this.#settings, {
      ...this.#components,
      history,
      horizon: this.#settings.horizonSteps,
    });
    this.#state = {
      history,
      roster,
      shifts: new LevelShifts(history.shape),
      record: new TrackRecord(partitionCount, {
        memberNames: roster.names,
        levels: trackedLevels(this.#settings),
        dayWindows,
      }),
    };
    return this.#state;
  }

  /** Two calls at once would read and write the same kernel memory: that is a bug of the caller's, not a race to win. */
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
