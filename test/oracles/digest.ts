/** A partition's digest as its definition says it: for each entry its hash, added to its bucket. */
import { xxh3Hash128 } from './xxh3.ts';

export interface OracleEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** @returns u64[256][2] sums of the hashes' halves, then the number of entries and their bytes. */
export function digestSums(entries: readonly OracleEntry[], seed: bigint): BigUint64Array {
  const sums = new BigUint64Array(2 * 256 + 2);
  for (const { key, value } of entries) {
    const header = Buffer.alloc(8);
    header.writeUInt32LE(value.length, 0);
    header.writeUInt32LE(key.length, 4);
    const { low, high } = xxh3Hash128(Buffer.concat([header, value, key]), seed);
    const bucket = key[2] as number;
    sums[2 * bucket] += low;
    sums[2 * bucket + 1] += high;
    sums[512] += 1n;
    sums[513] += BigInt(key.length + value.length);
  }
  return sums;
}
