import type { History } from './history.ts';
import { levelWeight } from './ordinary-hour.ts';
import { restoreInto } from './saved.ts';
import type { Silence } from './silences.ts';

/**
 * Shares of a day that a shift may be old when it is found, and by how much it must then exceed what differences there were
 * of late: a sharp one is believed soon, a slight one only when it has lasted a day. Found sooner (3 or 6 hours) or by less
 * (1.6 to 2.5 times), shifts that were but events cost 1 to 4 % of log error on the training parts of M4, the flights log and
 * the purchases.
 */
const SPANS = [
  // Too short to believe anything: it is only suspected, see suspected().
  { days: 1 / 8, excess: Number.POSITIVE_INFINITY },
  { days: 1 / 2, excess: 4 },
  { days: 1, excess: 2.3 },
] as const;

/** Days before a suspected shift that it is compared with, so that one odd day does not stand for what was usual. */
const BEFORE_DAYS = 3;

/** Weeks that the usual load of an hour is the mean of. */
const WEEKS = 3;

/** Log units, a factor of one and a half: what is smaller the members follow by themselves. */
const STEP_MIN = 0.35;
/** What a difference of late was is half forgotten after two weeks. */
const PAST_HALF_LIFE_DAYS = 14;
/** Days of differences seen before any of them counts as unusual. */
const SEEN_DAYS_MIN = 9;

/** What is more is an outage, its end or an event, not a level: to rescale the past by it would leave nothing of the past. */
const FACTOR_MAX = 4;

/**
 * Share of the largest difference of late from which on a shift is suspected: bounds then reach further, the forecast stays. At 1
 * bounds of 80 % held 0.74 of what came 13 hours after a shift, at 0.7 0.80, at 1 % more width on usual days.
 */
const SUSPICION = 0.7;

/** Share of the difference by which the forecasts issued before must have been wrong. */
const SURPRISE_SHARE_MIN = 0.8;

/** Share of the span that must be of the new level, and of its windows that must lie beyond half of the shift. */
const LASTING_SHARE_MIN = 0.75;

/** Shares of a day at which the size of a shift is estimated anew: more of the new level is known. */
const REFINE_AT_DAYS = [1 / 3, 2 / 3, 1];
/** Log units: less is not worth a change. */
const REFINE_MIN = 0.05;

/** How far the windows from `firstWindow` on lay from what had been forecast before, log units. */
export type Surprise = (partition: number, firstWindow: number) => number | undefined;

/** From `window` (of the row) on the load of a partition is `factor` times what it used to be. */
export interface LevelShift {
  readonly partition: number;
  readonly window: number;
  readonly factor: number;
}

export interface SavedShifts {
  readonly distances: Float32Array;
  readonly largest: Float32Array;
  readonly yesterday: Float32Array;
  readonly today: Float32Array;
  readonly since: Int32Array;
  readonly head: number;
  readonly seen: number;
}

/**
 * Finds, hours after the fact, partitions whose load has gone to another level and stays there.
 *
 * Watched is how far each window lies from the mean of the same hour in the weeks before, in log units: the mean of the last
 * few windows less that of the three days before. What is unusual is measured by the largest such difference of late, which
 * holds for noise of any distribution and memory; one that exceeds it clearly is a shift.
 */
export class LevelShifts {
  readonly #partitionCount: number;
  readonly #dayWindows: number;
  readonly #spans: readonly { readonly windows: number; readonly excess: number }[];
  readonly #refineAt: readonly number[];
  readonly #ringSize: number;
  /** f32[partition][ring], the newest at `#head`: distance from the usual load. */
  readonly #distances: Float32Array;
  /** f32[partition][span]: the largest difference until a day or two ago, of yesterday, and of today. */
  readonly #largest: Float32Array;
  readonly #yesterday: Float32Array;
  readonly #today: Float32Array;
  /**
   * i32[partition]: windows since the last shift, -1 for none that is still refined; below, no shift is believed for so many
   * windows more: what is seen until then is in part what was no level.
   */
  readonly #since: Int32Array;
  #head = 0;
  #seen = 0;

  constructor(shape: { readonly partitionCount: number; readonly dayWindows: number }) {
    const { partitionCount, dayWindows } = shape;
    this.#partitionCount = partitionCount;
    this.#dayWindows = dayWindows;
    this.#spans = SPANS.map(({ days, excess }) => ({
      windows: Math.max(2, Math.round(days * dayWindows)),
      excess,
    }));
    this.#refineAt = REFINE_AT_DAYS.map((days) => Math.round(days * dayWindows));
    this.#ringSize = (1 + BEFORE_DAYS) * dayWindows + 1;
    this.#distances = new Float32Array(partitionCount * this.#ringSize);
    this.#largest = new Float32Array(partitionCount * SPANS.length);
    this.#yesterday = new Float32Array(partitionCount * SPANS.length);
    this.#today = new Float32Array(partitionCount * SPANS.length);
    this.#since = new Int32Array(partitionCount).fill(-1);
  }

  /** Looks at the newest window; the caller rescales what lies before a shift, and this record is then as if it had. */
  watch(history: History, surprise: Surprise): LevelShift[] {
    const window = history.length - 1;
    if (history.isOutage(window) || window < history.shape.weekWindows) return [];
    const found: LevelShift[] = [];
    if (this.#seen % this.#dayWindows === 0) this.#turnDay();
    for (let p = 0; p < this.#partitionCount; p++) {
      this.#distances[p * this.#ringSize + this.#head] =
        history.logLoad(p, window) - usualLoad(history, p, window);
      if (this.#seen < this.#ringSize) continue;
      const isFresh = (this.#since[p] as number) >= 0;
      const isHeld = (this.#since[p] as number) < -1;
      if (isHeld) this.#since[p]!++;
      const span = isFresh ? this.#refinedSpan(p) : this.#shiftedSpan(p, history, surprise);
      if (span === 0) continue;
      const factor = factorOf(history, p, {
        first: history.length - span,
        before: this.#meanBefore(p, span),
      });
      // An outage that ends is half an outage for some hours: what was too much for a level is none when it is mixed with the usual.
      if (factor === undefined && !isFresh) this.#since[p] = -this.#ringSize;
      if (factor === undefined || isHeld) continue;
      if (!isFresh) this.#since[p] = span;
      this.#recentre(p, span, Math.log(factor));
      found.push({ partition: p, window: history.length - span, factor });
    }
    this.#head = (this.#head + 1) % this.#ringSize;
    this.#seen++;
    return found;
  }

  /**
   * A silence has been filled in: its windows are as far from the usual as what stands there now, and the differences that it
   * made say nothing of what is usual. What has become part of those two days ago and longer stays.
   */
  forget(history: History, partition: number, { first, end }: Silence): void {
    let at = this.#head;
    for (let window = history.length - 1; window >= first; window--) {
      if (history.isOutage(window)) continue;
      at = at === 0 ? this.#ringSize - 1 : at - 1;
      if (window >= end) continue;
      this.#distances[partition * this.#ringSize + at] =
        history.logLoad(partition, window) - usualLoad(history, partition, window);
    }
    this.#since[partition] = Math.max(-1, this.#since[partition] as number);
    this.#forgetDays(partition);
  }

  /**
   * How far the last hours differ from the days before where that may be the beginning of another level, log units; else 0.
   * Each hour counts by what it tells of the level of the whole day.
   */
  suspected(partition: number, history: History): number {
    const windows = this.#spans[0]?.windows ?? 0;
    if (this.#seen < SEEN_DAYS_MIN * this.#dayWindows || (this.#since[partition] as number) >= 0) return 0;
    const difference = this.#difference(partition, windows, 1);
    const usual = this.#largest[partition * SPANS.length] as number;
    const least = Math.max(STEP_MIN, SUSPICION * usual);
    if (Math.abs(difference) <= least) return 0;
    const weighed = this.#weighedDifference(partition, windows, history);
    return Math.abs(weighed) > least ? weighed : 0;
  }

  save(): SavedShifts {
    return {
      distances: this.#distances.slice(),
      largest: this.#largest.slice(),
      yesterday: this.#yesterday.slice(),
      today: this.#today.slice(),
      since: this.#since.slice(),
      head: this.#head,
      seen: this.#seen,
    };
  }

  load(saved: SavedShifts): void {
    restoreInto(this.#distances, saved.distances, 'distances from the usual load');
    restoreInto(this.#largest, saved.largest, 'differences of late');
    restoreInto(this.#yesterday, saved.yesterday, 'differences of late');
    restoreInto(this.#today, saved.today, 'differences of late');
    restoreInto(this.#since, saved.since, 'shifts');
    this.#head = saved.head;
    this.#seen = saved.seen;
  }

  /** A shift that was found some hours ago, if its size should be estimated anew: windows of the new level. */
  #refinedSpan(partition: number): number {
    const since = (this.#since[partition] as number) + 1;
    this.#since[partition] = since > this.#dayWindows ? -1 : since;
    if (!this.#refineAt.includes(since)) return 0;
    return Math.abs(this.#difference(partition, since)) >= REFINE_MIN ? since : 0;
  }

  /** For how many windows the partition has been at another level; 0 where it has not. */
  #unusualSpan(partition: number): number {
    let shifted = 0;
    let mostExcess = 1;
    this.#spans.forEach(({ windows, excess }, index) => {
      const at = partition * SPANS.length + index;
      const size = Math.abs(this.#difference(partition, windows));
      const share = size / Math.max(STEP_MIN, excess * (this.#largest[at] as number));
      if (this.#seen >= SEEN_DAYS_MIN * this.#dayWindows && share > mostExcess) {
        mostExcess = share;
        shifted = windows;
      }
      this.#today[at] = Math.max(this.#today[at] as number, size);
    });
    return shifted;
  }

  /** Windows of a new level that no forecast expected, 0 where there is none. */
  #shiftedSpan(partition: number, history: History, surprise: Surprise): number {
    const span = this.#unusualSpan(partition);
    if (span === 0) return 0;
    const difference = this.#difference(partition, span);
    // What forecasts knew beforehand is no shift: a pattern that the weekly mean does not hold.
    const surprised = surprise(partition, history.length - span) ?? 0;
    if (surprised / difference < SURPRISE_SHARE_MIN) return 0;
    // The difference may have begun some windows before the shift: of all beginnings the one that explains most.
    const before = this.#meanBefore(partition, span);
    let shifted = 0;
    let explained = 0;
    let sum = 0;
    for (let windows = 1; windows <= span; windows++) {
      sum += this.#mean(partition, windows - 1, 1) - before;
      if (sum ** 2 / windows <= explained) continue;
      explained = sum ** 2 / windows;
      shifted = windows;
    }
    if (shifted < LASTING_SHARE_MIN * span) return 0;
    // A mean may be that of a spike; a level lasts.
    const half = this.#difference(partition, shifted) / 2;
    let beyond = 0;
    for (let back = 0; back < shifted; back++)
      if ((this.#mean(partition, back, 1) - before) / half >= 1) beyond++;
    return beyond >= LASTING_SHARE_MIN * shifted ? shifted : 0;
  }

  /** A shift grows into the differences hour by hour: it must not be measured by what it did itself. */
  #turnDay(): void {
    const fade = 0.5 ** (1 / PAST_HALF_LIFE_DAYS);
    for (let i = 0; i < this.#largest.length; i++) {
      this.#largest[i] = Math.max((this.#largest[i] as number) * fade, this.#yesterday[i] as number);
      this.#yesterday[i] = this.#today[i] as number;
      this.#today[i] = 0;
    }
  }

  /** @param past windows since the newest one: 1 once `watch` has gone on to the next place. */
  #difference(partition: number, windows: number, past = 0): number {
    const before = this.#mean(partition, windows + past, BEFORE_DAYS * this.#dayWindows);
    return this.#mean(partition, past, windows) - before;
  }

  /** As {@link #difference} of windows that are taken in. */
  #weighedDifference(partition: number, windows: number, history: History): number {
    const before = this.#mean(partition, windows + 1, BEFORE_DAYS * this.#dayWindows);
    let sum = 0;
    let seen = 0;
    for (let window = history.length - 1; window >= 0 && seen < windows; window--) {
      if (history.isOutage(window)) continue;
      seen++;
      const logExpected = usualLoad(history, partition, window) + before;
      const distance = history.logLoad(partition, window) - logExpected;
      sum += levelWeight(history, partition, { window, logExpected }) * distance;
    }
    return sum / windows;
  }

  #meanBefore(partition: number, windows: number): number {
    return this.#mean(partition, windows, BEFORE_DAYS * this.#dayWindows);
  }

  /** Mean of `count` distances, the newest of which is `back` windows old. */
  #mean(partition: number, back: number, count: number): number {
    const row = partition * this.#ringSize;
    let at = this.#head - back;
    if (at < 0) at += this.#ringSize;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum += this.#distances[row + at] as number;
      at = at === 0 ? this.#ringSize - 1 : at - 1;
    }
    return sum / count;
  }

  /** The past is about to be rescaled: what was far from it is near now, and no difference was made by noise. */
  #recentre(partition: number, windows: number, step: number): void {
    for (let i = 0; i < windows; i++) {
      const at = partition * this.#ringSize + ((this.#head - i + this.#ringSize) % this.#ringSize);
      this.#distances[at] = (this.#distances[at] as number) - step;
    }
    this.#forgetDays(partition);
  }

  #forgetDays(partition: number): void {
    const first = partition * SPANS.length;
    this.#today.fill(0, first, first + SPANS.length);
    this.#yesterday.fill(0, first, first + SPANS.length);
  }
}

/** Mean log load of the same hour in the weeks before. */
function usualLoad(history: History, partition: number, window: number): number {
  const { weekWindows } = history.shape;
  let sum = 0;
  let count = 0;
  for (let week = 1; week <= WEEKS && week * weekWindows <= window; week++, count++)
    sum += history.logLoad(partition, window - week * weekWindows);
  return sum / count;
}

/** Loads since a shift over what would have been usual; undefined where that is no shift. */
function factorOf(
  history: History,
  partition: number,
  { first, before }: { first: number; before: number },
): number | undefined {
  let load = 0;
  let usual = 0;
  for (let w = first; w < history.length; w++) {
    load += Math.expm1(history.logLoad(partition, w));
    usual += Math.expm1(Math.max(0, usualLoad(history, partition, w) + before));
  }
  const factor = load / usual;
  return factor >= 1 / FACTOR_MAX && factor <= FACTOR_MAX ? factor : undefined;
}
