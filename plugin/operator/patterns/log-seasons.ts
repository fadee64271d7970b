import { WindowSeries } from '../../../src/analyzer/patterns/window-series.ts';
import { seasonalityOf } from '../../../src/analyzer/seasons/seasonality.ts';

const DAY_MS = 86_400_000;

export interface FoundSeason {
  readonly periodMs: number;
  /** Share of the variance that it explains, 0..1. */
  readonly strength: number;
  readonly pValue: number;
}

export interface LevelShift {
  readonly atMs: number;
  /** New level / old level. */
  readonly factor: number;
  readonly confidence: number;
}

/** When queries come, all together; the seasons of clusters are theirs. */
export interface LogSeasons {
  readonly windowMs: number;
  /** Whole windows that were looked at: the first and the last of a log are cut off by its ends. */
  readonly windowCount: number;
  readonly all: readonly FoundSeason[];
  readonly levelShifts: readonly LevelShift[];
  readonly outages: readonly { readonly startMs: number; readonly endMs: number }[];
}

const ALL = 0;

/** Counts all queries by window, and finds their seasons at the end. */
export class SeasonFinder {
  readonly #windowMs: number;
  readonly #series: WindowSeries;

  constructor(options: { readonly windowMs: number; readonly windowsMax: number }) {
    this.#windowMs = options.windowMs;
    this.#series = new WindowSeries(options);
  }

  add(timeMs: number): void {
    this.#series.add(ALL, timeMs);
  }

  finish(): LogSeasons {
    const windowMs = this.#windowMs;
    // A log begins and ends in the middle of a window, and half a window looks like an outage.
    const whole = this.#series.sumOf([ALL]).slice(1, -1).map(Math.log1p);
    const timeOf = (window: number): number => this.#series.span.startMs + (1 + window) * windowMs;
    const { seasons, shifts, outages } = seasonalityOf(whole, {
      dayWindows: Math.max(1, Math.round(DAY_MS / windowMs)),
    });
    return {
      windowMs,
      windowCount: whole.length,
      all: seasons.map(({ period, strength, pValue }) => ({ periodMs: period * windowMs, strength, pValue })),
      levelShifts: shifts.map(({ window, size, confidence }) => ({
        atMs: timeOf(window),
        factor: Math.exp(size),
        confidence,
      })),
      outages: outages.map(({ window, windowCount }) => ({
        startMs: timeOf(window),
        endMs: timeOf(window + windowCount),
      })),
    };
  }
}
