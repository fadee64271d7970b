/** Whether a copy will ever reach its source: what is written of the partition beside what the copy applies. Pure. */
import type { Lsn } from '../../model/migration.ts';

export interface CatchUpSample {
  readonly atMs: number;
  /** Where the owner stands. */
  readonly ownerLsn: Lsn;
  /** Entries that the copy has applied, of snapshot and log. */
  readonly appliedEntries: number;
}

export interface CatchUpRates {
  /** Entries a second. */
  readonly writeRate: number;
  readonly applyRate: number;
}

/** Samples closer together say no more. */
const SAMPLE_MS = 500;

/** Samples of one migration over the last `windowMs`. */
export class CatchUpBook {
  readonly #windowMs: number;
  #samples: CatchUpSample[] = [];

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** @returns the rates, once a whole window has been seen. */
  add(sample: CatchUpSample): CatchUpRates | null {
    const last = this.#samples.at(-1);
    // A copy that began anew, a clock that was set back.
    const isBroken =
      last !== undefined &&
      (sample.atMs < last.atMs ||
        sample.appliedEntries < last.appliedEntries ||
        sample.ownerLsn < last.ownerLsn);
    if (isBroken) this.forget();
    const [first] = this.#samples;
    if (last === undefined || isBroken || sample.atMs - last.atMs >= SAMPLE_MS) this.#samples.push(sample);
    if (first === undefined || isBroken || sample.atMs - first.atMs < this.#windowMs) return null;
    while ((this.#samples[1]?.atMs ?? sample.atMs) <= sample.atMs - this.#windowMs) this.#samples.shift();
    return ratesBetween(this.#samples[0] as CatchUpSample, sample);
  }

  /** The time of a pause is nobody's. */
  forget(): void {
    this.#samples = [];
  }

  /** Over whatever has been seen; null for less than one sample apart. */
  latest(): CatchUpRates | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    return first && last && last.atMs > first.atMs ? ratesBetween(first, last) : null;
  }
}

function ratesBetween(first: CatchUpSample, last: CatchUpSample): CatchUpRates {
  const seconds = (last.atMs - first.atMs) / 1000;
  return {
    writeRate: (last.ownerLsn - first.ownerLsn) / seconds,
    applyRate: (last.appliedEntries - first.appliedEntries) / seconds,
  };
}

/** @returns why the copy is to be given up; null as long as it comes nearer. */
export function hopeless({ writeRate, applyRate }: CatchUpRates): string | null {
  if (writeRate === 0 || applyRate > writeRate) return null;
  return `cannot catch up: write rate ${writeRate.toFixed(0)}/s > apply rate ${applyRate.toFixed(0)}/s`;
}

/** Entries that must be applied a second for each that is written: then the log takes no longer than the snapshot took. */
export const CATCH_UP_FACTOR = 2;
