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
 *
 * Where the target has a copy already, PREPARE is followed by CATCHUP. An ABORT that keeps the copy ends in a new migration,
 * with a new id: in PREPARE again after a fence that stood too long, in GRACE after a rollback that failed. A takeover goes
 * from PREPARE to SWITCHED, and ends there: nobody is left who could be fenced or could follow.
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

/**
 * What is hashed of an entry, by what, and into which buckets. Copies of two formats never agree, so a node takes part only
 * in migrations whose coordinator and other side have its own. 1 was xxHash64 under two seeds, 2 is XXH3 of 128 bits.
 */
export const DIGEST_FORMAT = 2;

/** A sum over entry hashes: order does not matter, and adding an entry twice shows. Hex, so that it travels unharmed. */
export interface Digest {
  readonly entryCount: number;
  readonly sizeBytes: number;
  /** Two 64-bit lanes a bucket, [bucket][lane], summed mod 2^64; 16 hex digits a lane. */
  readonly buckets: readonly string[];
}

/** How people name a migration: its number alone is that of its partition's, and others have the same. */
export const migrationName = ({
  partitionId,
  migrationId,
}: {
  readonly partitionId: number;
  readonly migrationId: number;
}): string => `${partitionId}/${migrationId}`;

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
  /** Why it last did: beside `reason`, since the guard may be green again a moment later. */
  readonly guardReason?: string;
  /** Wall clock before which, in GRACE, CLEANUP and, in SHIFT, the fence may not come. */
  readonly notBeforeMs: number;
  /** In GRACE: verifications before the removal that have failed; each of the next scans both sides anew. Left out for none. */
  readonly refutals?: number;
  readonly reason: string;
  readonly attempt: number;
  /** Absent for an ordinary move. A rollback goes back to the old owner, a takeover does without the present one. */
  readonly kind?: 'rollback' | 'takeover';
  /** The migration whose copy the target has already, complete but for the last log entries: COPY is left out. */
  readonly resumes?: number;
  /** Of a takeover: the lsn after which the operator accepts to lose what was written. */
  readonly takeover?: { readonly lossAfterLsn: Lsn; readonly isEmpty: boolean };
  /** In ABORT: the copy stays, and another migration goes on with it: to another fence, or to follow the owner again. */
  readonly keepsCopyFor?: 'retry' | 'follow';
  /** Where `reason` says what has gone wrong (why it is aborted, or keeps its old copy): why it was opened. */
  readonly openedFor?: string;
  /** In ABORT: the phase in which it ended. */
  readonly abortedIn?: MigrationPhase;
  /** Fences in a row, over the migrations that this one resumes, that stood longer than their budget. */
  readonly fenceFailures?: number;
  /** What the plan that asked for it expected of it. */
  readonly predicted?: MovePrediction;
  /** Wall clock since which an operator's pause holds the migration; the phase's time does not run meanwhile. */
  readonly pausedAtMs?: number;
}

/** What a plan expects of one move: kept, to be compared with what came. */
export interface MovePrediction {
  /** Fall of the objective, and price of moving, in its units. */
  readonly gain: number;
  readonly price: number;
  readonly sizeBytes: number;
  /** From the start of the copy to the switch; null where the timetable had no say. */
  readonly seconds: number | null;
  /** Of the partition, in the mean over the forecast; null where queries are not forecast. */
  readonly queriesPerSecond: number | null;
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
/** The outcomes of a migration; one that is superseded lives on in another (a rollback, a takeover) with its copy. */
export const MIGRATION_OUTCOMES = ['done', 'aborted', 'superseded', 'taken-over'] as const;
export type MigrationOutcome = (typeof MIGRATION_OUTCOMES)[number];

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
  /**
   * Where a forced takeover cut the history: whoever has seen, in an epoch below `epoch`, an lsn above `lsn` has seen what
   * is lost. After several takeovers `lsn` is the lowest: that may report a loss too many, never one too few.
   */
  readonly lineage?: { readonly epoch: Epoch; readonly lsn: Lsn };
}

/** Every command to a node carries this; a node refuses anything older than what it has durably seen. */
export interface MigrationCommand {
  readonly partitionId: PartitionId;
  readonly migrationId: number;
  readonly epoch: Epoch;
}
