/** What a node of the example keeps: every change is one assignment, so that it has happened or has not. */
import { createHash } from 'node:crypto';
import type { Digest, EntryFingerprint, Lsn, PartitionRole } from '../../src/index.ts';

export interface Change {
  readonly lsn: Lsn;
  readonly key: string;
  /** Null: deleted. */
  readonly value: string | null;
}

/** One partition on one node. */
export interface Held {
  readonly role: PartitionRole;
  readonly epoch: number;
  /** The highest that this node has heard of. */
  readonly epochMax: number;
  readonly migrationId: number;
  /** The highest migration that is over here. */
  readonly closedMigrationId: number;
  readonly lsn: Lsn;
  readonly entries: ReadonlyMap<string, string>;
  /** Of a source: changes since it was prepared; null: none is kept. */
  readonly log: readonly Change[] | null;
  /** Of a copy: whose. */
  readonly sourceNodeId: number;
  /** Of a copy: its snapshot was read to the end. */
  readonly isComplete: boolean;
}

export const EMPTY: Held = {
  ...{ role: 'NONE', epoch: 0, epochMax: 0, migrationId: 0, closedMigrationId: 0, lsn: 0 },
  ...{ entries: new Map(), log: null, sourceNodeId: 0, isComplete: false },
};

const PARTITION_COUNT = 16;
const LANE_COUNT = 4;

export class Disk {
  readonly storeId: string;
  freeBytes = 1e9;
  readonly #held = new Map<number, Held>();

  constructor(storeId: string) {
    this.storeId = storeId;
  }

  of(partitionId: number): Held {
    return this.#held.get(partitionId) ?? EMPTY;
  }

  change(partitionId: number, change: Partial<Held>): void {
    this.#held.set(partitionId, { ...this.of(partitionId), ...change });
  }

  /** A client's write, under the next lsn; whether it may is asked in the same step. @returns null where it may not. */
  write(partitionId: number, epoch: number, key: string, value: string | null): Lsn | null {
    const { role, epoch: own, lsn } = this.of(partitionId);
    if (role !== 'OWNER' || own !== epoch) return null;
    this.apply(partitionId, [{ lsn: lsn + 1, key, value }]);
    return lsn + 1;
  }

  /** Entries, log and lsn in one step. */
  apply(partitionId: number, changes: readonly Change[]): void {
    const held = this.of(partitionId);
    const entries = new Map(held.entries);
    for (const { key, value } of changes)
      if (value === null) entries.delete(key);
      else entries.set(key, value);
    const lsn = changes.at(-1)?.lsn ?? held.lsn;
    this.change(partitionId, { entries, lsn, log: held.log && [...held.log, ...changes] });
  }

  /** Bytes of all that is here, and of the partitions that this node owns. */
  sizes(): { readonly dataBytes: number; readonly partitionBytes: Float64Array } {
    const partitionBytes = new Float64Array(PARTITION_COUNT);
    let dataBytes = 0;
    for (const [partitionId, { role, entries }] of this.#held) {
      let sizeBytes = 0;
      for (const [key, value] of entries) sizeBytes += key.length + value.length;
      dataBytes += sizeBytes;
      if (role === 'OWNER' || role === 'FENCED') partitionBytes[partitionId] = sizeBytes;
    }
    return { dataBytes, partitionBytes };
  }
}

const hash = (text: string): bigint => createHash('sha256').update(text).digest().readBigUInt64LE();
const hex = (value: bigint): string => value.toString(16).padStart(16, '0');
const laneOf = (key: string): number => Number(hash(key) % BigInt(LANE_COUNT));

/** Sums of hashes: the order does not matter. An engine that clients may wish harm keys its hash by `digestSeed`. */
export function digestOf(entries: ReadonlyMap<string, string>): Digest {
  const lanes = new BigUint64Array(LANE_COUNT);
  let sizeBytes = 0;
  for (const [key, value] of entries) {
    // An array of 64-bit numbers keeps what is below 2^64 by itself.
    lanes[laneOf(key)] = (lanes[laneOf(key)] as bigint) + hash(JSON.stringify([key, value]));
    sizeBytes += key.length + value.length;
  }
  return { entryCount: entries.size, sizeBytes, buckets: Array.from(lanes, hex) };
}

export const fingerprint = (
  key: string,
  value: string,
  position: number,
): EntryFingerprint & { readonly lane: number } => ({
  ...{ position, lane: laneOf(key), keyDigest: hex(hash(key)), valueDigest: hex(hash(value)) },
  ...{ expiryMs: 0, keyPrefix: '', keyHash: '' },
});
