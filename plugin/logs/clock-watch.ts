import type { ClockStep } from './log-record.ts';

/** Of all that are found the first are kept: for reading. */
const STEPS_LISTED = 10;

/**
 * Records in a row that must lie behind before the clock is said to have been put back: a straggler, such as an HTTP request
 * that took an hour, stands between others that do not.
 */
const RUN_MIN = 32;

export interface ClockWatchSettings {
  /** Further behind than this is no reordering any more. */
  readonly toleranceMs: number;
  /** A silence longer than this is counted. */
  readonly gapMs: number;
}

/** Watches the times of a log in the order of its lines, and tells stragglers from a clock that was put back or forward. */
export class ClockWatch {
  readonly #settings: ClockWatchSettings;
  readonly steps: ClockStep[] = [];
  stepCount = 0;
  silenceCount = 0;
  longestSilence: ClockStep | null = null;
  reorderedCount = 0;
  firstMs = Number.POSITIVE_INFINITY;
  lastMs = Number.NEGATIVE_INFINITY;
  /** The latest time since the last step back. */
  #highMs = Number.NaN;
  #runLength = 0;
  #runLine = 0;
  #runFirstMs = 0;
  #runHighMs = 0;

  constructor(settings: ClockWatchSettings) {
    this.#settings = settings;
  }

  observe(timeMs: number, line: number): void {
    if (timeMs < this.firstMs) this.firstMs = timeMs;
    if (timeMs > this.lastMs) this.lastMs = timeMs;
    if (!(timeMs < this.#highMs)) {
      if (timeMs - this.#highMs > this.#settings.gapMs)
        this.#reportSilence({ line, beforeMs: this.#highMs, afterMs: timeMs });
      this.#highMs = timeMs;
      this.#runLength = 0;
      return;
    }
    this.reorderedCount++;
    if (timeMs >= this.#highMs - this.#settings.toleranceMs) {
      this.#runLength = 0;
      return;
    }
    this.#extendRun(timeMs, line);
  }

  #extendRun(timeMs: number, line: number): void {
    if (this.#runLength === 0) {
      this.#runLine = line;
      this.#runFirstMs = timeMs;
      this.#runHighMs = timeMs;
    }
    this.#runHighMs = Math.max(this.#runHighMs, timeMs);
    if (++this.#runLength < RUN_MIN) return;
    this.stepCount++;
    if (this.steps.length < STEPS_LISTED)
      this.steps.push({ line: this.#runLine, beforeMs: this.#highMs, afterMs: this.#runFirstMs });
    this.#highMs = this.#runHighMs;
    this.reorderedCount -= this.#runLength;
    this.#runLength = 0;
  }

  #reportSilence(silence: ClockStep): void {
    this.silenceCount++;
    const longest = this.longestSilence;
    if (longest === null || lengthOf(silence) > lengthOf(longest)) this.longestSilence = silence;
  }
}

const lengthOf = ({ beforeMs, afterMs }: ClockStep): number => afterMs - beforeMs;
