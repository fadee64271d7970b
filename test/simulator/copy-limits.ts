import type { SimClock } from './clock.ts';
import type { Life } from './life.ts';

/** What a copy may have saved up: as the throttle's own, so that this is a bound and not a guess. */
const BURST_MS = 50;

interface Bucket {
  level: number;
  atMs: number;
}

/** The operator's limit is kept by every copy: what it has applied so far is paid for before it applies more. */
export class CopyLimits {
  readonly #bytesPerSecond: number;
  readonly #clock: SimClock;
  readonly #violate: (what: string) => void;
  /** By life of the target, and `partition/migration`: a process that starts again has saved up as much again. */
  readonly #buckets = new WeakMap<Life, Map<string, Bucket>>();

  constructor(bytesPerSecond: number, clock: SimClock, violate: (what: string) => void) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
    this.#violate = violate;
  }

  /** @param sizeBytes of keys and values: less than what travelled. */
  applied(life: Life, copy: string, sizeBytes: number): void {
    const nowMs = this.#clock.nowMs();
    const ofLife = this.#buckets.get(life) ?? new Map<string, Bucket>();
    this.#buckets.set(life, ofLife);
    const { level, atMs } = ofLife.get(copy) ?? { level: 0, atMs: nowMs };
    const left = Math.max(0, level - ((nowMs - atMs) / 1000) * this.#bytesPerSecond);
    if (left > (this.#bytesPerSecond * BURST_MS) / 1000)
      this.#violate(`copy ${copy} to ${life.name} is faster than ${this.#bytesPerSecond} bytes a second`);
    ofLife.set(copy, { level: left + sizeBytes, atMs: nowMs });
  }
}
