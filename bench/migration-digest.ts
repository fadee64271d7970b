/**
 * What digests cost: the running one with every write, and the hashing of a scan, beside npm xxhash-wasm, which digests were
 * made with before, and beside C.
 */
import { createHash } from 'node:crypto';
import xxhash, { type XXHashAPI } from 'xxhash-wasm';
import { EntryHasher } from '../plugin/engines/lmdb/entry-hasher.ts';
import { RunningDigest } from '../plugin/engines/lmdb/running-digest.ts';
import { median } from './median.ts';
import { fillPage } from './native/digest-case.ts';
import { kernelsAgainstC } from './native.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

const KEY_BYTES = 24;
const SEED_HEX = '0123456789abcdef';
const SEEDS = [0x0123456789abcdefn, 0xa1586b2c09283804n] as const;
const PAGE_BYTES = 128 << 10;
const BULK_BYTES = 64 << 20;

export async function digestBench({ isSmall }: { readonly isSmall: boolean }): Promise<BenchOutcome> {
  const library = await xxhash();
  const hasher = EntryHasher.load();
  const againstC = await kernelsAgainstC({ isSmall, area: 'migration' });
  return {
    results: [
      ...[100, 1_000].map((entryBytes) => writeCost(entryBytes, { library, hasher, isSmall })),
      ...[100, 1_000].map((entryBytes) => pageRate(entryBytes, { library, hasher, isSmall })),
      bulkRate({ library, hasher, isSmall }),
      ...againstC.results,
    ],
    skipped: againstC.skipped,
  };
}

interface Contest {
  readonly library: XXHashAPI;
  readonly hasher: EntryHasher;
  readonly isSmall: boolean;
}

/** An overwrite takes the old entry out of the running digest and adds the new one. */
function writeCost(entryBytes: number, { library, hasher, isSmall }: Contest): BenchResult {
  const writes = isSmall ? 100 : 30_000;
  const key = new Uint8Array(KEY_BYTES).fill(5);
  const values = [1, 2].map((byte) => new Uint8Array(entryBytes - KEY_BYTES).fill(byte));
  const digest = new RunningDigest(hasher, SEED_HEX, { isComplete: true });
  const sums = new BigUint64Array(2);
  const entry = new Uint8Array(4 + entryBytes);
  // As it was: key length, key, value laid out, hashed under two seeds, each with a copy into the library's memory.
  const addOld = (value: Uint8Array, sign: bigint): void => {
    entry[0] = KEY_BYTES;
    for (let i = 0; i < KEY_BYTES; i++) entry[4 + i] = key[i] as number;
    entry.set(value, 4 + KEY_BYTES);
    for (const lane of [0, 1]) sums[lane] += sign * library.h64Raw(entry, SEEDS[lane]);
  };
  const ours = (): void => {
    for (let i = 0; i < writes; i++) {
      key[2] = i;
      const [before, after] = [values[i & 1], values[1 - (i & 1)]] as [Uint8Array, Uint8Array];
      digest.subtract(key, KEY_BYTES, before, before.length);
      digest.add(key, KEY_BYTES, after, after.length);
    }
  };
  const old = (): void => {
    for (let i = 0; i < writes; i++) {
      key[2] = i;
      addOld(values[i & 1] as Uint8Array, -1n);
      addOld(values[1 - (i & 1)] as Uint8Array, 1n);
    }
  };
  const result = compared(
    {
      name: 'migration/digest kept with an overwrite',
      baseline: 'two xxHash64 by npm xxhash-wasm, as digests were before',
      settings: { entryBytes, keyBytes: KEY_BYTES },
      hash: '',
    },
    { ours, other: old, isSmall, toValue: (seconds) => (seconds / writes) * 1e9, metric: 'cpu', unit: 'ns' },
  );
  return { ...result, hash: shortHash(digest.sums) };
}

/** Entries that are in kernel memory already, a page a call; the library is handed one entry after the other. */
function pageRate(entryBytes: number, { library, hasher, isSmall }: Contest): BenchResult {
  const { arena, exports, memory } = hasher.kernels;
  const passes = isSmall ? 1 : 20;
  const block = arena.u8(PAGE_BYTES);
  const { entryCount, endBytes } = fillPage(block.view, entryBytes);
  const key = arena.alloc(exports.xxh3KeyBytes());
  const sums = arena.alloc((2 * exports.digestBucketCount() + 2) * 8);
  exports.xxh3Prepare(key.pointer);
  const entry = new Uint8Array(8 + entryBytes).fill(3);
  const result = compared(
    {
      name: 'migration/digest of a page',
      baseline: 'one xxHash64 an entry by npm xxhash-wasm',
      settings: { entryBytes, entryCount },
      hash: '',
    },
    {
      ours: () => {
        for (let i = 0; i < passes; i++)
          exports.digestPage(key.pointer, block.pointer, endBytes, sums.pointer);
      },
      other: () => {
        for (let i = 0; i < passes * entryCount; i++) library.h64Raw(entry, SEEDS[0]);
      },
      isSmall,
      toValue: (seconds) => (passes * entryCount * entryBytes) / seconds / 1e9,
      metric: 'rate',
      unit: 'GB/s',
    },
  );
  const words = new BigUint64Array(memory.buffer, sums.pointer, 2 * exports.digestBucketCount()).slice();
  for (const used of [block, key, sums]) arena.free(used);
  return { ...result, hash: shortHash(words) };
}

/** One input far beyond the caches. */
function bulkRate({ library, hasher, isSmall }: Contest): BenchResult {
  const { arena, exports, memory } = hasher.kernels;
  const bytes = isSmall ? 1 << 16 : BULK_BYTES;
  const input = arena.u8(bytes);
  input.view.fill(7);
  const key = arena.alloc(exports.xxh3KeyBytes());
  exports.xxh3Prepare(key.pointer);
  const copy = new Uint8Array(bytes).fill(7);
  const result = compared(
    {
      name: 'migration/XXH3 of one input',
      baseline: 'xxHash64 by npm xxhash-wasm, which copies it first',
      settings: { inputBytes: bytes },
      hash: '',
    },
    {
      ours: () => exports.xxh3Hash128(key.pointer, input.pointer, bytes),
      other: () => library.h64Raw(copy, SEEDS[0]),
      isSmall,
      toValue: (seconds) => bytes / seconds / 1e9,
      metric: 'rate',
      unit: 'GB/s',
    },
  );
  const hash = new BigUint64Array(memory.buffer, key.pointer + exports.xxh3HashOffset(), 2).slice();
  for (const used of [input, key]) arena.free(used);
  return { ...result, hash: shortHash(hash) };
}

interface Rounds {
  readonly ours: () => unknown;
  readonly other: () => unknown;
  readonly isSmall: boolean;
  readonly toValue: (seconds: number) => number;
  readonly metric: string;
  readonly unit: string;
}

/** Rounds of the two alternate, in processor time; value and baseline are those of the median round. */
function compared(
  row: Pick<BenchResult, 'name' | 'baseline' | 'settings' | 'hash'>,
  { ours, other, isSmall, toValue, metric, unit }: Rounds,
): BenchResult {
  const rounds = isSmall ? 1 : 9;
  const seconds = { ours: [] as number[], other: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    const [mine, theirs] = [timed(ours), timed(other)];
    if (round === 0 && !isSmall) continue; // warms caches, lets V8 optimise
    seconds.ours.push(mine);
    seconds.other.push(theirs);
  }
  const value = toValue(median(seconds.ours));
  const baselineValue = toValue(median(seconds.other));
  return { ...row, metric, unit, value, baselineValue, ratio: value / baselineValue };
}

function timed(work: () => unknown): number {
  const started = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(started);
  // The clock's step: small settings may take less.
  return Math.max(1e-6, (user + system) / 1e6);
}

const shortHash = (words: BigUint64Array): string =>
  createHash('sha256').update(new Uint8Array(words.buffer)).digest('hex').slice(0, 8);
