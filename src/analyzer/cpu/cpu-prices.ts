import { assert } from '../../base/assert.ts';
import { ForeshardError } from '../../base/errors.ts';
import { nonNegativeLeastSquares } from './non-negative-least-squares.ts';

/** What a server did in a stretch of time, or one partition's part of it. */
export interface ServerWork {
  readonly requests: number;
  readonly writes: number;
  readonly kibibytes: number;
  /** Seconds that were timed around the requests themselves, by the wall: about the CPU that this part of them took. */
  readonly timedSeconds: number;
}

export interface MeasuredWork extends ServerWork {
  readonly elapsedSeconds: number;
  /** Of the whole process. */
  readonly cpuSeconds: number;
}

/**
 * What a request costs beside what was timed of it (its share of sockets, frames, commits, collected garbage), CPU seconds; and
 * what a server spends in a second of doing nothing.
 */
export interface CpuPrices {
  /** Of a second that was timed: less than 1 where the machine takes much away in between. */
  readonly perTimedSecond: number;
  readonly perRequest: number;
  readonly perWrite: number;
  readonly perKibibyte: number;
  readonly perSecond: number;
}

export interface AttributedCpu {
  /** f64[partition], seconds; with `background` they add up to what was measured. */
  readonly partitionSeconds: Float64Array;
  /** What nobody asked for: idling, and what is far beyond the prices of what was asked. */
  readonly backgroundSeconds: number;
}

/** Rough figures of the embedded node: what is believed while nothing tells one kind of work from another. */
const USUAL: CpuPrices = {
  perTimedSecond: 1,
  perRequest: 10e-6,
  perWrite: 20e-6,
  perKibibyte: 1e-6,
  perSecond: 0.005,
};

/** Seconds of work after which an observation counts half: prices change with versions and machines, not with the hour. */
const HALF_LIFE_SECONDS = 6 * 3600;

/**
 * Share of each kind's own weight with which the usual price is believed: where kinds always come together it decides how they
 * share, where they do not it is lost in what was seen. Of idling more is known before than of work: under a load that never changes, what
 * cannot be told apart is the work's.
 */
const USUAL_SHARE = 0.002;
const USUAL_IDLE_SHARE = 0.02;

/**
 * Prices are means over hours, and a stretch may cost more or less than they say. What goes beyond so many times is something else: a
 * copy of a partition being sent, a file being packed. It is nobody's load, above all not that of a node that is being relieved.
 */
const DEARER_MAX = 2;

const KINDS = 5;

/** Raised whenever something saved means something else. */
const SAVED_VERSION = 1;

/** What prices are found from, as plain data. */
export interface SavedCpuPrices {
  readonly version: number;
  /** f64[kind][kind]. */
  readonly gram: Float64Array;
  /** f64[kind]. */
  readonly products: Float64Array;
}

/**
 * Learns what work costs a server from its CPU time and what it did meanwhile, stretch by stretch, and shares out each stretch's CPU
 * accordingly: non-negative least squares over fading sums.
 *
 * @see Lawson & Hanson, Solving Least Squares Problems, 1974, ch. 23
 */
export class CpuPriceBook {
  /** Fading sums of products: f64[kind][kind] and f64[kind]. */
  readonly #gram = new Float64Array(KINDS * KINDS);
  readonly #products = new Float64Array(KINDS);

  observe(work: MeasuredWork): void {
    const { elapsedSeconds, cpuSeconds } = work;
    assert(elapsedSeconds > 0 && cpuSeconds >= 0, 'a stretch of work takes time');
    const kinds = kindsOf(work, elapsedSeconds);
    // Long stretches average more: each second weighs alike.
    const weight = 1 / elapsedSeconds;
    const fade = 0.5 ** (elapsedSeconds / HALF_LIFE_SECONDS);
    for (let i = 0; i < KINDS; i++) {
      for (let j = 0; j < KINDS; j++)
        this.#gram[i * KINDS + j] =
          fade * (this.#gram[i * KINDS + j] as number) + weight * (kinds[i] as number) * (kinds[j] as number);
      this.#products[i] = fade * (this.#products[i] as number) + weight * (kinds[i] as number) * cpuSeconds;
    }
  }

  prices(): CpuPrices {
    const usual = [
      USUAL.perTimedSecond,
      USUAL.perRequest,
      USUAL.perWrite,
      USUAL.perKibibyte,
      USUAL.perSecond,
    ];
    const gram = this.#gram.slice();
    const products = this.#products.slice();
    for (let i = 0; i < KINDS; i++) {
      const belief = (i === KINDS - 1 ? USUAL_IDLE_SHARE : USUAL_SHARE) * (gram[i * KINDS + i] as number);
      gram[i * KINDS + i] = (gram[i * KINDS + i] as number) + belief;
      products[i] = (products[i] as number) + belief * (usual[i] as number);
    }
    const found = nonNegativeLeastSquares(gram, products);
    const price = (kind: number): number =>
      (gram[kind * KINDS + kind] as number) > 0 ? (found[kind] as number) : (usual[kind] as number);
    return {
      perTimedSecond: price(0),
      perRequest: price(1),
      perWrite: price(2),
      perKibibyte: price(3),
      perSecond: price(4),
    };
  }

  save(): SavedCpuPrices {
    return { version: SAVED_VERSION, gram: this.#gram.slice(), products: this.#products.slice() };
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when it is of another version, or not what `save` gave; nothing has changed then. */
  load(saved: SavedCpuPrices): void {
    const { version, gram, products } = saved;
    const isSound =
      version === SAVED_VERSION && [...(gram ?? []), ...(products ?? [])].every((sum) => sum >= 0);
    if (!isSound || gram.length !== this.#gram.length || products.length !== this.#products.length)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        'report',
        `prices of CPU: they are of version ${version}, this is version ${SAVED_VERSION}, or not whole`,
      );
    this.#gram.set(gram);
    this.#products.set(products);
  }

  /**
   * Shares out the CPU of one stretch by what each partition's requests cost, at the prices of now.
   *
   * @param partitions what came of each, in the order of ids.
   */
  attribute(
    measured: Pick<MeasuredWork, 'elapsedSeconds' | 'cpuSeconds'>,
    partitions: readonly ServerWork[],
  ): AttributedCpu {
    const { elapsedSeconds, cpuSeconds } = measured;
    const { perTimedSecond, perRequest, perWrite, perKibibyte, perSecond } = this.prices();
    const partitionSeconds = Float64Array.from(
      partitions,
      ({ requests, writes, kibibytes, timedSeconds }) =>
        perTimedSecond * timedSeconds + perRequest * requests + perWrite * writes + perKibibyte * kibibytes,
    );
    const asked = partitionSeconds.reduce((sum, seconds) => sum + seconds, 0);
    const expected = asked + perSecond * elapsedSeconds;
    if (asked === 0 || expected === 0) {
      partitionSeconds.fill(0);
      return { partitionSeconds, backgroundSeconds: cpuSeconds };
    }
    const scale = Math.min(DEARER_MAX, cpuSeconds / expected);
    return {
      partitionSeconds: partitionSeconds.map((seconds) => seconds * scale),
      backgroundSeconds: cpuSeconds - asked * scale,
    };
  }
}

const kindsOf = (
  { timedSeconds, requests, writes, kibibytes }: ServerWork,
  elapsedSeconds: number,
): number[] => [timedSeconds, requests, writes, kibibytes, elapsedSeconds];
