import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';

/**
 * The time by which windows close and cycles run: the machine's until a replay sets it, and from then on only what the
 * replay says. Durations and sleeps stay the machine's, since copying takes real time in a replay as well.
 */
export class AnalysisClock implements Clock {
  readonly #machine: Clock = systemClock();
  #virtualMs: number | null = null;

  get isVirtual(): boolean {
    return this.#virtualMs !== null;
  }

  nowMs(): number {
    return this.#virtualMs ?? this.#machine.nowMs();
  }

  monotonicMs(): number {
    return this.#machine.monotonicMs();
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return this.#machine.sleep(delayMs, signal);
  }

  /** @throws ForeshardError FORESHARD_CONFLICT when it is earlier than what was set before. */
  setVirtual(nowMs: number): void {
    if (!Number.isFinite(nowMs))
      throw new ForeshardError('FORESHARD_CONFLICT', 'abort', `a clock cannot be set to ${nowMs}`);
    if (this.#virtualMs !== null && nowMs < this.#virtualMs)
      throw new ForeshardError(
        'FORESHARD_CONFLICT',
        'abort',
        `a clock does not go back: ${nowMs} is before ${this.#virtualMs}`,
      );
    this.#virtualMs = nowMs;
  }
}
