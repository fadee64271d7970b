import { assert } from '../../../src/base/assert.ts';
import type { Digest } from '../../../src/model/migration.ts';
import { type EntryHasher, type SeedWords, seedWordsOf } from './entry-hasher.ts';
import { bucketOf } from './physical-key.ts';

const BUCKET_COUNT = 256;
const LANE_COUNT = 2;
const SUM_COUNT = BUCKET_COUNT * LANE_COUNT;
export const DIGEST_SUM_BYTES = SUM_COUNT * 8;
const WORDS_PER_BUCKET = LANE_COUNT * 2;

/**
 * Sums of keyed entry hashes, 256 buckets of two 64-bit lanes, mod 2^64. A sum and not an exclusive or: equal entries
 * do not cancel, and one that is counted twice shows. What is added can be taken away again, so it follows every write.
 */
export class RunningDigest {
  readonly seedHex: string;
  /** u64[bucket][lane]. */
  readonly sums: BigUint64Array;
  /** Whether the sums cover the whole partition, or only the difference since they were begun. */
  isComplete: boolean;
  readonly #seed: SeedWords;
  readonly #hasher: EntryHasher;
  /** The same memory as words: adding those allocates nothing. */
  readonly #words: Uint32Array;

  constructor(hasher: EntryHasher, seedHex: string, options: { isComplete: boolean; sums?: BigUint64Array }) {
    this.#hasher = hasher;
    this.seedHex = seedHex;
    this.#seed = seedWordsOf(seedHex);
    this.isComplete = options.isComplete;
    this.sums = options.sums ?? new BigUint64Array(SUM_COUNT);
    assert(this.sums.length === SUM_COUNT, `a digest has ${SUM_COUNT} lanes`);
    this.#words = new Uint32Array(this.sums.buffer, this.sums.byteOffset, 2 * SUM_COUNT);
  }

  add(key: Uint8Array, keyLength: number, value: Uint8Array, valueLength: number): void {
    this.#hasher.hashEntry(this.#seed, key, keyLength, value, valueLength);
    const { hash } = this.#hasher;
    const words = this.#words;
    const first = bucketOf(key) * WORDS_PER_BUCKET;
    for (let i = 0; i < WORDS_PER_BUCKET; i += 2) {
      const low = words[first + i] + hash[i];
      words[first + i] = low;
      words[first + i + 1] += hash[i + 1] + (low > 0xffff_ffff ? 1 : 0);
    }
  }

  subtract(key: Uint8Array, keyLength: number, value: Uint8Array, valueLength: number): void {
    this.#hasher.hashEntry(this.#seed, key, keyLength, value, valueLength);
    const { hash } = this.#hasher;
    const words = this.#words;
    const first = bucketOf(key) * WORDS_PER_BUCKET;
    for (let i = 0; i < WORDS_PER_BUCKET; i += 2) {
      const low = words[first + i] - hash[i];
      words[first + i] = low;
      words[first + i + 1] -= hash[i + 1] + (low < 0 ? 1 : 0);
    }
  }

  /** What it was at an earlier moment gives way to what a scan of that moment found: the difference since then stays. */
  complete(scanned: BigUint64Array, thenSums: BigUint64Array): void {
    for (let i = 0; i < SUM_COUNT; i++) this.sums[i] += scanned[i] - thenSums[i];
    this.isComplete = true;
  }

  toDigest(entryCount: number, sizeBytes: number): Digest {
    return digestOfSums(this.sums, entryCount, sizeBytes);
  }
}

export const digestOfSums = (sums: BigUint64Array, entryCount: number, sizeBytes: number): Digest => ({
  entryCount,
  sizeBytes,
  buckets: Array.from(sums, (sum) => sum.toString(16).padStart(16, '0')),
});

/** The bucket that an index of `Digest.buckets` belongs to. */
export const bucketOfLane = (lane: number): number => Math.floor(lane / LANE_COUNT);

export function sumsOf(digest: Digest): BigUint64Array {
  assert(digest.buckets.length === SUM_COUNT, `a digest has ${SUM_COUNT} lanes`);
  return BigUint64Array.from(digest.buckets, (lane) => BigInt(`0x${lane}`));
}
