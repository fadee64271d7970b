import type { Digest, Lsn, PartitionRole } from '../model/migration.ts';
import type { EntryPage, ListEntriesOptions } from './storage-engine.ts';

/**
 * What a storage node keeps for its partitions, seen from migration: roles, physical entries, the change log, digests.
 * The LMDB engine implements it; a simulator can. One store is one disk: it has its own id, made when it was formatted.
 *
 * Everything that changes state is durable when its promise resolves, and the state that speaks about data (role, lsn,
 * digest) is written in the same transaction as that data.
 */
export interface PartitionStore {
  readonly storeId: string;
  meta(partitionId: number): PartitionMeta;
  /**
   * Reads, decides and writes a partition's meta in one durable transaction; since the store has one writer, this is the
   * barrier: every write acknowledged before it is covered by `meta.lsn`, every later one sees the new meta.
   *
   * @param change returns the new meta, or throws a ForeshardError to refuse (nothing is written then). It is handed
   * the running digest at `meta.lsn`, so that a fence can hold both.
   */
  updateMeta(
    partitionId: number,
    change: (meta: PartitionMeta, runningDigest: () => Digest | null) => PartitionMeta,
  ): Promise<PartitionMeta>;

  /**
   * Starts to log every change and to keep the digest's running difference, keyed by `digestSeed`. Idempotent per seed;
   * another seed starts anew. On an empty partition (a staging copy) the running digest is complete from the start, on
   * one with entries it becomes so by `adoptDigest`. `firstLsn` sets `meta.lsn` of a staging copy: the snapshot's lsn.
   */
  startChangeLog(partitionId: number, options: { digestSeed: string; firstLsn?: Lsn }): Promise<{ lsn: Lsn }>;
  stopChangeLog(partitionId: number): Promise<void>;
  /** Entries with lsn > afterLsn, in order, at most `bytesMax`. @throws FORESHARD_CORRUPT on a gap. */
  readChangeLog(partitionId: number, afterLsn: Lsn, bytesMax: number): readonly LogEntry[];
  /** Drops entries with lsn <= upToLsn. */
  trimChangeLog(partitionId: number, upToLsn: Lsn): Promise<void>;

  /** The running digest of the whole partition at `lsn`; null while it is not complete, or none is kept. */
  runningDigest(partitionId: number): { readonly lsn: Lsn; readonly digest: Digest | null };
  /** Completes the running digest: `scanned` is `snapshot.digest(digestSeed)`. No change if it is complete already. */
  adoptDigest(partitionId: number, snapshot: PartitionSnapshot, scanned: Digest): Promise<void>;
  /** Whether a copy (STAGING, FOLLOWER) answers reads that allow a copy and whose minLsn it has. Not durable: off at start. */
  setCopyReads(partitionId: number, isServing: boolean): void;

  /** One read transaction over a partition, at the lsn it was opened at. Close it: it pins old pages. */
  openSnapshot(partitionId: number): PartitionSnapshot;

  /** Writes snapshot entries, adds them to the digest, moves `meta.staging.cursor`, all in one transaction. */
  applySnapshot(
    partitionId: number,
    migrationId: number,
    entries: readonly PhysicalEntry[],
    cursor: Uint8Array | null,
  ): Promise<void>;
  /** Applies log entries in lsn order (each exactly meta.lsn + 1), with their digest difference, in one transaction. */
  applyLog(partitionId: number, migrationId: number, entries: readonly LogEntry[]): Promise<Lsn>;

  /**
   * Deletes up to `entriesMax` entries of a partition whose role is RETIRED or STAGING of a closed migration. Not logged.
   * @returns true when nothing is left.
   */
  deleteBatch(partitionId: number, migrationId: number, entriesMax: number): Promise<boolean>;
  /** Physical size of a partition's entries; kept incrementally. */
  statistics(partitionId: number): { readonly entryCount: number; readonly sizeBytes: number };
  freeBytes(): number;
}

export interface PartitionMeta {
  readonly role: PartitionRole;
  /** Epoch of that role; data requests must carry the same. */
  readonly epoch: number;
  /** The highest epoch ever seen for this partition; anything older is refused. */
  readonly epochMax: number;
  /** The highest migration that has ended here, in whatever way. */
  readonly closedMigrationId: number;
  /** The migration this node takes part in, 0 for none. */
  readonly migrationId: number;
  readonly lsn: Lsn;
  readonly fence: { readonly migrationId: number; readonly lsn: Lsn; readonly digest: Digest } | null;
  /** On a copy that is being filled: where the snapshot stands. */
  readonly staging: {
    readonly migrationId: number;
    readonly sourceStoreId: string;
    /** Of the youngest snapshot that entries were read from, where that lies beyond the copy's own lsn at the time. */
    readonly snapshotLsn: Lsn;
    /** The last key copied, null at the start; `isComplete` once the snapshot has been read to its end. */
    readonly cursor: Uint8Array | null;
    readonly isComplete: boolean;
  } | null;
  /** Set while a change log or a copy is kept: the seed, and whether the running digest covers the whole partition. */
  readonly digestSeed: string | null;
}

/** One physical entry: opaque bytes within the partition; what a Redis key is made of is the engine's business. */
export interface PhysicalEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export type LogEntry =
  | { readonly lsn: Lsn; readonly kind: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly lsn: Lsn; readonly kind: 'delete'; readonly key: Uint8Array };

export interface PartitionSnapshot {
  readonly lsn: Lsn;
  /** The running digest as it stood at `lsn`; null where it was not complete. */
  readonly runningDigest: Digest | null;
  /** Entries after `cursor` in key order, at most `bytesMax` (at least one); empty at the end. */
  read(cursor: Uint8Array | null, bytesMax: number): readonly PhysicalEntry[];
  /** The digest of everything in the snapshot, by reading it back; cooperative: yields every few milliseconds. */
  digest(digestSeed: string, signal?: AbortSignal): Promise<Digest>;
  /**
   * Fingerprints of the entries behind some lanes of its digest, in the order of the partition; the seed is the digest's.
   * About `entriesMax` of them: entries of one position are never parted.
   */
  list(digestSeed: string, options: Omit<ListEntriesOptions, 'lsn'>): EntryPage;
  close(): void;
}
