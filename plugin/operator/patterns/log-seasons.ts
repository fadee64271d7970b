import { WindowSeries } from '../../../src/analyzer/patterns/window-series.ts';
import { findOutages } from '../../../src/analyzer/seasons/find-outages.ts';
import { findSeasons } from '../../../src/analyzer/seasons/find-seasons.ts';
import { findShifts } from '../../../src/analyzer/seasons/find-shifts.ts';

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
    const whole = withoutEnds(this.#series.sumOf([ALL]));
    const startMs = this.#series.span.startMs + windowMs;
    const first = findSeasons(whole);
    const mask = findOutages(whole, { seasons: first });
    const seasons = mask.some((isOut) => isOut === 1) ? findSeasons(whole, { mask }) : first;
    return {
      windowMs,
      windowCount: whole.length,
      all: seasons.map(({ period, strength, pValue }) => ({ periodMs: period * windowMs, strength, pValue })),
      levelShifts: findShifts(whole, { seasons, mask }).map(({ window, size, confidence }) => ({
        atMs: startMs + window * windowMs,
        factor: Math.exp(size),
        confidence,
      })),
      outages: runsOf(mask).map(([firstWindow, endWindow]) => ({
        startMs: startMs + firstWindow * windowMs,
        endMs: startMs + endWindow * windowMs,
      })),
    };
  }
}

/** Log counts of whole windows: a log begins and ends in the middle of one, and half a window looks like an outage. */
const withoutEnds = (counts: Float64Array): Float64Array => counts.slice(1, -1).map(Math.log1p);

function runsOf(mask: Uint8Array): [number, number][] {
  const runs: [number, number][] = [];
  mask.forEach((isOut, window) => {
    if (isOut === 0) return;
    const last = runs.at(-1);
    if (last?.[1] === window) last[1] = window + 1;
    else runs.push([window, window + 1]);
  });
  return runs;
}
