import { assert } from '../base/assert.ts';
import { ForeshardError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import type { KernelRunner } from '../kernels/pool.ts';
import type { Forecast } from '../model/forecast.ts';
import type { LoadProfile } from '../model/load-profile.ts';
import { judgedSteps } from './bands.ts';
import { addShares, boundedLoads, combine, memberShares } from './combination.ts';
import { History } from './history.ts';
import { Roster } from './members/roster.ts';
import { assertForecastSettings, type ForecastSettings } from './settings.ts';
import { TrackRecord } from './track-record.ts';

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;

/** Two windows could be anything; from the third on there is at least a mean and an error of it. */
export const WINDOWS_MIN = 3;

/**
 * Every so many windows a forecast is kept and later judged. Prime to 24, so that in time every hour of the day is an
 * origin; seven are under way for a week's horizon.
 */
const ORIGIN_STRIDE = 25;

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
    this.#state?.roster.close();
    this.#state?.history.close();
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
    const { history, record, roster } = state;
    record.judge(history);
    const end = history.dropped + history.length;
    const isOrigin = end % ORIGIN_STRIDE === 0 && history.length >= WINDOWS_MIN;
    // In the middle of a long history members need to be up to date only where a forecast is judged.
    const isNewest = windowsLeft === 1;
    if (isOrigin || isNewest) await roster.catchUp({ isNewest });
    if (isOrigin) await this.#issue(state, end);
  }

  /** Keeps a forecast, to be judged as its windows come. */
  async #issue({ history, record, roster }: State, origin: number): Promise<void> {
    const { partitionCount } = history.shape;
    const { horizonSteps } = this.#settings;
    const steps = judgedSteps(horizonSteps);
    const members = new Float32Array(roster.names.length * partitionCount * steps.length);
    const combined = new Float32Array(partitionCount * horizonSteps);
    let isAvailable: readonly boolean[] = [];
    await roster.predict((forecasts) => {
      isAvailable = forecasts.isAvailable;
      combine(forecasts, record.weights(isAvailable, forecasts.range), combined);
      const { first, count } = forecasts.range;
      for (let member = 0; member < isAvailable.length; member++)
        for (let p = 0; p < count; p++)
          for (let judged = 0; judged < steps.length; judged++)
            members[(member * partitionCount + first + p) * steps.length + judged] = forecasts.logLoads[
              (member * count + p) * horizonSteps + (steps[judged] as number)
            ] as number;
    });
    const combinedJudged = new Float32Array(partitionCount * steps.length).map(
      (_, at) =>
        combined[
          Math.floor(at / steps.length) * horizonSteps + (steps[at % steps.length] as number)
        ] as number,
    );
    record.issue({ origin, steps, isAvailable, members, combined: combinedJudged });
  }

  async #forecast(horizonSteps: number): Promise<Forecast> {
    const state = this.#readyState(horizonSteps);
    const { history, record, roster } = state;
    const { partitionCount, windowMs } = history.shape;
    const horizon = this.#settings.horizonSteps;
    const combined = new Float32Array(partitionCount * horizon);
    const totals = new Float64Array(roster.names.length);
    await roster.predict((forecasts) => {
      const weights = record.weights(forecasts.isAvailable, forecasts.range);
      addShares(weights, totals);
      combine(forecasts, weights, combined);
    });
    const loads = boundedLoads(state, combined, { horizon, horizonSteps, level: this.#settings.level });
    return {
      startMs: history.endMs,
      stepMs: windowMs,
      horizonSteps,
      partitionCount,
      level: this.#settings.level,
      ...loads,
      skill: record.skill(),
      members: memberShares(roster.names, totals),
    };
  }

  async #explain(horizonSteps: number): Promise<readonly MemberForecast[]> {
    const { history, record, roster } = this.#readyState(horizonSteps);
    const { partitionCount } = history.shape;
    const horizon = this.#settings.horizonSteps;
    const totals = new Float64Array(roster.names.length);
    const points = roster.names.map(() => new Float64Array(horizonSteps * partitionCount));
    let available: readonly boolean[] = [];
    await roster.predict(({ range, logLoads, isAvailable }) => {
      available = isAvailable;
      addShares(record.weights(isAvailable, range), totals);
      points.forEach((point, member) => {
        if (!isAvailable[member]) return;
        for (let p = 0; p < range.count; p++)
          for (let step = 0; step < horizonSteps; step++) {
            const logLoad = logLoads[(member * range.count + p) * horizon + step] as number;
            point[step * partitionCount + range.first + p] = Math.expm1(Math.max(0, logLoad));
          }
      });
    });
    const shares = memberShares(roster.names, totals);
    return roster.names.flatMap((name, member) => {
      if (!available[member]) return [];
      const weight = shares.find((share) => share.name === name)?.weight ?? 0;
      return [{ name, weight, point: points[member] as Float64Array }];
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
    const roster = new Roster(this.#settings, {
      ...this.#components,
      history,
      horizon: this.#settings.horizonSteps,
    });
    this.#state = { history, roster, record: new TrackRecord(partitionCount, roster.names) };
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
  readonly roster: Roster;
}
