/**
 * What a migration does next: pure functions of its record, of what the nodes answered, the settings and the time.
 * The executor carries the answer out; a test can ask it for every case.
 */
import { assert } from '../base/assert.ts';
import { asEpoch } from '../model/ids.ts';
import type { Digest, Lsn, MigrationPhase, MigrationRecord, PartitionRecord } from '../model/migration.ts';
import type { NodeMigrationStatus } from '../ports/storage-engine.ts';
import { mayAbort, PHASE_TRANSITIONS } from './phases.ts';
import { withQuarantine } from './quarantine.ts';
import type { ReadVerdict } from './read-guard.ts';
import type { MigrationSettings } from './settings.ts';
import { compareSides, describeDifference, digestsEqual, type VerifiedSide } from './verification.ts';

/** What the nodes answered to this phase's commands. */
export interface Observation {
  readonly source: NodeMigrationStatus | null;
  readonly target: NodeMigrationStatus | null;
  /** FENCING: the source's durable answer. */
  readonly fence?: { readonly lsn: Lsn; readonly digest: Digest };
  /** CLEANUP, ABORT: both nodes have done their part. */
  readonly areNodesDone?: boolean;
  /** SHIFT: whether reads may go to the target; left out where nobody judges. */
  readonly guard?: ReadVerdict | null;
  /** SHIFT: whether a fence would be short: the metadata store and both nodes answer quickly. */
  readonly isFencePromising?: boolean;
}

export type Decision =
  | { readonly kind: 'stay' }
  | { readonly kind: 'go'; readonly record: PartitionRecord; readonly mismatch?: Mismatch }
  | { readonly kind: 'end'; readonly record: PartitionRecord; readonly outcome: 'done' | 'aborted' };

/** The two sides do not hold the same: the record of the decision leaves the partition alone until people have looked. */
export interface Mismatch {
  readonly reason: string;
  /** What both sides scanned, where it was scans that differ: keys can be looked for. */
  readonly sides: { readonly owner: VerifiedSide; readonly copy: VerifiedSide } | null;
}

export interface StepContext {
  readonly settings: MigrationSettings;
  readonly nowMs: number;
  /** Whether the engine can shift reads, and keep the old owner following. */
  readonly canShiftReads: boolean;
  readonly canFollow: boolean;
}

const STAY: Decision = { kind: 'stay' };

export type OpenRecord = PartitionRecord & { readonly migration: MigrationRecord };

/** @param seen of a phase whose commands all succeeded. */
export function decide(record: OpenRecord, seen: Observation, context: StepContext): Decision {
  const { migration } = record;
  if (mayAbort(migration.phase)) {
    const failure = seen.target?.failure ?? seen.source?.failure;
    if (failure) return abort(record, failure, context);
    if (isOverdue(migration, context)) return abort(record, overdueReason(migration.phase), context);
  }
  switch (migration.phase) {
    case 'PREPARE':
      return enter(record, 'COPY', context);
    case 'COPY':
      return seen.target?.isSnapshotComplete ? enter(record, 'CATCHUP', context) : STAY;
    case 'CATCHUP':
      return lagOf(seen) <= context.settings.verifyLagMax ? enter(record, 'VERIFY', context) : STAY;
    case 'VERIFY':
      return decideVerify(record, seen, context);
    case 'SHIFT':
      return decideShift(record, seen, context);
    case 'FENCING':
      return seen.fence
        ? go(record, {
            ...migration,
            phase: 'FENCED',
            fenceLsn: seen.fence.lsn,
            fenceDigest: seen.fence.digest,
          })
        : STAY;
    case 'FENCED':
      return decideFenced(record, seen, context);
    case 'SWITCHED':
      return enter(record, 'GRACE', context, { notBeforeMs: context.nowMs + context.settings.graceMs });
    case 'GRACE':
      return decideGrace(record, seen, context);
    case 'CLEANUP':
    case 'ABORT':
      if (!seen.areNodesDone) return STAY;
      return {
        kind: 'end',
        record: { ...record, migration: null },
        outcome: migration.phase === 'CLEANUP' ? 'done' : 'aborted',
      };
  }
}

/** The record in ABORT: reads go back to the source in the same commit. */
export function abort(
  record: OpenRecord,
  reason: string,
  { nowMs }: StepContext,
): Extract<Decision, { kind: 'go' }> {
  const { migration } = record;
  assert(mayAbort(migration.phase), `no abort from ${migration.phase}`);
  return {
    kind: 'go',
    record: {
      ...record,
      migration: {
        ...migration,
        phase: 'ABORT',
        phaseAtMs: nowMs,
        readWeight: 0,
        reason: reason.slice(0, 1000),
      },
    },
  };
}

/** ABORT of a copy that is not the same: never "repair and go on", never by itself again. */
function abortBadCopy(
  record: OpenRecord,
  reason: string,
  context: StepContext,
  sides: Mismatch['sides'] = null,
): Decision {
  const aborted = abort(record, reason, context);
  return {
    ...aborted,
    record: leftAlone(aborted.record, record, reason, context),
    mismatch: { reason, sides },
  };
}

const leftAlone = (
  record: PartitionRecord,
  { migration: { migrationId } }: OpenRecord,
  reason: string,
  { nowMs }: StepContext,
): PartitionRecord => withQuarantine(record, { sinceMs: nowMs, untilMs: null, migrationId, reason });

/** Entries the target has yet to apply; Infinity while that is not known. */
export const lagOf = ({ source, target }: Observation): number =>
  source && target ? Math.max(0, source.lsn - target.lsn) : Number.POSITIVE_INFINITY;

function decideVerify(record: OpenRecord, seen: Observation, context: StepContext): Decision {
  const { source, target } = seen;
  if (!source?.verify || !target?.verify) return STAY;
  const difference = compareSides(source.verify, target.verify);
  if (difference === null) return STAY;
  // Never "repair and go on": what put one difference there may have put others where no digest looks.
  if (difference !== '')
    return abortBadCopy(record, `verification failed: ${difference}`, context, {
      owner: source.verify,
      copy: target.verify,
    });
  const verified = { lsn: source.verify.lsn, digest: source.verify.scanned };
  return enter(record, 'SHIFT', context, { verified, readWeight: 0 });
}

function decideShift(record: OpenRecord, seen: Observation, context: StepContext): Decision {
  const { migration } = record;
  const { settings, nowMs } = context;
  const steps = context.canShiftReads ? settings.readWeightSteps : [];
  const { guard } = seen;
  if (guard?.kind === 'bad-copy') return abortBadCopy(record, guard.reason, context);
  if (guard?.kind === 'red') return stepBack(record, guard.reason, context);
  const isHeld = nowMs - migration.phaseAtMs >= shiftHoldMs(migration, seen, steps, settings);
  if (!isHeld) return STAY;
  const next = steps.find((weight) => weight > migration.readWeight);
  if (next !== undefined) return enter(record, 'SHIFT', context, { readWeight: next });
  if (lagOf(seen) > settings.fenceLagMax || !seen.isFencePromising) return STAY;
  return enter(record, 'FENCING', context);
}

/** Reads go back to the source, and after so many times the migration is given up: the target will not bear the load. */
function stepBack(record: OpenRecord, reason: string, context: StepContext): Decision {
  const { migration } = record;
  // Held at 0 until the guard is green again or the phase is overdue.
  if (migration.readWeight === 0) return STAY;
  const guardReds = (migration.guardReds ?? 0) + 1;
  if (guardReds >= context.settings.readGuard.redsMax)
    return abort(record, `reads went back to the source ${guardReds} times: ${reason}`, context);
  return enter(record, 'SHIFT', context, { readWeight: 0, guardReds, reason: reason.slice(0, 1000) });
}

/** How long the present weight is held. At 0 reads are only mirrored, or the target recovers from a red guard. */
function shiftHoldMs(
  { readWeight, guardReds = 0 }: MigrationRecord,
  { guard }: Observation,
  steps: readonly number[],
  { readWeightHoldMs, shadowReadShare, readGuard }: MigrationSettings,
): number {
  if (readWeight > 0) return readWeightHoldMs;
  if (guardReds > 0) return readGuard.holdMs;
  const areReadsMirrored = guard !== undefined && guard !== null && shadowReadShare > 0;
  return areReadsMirrored && steps.length > 0 ? readWeightHoldMs : 0;
}

function decideFenced(record: OpenRecord, { target }: Observation, context: StepContext): Decision {
  const { migration } = record;
  const { fenceLsn, fenceDigest } = migration;
  assert(fenceLsn !== undefined && fenceDigest !== undefined, 'a fenced record holds its fence');
  if (!target || target.lsn < fenceLsn) return STAY;
  if (target.lsn > fenceLsn)
    return abortBadCopy(record, `the copy is at lsn ${target.lsn}, beyond the fence at ${fenceLsn}`, context);
  if (!target.digest) return abortBadCopy(record, 'the copy keeps no digest', context);
  if (!digestsEqual(target.digest, fenceDigest)) {
    const difference = describeDifference(fenceDigest, target.digest);
    return abortBadCopy(record, `digests differ at the fence: ${difference}`, context);
  }
  return go(
    {
      ...record,
      ownerNodeId: migration.targetNodeId,
      ownerStoreId: migration.targetStoreId,
      epoch: asEpoch(record.epoch + 1),
      ownedSinceMs: context.nowMs,
    },
    { ...migration, phase: 'SWITCHED', phaseAtMs: context.nowMs, readWeight: 0 },
  );
}

function decideGrace(record: OpenRecord, seen: Observation, context: StepContext): Decision {
  const { migration } = record;
  const { nowMs, settings } = context;
  if (nowMs < migration.notBeforeMs) return STAY;
  if (!context.canFollow) return enter(record, 'CLEANUP', context);
  if (seen.source?.failure) {
    // The old owner cannot follow (its disk is full, say). The digests were equal at the fence, so its copy may go, but
    // only after it has had two more graces to recover: until then it is a way back, if a stale one.
    const isGivenUp = nowMs >= migration.notBeforeMs + 2 * settings.graceMs;
    return isGivenUp ? enter(record, 'CLEANUP', context, { reason: seen.source.failure }) : STAY;
  }
  if (!seen.source?.verify || !seen.target?.verify) return STAY;
  const difference = compareSides(seen.target.verify, seen.source.verify);
  if (difference === null) return STAY;
  if (difference === '') return enter(record, 'CLEANUP', context);
  // The old copy is evidence now, and perhaps the better one: it is kept, and people are told.
  const reason = `verification before removal failed: ${difference}`.slice(0, 1000);
  const extended = {
    ...migration,
    notBeforeMs: nowMs + Math.max(settings.graceMs, settings.retryMsMax),
    reason,
  };
  return {
    kind: 'go',
    mismatch: { reason, sides: { owner: seen.target.verify, copy: seen.source.verify } },
    record: leftAlone({ ...record, migration: extended }, record, reason, context),
  };
}

function enter(
  record: OpenRecord,
  phase: MigrationPhase,
  { nowMs }: StepContext,
  change: Partial<MigrationRecord> = {},
): Decision {
  return go(record, { ...record.migration, ...change, phase, phaseAtMs: nowMs });
}

function go(record: PartitionRecord, migration: MigrationRecord): Decision {
  const before = record.migration?.phase as MigrationPhase;
  assert(PHASE_TRANSITIONS[before].includes(migration.phase), `${before} does not become ${migration.phase}`);
  return { kind: 'go', record: { ...record, migration } };
}

function isOverdue({ phase, phaseAtMs }: MigrationRecord, { settings, nowMs }: StepContext): boolean {
  return nowMs - phaseAtMs > timeoutOf(phase, settings);
}

function timeoutOf(phase: MigrationPhase, settings: MigrationSettings): number {
  if (phase === 'PREPARE') return settings.prepareTimeoutMs;
  return phase === 'FENCING' || phase === 'FENCED' ? settings.fenceBudgetMs : settings.phaseTimeoutMs;
}

function overdueReason(phase: MigrationPhase): string {
  if (phase === 'CATCHUP') return 'cannot catch up: entries are written faster than the target applies them';
  if (phase === 'FENCING' || phase === 'FENCED') return 'the fence stood longer than its budget';
  return `${phase} took too long`;
}
