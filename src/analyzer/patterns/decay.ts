import { assert } from '../../base/assert.ts';

/** Weights beyond 2^this are scaled back: single-precision sums end at 2^127, and 2^60 queries are more than there will be. */
const EXPONENT_MAX = 60;

/**
 * Forward decay: instead of shrinking all that is known at every step, what is new weighs more, 2^(age of the landmark in
 * half-lives). A sum over that, divided by the weight of now, is the decayed sum; adding costs no more than counting.
 *
 * @see Cormode, Shkapenyuk, Srivastava, Xu, "Forward decay: a practical time decay model for streaming systems", ICDE 2009
 */
export class ForwardDecay {
  readonly #halfLifeMs: number;
  #landmarkMs: number | null = null;
  #newestMs = Number.NEGATIVE_INFINITY;
  /** The last time asked for: most queries share a millisecond, a power costs more than a comparison. */
  #lastMs = Number.NaN;
  #lastWeight = 1;

  constructor(halfLifeMs: number) {
    assert(halfLifeMs > 0, 'a half-life is above 0');
    this.#halfLifeMs = halfLifeMs;
  }

  /** Of something that happened then, in the units of all sums; now is no earlier. Old records come to less, in order or not. */
  weightAt(timeMs: number): number {
    this.#newestMs = Math.max(this.#newestMs, timeMs);
    return this.weightOf(timeMs);
  }

  /** The weight of a time, whether or not anything has happened then. */
  weightOf(timeMs: number): number {
    if (timeMs === this.#lastMs) return this.#lastWeight;
    this.#landmarkMs ??= timeMs;
    this.#lastMs = timeMs;
    this.#lastWeight = 2 ** ((timeMs - this.#landmarkMs) / this.#halfLifeMs);
    return this.#lastWeight;
  }

  /** Times a sum: the decayed sum as of the newest time. */
  get scale(): number {
    return this.#newestMs === Number.NEGATIVE_INFINITY || this.#landmarkMs === null
      ? 1
      : 2 ** ((this.#landmarkMs - this.#newestMs) / this.#halfLifeMs);
  }

  /** Whether `timeMs` needs the landmark moved first, so that weights stay finite. */
  isBeyond(timeMs: number): boolean {
    return this.#landmarkMs !== null && (timeMs - this.#landmarkMs) / this.#halfLifeMs > EXPONENT_MAX;
  }

  /** Moves the landmark to a time. @returns the factor by which every sum kept in these units is to be multiplied. */
  moveLandmark(timeMs: number): number {
    const factor = this.#landmarkMs === null ? 1 : 2 ** ((this.#landmarkMs - timeMs) / this.#halfLifeMs);
    this.#landmarkMs = timeMs;
    this.#lastMs = Number.NaN;
    return factor;
  }
}
