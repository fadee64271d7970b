import type { Epoch, NodeId, PartitionId } from './ids.ts';

/**
 * The phases of one migration, in order.
 *
 *   (stable) -> PREPARE -> COPY -> CATCHUP -> VERIFY -> SHIFT -> FENCING -> FENCED -> SWITCHED -> GRACE -> CLEANUP -> (stable)
 *                  |         |        |          |        |         |          |
 *                  +---------+--------+----------+--------+---------+----------+--> ABORT -> (stable)
 *
 * SWITCHED is the point of no return: one compare-and-swap changes the owner and adds 1 to the epoch. Until then the
 * source owns every write; "switch" and "abort" race on the same key, and exactly one wins.
 */
export const MIGRATION_PHASES = [
  'PREPARE',
  'COPY',
  'CATCHUP',
  'VERIFY',
  'SHIFT',
  'FENCING',
  'FENCED',
  'SWITCHED',
  'GRACE',
  'CLEANUP',
  'ABORT',
] as const;
export type MigrationPhase = (typeof MIGRATION_PHASES)[number];

/** What one storage node is to one partition; durable, written in the same transaction as the data it speaks about. */
export const PARTITION_ROLES = ['NONE', 'STAGING', 'OWNER', 'FENCED', 'FOLLOWER', 'RETIRED'] as const;
export type PartitionRole = (typeof PARTITION_ROLES)[number];

/** Log sequence number of one partition: +1 with every physical entry written; never goes back, also over a switch. */
export type Lsn = number;

/** A sum over entry hashes: order does not matter, and adding an entry twice shows. Hex, so that it travels unharmed. */
export interface Digest {
  readonly entryCount: number;
  readonly sizeBytes: number;
  /** Two 64-bit lanes a bucket, [bucket][lane], summed mod 2^64; 16 hex digits a lane. */
  readonly buckets: readonly string[];
}

/** The record of an open migration: part of the one metadata key of its partition. */
export interface MigrationRecord {
  /** Monotonic per partition; made in the same compare-and-swap that opens the migration. */
  readonly migrationId: number;
  readonly sourceNodeId: NodeId;
  readonly sourceStoreId: string;
  readonly targetNodeId: NodeId;
  readonly targetStoreId: string;
  readonly phase: MigrationPhase;
  /**
   * Wall clock at which the phase (in SHIFT: the read weight) was entered, milliseconds; FENCED keeps FENCING's, since one
   * budget spans the fence. For people and time-outs, never for safety.
   */
  readonly phaseAtMs: number;
  /** Wall clock at which the migration was opened, milliseconds. */
  readonly startedAtMs: number;
  /** Seed of the digest's keyed hash, 16 hex digits, random per migration: a client cannot plan collisions. */
  readonly digestSeed: string;
  readonly fenceLsn?: Lsn;
  readonly fenceDigest?: Digest;
  readonly verified?: { readonly lsn: Lsn; readonly digest: Digest };
  /** Share of reads that go to the target, 0..1. */
  readonly readWeight: number;
  /** How often a guard has sent the reads back to the source; left out for never. */
  readonly guardReds?: number;
  /** Wall clock before which CLEANUP may not start. */
  readonly notBeforeMs: number;
  readonly reason: string;
  readonly attempt: number;
}

/**
 * Why a partition is left alone. It stands in the map, not in a coordinator's memory: what was found wrong with the data
 * stays wrong when another coordinator is elected.
 */
export interface PartitionQuarantine {
  readonly sinceMs: number;
  /** Wall clock, milliseconds; null: until an operator clears it. */
  readonly untilMs: number | null;
  /** The migration that gave the reason: its evidence, if there is any, is kept under the same number. */
  readonly migrationId: number;
  readonly reason: string;
}

/** The value of `map/<partition>`: owner, epoch and the whole migration, so that one compare-and-swap moves them together. */
export interface PartitionRecord {
  readonly partitionId: PartitionId;
  readonly ownerNodeId: NodeId;
  readonly ownerStoreId: string;
  readonly epoch: Epoch;
  /** Wall clock at which this owner took over, milliseconds; 0 since the cluster was formed. For residence only. */
  readonly ownedSinceMs: number;
  /** The highest migrationId given out. */
  readonly migrationSeq: number;
  readonly migration: MigrationRecord | null;
  readonly quarantine?: PartitionQuarantine;
}

/** Every command to a node carries this; a node refuses anything older than what it has durably seen. */
export interface MigrationCommand {
  readonly partitionId: PartitionId;
  readonly migrationId: number;
  readonly epoch: Epoch;
}
