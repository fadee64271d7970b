import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';

/** A debt is looked at again after so long: the rate may have been changed meanwhile. */
const LOOK_MS = 250;

/** A token bucket: at most `perSecond` units a second, with bursts of up to a quarter of a second. At 0 nothing passes. */
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

  /** Takes `amount` (going into debt, so that one large piece passes whole) and waits until the debt is paid. */
  async take(amount: number, signal?: AbortSignal): Promise<void> {
    this.#refill();
    this.#tokens -= amount;
    while (!signal?.aborted) {
      const debtMs =
        this.#perSecond === 0 ? Number.POSITIVE_INFINITY : (-this.#tokens / this.#perSecond) * 1000;
      if (debtMs <= 0) return;
      await this.#clock.sleep(Math.min(LOOK_MS, debtMs), signal);
      this.#refill();
      if (debtMs <= LOOK_MS) return; // paid, whatever rounding says
    }
  }

  #burst(): number {
    return this.#perSecond / 4;
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
