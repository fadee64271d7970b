import { assert } from '../base/assert.ts';
import { TILE_ROW_BYTES } from './ets-workspace.ts';
import type { KernelExports, Pointer } from './exports.ts';
import type { JobContext } from './job.ts';

/** How series are decomposed. */
export interface MstlPlan {
  readonly windows: number;
  /** Ascending, in windows, each seen at least twice; without any, nothing is taken out of the values. */
  readonly seasons: readonly MstlSeason[];
  /** Times that every season is worked out from what the others leave. */
  readonly iterations: number;
  /** Times that it all is done again with less weight on windows with large remainders; 0 is without. */
  readonly robustRounds: number;
}

export interface MstlSeason {
  readonly season: number;
  /** Cycles that a seasonal value is smoothed over, odd. */
  readonly cycleWindow: number;
  /** Windows that the trend is smoothed over, odd. */
  readonly trendWindow: number;
}

/** The next odd number from `value` on. */
const odd = (value: number): number => 2 * Math.floor(Math.ceil(value) / 2) + 1;

/**
 * Seasons with the windows of the authors: 11 cycles for the first, 4 more for each further one, and for the trend the
 * narrowest that takes nothing from the season (Cleveland et al. 1990, 3.4). Periodic seasons do not change over time.
 */
export function mstlSeasons(
  seasons: readonly number[],
  { windows, isPeriodic }: { readonly windows: number; readonly isPeriodic: boolean },
): MstlSeason[] {
  return seasons
    .filter((season) => season > 1 && 2 * season <= windows)
    .map((season, index) => {
      const cycleWindow = isPeriodic ? 10 * windows + 1 : 11 + 4 * index;
      return { season, cycleWindow, trendWindow: odd((1.5 * season) / (1 - 1.5 / cycleWindow)) };
    });
}

/**
 * Tiles of kernel memory that eight series are decomposed in: values = trend + seasons + remainder. One job works in it.
 *
 * @see Bandara, Hyndman & Bergmeir, "MSTL: a seasonal-trend decomposition algorithm for time series with multiple seasonal
 *   patterns", 2021
 */
export class MstlWorkspace {
  /** f64[plan.windows][8], in: what to decompose. */
  readonly values: Pointer;
  /** Out: the same, less all seasons. */
  readonly adjusted: Pointer;
  /** Out: what is slower than the longest season; zero without a season. */
  readonly trend: Pointer;
  /** Out, in the order of the plan. */
  readonly seasonal: readonly Pointer[];
  readonly #exports: KernelExports;
  readonly #plan: MstlPlan;
  /** What each season was separated from: for a day that still holds the week. */
  readonly #trends: readonly Pointer[];
  readonly #remainder: Pointer;
  readonly #weights: Pointer;
  readonly #work: Pointer;

  static bytes(plan: MstlPlan): number {
    const longest = Math.max(0, ...plan.seasons.map(({ season }) => season));
    // assembly/stl.ts: the season with a cycle more at either end, twice, and the weights of neighbours.
    const workRows = 2 * (plan.windows + 2 * longest) + Math.ceil(plan.windows / 8);
    const tiles = 4 + Math.max(1, 2 * plan.seasons.length);
    return (tiles * plan.windows + workRows) * TILE_ROW_BYTES;
  }

  /** @param pointer a block of `MstlWorkspace.bytes(plan)`. */
  constructor({ exports }: JobContext, plan: MstlPlan, pointer: Pointer) {
    const tileBytes = plan.windows * TILE_ROW_BYTES;
    const tile = (index: number): Pointer => pointer + index * tileBytes;
    const seasonCount = plan.seasons.length;
    this.#exports = exports;
    this.#plan = plan;
    this.values = tile(0);
    this.adjusted = tile(1);
    this.#remainder = tile(2);
    this.#weights = tile(3);
    this.seasonal = plan.seasons.map((_, index) => tile(4 + index));
    this.#trends = plan.seasons.map((_, index) => tile(4 + seasonCount + index));
    this.trend = this.#trends[seasonCount - 1] ?? tile(4);
    this.#work = tile(4 + Math.max(1, 2 * seasonCount));
    for (const { season } of plan.seasons) {
      const bytes = this.#work - pointer + exports.stlWorkRows(plan.windows, season) * TILE_ROW_BYTES;
      assert(bytes <= MstlWorkspace.bytes(plan), 'the block is as large as the kernel needs');
    }
  }

  decompose(): void {
    const { seasons, iterations, robustRounds } = this.#plan;
    for (const pointer of [this.trend, ...this.seasonal, ...this.#trends]) this.#clear(pointer);
    this.#clear(this.adjusted);
    this.#add(this.values, 1, this.adjusted);
    for (let round = 0; round <= robustRounds; round++) {
      for (let repeat = 0; repeat < iterations; repeat++)
        for (const index of seasons.keys()) this.#separate(index, round > 0);
      if (round < robustRounds) this.#weigh();
    }
  }

  /**
   * How much of each season is more than chance, 0..1.
   *
   * @returns pointers to f64[8], valid until the next decomposition.
   */
  strengths(): readonly Pointer[] {
    return this.seasonal.map((seasonal, index) => {
      const out = this.#work + index * TILE_ROW_BYTES;
      this.#exports.stlStrength(seasonal, this.adjusted, this.trend, this.#plan.windows, out);
      return out;
    });
  }

  /** Reduces each season to its strength, for a forecast: chance does not come again. */
  shrink(): void {
    const strengths = this.strengths();
    for (const [index, seasonal] of this.seasonal.entries())
      this.#exports.stlShrink(seasonal, this.adjusted, this.#plan.windows, strengths[index] as Pointer);
  }

  /** Takes one season out of the values less all others. */
  #separate(index: number, isRobust: boolean): void {
    const { season, cycleWindow, trendWindow } = this.#plan.seasons[index] as MstlSeason;
    const { windows } = this.#plan;
    const seasonal = this.seasonal[index] as Pointer;
    this.#add(seasonal, 1, this.adjusted);
    this.#exports.stlTile(
      this.adjusted,
      windows,
      season,
      cycleWindow,
      trendWindow,
      STL_TURNS,
      isRobust ? this.#weights : 0,
      this.#trends[index] as Pointer,
      seasonal,
      this.#work,
    );
    this.#add(seasonal, -1, this.adjusted);
  }

  /** Windows that the fit so far does not explain weigh less in the next. */
  #weigh(): void {
    const { windows } = this.#plan;
    this.#clear(this.#remainder);
    this.#add(this.adjusted, 1, this.#remainder);
    this.#add(this.trend, -1, this.#remainder);
    this.#exports.stlRobustWeights(this.#remainder, windows, this.#weights, this.#work);
  }

  #add(tile: Pointer, factor: number, out: Pointer): void {
    this.#exports.addScaled(tile, (this.#plan.windows * TILE_ROW_BYTES) / 8, factor, out);
  }

  #clear(tile: Pointer): void {
    this.#exports.clear(tile, this.#plan.windows * TILE_ROW_BYTES);
  }
}

/** Turns of season and trend in one separation: each begins from the trend that the one before it has left. */
const STL_TURNS = 1;
