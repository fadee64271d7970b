import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { LmdbEnvironment } from './environment.ts';

export interface SpaceLimits {
  /** Own limit of the bytes of all partitions: `mapSize` is none. */
  readonly quotaBytes: number;
  /** What must stay free in the file system, so that a commit is not the one to find the disk full. */
  readonly reserveBytes: number;
}

/** Asking the file system costs microseconds: it is asked so often, */
const LOOK_INTERVAL_MS = 20;
/** or as soon as this part of the reserve may have been written since; the reserve covers what lies between. */
const LOOK_RESERVE_SHARE = 1 / 16;
const LOOK_BYTES_MIN = 64 * 1024;

/** Says whether there is room to write. Deletes are always allowed: they are how room comes back. */
export class SpaceGuard {
  readonly #environment: LmdbEnvironment;
  readonly #limits: SpaceLimits;
  readonly #clock: Clock;
  readonly #usedBytes: () => number;
  #nextLookMs = Number.NEGATIVE_INFINITY;
  #bytesSinceLook = 0;
  #fault: string | null = null;

  constructor(options: {
    environment: LmdbEnvironment;
    limits: SpaceLimits;
    clock: Clock;
    usedBytes: () => number;
  }) {
    this.#environment = options.environment;
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#usedBytes = options.usedBytes;
  }

  /** So many bytes are about to be written. */
  expect(bytes: number): void {
    this.#bytesSinceLook += bytes;
    if (this.#bytesSinceLook > Math.max(LOOK_BYTES_MIN, this.#limits.reserveBytes * LOOK_RESERVE_SHARE))
      this.#nextLookMs = Number.NEGATIVE_INFINITY;
  }

  /** @returns why nothing may be added, or null when there is room. */
  fault(): string | null {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#nextLookMs) {
      this.#nextLookMs = nowMs + LOOK_INTERVAL_MS;
      this.#bytesSinceLook = 0;
      this.#fault = this.#look();
    }
    return this.#fault;
  }

  /** @throws ForeshardError FORESHARD_DISK_FULL */
  assertRoom(bytes: number): void {
    this.expect(bytes);
    const fault = this.fault();
    if (fault) throw new ForeshardError('FORESHARD_DISK_FULL', 'free-space', fault);
  }

  #look(): string | null {
    const { quotaBytes, reserveBytes } = this.#limits;
    const usedBytes = this.#usedBytes();
    if (usedBytes >= quotaBytes) return `the store holds ${usedBytes} bytes, its quota is ${quotaBytes}`;
    const freeBytes = this.#environment.freeBytes();
    if (freeBytes >= reserveBytes) return null;
    // The file never shrinks, but what deletes gave back inside it can be written again without asking the disk.
    if (freeBytes + this.#environment.reusableBytes() >= reserveBytes) return null;
    return `${freeBytes} bytes are free on the disk, the reserve is ${reserveBytes}`;
  }
}
