import { assert } from '../../base/assert.ts';
import { restoreInto } from '../saved.ts';

/** After so many windows an error counts half: as the skill's record, two weeks of hours. */
const HALF_LIFE_WINDOWS = 336;

/** Judged steps before which a forecast of a sum has no say. */
const STEPS_MIN = 24;

/**
 * By what the squared error of a sum's own forecast is multiplied: a mean by precision takes the two forecasts for independent,
 * and they err together. On the flights log 1 makes the total 2 to 4 % worse, 2 about 1; on a tenth of it 11 and 9 % better.
 */
const OWN_DOUBT = 2;

/** What was said of the sums at one step, f64[series] each, natural units. */
export interface SumClaims {
  /** Sum of what is said of the level below. */
  readonly below: Float64Array;
  /** The sum's own forecast. */
  readonly own: Float64Array;
}

interface PendingClaims extends SumClaims {
  /** Window since the start of all windows. */
  readonly window: number;
}

export interface SavedSumErrors {
  readonly pending: readonly PendingClaims[];
  readonly squares: Float64Array;
  readonly steps: number;
}

const [BELOW, OWN] = [0, 1];

/**
 * How far off the two forecasts of each sum have been, that from below and its own.
 *
 * Errors of siblings go together (a holiday hits all), so the variance of their sum is not the sum of their variances: it is
 * taken from what came true. Errors count in natural units; relative ones are decided by the hours in which nearly nothing
 * happens.
 */
export class SumErrors {
  readonly #seriesCount: number;
  /** f64[series][from below, own], fading sums of squares; and of how many steps. */
  readonly #squares: Float64Array;
  #steps = 0;
  #pending: PendingClaims[] = [];

  constructor(seriesCount: number) {
    this.#seriesCount = seriesCount;
    this.#squares = new Float64Array(seriesCount * 2);
  }

  keep(claims: SumClaims, window: number): void {
    assert(claims.own.length === this.#seriesCount, 'every sum has a forecast');
    this.#pending.push({ ...claims, window });
  }

  /** @param actual f64[series] of this window; undefined for an outage, from which nothing is learnt. */
  judge(window: number, actual: Float64Array | undefined): void {
    const fading = 0.5 ** (1 / HALF_LIFE_WINDOWS);
    for (let i = 0; i < this.#squares.length; i++) this.#squares[i] = (this.#squares[i] as number) * fading;
    this.#steps *= fading;
    const due = this.#pending.filter((claims) => claims.window === window);
    this.#pending = this.#pending.filter((claims) => claims.window > window);
    if (actual === undefined) return;
    for (const claims of due) {
      this.#steps++;
      for (let s = 0; s < this.#seriesCount; s++) {
        this.#addSquare(s * 2 + BELOW, (actual[s] as number) - (claims.below[s] as number));
        this.#addSquare(s * 2 + OWN, (actual[s] as number) - (claims.own[s] as number));
      }
    }
  }

  /** Mean squared error of the sum from below. */
  below(series: number): number {
    return this.#steps > 0 ? (this.#squares[series * 2 + BELOW] as number) / this.#steps : 0;
  }

  /** The same of the sum's own forecast, doubted; Infinity while it is not known well enough. */
  own(series: number): number {
    return this.#steps < STEPS_MIN
      ? Number.POSITIVE_INFINITY
      : (OWN_DOUBT * (this.#squares[series * 2 + OWN] as number)) / this.#steps;
  }

  save(): SavedSumErrors {
    return { pending: this.#pending.slice(), squares: this.#squares.slice(), steps: this.#steps };
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when numbers are missing. */
  load(saved: SavedSumErrors): void {
    restoreInto(this.#squares, saved?.squares, 'errors of sums');
    this.#steps = saved.steps;
    this.#pending = [...saved.pending];
  }

  #addSquare(at: number, error: number): void {
    this.#squares[at] = (this.#squares[at] as number) + error * error;
  }
}
