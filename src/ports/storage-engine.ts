import type { NodeId } from '../model/ids.ts';
import type { Digest, Lsn, MigrationCommand, PartitionRole } from '../model/migration.ts';

/**
 * What the coordinator asks of storage nodes. Every call is idempotent for its (partition, migration, epoch) and may be
 * repeated for ever; a node refuses a command older than what it has durably seen (FORESHARD_STALE_EPOCH).
 * Calls return once the node has *begun or done* the step; `status` tells how far it is.
 */
export interface StorageEngine {
  readonly capabilities: EngineCapabilities;
  /** Source: keep a change log from now on. Target: check free space, store id and that the source can be reached. */
  prepare(nodeId: NodeId, command: MigrationCommand, options: PrepareOptions): Promise<void>;
  /**
   * Target: pull snapshot, then log, from the source, at most at these rates; runs on by itself until told otherwise.
   * 0 bytes a second hold a pull that runs after its present piece, and start none.
   */
  copy(nodeId: NodeId, command: MigrationCommand, rates: CopyRates): Promise<void>;
  /**
   * Both: compare a read-back scan with the running digest, at one lsn chosen by the side that is the owner.
   * The owner (no `barrierLsn`) answers the barrier that is in force, or with `isFresh` makes a new one; its log readers
   * stop at the barrier. The copy scans when it has applied exactly `barrierLsn`. Either forgets what it scanned before the
   * first request of a higher `round` (0 where left out): what one round has found out says nothing to the next, also at
   * the same lsn.
   *
   * @throws ForeshardError FORESHARD_CONFLICT from a copy that has passed the barrier without a scan: ask for a fresh one.
   */
  beginVerify(
    nodeId: NodeId,
    command: MigrationCommand,
    options: { readonly barrierLsn?: Lsn; readonly isFresh?: boolean; readonly round?: number },
  ): Promise<{ readonly lsn: Lsn }>;
  /** Target: serve reads whose minimal lsn it has applied. */
  serveReads(nodeId: NodeId, command: MigrationCommand, isServing: boolean): Promise<void>;
  /** Source: refuse all later writes, durably. */
  fence(nodeId: NodeId, command: MigrationCommand): Promise<{ lsn: Lsn; digest: Digest }>;
  /** Target: become the owner at epoch + 1. `command.epoch` is the new epoch. */
  activate(nodeId: NodeId, command: MigrationCommand, options: { fenceLsn: Lsn }): Promise<void>;
  /** Old owner, after the switch: follow the new owner's change log, so that there is a way back until cleanup. */
  follow(nodeId: NodeId, command: MigrationCommand): Promise<void>;
  /** Old owner: stop following, become RETIRED, delete everything in throttled batches. True when nothing is left. */
  remove(nodeId: NodeId, command: MigrationCommand): Promise<boolean>;
  /**
   * Either side: forget this migration. A fenced source opens again, a staging copy is dropped. True when done.
   * With `keepsLog` a source goes on logging: its copy is kept, and another migration begins with it.
   */
  abort(
    nodeId: NodeId,
    command: MigrationCommand,
    options?: { readonly keepsLog: boolean },
  ): Promise<boolean>;
  /** New owner: the migration is over, the change log may go. */
  finish(nodeId: NodeId, command: MigrationCommand): Promise<void>;
  /** @param include what is large and rarely needed: the running digest, or the results of a verification. */
  status(
    nodeId: NodeId,
    command: MigrationCommand,
    include?: 'digest' | 'verify',
  ): Promise<NodeMigrationStatus>;
  nodeStatistics(nodeId: NodeId): Promise<NodeStatistics>;
  /**
   * Either side, after a verification that failed: the entries behind lanes of its digest, as they were scanned at `lsn`.
   *
   * @throws ForeshardError FORESHARD_NOT_READY when the node no longer has that state to look at.
   */
  listEntries(nodeId: NodeId, command: MigrationCommand, options: ListEntriesOptions): Promise<EntryPage>;
}

/** How fast a copy may go. */
export interface CopyRates {
  readonly bytesPerSecond: number;
  readonly entriesPerSecond: number;
  /** What the target does not go below, however late its event loop is. */
  readonly bytesPerSecondMin: number;
  /** The target halves its rate when its own event loop, or the source's, is later than this; 0: it never does. */
  readonly loopLagMsMax: number;
}

/** What nothing holds back. */
export const FREE_COPY_RATES: CopyRates = {
  bytesPerSecond: 2 ** 50,
  entriesPerSecond: 2 ** 50,
  bytesPerSecondMin: 0,
  loopLagMsMax: 0,
};

/** How a pull fares. */
export interface CopyProgress {
  /** Of snapshot and log, since the pull began. */
  readonly copiedEntries: number;
  /** Where the owner stood when it was last heard of; 0 before. */
  readonly ownerLsn: Lsn;
  /** In the last tenth of a second, and what was allowed. */
  readonly bytesPerSecond: number;
  readonly limitBytesPerSecond: number;
  readonly pieceBytes: number;
  /** Why it is allowed no more: for people. */
  readonly reason: string;
}

/** How much of a key may be shown: the settings of the query log. */
export interface KeyPrivacy {
  readonly prefixBytes: number;
  readonly isHashKept: boolean;
}

export interface ListEntriesOptions {
  readonly lsn: Lsn;
  /** Indexes in `Digest.buckets`. */
  readonly lanes: readonly number[];
  readonly privacy: KeyPrivacy;
  /** Where a page before ended, 0 at the start. */
  readonly fromPosition: number;
  /** About so many: entries of one position stay together. */
  readonly entriesMax: number;
}

/** One entry without its value: enough to say whether two sides hold the same. */
export interface EntryFingerprint {
  /** A whole number that grows in the order of the partition, the same on both sides. */
  readonly position: number;
  /** Tells keys apart, under the migration's seed. */
  readonly keyDigest: string;
  /** Tells values apart, without the expiry. */
  readonly valueDigest: string;
  readonly expiryMs: number;
  /** What may be shown of the key. */
  readonly keyPrefix: string;
  readonly keyHash: string;
}

export interface EntryPage {
  readonly entries: readonly EntryFingerprint[];
  /** Where the next page begins; null at the end. */
  readonly nextPosition: number | null;
}

/** Data declared by an adapter; the executor chooses its phases from it, and the conformance suite skips, aloud, by it. */
export interface EngineCapabilities {
  readonly changeStream: boolean;
  readonly weightedReads: boolean;
  readonly checksum: boolean;
  readonly reverseStream: boolean;
}

export interface PrepareOptions {
  readonly side: 'source' | 'target';
  readonly sourceNodeId: NodeId;
  readonly targetNodeId: NodeId;
  readonly sourceStoreId: string;
  readonly targetStoreId: string;
  readonly digestSeed: string;
  /** DIGEST_FORMAT of the coordinator: a node of another version refuses. */
  readonly digestFormat: number;
  /** Target: refuse unless so much is free: 1.3 x size + log budget + reserve. */
  readonly freeBytesMin: number;
  /** Target: go on with the copy that is there instead of beginning one. */
  readonly adopts?: CopyAdoption;
}

export interface CopyAdoption {
  /** Whose copy it has to be; null for a takeover, which takes any that is complete: no owner is left to ask for another. */
  readonly migrationId: number | null;
  /** Of a takeover: nothing at all will do. */
  readonly isEmptyAllowed: boolean;
}

export interface NodeMigrationStatus {
  readonly role: PartitionRole;
  readonly epoch: number;
  readonly lsn: Lsn;
  readonly closedMigrationId: number;
  readonly copiedBytes: number;
  /** Of a copy: it is a state that its source once had, and lacks no more than the log entries after `lsn`. */
  readonly isSnapshotComplete: boolean;
  /** Of the last verify begun for this migration: null while it runs, or if it was not asked for. */
  readonly verify: { readonly lsn: Lsn; readonly scanned: Digest; readonly running: Digest } | null;
  /** The running digest, at `lsn`, where one is kept and covers the whole partition; null if it was not asked for. */
  readonly digest: Digest | null;
  /** Why the node gave up, if it did: the executor aborts and records it. */
  readonly failure: string | null;
  /** While it pulls. */
  readonly copy?: CopyProgress;
}

export interface NodeStatistics {
  readonly storeId: string;
  readonly freeBytes: number;
  readonly dataBytes: number;
  /** f64[partition]: bytes of what this node owns, 0 elsewhere. */
  readonly partitionBytes: Float64Array;
  readonly cpuSeconds: number;
  readonly isWritable: boolean;
  /** Left out by nodes that do not measure it. */
  readonly pressure?: NodePressure;
}

/** How busy a node was in the last whole second. */
export interface NodePressure {
  /** CPU seconds a second, of all its threads; it serves from one. */
  readonly cpuShare: number;
  /** How late its event loop came to its timers, 99th percentile. */
  readonly loopLagMs: number;
  /** Mean of its write transactions, each with its commit to the disk; 0 where there were none. */
  readonly commitMs: number;
}
