/** How one record becomes the next: pure, and each checked against the table of phases. What must hold first is decided elsewhere. */
import { assert } from '../../base/assert.ts';
import { asEpoch, type NodeId } from '../../model/ids.ts';
import type { Lsn, MigrationPhase, MigrationRecord, PartitionRecord } from '../../model/migration.ts';
import { mayAbort, mayPause, PHASE_TRANSITIONS } from '../phases.ts';

export type OpenRecord = PartitionRecord & { readonly migration: MigrationRecord };

export const isOpen = (record: PartitionRecord | null | undefined): record is OpenRecord =>
  record !== null && record !== undefined && record.migration !== null;

const REASON_CHARACTERS_MAX = 1000;
export const cutReason = (reason: string): string => reason.slice(0, REASON_CHARACTERS_MAX);

/** Something has gone wrong: what, and apart from it why the migration was opened. */
export const becauseOf = (
  { openedFor, reason: present }: MigrationRecord,
  reason: string,
): Pick<MigrationRecord, 'reason' | 'openedFor'> => ({
  openedFor: openedFor ?? present,
  reason: cutReason(reason),
});

export function go(record: PartitionRecord, migration: MigrationRecord): OpenRecord {
  const before = record.migration?.phase as MigrationPhase;
  assert(PHASE_TRANSITIONS[before].includes(migration.phase), `${before} does not become ${migration.phase}`);
  return { ...record, migration };
}

export function enter(
  record: OpenRecord,
  phase: MigrationPhase,
  nowMs: number,
  change: Partial<MigrationRecord> = {},
): OpenRecord {
  return go(record, { ...record.migration, ...change, phase, phaseAtMs: nowMs });
}

/** The record in ABORT: reads go back to the source in the same commit. */
export function aborted(record: OpenRecord, reason: string, nowMs: number): OpenRecord {
  const { pausedAtMs: _, ...migration } = record.migration;
  assert(mayAbort(migration.phase), `no abort from ${migration.phase}`);
  return go(record, {
    ...migration,
    phase: 'ABORT',
    phaseAtMs: nowMs,
    readWeight: 0,
    ...becauseOf(migration, reason),
    abortedIn: migration.phase,
    // The copy of a rollback is the old owner's, and perhaps the better one: no failure of the rollback deletes it.
    ...(migration.kind === 'rollback' ? { keepsCopyFor: 'follow' as const } : {}),
  });
}

/** The source may open again, but the copy was good: another fence, later, needs no other copy. */
export function fenceGivenUp(record: OpenRecord, reason: string, nowMs: number): OpenRecord {
  const { migration, ...partition } = aborted(record, reason, nowMs);
  const fenceFailures = (migration.fenceFailures ?? 0) + 1;
  return { ...partition, migration: { ...migration, keepsCopyFor: 'retry', fenceFailures } };
}

/** A cancel between two fences: no other follows. The copy is dropped; that of a rollback, the old owner's, follows again. */
export function retryGivenUp(record: OpenRecord, reason: string, nowMs: number): OpenRecord {
  const { keepsCopyFor, ...migration } = record.migration;
  assert(
    migration.phase === 'ABORT' && keepsCopyFor === 'retry',
    'only another try can be given up in ABORT',
  );
  return {
    ...record,
    migration: {
      ...migration,
      phaseAtMs: nowMs,
      reason: cutReason(reason),
      ...(migration.kind === 'rollback' ? { keepsCopyFor: 'follow' as const } : {}),
    },
  };
}

/** All reads go to the source again. A pause, if one holds the record, holds the new weight from now on. */
export function readsTakenBack(record: OpenRecord, reason: string, nowMs: number): OpenRecord {
  const { guardReds = 0, pausedAtMs } = record.migration;
  return enter(record, 'SHIFT', nowMs, {
    readWeight: 0,
    guardReds: guardReds + 1,
    guardReason: cutReason(reason),
    ...(pausedAtMs === undefined ? {} : { pausedAtMs: nowMs }),
  });
}

export function switched(record: OpenRecord, nowMs: number): OpenRecord {
  const { migration } = record;
  const owner = {
    ...record,
    ownerNodeId: migration.targetNodeId,
    ownerStoreId: migration.targetStoreId,
    epoch: asEpoch(record.epoch + 1),
    ownedSinceMs: nowMs,
  };
  return go(owner, { ...migration, phase: 'SWITCHED', phaseAtMs: nowMs, readWeight: 0 });
}

/**
 * The owner is given up without its consent: by an operator's word alone that its process is dead.
 *
 * @param copyLsn where the copy stands; it pulls no longer.
 */
export function takenOver(record: OpenRecord, copyLsn: Lsn, nowMs: number): OpenRecord {
  const { migration, lineage } = record;
  // A node that once had the partition still stands at its lsn of then: of what was there up to it nothing is left.
  const keptLsn = migration.takeover?.isEmpty ? 0 : copyLsn;
  // Two more, so that the epoch of a switch that was on its way is nobody's.
  const epoch = asEpoch(record.epoch + 2);
  const owner = {
    ...record,
    ownerNodeId: migration.targetNodeId,
    ownerStoreId: migration.targetStoreId,
    epoch,
    ownedSinceMs: nowMs,
    lineage: { epoch, lsn: Math.min(keptLsn, lineage?.lsn ?? keptLsn) },
  };
  return go(owner, { ...migration, phase: 'SWITCHED', phaseAtMs: nowMs, fenceLsn: copyLsn });
}

/** What a new migration with another one's copy starts from. */
function successor(record: OpenRecord, nowMs: number, reason: string): MigrationRecord {
  const { migration } = record;
  return {
    migrationId: record.migrationSeq + 1,
    sourceNodeId: migration.sourceNodeId,
    sourceStoreId: migration.sourceStoreId,
    targetNodeId: migration.targetNodeId,
    targetStoreId: migration.targetStoreId,
    phase: 'PREPARE',
    phaseAtMs: nowMs,
    startedAtMs: nowMs,
    // The same seed: change log and running digests go on as they are.
    digestSeed: migration.digestSeed,
    readWeight: 0,
    notBeforeMs: 0,
    reason: cutReason(reason),
    attempt: migration.attempt,
    resumes: migration.migrationId,
  };
}

const sidesSwapped = ({ migration }: OpenRecord) => ({
  sourceNodeId: migration.targetNodeId,
  sourceStoreId: migration.targetStoreId,
  targetNodeId: migration.sourceNodeId,
  targetStoreId: migration.sourceStoreId,
});

/** From ABORT with a kept copy: the same move under a new id; the old one is closed at the source, whose fence is lifted. */
export function triedAgain(record: OpenRecord, nowMs: number, notBeforeMs: number): OpenRecord {
  const { kind, openedFor, reason, predicted, fenceFailures = 0 } = record.migration;
  const migration: MigrationRecord = {
    ...successor(record, nowMs, openedFor ?? reason),
    ...(predicted === undefined ? {} : { predicted }),
    ...(kind === undefined ? {} : { kind }),
    notBeforeMs,
    fenceFailures,
  };
  return go({ ...record, migrationSeq: migration.migrationId }, migration);
}

/** From ABORT of a rollback: the old owner follows again, under a new id, and may be asked to take over again. */
export function followedAgain(record: OpenRecord, nowMs: number, notBeforeMs: number): OpenRecord {
  const migration: MigrationRecord = {
    ...successor(record, nowMs, record.migration.reason),
    ...sidesSwapped(record),
    phase: 'GRACE',
    notBeforeMs,
  };
  return go({ ...record, migrationSeq: migration.migrationId }, migration);
}

/** From GRACE: the follower becomes the target of a new migration, which has its copy already. */
export function rollbackOf(record: OpenRecord, reason: string, nowMs: number): OpenRecord {
  assert(record.migration.phase === 'GRACE', 'only a follower can be switched back to');
  const migration: MigrationRecord = {
    ...successor(record, nowMs, reason),
    ...sidesSwapped(record),
    kind: 'rollback',
  };
  return { ...record, migrationSeq: migration.migrationId, migration };
}

export interface TakeoverPlan {
  readonly targetNodeId: NodeId;
  readonly targetStoreId: string;
  readonly lossAfterLsn: Lsn;
  readonly isEmpty: boolean;
  readonly reason: string;
  /** Where no migration is open there is none whose seed could go on. */
  readonly digestSeed: string;
}

/** From whatever phase: the target of the takeover keeps the copy it has, and makes itself ready. */
export function takeoverOf(record: PartitionRecord, plan: TakeoverPlan, nowMs: number): OpenRecord {
  const migrationId = record.migrationSeq + 1;
  const { targetNodeId, targetStoreId, lossAfterLsn, isEmpty, reason, digestSeed } = plan;
  const migration: MigrationRecord = {
    migrationId,
    sourceNodeId: record.ownerNodeId,
    sourceStoreId: record.ownerStoreId,
    targetNodeId,
    targetStoreId,
    phase: 'PREPARE',
    phaseAtMs: nowMs,
    startedAtMs: nowMs,
    digestSeed: record.migration?.digestSeed ?? digestSeed,
    readWeight: 0,
    notBeforeMs: 0,
    reason: cutReason(reason),
    attempt: 0,
    kind: 'takeover',
    takeover: { lossAfterLsn, isEmpty },
    ...(record.migration ? { resumes: record.migration.migrationId } : {}),
  };
  return { ...record, migrationSeq: migrationId, migration };
}

/**
 * Begins or ends a pause's hold on a record. The time of the pause is taken out of the phase's, so that nobody aborts a
 * migration for having been paused.
 *
 * @returns null when nothing is to be changed.
 */
export function pauseChange(record: OpenRecord, isPaused: boolean, nowMs: number): OpenRecord | null {
  const { pausedAtMs, ...migration } = record.migration;
  if (isPaused && pausedAtMs === undefined && mayPause(migration.phase))
    return { ...record, migration: { ...migration, pausedAtMs: nowMs } };
  if (isPaused || pausedAtMs === undefined) return null;
  const phaseAtMs = migration.phaseAtMs + Math.max(0, nowMs - pausedAtMs);
  return { ...record, migration: { ...migration, phaseAtMs } };
}
