/**
 * What a migration does next: pure functions of its record, of what the nodes answered, the settings and the time.
 * The executor carries the answer out; a test can ask it for every case.
 */
import { assert } from '../base/assert.ts';
import type {
  Digest,
  Lsn,
  MigrationOutcome,
  MigrationPhase,
  MigrationRecord,
  PartitionRecord,
} from '../model/migration.ts';
import type { NodeMigrationStatus } from '../ports/storage-engine.ts';
import { mayAbort } from './phases.ts';
import { withQuarantine } from './queue/quarantine.ts';
import type { ReadVerdict } from './reads/read-guard.ts';
import type { OpenRecord } from './records/record-changes.ts';
import * as change from './records/record-changes.ts';
import type { MigrationSettings } from './settings.ts';
import { compareSides, describeDifference, digestsEqual, type VerifiedSide } from './verification.ts';

export type { OpenRecord } from './records/record-changes.ts';

/** What the nodes answered to this phase's commands. */
export interface Observation {
  readonly source: NodeMigrationStatus | null;
  readonly target: NodeMigrationStatus | null;
  /** PREPARE: of the partition, at its source. */
  readonly sizeBytes?: number;
  /** FENCING: the source's durable answer. */
  readonly fence?: { readonly lsn: Lsn; readonly digest: Digest };
  /** CLEANUP, ABORT: both nodes have done their part. */
  readonly areNodesDone?: boolean;
  /** GRACE: the old owner's store is retired, nobody will follow. */
  readonly isFollowerGone?: boolean;
  /** Before the switch, and in ABORT: the store that was to become the owner's is retired. */
  readonly isTargetGone?: boolean;
  /** SHIFT: whether reads may go to the target; left out where nobody judges. */
  readonly guard?: ReadVerdict | null;
  /** SHIFT: whether a fence would be short: the metadata store and both nodes answer quickly. */
  readonly isFencePromising?: boolean;
}

export type Decision =
  | { readonly kind: 'stay' }
  | { readonly kind: 'go'; readonly record: OpenRecord; readonly mismatch?: Mismatch }
  | { readonly kind: 'end'; readonly record: PartitionRecord; readonly outcome: MigrationOutcome };

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

/** @param seen of a phase whose commands all succeeded. */
export function decide(record: OpenRecord, seen: Observation, context: StepContext): Decision {
  const { migration } = record;
  if (mayAbort(migration.phase)) {
    if (seen.isTargetGone) return abort(record, 'the store of the target is retired', context);
    const failure = seen.target?.failure ?? seen.source?.failure;
    if (failure) return abort(record, failure, context);
    if (isOverdue(migration, context)) return giveUpOverdue(record, context);
  }
  switch (migration.phase) {
    case 'PREPARE':
      return decidePrepare(record, seen, context);
    case 'COPY':
      return seen.target?.isSnapshotComplete ? enter(record, 'CATCHUP', context) : STAY;
    case 'CATCHUP':
      return lagOf(seen) <= context.settings.verifyLagMax ? enter(record, 'VERIFY', context) : STAY;
    case 'VERIFY':
      return decideVerify(record, seen, context);
    case 'SHIFT':
      return decideShift(record, seen, context);
    case 'FENCING':
      return decideFencing(record, seen);
    case 'FENCED':
      return decideFenced(record, seen, context);
    case 'SWITCHED':
      if (migration.kind === 'takeover') return end(record, 'taken-over');
      return enter(record, 'GRACE', context, { notBeforeMs: context.nowMs + context.settings.graceMs });
    case 'GRACE':
      return decideGrace(record, seen, context);
    case 'CLEANUP':
      return seen.areNodesDone ? end(record, 'done') : STAY;
    case 'ABORT':
      return seen.areNodesDone ? decideAborted(record, seen, context) : STAY;
  }
}

/** The record in ABORT: reads go back to the source in the same commit. */
export const abort = (
  record: OpenRecord,
  reason: string,
  { nowMs }: StepContext,
): Extract<Decision, { kind: 'go' }> => ({ kind: 'go', record: change.aborted(record, reason, nowMs) });

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

const leftAlone = <R extends PartitionRecord>(
  record: R,
  { migration: { migrationId } }: OpenRecord,
  reason: string,
  { nowMs }: StepContext,
): R => withQuarantine(record, { sinceMs: nowMs, untilMs: null, migrationId, reason });

/** Entries the target has yet to apply; Infinity while that is not known. */
export const lagOf = ({ source, target }: Observation): number =>
  source && target ? Math.max(0, source.lsn - target.lsn) : Number.POSITIVE_INFINITY;

/** How long after a fence that stood too long the next may be put up: twice as long each time. */
const fencePauseMs = (fenceFailures: number, { fenceRetryMs }: MigrationSettings): number =>
  fenceRetryMs * 2 ** Math.min(20, Math.max(0, fenceFailures - 1));

function decidePrepare(record: OpenRecord, { target }: Observation, context: StepContext): Decision {
  const { migration } = record;
  if (migration.kind !== 'takeover')
    return enter(record, migration.resumes === undefined ? 'COPY' : 'CATCHUP', context);
  // It asked its node to stop pulling, so this lsn is its last one.
  if (target?.role !== 'STAGING' || !target.isSnapshotComplete) return STAY;
  if (target.lsn < (migration.takeover?.lossAfterLsn ?? 0))
    return abort(record, `the copy holds no more than lsn ${target.lsn}`, context);
  return { kind: 'go', record: change.takenOver(record, target.lsn, context.nowMs) };
}

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
  // A rollback is asked for because the owner does badly: its target has served these reads before.
  const steps = context.canShiftReads && migration.kind !== 'rollback' ? settings.readWeightSteps : [];
  const { guard } = seen;
  if (guard?.kind === 'bad-copy') return abortBadCopy(record, guard.reason, context);
  if (guard?.kind === 'red' && migration.kind !== 'rollback') return stepBack(record, guard.reason, context);
  const isHeld = nowMs - migration.phaseAtMs >= shiftHoldMs(migration, seen, steps, settings);
  if (!isHeld) return STAY;
  const next = steps.find((weight) => weight > migration.readWeight);
  if (next !== undefined) return enter(record, 'SHIFT', context, { readWeight: next });
  const isFenceDue = nowMs >= migration.notBeforeMs;
  if (!isFenceDue || lagOf(seen) > settings.fenceLagMax || !seen.isFencePromising) return STAY;
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
  return { kind: 'go', record: change.readsTakenBack(record, reason, context.nowMs) };
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

/** FENCED keeps the time of FENCING: one budget spans the fence. */
function decideFencing(record: OpenRecord, { fence }: Observation): Decision {
  if (!fence) return STAY;
  const fenced = {
    ...record.migration,
    phase: 'FENCED' as const,
    fenceLsn: fence.lsn,
    fenceDigest: fence.digest,
  };
  return { kind: 'go', record: change.go(record, fenced) };
}

function decideFenced(record: OpenRecord, { target }: Observation, context: StepContext): Decision {
  const { fenceLsn, fenceDigest } = record.migration;
  assert(fenceLsn !== undefined && fenceDigest !== undefined, 'a fenced record holds its fence');
  if (!target || target.lsn < fenceLsn) return STAY;
  if (target.lsn > fenceLsn)
    return abortBadCopy(record, `the copy is at lsn ${target.lsn}, beyond the fence at ${fenceLsn}`, context);
  if (!target.digest) return abortBadCopy(record, 'the copy keeps no digest', context);
  if (!digestsEqual(target.digest, fenceDigest)) {
    const difference = describeDifference(fenceDigest, target.digest);
    const side = { lsn: fenceLsn, scanned: fenceDigest, running: fenceDigest };
    return abortBadCopy(record, `digests differ at the fence: ${difference}`, context, {
      owner: side,
      copy: { ...side, scanned: target.digest, running: target.digest },
    });
  }
  return { kind: 'go', record: change.switched(record, context.nowMs) };
}

function decideGrace(record: OpenRecord, seen: Observation, context: StepContext): Decision {
  const { migration } = record;
  const { nowMs, settings } = context;
  if (seen.isFollowerGone) return enter(record, 'CLEANUP', context);
  if (nowMs < migration.notBeforeMs) return STAY;
  if (!context.canFollow) return enter(record, 'CLEANUP', context);
  if (seen.source?.failure) {
    // The old owner cannot follow (its disk is full, say). The digests were equal at the fence, so its copy may go, but
    // only after it has had two more graces to recover: until then it is a way back, if a stale one.
    const isGivenUp = nowMs >= migration.notBeforeMs + 2 * settings.graceMs;
    return isGivenUp
      ? enter(record, 'CLEANUP', context, change.becauseOf(migration, seen.source.failure))
      : STAY;
  }
  if (!seen.source?.verify || !seen.target?.verify) return STAY;
  const difference = compareSides(seen.target.verify, seen.source.verify);
  if (difference === null) return STAY;
  if (difference === '') return enter(record, 'CLEANUP', context);
  // The old copy is evidence now, and perhaps the better one: it is kept, and people are told.
  const reason = change.cutReason(`verification before removal failed: ${difference}`);
  const extended = {
    ...migration,
    notBeforeMs: nowMs + Math.max(settings.graceMs, settings.retryMsMax),
    refutals: (migration.refutals ?? 0) + 1,
    ...change.becauseOf(migration, reason),
  };
  return {
    kind: 'go',
    mismatch: { reason, sides: { owner: seen.target.verify, copy: seen.source.verify } },
    record: leftAlone(change.go(record, extended), record, reason, context),
  };
}

/** What becomes of a migration whose abort both nodes have carried out. */
function decideAborted(
  record: OpenRecord,
  { isTargetGone }: Observation,
  { nowMs, settings }: StepContext,
): Decision {
  const { migration } = record;
  // A copy that was to be kept is lost: nothing goes on with it.
  if (migration.keepsCopyFor === undefined || isTargetGone) return end(record, 'aborted');
  if (migration.keepsCopyFor === 'follow')
    return { kind: 'go', record: change.followedAgain(record, nowMs, nowMs + settings.graceMs) };
  const notBeforeMs = nowMs + fencePauseMs(migration.fenceFailures ?? 1, settings);
  return { kind: 'go', record: change.triedAgain(record, nowMs, notBeforeMs) };
}

const end = (record: OpenRecord, outcome: MigrationOutcome): Decision => ({
  kind: 'end',
  record: { ...record, migration: null },
  outcome,
});

const enter = (
  record: OpenRecord,
  phase: MigrationPhase,
  { nowMs }: StepContext,
  changed: Partial<MigrationRecord> = {},
): Decision => ({ kind: 'go', record: change.enter(record, phase, nowMs, changed) });

function giveUpOverdue(record: OpenRecord, context: StepContext): Decision {
  const { phase, fenceFailures = 0 } = record.migration;
  const reason = overdueReason(phase);
  const isFence = phase === 'FENCING' || phase === 'FENCED';
  if (!isFence || fenceFailures >= context.settings.fenceRetriesMax) return abort(record, reason, context);
  return { kind: 'go', record: change.fenceGivenUp(record, reason, context.nowMs) };
}

function isOverdue(
  { phase, phaseAtMs, pausedAtMs }: MigrationRecord,
  { settings, nowMs }: StepContext,
): boolean {
  return pausedAtMs === undefined && nowMs - phaseAtMs > timeoutOf(phase, settings);
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
