import { type LogRecord, type Rejection, stray } from './log-record.ts';
import { describeMs } from './series/regular-grid.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Numbered {
  readonly record: LogRecord;
  readonly line: number;
}

export interface StraySettings {
  /** A jump further ahead than this waits for the next record to confirm it. */
  readonly gapMs: number;
  readonly toleranceMs: number;
}

/**
 * Finds the one record whose clock is far ahead of those before and after it, such as one of the year 2106. Taken for true it
 * would make all that follow old: windows, decay and seasons are counted from the newest time.
 */
export class StrayTimes {
  readonly #settings: StraySettings;
  readonly #accept: (record: LogRecord, line: number) => void;
  readonly #reject: (rejection: Rejection, line: number) => void;
  #highMs = Number.NEGATIVE_INFINITY;
  #suspect: Numbered | null = null;

  constructor(
    settings: StraySettings,
    sinks: {
      readonly accept: (record: LogRecord, line: number) => void;
      readonly reject: (rejection: Rejection, line: number) => void;
    },
  ) {
    this.#settings = settings;
    this.#accept = sinks.accept;
    this.#reject = sinks.reject;
  }

  push(record: LogRecord, line: number): void {
    const { gapMs, toleranceMs } = this.#settings;
    const { timeMs } = record;
    if (this.#suspect !== null) {
      const aheadMs = this.#suspect.record.timeMs - timeMs;
      if (aheadMs > gapMs && timeMs >= this.#highMs - toleranceMs) this.#drop(this.#suspect, aheadMs);
      else this.end();
    }
    if (timeMs > this.#highMs + gapMs) this.#suspect = { record, line };
    else this.#pass(record, line);
  }

  /** The last record of a log has nobody after it that could say otherwise. */
  end(): void {
    if (this.#suspect !== null) this.#pass(this.#suspect.record, this.#suspect.line);
    this.#suspect = null;
  }

  #pass(record: LogRecord, line: number): void {
    this.#highMs = record.timeMs;
    this.#accept(record, line);
  }

  #drop({ line }: Numbered, aheadMs: number): void {
    this.#suspect = null;
    const unitMs = aheadMs < 2 * DAY_MS ? HOUR_MS : DAY_MS;
    const ahead = describeMs(Math.floor(aheadMs / unitMs) * unitMs);
    this.#reject(stray(`its time is ${ahead} ahead of the lines before and after it`), line);
  }
}
