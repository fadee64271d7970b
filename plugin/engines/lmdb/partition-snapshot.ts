import type { Transaction } from 'lmdb';
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Digest, Lsn } from '../../../src/model/migration.ts';
import type { PartitionSnapshot, PhysicalEntry } from '../../../src/ports/partition-store.ts';
import type { EntryPage, ListEntriesOptions } from '../../../src/ports/storage-engine.ts';
import { listBuckets } from './bucket-listing.ts';
import { DigestScan } from './digest-scan.ts';
import type { EntryHasher } from './entry-hasher.ts';
import type { Table } from './environment.ts';
import type { PartitionState } from './partition-state.ts';
import { type EncodedKey, encodedKey } from './physical-key.ts';

/**
 * A scan shares the event loop with clients: so long it works, then so long at least it rests, a third of the time. Without
 * rests every turn of the loop waits for a slice: at 1,000 reads a second, 300,000 entries of 200 bytes being scanned, slices
 * of 4 ms held half of the reads for a second, slices of 1 ms with rests for 6 ms.
 */
const SLICE_MS = 1;
const REST_MS_MIN = 2;
/** A rest that ends late tells of a busy loop: the next is longer by twice that. */
const REST_MS_MAX = 25;
const REST_PER_LATENESS = 2;
/** Looking at the clock costs about as much as hashing a small entry. */
const ENTRIES_PER_LOOK = 64;
const BYTES_PER_LOOK = 128 << 10;

export interface SnapshotOptions {
  readonly table: Table;
  readonly transaction: Transaction;
  readonly state: PartitionState;
  readonly range: { readonly start: EncodedKey; readonly end: EncodedKey };
  readonly hasher: EntryHasher;
  readonly clock: Clock;
}

/** One LMDB read transaction over a partition, with what the partition's state was when it was opened. */
export class LmdbPartitionSnapshot implements PartitionSnapshot {
  readonly partitionId: number;
  readonly lsn: Lsn;
  readonly runningDigest: Digest | null;
  /** The running sums at `lsn`, complete or not, with their seed: what `adoptDigest` needs. */
  readonly sums: { readonly seedHex: string; readonly values: BigUint64Array } | null;
  readonly #options: SnapshotOptions;
  #isClosed = false;

  constructor(options: SnapshotOptions) {
    const { state } = options;
    this.#options = options;
    this.partitionId = state.partitionId;
    this.lsn = state.lsn;
    this.sums = state.digest && { seedHex: state.digest.seedHex, values: state.digest.sums.slice() };
    this.runningDigest = state.digest?.isComplete
      ? state.digest.toDigest(state.entryCount, state.sizeBytes)
      : null;
  }

  read(cursor: Uint8Array | null, bytesMax: number): readonly PhysicalEntry[] {
    const entries: PhysicalEntry[] = [];
    let sizeBytes = 0;
    for (const { key, value } of this.#rangeAfter(cursor)) {
      const physical = key;
      sizeBytes += physical.length + value.length;
      if (entries.length > 0 && sizeBytes > bytesMax) break;
      entries.push({ key: physical, value });
    }
    return entries;
  }

  async digest(digestSeed: string, signal?: AbortSignal): Promise<Digest> {
    const { hasher, clock } = this.#options;
    const scan = new DigestScan(hasher, digestSeed);
    try {
      let [entryCount, sizeBytes] = [0, 0];
      let restMs = REST_MS_MIN;
      let sliceEndMs = clock.monotonicMs() + SLICE_MS;
      for (const { key, value } of this.#rangeAfter(null)) {
        scan.add(key, value);
        sizeBytes += value.length;
        if (++entryCount < ENTRIES_PER_LOOK && sizeBytes < BYTES_PER_LOOK) continue;
        entryCount = sizeBytes = 0;
        const nowMs = clock.monotonicMs();
        if (nowMs < sliceEndMs) continue;
        await clock.sleep(restMs, signal);
        this.#assertOpen();
        if (signal?.aborted)
          throw new ForeshardError('FORESHARD_NOT_READY', 'retry', 'the digest scan was cancelled');
        const endMs = clock.monotonicMs();
        const lateMs = endMs - nowMs - restMs;
        restMs = Math.min(REST_MS_MAX, Math.max(REST_MS_MIN, REST_PER_LATENESS * lateMs));
        sliceEndMs = endMs + SLICE_MS;
      }
      return scan.digest();
    } finally {
      scan.close();
    }
  }

  list(digestSeed: string, options: Omit<ListEntriesOptions, 'lsn'>): EntryPage {
    this.#assertOpen();
    const { table, transaction, range, hasher } = this.#options;
    return listBuckets({ table, transaction, range, hasher, digestSeed }, options);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.transaction.done();
  }

  #rangeAfter(cursor: Uint8Array | null) {
    this.#assertOpen();
    const { table, transaction, range } = this.#options;
    // The smallest key after the cursor is the cursor with a zero byte behind it.
    const start = cursor === null ? range.start : encodedKey(Buffer.concat([cursor, Buffer.of(0)]));
    return table.getRange({ transaction, start, end: range.end });
  }

  #assertOpen(): void {
    if (this.#isClosed)
      throw new ForeshardError('FORESHARD_NOT_READY', 'retry', 'the snapshot has been closed');
  }
}
