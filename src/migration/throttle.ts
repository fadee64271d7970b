import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';

/** A token bucket: at most `perSecond` units a second, with bursts of up to a quarter of a second. */
export class Throttle {
  readonly #clock: Clock;
  #perSecond: number;
  #tokens: number;
  #refilledMs: number;

  constructor(perSecond: number, clock: Clock) {
    assert(perSecond > 0, 'a throttle lets something through');
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#tokens = this.#burst();
    this.#refilledMs = clock.monotonicMs();
  }

  setRate(perSecond: number): void {
    assert(perSecond > 0, 'a throttle lets something through');
    this.#refill();
    this.#perSecond = perSecond;
    this.#tokens = Math.min(this.#tokens, this.#burst());
  }

  /** Takes `amount` (going into debt, so that one large piece passes whole) and waits until the debt is paid. */
  async take(amount: number, signal?: AbortSignal): Promise<void> {
    this.#refill();
    this.#tokens -= amount;
    if (this.#tokens < 0) await this.#clock.sleep((-this.#tokens / this.#perSecond) * 1000, signal);
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
