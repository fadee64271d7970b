import { assert } from '../base/assert.ts';
import { CANDIDATES, type EtsParameters, type SearchResult, searchParameters } from './ets-search.ts';
import type { KernelExports, Pointer } from './exports.ts';
import type { JobContext } from './job.ts';

/** How the series of one history are smoothed; the members choose the numbers (src/analyzer/members/ets-plan.ts). */
export interface EtsPlan {
  /** Last windows of the history that are read. */
  readonly windows: number;
  /**
   * First of these that a fit makes its first states from; its errors are counted after them, or the states would know
   * what they are judged by. A prediction makes its states from all windows.
   */
  readonly startWindows: number;
  /** First of these that the backcast runs over, at most `startWindows`. */
  readonly backcastWindows: number;
  /** Windows whose mean is the level that the backcast begins from. */
  readonly levelWindows: number;
  /** Windows; 0 is none. The second is a multiple of the first. */
  readonly season: number;
  readonly secondSeason: number;
  /** Steps ahead that parameters are judged by, and windows between the origins of those forecasts. */
  readonly leads: readonly number[];
  readonly spacing: number;
  /** Passes of the search for each form. */
  readonly rounds: number;
}

export interface EtsFit {
  /** 0, 1 or 2. */
  readonly seasonCount: number;
  readonly parameters: EtsParameters;
  /** Squared errors of all forecasts that the parameters were judged by. */
  readonly loss: number;
}

/** Bytes of a row of a tile. */
export const TILE_ROW_BYTES = CANDIDATES * 8;

/**
 * A season has to earn its states: it is taken where it leaves less than this share of the loss without it. On M4's
 * training part 0.8, 0.9 and 0.95 give a log MSE of 0.0445, 0.0444 and 0.0438.
 */
const SEASON_LOSS_MAX = 0.95;

/** Log units: below a mean square of so little a series is flat, and its last value says all. */
const FLAT_MEAN_SQUARE = 1e-12;

const stateBytes = (plan: EtsPlan): number => (2 + plan.season + plan.secondSeason) * TILE_ROW_BYTES;

/** Tile, two sets of states, parameters, sums, lead factors, and the lists of leads and lanes. */
const workspaceBytes = (plan: EtsPlan): number =>
  (plan.windows + 5 + 1 + plan.leads.length + 1) * TILE_ROW_BYTES +
  2 * stateBytes(plan) +
  (plan.leads.length + CANDIDATES) * 4;

/** One tile of kernel memory with all that is needed to fit the series in it, or to forecast it. One job works in it. */
export class EtsWorkspace {
  /** f64[plan.windows][CANDIDATES]: the caller fills it. */
  readonly tile: Pointer;
  readonly #exports: KernelExports;
  readonly #plan: EtsPlan;
  readonly #start: Pointer;
  readonly #states: Pointer;
  readonly #parametersPointer: Pointer;
  readonly #sumsPointer: Pointer;
  readonly #work: Pointer;
  readonly #leads: Pointer;
  readonly #listPointer: Pointer;
  readonly #parameters: Float64Array;
  readonly #sums: Float64Array;
  /** The row of the output that each lane is written to. */
  readonly #list: Int32Array;

  static bytes(plan: EtsPlan): number {
    return workspaceBytes(plan);
  }

  /** @param pointer a block of `EtsWorkspace.bytes(plan)`. */
  constructor({ exports, buffer }: JobContext, plan: EtsPlan, pointer: Pointer) {
    assert(exports.tileLanes() === CANDIDATES, 'a pass judges as many candidates as a tile has lanes');
    this.#exports = exports;
    this.#plan = plan;
    this.tile = pointer;
    this.#start = this.tile + plan.windows * TILE_ROW_BYTES;
    this.#states = this.#start + stateBytes(plan);
    this.#parametersPointer = this.#states + stateBytes(plan);
    this.#sumsPointer = this.#parametersPointer + 5 * TILE_ROW_BYTES;
    this.#work = this.#sumsPointer + TILE_ROW_BYTES;
    this.#leads = this.#work + (plan.leads.length + 1) * TILE_ROW_BYTES;
    this.#listPointer = this.#leads + plan.leads.length * 4;
    this.#parameters = new Float64Array(buffer, this.#parametersPointer, 5 * CANDIDATES);
    this.#sums = new Float64Array(buffer, this.#sumsPointer, CANDIDATES);
    this.#list = new Int32Array(buffer, this.#listPointer, CANDIDATES);
    new Int32Array(buffer, this.#leads, plan.leads.length).set(plan.leads);
  }

  /** Fills the tile with one series of `plan.windows` values. */
  takeOne(series: Pointer): void {
    this.#exports.tileOfOne(series, this.#plan.windows, this.tile);
  }

  /** Fills the tile with up to eight of the rows; `forecast` writes to the same rows of its output. */
  takeRows(series: Pointer, stride: number, rows: readonly number[]): void {
    this.#list.set(rows);
    this.#exports.tileOfSeries(series, stride, this.#listPointer, rows.length, this.#plan.windows, this.tile);
  }

  setLane(lane: number, { alpha, beta, phi, gamma, delta }: EtsParameters): void {
    const view = this.#parameters;
    view[lane] = alpha;
    view[CANDIDATES + lane] = beta;
    view[2 * CANDIDATES + lane] = phi;
    view[3 * CANDIDATES + lane] = gamma;
    view[4 * CANDIDATES + lane] = delta;
  }

  /** The best form for the one series in the tile; undefined where it is flat. */
  fit(): EtsFit | undefined {
    let chosen: EtsFit | undefined;
    for (let seasonCount = 0; seasonCount <= seasonCountOf(this.#plan); seasonCount++) {
      const { parameters, loss } = this.#fitForm(seasonCount);
      if (!Number.isFinite(loss)) continue;
      if (seasonCount === 0 && loss < FLAT_MEAN_SQUARE * this.#plan.windows) return undefined;
      if (chosen === undefined || loss < SEASON_LOSS_MAX * chosen.loss)
        chosen = { seasonCount, parameters, loss };
    }
    return chosen;
  }

  /**
   * Forecasts the first `rowCount` lanes with the parameters that were set.
   *
   * @param out f64[][horizon].
   */
  forecast(options: {
    readonly seasonCount: number;
    readonly rowCount: number;
    readonly horizon: number;
    readonly out: Pointer;
  }): void {
    const { seasonCount, rowCount, horizon, out } = options;
    const { windows, backcastWindows } = this.#plan;
    const exports = this.#exports;
    const [season, secondSeason] = this.#seasons(seasonCount);
    const [parameters, states] = [this.#parametersPointer, this.#states];
    this.#startFrom(windows, seasonCount, states);
    exports.etsBackcast(
      this.tile,
      backcastWindows,
      season,
      secondSeason,
      parameters,
      states,
      this.#sumsPointer,
    );
    exports.etsFilter(this.tile, 0, windows, season, secondSeason, parameters, states, this.#sumsPointer);
    exports.etsForecast(
      states,
      windows,
      season,
      secondSeason,
      parameters,
      this.#listPointer,
      rowCount,
      horizon,
      out,
    );
  }

  #seasons(seasonCount: number): readonly [number, number] {
    return [seasonCount > 0 ? this.#plan.season : 0, seasonCount > 1 ? this.#plan.secondSeason : 0];
  }

  #startFrom(windows: number, seasonCount: number, states: Pointer): void {
    const { backcastWindows, levelWindows } = this.#plan;
    const [season, secondSeason] = this.#seasons(seasonCount);
    this.#exports.etsStart(this.tile, windows, backcastWindows, levelWindows, season, secondSeason, states);
  }

  #fitForm(seasonCount: number): SearchResult {
    const { windows, startWindows, backcastWindows, leads, spacing, rounds } = this.#plan;
    const [season, secondSeason] = this.#seasons(seasonCount);
    this.#startFrom(startWindows, seasonCount, this.#start);
    const judge = (candidates: readonly EtsParameters[]): Float64Array => {
      for (const [lane, candidate] of candidates.entries()) this.setLane(lane, candidate);
      this.#exports.etsJudge(
        this.tile,
        windows,
        backcastWindows,
        startWindows,
        season,
        secondSeason,
        this.#parametersPointer,
        this.#start,
        this.#states,
        this.#leads,
        leads.length,
        spacing,
        this.#work,
        this.#sumsPointer,
      );
      return this.#sums;
    };
    // Without a season there is less to find.
    return searchParameters({ seasonCount, rounds: seasonCount === 0 ? rounds >> 1 : rounds, judge });
  }
}

/** How many seasons a fit may have at most. */
export const seasonCountOf = (plan: EtsPlan): number => (plan.secondSeason > 0 ? 2 : plan.season > 0 ? 1 : 0);
