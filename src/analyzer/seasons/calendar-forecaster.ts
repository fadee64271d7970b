import { type Calendar, type CalendarEvent, EVENT_MS_MAX, overlapShare } from '../../model/calendar.ts';
import type { Forecast } from '../../model/forecast.ts';
import type { LoadDimension, LoadProfile } from '../../model/load-profile.ts';
import { applyUplift } from './apply-uplift.ts';
import { measureOccurrence, type OccurrenceEffect } from './occurrence.ts';
import { learnUplift } from './uplift.ts';

/** A forecaster of ordinary days. */
export interface BaseForecaster {
  forecast(profile: LoadProfile): Promise<Forecast>;
}

/** Where effects outlive the process. */
export interface EffectMemory {
  load(): Promise<readonly OccurrenceEffect[]>;
  keep(effect: OccurrenceEffect): Promise<void>;
  forget(effect: OccurrenceEffect): Promise<void>;
}

const DAY_MS = 86_400_000;
const KEPT_EVERY_MS = 7 * DAY_MS;
/** The weeks after an occurrence tell the usual as the ones before do: until they have come, it is measured anew. */
const SETTLED_MS = 28 * DAY_MS;
/** Occurrences remembered beyond the history; 16 KiB each at 4,096 partitions. */
const EFFECTS_MAX = 256;
/** An event is taken out of windows that it covers by at least this share. */
const MASKED_SHARE = 0.5;
/** Coverage of a window that is taken out: the base forecaster treats it as an outage. */
const MASKED = 0;

/**
 * Puts the events of a calendar around a forecaster: what earlier occurrences did is learnt from the profile, windows of
 * events whose effect is known are kept from the base forecaster, and its forecast is raised where events will be.
 *
 * Effects outlive the profile and the process, so that a yearly event can be learnt from ten weeks of history at a time. The first occurrence of an event is passed on as measured: nothing is known of it yet, and a
 * forecaster that sees it coming is better than one that looks away.
 */
export class CalendarForecaster implements BaseForecaster {
  readonly #calendar: Calendar;
  readonly #driver: LoadDimension;
  readonly #base: BaseForecaster;
  readonly #memory: EffectMemory;
  #isRecalled = false;
  /** Keys of effects measured since they were last looked through. */
  readonly #isFresh = new Set<string>();
  /** Until when the profile reached that an effect was last kept from. */
  readonly #keptMs = new Map<string, number>();
  /** By name and start; in the order of their last measurement. */
  readonly #effects = new Map<string, OccurrenceEffect>();

  constructor(components: {
    readonly calendar: Calendar;
    readonly driver: LoadDimension;
    readonly base: BaseForecaster;
    readonly memory: EffectMemory;
  }) {
    this.#calendar = components.calendar;
    this.#driver = components.driver;
    this.#base = components.base;
    this.#memory = components.memory;
  }

  /** What is known of past occurrences, by start. */
  get effects(): readonly OccurrenceEffect[] {
    return [...this.#effects.values()].sort((a, b) => a.startMs - b.startMs);
  }

  /** @throws whatever the base forecaster or the memory throws. */
  async forecast(profile: LoadProfile): Promise<Forecast> {
    const endMs = profile.startMs + profile.windowCount * profile.windowMs;
    const past = this.#calendar.occurrences(profile.startMs, endMs).filter(isShort);
    await this.#recall();
    this.#measure(profile, past);
    await this.#keep(endMs);
    const known = past.filter(
      (event) => this.#effects.has(keyOf(event)) || learnUplift(event, this.effects) !== undefined,
    );
    const forecast = await this.#base.forecast(withoutEvents(profile, known));
    const forecastEndMs = forecast.startMs + forecast.horizonSteps * forecast.stepMs;
    const expected = this.#calendar
      .occurrences(forecast.startMs, forecastEndMs)
      .filter(isShort)
      .flatMap((event) => {
        const uplift = learnUplift(event, this.effects);
        return uplift === undefined ? [] : [{ event, uplift }];
      });
    return applyUplift(forecast, expected);
  }

  /** Once: what earlier coordinators have learnt. */
  async #recall(): Promise<void> {
    if (this.#isRecalled) return;
    for (const effect of await this.#memory.load()) this.#effects.set(keyOf(effect), effect);
    this.#isRecalled = true;
  }

  /** Keeps what was measured anew: at first, and once a week until it is settled. */
  async #keep(nowMs: number): Promise<void> {
    for (const [key, effect] of this.#effects) {
      const keptMs = this.#keptMs.get(key);
      const isDue = keptMs === undefined || nowMs - keptMs >= KEPT_EVERY_MS;
      if (!this.#isFresh.delete(key) || !isDue) continue;
      await this.#memory.keep(effect);
      this.#keptMs.set(key, nowMs);
    }
    for (const [key, effect] of this.#effects) {
      if (this.#effects.size <= EFFECTS_MAX) break;
      await this.#memory.forget(effect);
      this.#effects.delete(key);
      this.#keptMs.delete(key);
    }
  }

  #measure(profile: LoadProfile, past: readonly CalendarEvent[]): void {
    const endMs = profile.startMs + profile.windowCount * profile.windowMs;
    const isEvent = eventWindows(profile, past);
    for (const event of past) {
      const isSettled = event.endMs + SETTLED_MS < endMs && this.#effects.has(keyOf(event));
      if (isSettled || event.endMs > endMs) continue;
      const effect = measureOccurrence(event, profile, {
        driver: this.#driver,
        isEvent: (window) => isEvent[window] === 1,
      });
      if (effect === undefined) continue;
      this.#effects.delete(keyOf(event));
      this.#effects.set(keyOf(event), effect);
      this.#isFresh.add(keyOf(event));
    }
  }
}

const keyOf = ({ name, startMs }: { readonly name: string; readonly startMs: number }): string =>
  `${startMs} ${name}`;
const isShort = (event: CalendarEvent): boolean => event.endMs - event.startMs <= EVENT_MS_MAX;

/** u8[window]: 1 where any of the events is, be it for a moment. */
function eventWindows(profile: LoadProfile, events: readonly CalendarEvent[]): Uint8Array {
  return markedWindows(profile, events, 0);
}

/** The profile with the windows of events marked as not measured. */
function withoutEvents(profile: LoadProfile, events: readonly CalendarEvent[]): LoadProfile {
  if (events.length === 0) return profile;
  const marked = markedWindows(profile, events, MASKED_SHARE);
  return { ...profile, coverage: profile.coverage.map((value, w) => (marked[w] === 1 ? MASKED : value)) };
}

function markedWindows(profile: LoadProfile, events: readonly CalendarEvent[], share: number): Uint8Array {
  const { startMs, windowMs, windowCount } = profile;
  const marked = new Uint8Array(windowCount);
  for (const event of events) {
    const first = Math.max(0, Math.floor((event.startMs - startMs) / windowMs));
    const end = Math.min(windowCount, Math.ceil((event.endMs - startMs) / windowMs));
    for (let window = first; window < end; window++)
      if (overlapShare(event, startMs + window * windowMs, windowMs) > share) marked[window] = 1;
  }
  return marked;
}
