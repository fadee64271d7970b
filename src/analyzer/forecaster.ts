import { assert } from '../base/assert.ts';
import { ForeshardError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import type { TypedBlock } from '../kernels/arena.ts';
import { FORECAST_MEMBER_COUNT, FORECAST_MEMBERS } from '../kernels/forecast-jobs.ts';
import type { KernelRunner } from '../kernels/pool.ts';
import type { Forecast } from '../model/forecast.ts';
import type { LoadProfile } from '../model/load-profile.ts';
import { boundedLoads, combine, memberShares } from './combination.ts';
import { History } from './history.ts';
import { affordableLags, PooledRidge } from './pooled-ridge.ts';
import { assertForecastSettings, type ForecastSettings } from './settings.ts';
import { isAvailable, TrackRecord } from './track-record.ts';

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;

/** Two windows could be anything; from the third on there is at least a mean and an error of it. */
export const WINDOWS_MIN = 3;

/**
 * Every so many windows a forecast is kept and later judged. Prime to 24, so that in time every hour of the day is an
 * origin; seven are under way for a week's horizon.
 */
const ORIGIN_STRIDE = 25;

/** While a long history is taken in, the models are only solved for the origins that are judged. Then: one every 3 windows. */
const SOLVE_STRIDE = 3;

/** One member's own forecast. */
export interface MemberForecast {
  readonly name: string;
  readonly weight: number;
  readonly point: Float64Array;
}

export interface ForecasterComponents {
  /** The pool, or the calling thread. */
  readonly runner: KernelRunner;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Forecasts every partition's load.
 *
 * Several members (level, daily and weekly seasonal means, the week before, pooled ridge) are combined in log space with
 * weights from their own record. Windows are taken in one at a time, in order; on the way a forecast is issued every
 * ORIGIN_STRIDE windows and judged as its steps come true, so that weights, bounds and skill rest on errors made on windows
 * that were not known then. Deterministic for a seed and a history; a history taken in at once and window by window give
 * the same judgements but not the same models to the last bit, since those are solved at other times.
 */
export class Forecaster {
  readonly #settings: ForecastSettings;
  readonly #components: ForecasterComponents;
  #state: State | undefined;
  #isBusy = false;

  /** @throws ForeshardError FORESHARD_CONFIG naming a setting that is out of range. */
  constructor(settings: ForecastSettings, components: ForecasterComponents) {
    assertForecastSettings(settings);
    this.#settings = settings;
    this.#components = components;
  }

  /**
   * Takes in the windows that are new: those from the end of what is known on. Windows missing between count as outages.
   *
   * @throws ForeshardError FORESHARD_CORRUPT on loads that are no finite numbers >= 0.
   * @throws ForeshardError FORESHARD_CONFIG when the profile has another shape than the ones before.
   */
  observe(profile: LoadProfile): Promise<void> {
    return this.#exclusively(() => this.#observe(profile));
  }

  /**
   * The next windows after the last one observed.
   *
   * @param horizonSteps 1..settings.horizonSteps, that by default.
   * @throws ForeshardError FORESHARD_NOT_READY below WINDOWS_MIN windows of history.
   */
  forecast(options: { readonly horizonSteps?: number } = {}): Promise<Forecast> {
    return this.#exclusively(() => this.#forecast(options.horizonSteps ?? this.#settings.horizonSteps));
  }

  /**
   * What each member alone says, for people and benches: who disagrees with whom, and who is listened to.
   *
   * @returns per available member its mean weight and f64[step][partition] of the driver dimension.
   * @throws ForeshardError as {@link forecast} does.
   */
  explain(options: { readonly horizonSteps?: number } = {}): Promise<readonly MemberForecast[]> {
    return this.#exclusively(() => this.#explain(options.horizonSteps ?? this.#settings.horizonSteps));
  }

  /** Gives the kernel memory back. */
  close(): void {
    assert(!this.#isBusy, 'a forecaster is closed when it rests');
    if (this.#state !== undefined) closeState(this.#state);
    this.#state = undefined;
  }

  async #observe(profile: LoadProfile): Promise<void> {
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
    for (let i = 0; i < missing; i++) {
      history.appendOutage();
      await this.#afterWindow(state, missing - i + profile.windowCount);
    }
    for (let index = Math.max(0, firstNew); index < profile.windowCount; index++) {
      history.append(profile, index);
      await this.#afterWindow(state, profile.windowCount - index);
    }
  }

  async #afterWindow(state: State, windowsLeft: number): Promise<void> {
    const { history, record } = state;
    record.judge(history);
    const end = history.dropped + history.length;
    const isOrigin = end % ORIGIN_STRIDE === 0 && history.length >= WINDOWS_MIN;
    const isNewest = windowsLeft === 1;
    // In the middle of a long history models are needed only where a forecast is judged.
    if (isOrigin || isNewest) await this.#train(state, isOrigin, windowsLeft);
    if (!isOrigin) return;
    const { available } = await this.#makeMembers(state);
    const { partitionCount } = history.shape;
    const { horizonSteps } = this.#settings;
    record.issue({
      origin: end,
      horizon: horizonSteps,
      available,
      members: Float32Array.from(state.members.view),
      combined: combine(state.members.view, record.weights(available), {
        partitionCount,
        horizon: horizonSteps,
      }),
    });
  }

  async #train(state: State, isOrigin: boolean, windowsLeft: number): Promise<void> {
    const { history } = state;
    const { horizonSteps, ridge: settings } = this.#settings;
    if (state.ridge === undefined) {
      const windows = history.length + windowsLeft - 1;
      const lagCount = affordableLags(settings, { horizon: horizonSteps, windows });
      if (history.length < PooledRidge.windowsMin({ lagCount, horizon: horizonSteps })) return;
      state.ridge = new PooledRidge(
        { settings, horizon: horizonSteps, lagCount },
        { history, runner: this.#components.runner, random: this.#components.random.fork('pooled ridge') },
      );
      this.#components.logger.info({ lagCount, windows: history.length }, 'pooled ridge begins');
    }
    await state.ridge.train();
    const end = history.dropped + history.length;
    const isBulk = end - state.solvedAt >= ORIGIN_STRIDE;
    if (isBulk || !state.ridge.isReady) await state.ridge.solve('all');
    else if (end % SOLVE_STRIDE === 0) await state.ridge.solve('next');
    if (isBulk || isOrigin || end % SOLVE_STRIDE === 0) state.solvedAt = end;
  }

  async #makeMembers(state: State): Promise<{ available: number }> {
    const { history } = state;
    const { partitionCount, dayWindows, weekWindows } = history.shape;
    return this.#components.runner.run('forecastMembers', {
      series: history.pointer,
      stride: history.stride,
      partitionCount,
      length: history.length,
      horizon: this.#settings.horizonSteps,
      dayWindows,
      weekWindows,
      weeksMax: this.#settings.weeksMax,
      out: state.members.pointer,
      ridge: state.ridge?.predictor() ?? null,
    });
  }

  async #forecast(horizonSteps: number): Promise<Forecast> {
    const state = this.#readyState(horizonSteps);
    const { history, record } = state;
    const { partitionCount, windowMs } = history.shape;
    const { available } = await this.#makeMembers(state);
    const weights = record.weights(available);
    const horizon = this.#settings.horizonSteps;
    const combined = combine(state.members.view, weights, { partitionCount, horizon });
    const loads = boundedLoads(state, combined, { horizon, horizonSteps, level: this.#settings.level });
    return {
      startMs: history.endMs,
      stepMs: windowMs,
      horizonSteps,
      partitionCount,
      level: this.#settings.level,
      ...loads,
      skill: record.skill(),
      members: memberShares(weights),
    };
  }

  async #explain(horizonSteps: number): Promise<readonly MemberForecast[]> {
    const state = this.#readyState(horizonSteps);
    const { partitionCount } = state.history.shape;
    const { available } = await this.#makeMembers(state);
    const shares = memberShares(state.record.weights(available));
    const horizon = this.#settings.horizonSteps;
    return FORECAST_MEMBERS.flatMap((name, member) => {
      if (!isAvailable(available, member)) return [];
      const point = new Float64Array(horizonSteps * partitionCount);
      for (let p = 0; p < partitionCount; p++)
        for (let step = 0; step < horizonSteps; step++) {
          const logLoad = state.members.view[(member * partitionCount + p) * horizon + step] as number;
          point[step * partitionCount + p] = Math.expm1(Math.max(0, logLoad));
        }
      return [{ name, weight: shares.find((share) => share.name === name)?.weight ?? 0, point }];
    });
  }

  /** @throws ForeshardError where nothing, or nothing of that length, can be forecast. */
  #readyState(horizonSteps: number): State {
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

  #stateFor(profile: LoadProfile): State {
    const { partitionCount, windowMs, startMs } = profile;
    if (this.#state !== undefined) {
      const { shape } = this.#state.history;
      const isAligned = (startMs - shape.startMs) % windowMs === 0;
      if (shape.partitionCount === partitionCount && shape.windowMs === windowMs && isAligned)
        return this.#state;
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'restart',
        `this forecaster knows ${shape.partitionCount} partitions in windows of ${shape.windowMs} ms, the profile has ` +
          `${partitionCount} in windows of ${windowMs} ms${isAligned ? '' : ', and its windows begin in between'}`,
      );
    }
    const { arena } = this.#components.runner.kernels;
    const history = new History(
      {
        partitionCount,
        windowMs,
        startMs,
        driver: this.#settings.driver,
        windowsMax: this.#settings.historyWindows,
        weekWindows: Math.max(1, Math.round(WEEK_MS / windowMs)),
        dayWindows: Math.max(1, Math.round(DAY_MS / windowMs)),
      },
      arena,
    );
    const members = arena.f64(FORECAST_MEMBER_COUNT * partitionCount * this.#settings.horizonSteps);
    this.#state = {
      history,
      members,
      record: new TrackRecord(partitionCount),
      ridge: undefined,
      solvedAt: 0,
      arena,
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

interface State {
  readonly history: History;
  readonly record: TrackRecord;
  /** f64[member][partition][step], log loads of the last members job. */
  readonly members: TypedBlock<Float64Array>;
  readonly arena: { free(block: TypedBlock<Float64Array>): void };
  ridge: PooledRidge | undefined;
  /** The window count at which models were last solved. */
  solvedAt: number;
}

function closeState(state: State): void {
  state.history.close();
  state.ridge?.close();
  state.arena.free(state.members);
}
