import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';

/** What may be saved up: after a rest the copy must not come in one gulp. */
const BURST_MS = 50;

/** A token bucket: at most `perSecond` units a second. At 0 nothing passes. */
export class Throttle {
  readonly #clock: Clock;
  #perSecond: number;
  #tokens: number;
  #refilledMs: number;

  constructor(perSecond: number, clock: Clock) {
    assert(perSecond >= 0, 'a rate is not negative');
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#tokens = this.#burst();
    this.#refilledMs = clock.monotonicMs();
  }

  setRate(perSecond: number): void {
    assert(perSecond >= 0, 'a rate is not negative');
    this.#refill();
    this.#perSecond = perSecond;
    this.#tokens = Math.min(this.#tokens, this.#burst());
  }

  /** May go into debt, so that one large piece passes whole. */
  spend(amount: number): void {
    this.#refill();
    this.#tokens -= amount;
  }

  /** How long until what was spent is paid; Infinity at a rate of 0. */
  debtMs(): number {
    this.#refill();
    if (this.#perSecond === 0) return Number.POSITIVE_INFINITY;
    const debtMs = (-this.#tokens / this.#perSecond) * 1000;
    return debtMs < ROUNDING_MS ? 0 : debtMs;
  }

  #burst(): number {
    return (this.#perSecond * BURST_MS) / 1000;
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#tokens = Math.min(
      this.#burst(),
      this.#tokens + ((nowMs - this.#refilledMs) / 1000) * this.#perSecond,
    );
    this.#refilledMs = nowMs;
  }
}

/** A clock that has slept for exactly the debt may leave the rounding of it: that would be slept for for ever. */
const ROUNDING_MS = 1e-6;
