import xxhash, { type XXHashAPI } from 'xxhash-wasm';
import { assert } from '../../../src/base/assert.ts';
import type { Digest } from '../../../src/model/migration.ts';
import { bucketOf } from './physical-key.ts';

const BUCKET_COUNT = 256;
const LANE_COUNT = 2;
const SUM_COUNT = BUCKET_COUNT * LANE_COUNT;
export const DIGEST_SUM_BYTES = SUM_COUNT * 8;
/** Makes the second lane's seed from the first's: any constant but 0 will do; this is the golden ratio's fraction. */
const SECOND_LANE = 0x9e3779b97f4a7c15n;
const NO_BYTES = new Uint8Array(0);

/** Hashes an entry under a seed: xxHash64 of [key length u32 LE][key][value]; the value of a key holds its expiry. */
export class EntryHasher {
  readonly #xxhash: XXHashAPI;
  #bytes = new Uint8Array(64 * 1024);

  private constructor(api: XXHashAPI) {
    this.#xxhash = api;
  }

  static async load(): Promise<EntryHasher> {
    return new EntryHasher(await xxhash());
  }

  /** Lays the entry out once; `lane` then hashes it under each seed. */
  setEntry(key: Uint8Array, keyLength: number, value: Uint8Array, valueLength: number): void {
    const length = 4 + keyLength + valueLength;
    if (this.#bytes.length < length) this.#bytes = new Uint8Array(2 ** Math.ceil(Math.log2(length)));
    const bytes = this.#bytes;
    bytes[0] = keyLength;
    bytes[1] = keyLength >>> 8;
    bytes[2] = 0;
    bytes[3] = 0;
    for (let i = 0; i < keyLength; i++) bytes[4 + i] = key[i];
    if (valueLength > 0) bytes.set(value.subarray(0, valueLength), 4 + keyLength);
    this.#entry = bytes.subarray(0, length);
  }

  #entry: Uint8Array = NO_BYTES;

  lane(seed: bigint): bigint {
    return this.#xxhash.h64Raw(this.#entry, seed);
  }

  /** Tells entries, or keys or values alone, apart: 16 hex digits. */
  fingerprint(key: Uint8Array, value: Uint8Array, seed: bigint): string {
    this.setEntry(key, key.length, value, value.length);
    return this.lane(seed).toString(16).padStart(16, '0');
  }
}

/**
 * Sums of keyed entry hashes, 256 buckets of two 64-bit lanes, mod 2^64. A sum and not an exclusive or: equal entries
 * do not cancel, and one that is counted twice shows. What is added can be taken away again, so it follows every write.
 */
export class RunningDigest {
  readonly seedHex: string;
  /** u64[bucket][lane]; the typed array does the arithmetic mod 2^64. */
  readonly sums: BigUint64Array;
  /** Whether the sums cover the whole partition, or only the difference since they were begun. */
  isComplete: boolean;
  readonly #seeds: readonly [bigint, bigint];
  readonly #hasher: EntryHasher;

  constructor(hasher: EntryHasher, seedHex: string, options: { isComplete: boolean; sums?: BigUint64Array }) {
    assert(/^[0-9a-f]{1,16}$/.test(seedHex), 'a digest seed is up to 16 hex digits');
    this.#hasher = hasher;
    this.seedHex = seedHex;
    const seed = BigInt(`0x${seedHex}`);
    this.#seeds = [seed, BigInt.asUintN(64, seed + SECOND_LANE)];
    this.isComplete = options.isComplete;
    this.sums = options.sums ?? new BigUint64Array(SUM_COUNT);
  }

  add(key: Uint8Array, keyLength: number, value: Uint8Array, valueLength: number): void {
    this.#hasher.setEntry(key, keyLength, value, valueLength);
    const index = bucketOf(key) * LANE_COUNT;
    this.sums[index] += this.#hasher.lane(this.#seeds[0]);
    this.sums[index + 1] += this.#hasher.lane(this.#seeds[1]);
  }

  subtract(key: Uint8Array, keyLength: number, value: Uint8Array, valueLength: number): void {
    this.#hasher.setEntry(key, keyLength, value, valueLength);
    const index = bucketOf(key) * LANE_COUNT;
    this.sums[index] -= this.#hasher.lane(this.#seeds[0]);
    this.sums[index + 1] -= this.#hasher.lane(this.#seeds[1]);
  }

  /** What it was at an earlier moment gives way to what a scan of that moment found: the difference since then stays. */
  complete(scanned: BigUint64Array, thenSums: BigUint64Array): void {
    for (let i = 0; i < SUM_COUNT; i++) this.sums[i] += scanned[i] - thenSums[i];
    this.isComplete = true;
  }

  toDigest(entryCount: number, sizeBytes: number): Digest {
    return {
      entryCount,
      sizeBytes,
      buckets: Array.from(this.sums, (sum) => sum.toString(16).padStart(16, '0')),
    };
  }
}

/** The bucket that an index of `Digest.buckets` belongs to. */
export const bucketOfLane = (lane: number): number => Math.floor(lane / LANE_COUNT);

export function sumsOf(digest: Digest): BigUint64Array {
  assert(digest.buckets.length === SUM_COUNT, `a digest has ${SUM_COUNT} lanes`);
  return BigUint64Array.from(digest.buckets, (lane) => BigInt(`0x${lane}`));
}
