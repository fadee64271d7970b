import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { MigrationSettings } from './settings.ts';

interface Retry {
  /** Failed steps in a row of the open migration. */
  stepFailures: number;
  failingSinceMs: number;
  notBeforeMs: number;
  /** Migrations of this partition in a row that were aborted. */
  migrationFailures: number;
}

/**
 * Politeness, not safety: how long to leave a record alone after failures. It is kept in memory only; a coordinator that
 * takes over begins with a clean book, which costs a few attempts.
 */
export class RetryBook {
  readonly #settings: MigrationSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #retries = new Map<number, Retry>();

  constructor(settings: MigrationSettings, clock: Clock, random: Random) {
    this.#settings = settings;
    this.#clock = clock;
    this.#random = random;
  }

  isDue(partitionId: number): boolean {
    return this.#clock.monotonicMs() >= (this.#retries.get(partitionId)?.notBeforeMs ?? 0);
  }

  succeeded(partitionId: number): void {
    const retry = this.#retries.get(partitionId);
    if (retry) retry.stepFailures = retry.notBeforeMs = 0;
  }

  /** Waits twice as long after each failure, with jitter so that partitions of one dead node do not retry together. */
  failed(partitionId: number): number {
    const retry = this.#retryOf(partitionId);
    const nowMs = this.#clock.monotonicMs();
    if (retry.stepFailures++ === 0) retry.failingSinceMs = nowMs;
    const { retryMsMin, retryMsMax } = this.#settings;
    const delayMs = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(20, retry.stepFailures - 1));
    retry.notBeforeMs = nowMs + delayMs * (0.5 + this.#random.nextFloat() / 2);
    return nowMs - retry.failingSinceMs;
  }

  failuresOf(partitionId: number): number {
    return this.#retries.get(partitionId)?.migrationFailures ?? 0;
  }

  migrated(partitionId: number): void {
    this.#retries.delete(partitionId);
  }

  /** Whether one more failure makes so many in a row that the partition had better be left alone. */
  isLastAttempt(partitionId: number): boolean {
    return this.failuresOf(partitionId) + 1 >= this.#settings.attemptsMax;
  }

  aborted(partitionId: number): void {
    const retry = this.#retryOf(partitionId);
    retry.migrationFailures++;
    retry.stepFailures = retry.notBeforeMs = 0;
  }

  #retryOf(partitionId: number): Retry {
    let retry = this.#retries.get(partitionId);
    if (!retry) {
      retry = {
        stepFailures: 0,
        failingSinceMs: 0,
        notBeforeMs: 0,
        migrationFailures: 0,
      };
      this.#retries.set(partitionId, retry);
    }
    return retry;
  }
}
