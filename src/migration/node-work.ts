/**
 * The commands that a phase asks of its two nodes. All may be repeated for ever, so nothing is remembered between calls:
 * a coordinator that took over a moment ago does the same.
 */
import type { Clock } from '../base/clock.ts';
import { ForeshardError } from '../base/errors.ts';
import { asEpoch, type NodeId } from '../model/ids.ts';
import { DIGEST_FORMAT, type Lsn, type MigrationCommand } from '../model/migration.ts';
import type { CopyAdoption, CopyRates, NodeMigrationStatus, StorageEngine } from '../ports/storage-engine.ts';
import { isSwitched, mayAbort } from './phases.ts';
import { type MigrationSettings, TARGET_SIZE_FACTOR } from './settings.ts';
import type { Observation, OpenRecord } from './step.ts';

export interface NodeWorkContext {
  readonly engine: StorageEngine;
  readonly settings: MigrationSettings;
  readonly clock: Clock;
  readonly ratesOf: (record: OpenRecord) => CopyRates;
  /** Stores whose disks are gone for good, by an operator's word: nothing is asked of them. */
  readonly isRetired: (storeId: string) => boolean;
}

/** @throws ForeshardError of the node that refused or could not be reached. */
export const doNodeWork = (record: OpenRecord, context: NodeWorkContext): Promise<Observation> =>
  answeredInTime(giveCommands(record, context), context);

/**
 * An engine bounds its requests. If one never came back, nothing that an operator orders of the partition could be carried out
 * either: whoever is silent for so long is taken for out of reach, and asked again.
 */
export async function answeredInTime<T>(
  work: Promise<T>,
  { clock, settings: { unreachableMs } }: Pick<NodeWorkContext, 'clock' | 'settings'>,
): Promise<T> {
  const answered = new AbortController();
  const late = clock.sleep(unreachableMs, answered.signal).then(() => {
    throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', `no answer for ${unreachableMs} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    answered.abort();
  }
}

async function giveCommands(record: OpenRecord, context: NodeWorkContext): Promise<Observation> {
  const { engine, ratesOf } = context;
  const { migration } = record;
  const command = commandOf(record);
  const { sourceNodeId, targetNodeId } = migration;
  const copy = (): Promise<void> => engine.copy(targetNodeId, command, ratesOf(record));

  if (mayAbort(migration.phase) && context.isRetired(migration.targetStoreId))
    return { ...NOTHING_SEEN, isTargetGone: true };
  switch (migration.phase) {
    case 'PREPARE':
      return migration.kind === 'takeover'
        ? adoptForTakeover(record, command, engine)
        : prepare(record, command, context);
    case 'COPY':
      await copy();
      return { source: null, target: await engine.status(targetNodeId, command) };
    case 'CATCHUP':
      await copy();
      return bothStatuses(record, command, engine);
    case 'VERIFY':
      await copy();
      return verify(record, command, engine, { ownerNodeId: sourceNodeId, copyNodeId: targetNodeId });
    case 'SHIFT':
      await copy();
      // At weight 0 as well: reads are mirrored then, and a query node may not know yet that the weight went back.
      await engine.serveReads(targetNodeId, command, true);
      return bothStatuses(record, command, engine);
    case 'FENCING': {
      const fence = await engine.fence(sourceNodeId, command);
      return { ...NOTHING_SEEN, fence };
    }
    case 'FENCED': {
      // Writes wait: the pull runs already, and is only told that nothing holds it back.
      const [, target] = await Promise.all([copy(), engine.status(targetNodeId, command, 'digest')]);
      return { source: null, target };
    }
    case 'SWITCHED':
      return handOver(record, command, context);
    case 'GRACE':
      return grace(record, command, context);
    case 'CLEANUP':
      return cleanUp(record, command, context);
    case 'ABORT':
      return abortBoth(record, command, context);
  }
}

const NOTHING_SEEN: Observation = { source: null, target: null };

/** After the switch the record's epoch is the new one already. */
export const commandOf = (record: OpenRecord): MigrationCommand => ({
  partitionId: record.partitionId,
  migrationId: record.migration.migrationId,
  epoch: asEpoch(record.epoch),
});

async function prepare(
  record: OpenRecord,
  command: MigrationCommand,
  { engine, settings }: NodeWorkContext,
): Promise<Observation> {
  const { migration } = record;
  const { resumes } = migration;
  const sizeBytes =
    (await engine.nodeStatistics(migration.sourceNodeId)).partitionBytes[command.partitionId] ?? 0;
  // A copy that is there already needs room for what it has yet to hear of only.
  const copyBytes = resumes === undefined ? Math.ceil(sizeBytes * TARGET_SIZE_FACTOR) : 0;
  const options = { ...sidesOf(record), freeBytesMin: copyBytes + settings.freeBytesReserve };
  const adoption = resumes === undefined ? {} : { adopts: { migrationId: resumes, isEmptyAllowed: false } };
  await engine.prepare(migration.sourceNodeId, command, { ...options, side: 'source' });
  await engine.prepare(migration.targetNodeId, command, { ...options, ...adoption, side: 'target' });
  return { ...NOTHING_SEEN, sizeBytes };
}

const sidesOf = ({ migration }: OpenRecord) => ({
  sourceNodeId: migration.sourceNodeId,
  targetNodeId: migration.targetNodeId,
  sourceStoreId: migration.sourceStoreId,
  targetStoreId: migration.targetStoreId,
  digestSeed: migration.digestSeed,
  digestFormat: DIGEST_FORMAT,
});

/** The owner is dead, so only the target is asked: whatever copy it has, it pulls no longer, and keeps it. */
async function adoptForTakeover(
  record: OpenRecord,
  command: MigrationCommand,
  engine: StorageEngine,
): Promise<Observation> {
  const { migration } = record;
  const adopts: CopyAdoption = {
    migrationId: null,
    isEmptyAllowed: migration.takeover?.isEmpty ?? false,
  };
  const options = { ...sidesOf(record), freeBytesMin: 0, adopts, side: 'target' } as const;
  await engine.prepare(migration.targetNodeId, command, options);
  return { source: null, target: await engine.status(migration.targetNodeId, command) };
}

async function bothStatuses(
  { migration }: OpenRecord,
  command: MigrationCommand,
  engine: StorageEngine,
  include?: 'verify',
): Promise<{ source: NodeMigrationStatus; target: NodeMigrationStatus }> {
  // The target is asked first: its lag can then only be overstated.
  const target = await engine.status(migration.targetNodeId, command, include);
  const source = await engine.status(migration.sourceNodeId, command, include);
  return { source, target };
}

async function verify(
  record: OpenRecord,
  command: MigrationCommand,
  engine: StorageEngine,
  sides: { readonly ownerNodeId: NodeId; readonly copyNodeId: NodeId },
): Promise<Observation> {
  const round = record.migration.refutals ?? 0;
  const barrier = await engine.beginVerify(sides.ownerNodeId, command, { round });
  try {
    await engine.beginVerify(sides.copyNodeId, command, { barrierLsn: barrier.lsn, round });
  } catch (error) {
    if (!(error instanceof ForeshardError && error.code === 'FORESHARD_CONFLICT')) throw error;
    // The copy restarted, or never saw the barrier, and has applied more than that: both begin again at a later lsn.
    const fresh = await engine.beginVerify(sides.ownerNodeId, command, { isFresh: true, round });
    await engine.beginVerify(sides.copyNodeId, command, { barrierLsn: fresh.lsn, round });
  }
  return bothStatuses(record, command, engine, 'verify');
}

/**
 * The old owner holds requests until it has read for itself that it owns nothing any more: it is told while the new one
 * activates, not after. Nothing waits for its answer, which it may be too dead to give: GRACE tells it again.
 */
async function handOver(
  { migration }: OpenRecord,
  command: MigrationCommand,
  { engine, isRetired }: NodeWorkContext,
): Promise<Observation> {
  const { sourceNodeId, targetNodeId } = migration;
  const activation = engine.activate(targetNodeId, command, { fenceLsn: migration.fenceLsn as Lsn });
  if (migration.kind === 'takeover') {
    await activation;
    await engine.finish(targetNodeId, command);
    return NOTHING_SEEN;
  }
  const mayFollow = engine.capabilities.reverseStream && !isRetired(migration.sourceStoreId);
  if (mayFollow) void engine.follow(sourceNodeId, command).catch(() => undefined);
  await activation;
  return NOTHING_SEEN;
}

async function grace(
  record: OpenRecord,
  command: MigrationCommand,
  { engine, clock, isRetired }: NodeWorkContext,
): Promise<Observation> {
  const { migration } = record;
  if (isRetired(migration.sourceStoreId)) return { ...NOTHING_SEEN, isFollowerGone: true };
  if (!engine.capabilities.reverseStream) return NOTHING_SEEN;
  if (migration.resumes !== undefined && migration.fenceLsn === undefined) {
    // No fence of its own: a rollback has failed, and the owner, whose log went on, hears under which number it is read now.
    const { sourceNodeId, sourceStoreId, targetNodeId, targetStoreId, digestSeed } = migration;
    await engine.prepare(targetNodeId, command, {
      side: 'source',
      sourceNodeId: targetNodeId,
      sourceStoreId: targetStoreId,
      targetNodeId: sourceNodeId,
      targetStoreId: sourceStoreId,
      digestSeed,
      digestFormat: DIGEST_FORMAT,
      freeBytesMin: 0,
    });
  }
  await engine.follow(migration.sourceNodeId, command);
  if (clock.nowMs() < migration.notBeforeMs) return NOTHING_SEEN;
  const source = await engine.status(migration.sourceNodeId, command);
  if (source.failure) return { source, target: null };
  return verify(record, command, engine, {
    ownerNodeId: migration.targetNodeId,
    copyNodeId: migration.sourceNodeId,
  });
}

async function cleanUp(
  { migration }: OpenRecord,
  command: MigrationCommand,
  { engine, isRetired }: NodeWorkContext,
): Promise<Observation> {
  const isRemoved =
    isRetired(migration.sourceStoreId) || (await engine.remove(migration.sourceNodeId, command));
  if (isRemoved) await engine.finish(migration.targetNodeId, command);
  return { ...NOTHING_SEEN, areNodesDone: isRemoved };
}

async function abortBoth(
  { migration }: OpenRecord,
  command: MigrationCommand,
  { engine, isRetired }: NodeWorkContext,
): Promise<Observation> {
  if (migration.kind === 'takeover') {
    // Neither side has anything to undo: the copy that is left may be the only one there is. But what was opened with nothing
    // stands at the lsn that its node once had: left there, it would pass for a copy of all that.
    const isDone =
      !migration.takeover?.isEmpty ||
      isRetired(migration.targetStoreId) ||
      (await engine.abort(migration.targetNodeId, command));
    return { ...NOTHING_SEEN, areNodesDone: isDone };
  }
  // An owner whose disk is gone opens no more. Its copy waits for a takeover, and is not dropped before.
  if (isRetired(migration.sourceStoreId)) return NOTHING_SEEN;
  const isTargetGone = isRetired(migration.targetStoreId);
  const keepsLog = migration.keepsCopyFor !== undefined && !isTargetGone;
  // The source first: it may hold writes back.
  if (!(await engine.abort(migration.sourceNodeId, command, { keepsLog }))) return NOTHING_SEEN;
  // A copy that is kept is adopted by the migration that comes next: it has nothing to hear before.
  const isTargetDone = keepsLog || isTargetGone || (await engine.abort(migration.targetNodeId, command));
  return { ...NOTHING_SEEN, areNodesDone: isTargetDone, isTargetGone };
}

/** Whether a failing command may only be tried again: the switch is made, or the way back is taken. */
export const mustRetry = (record: OpenRecord): boolean =>
  isSwitched(record.migration.phase) || record.migration.phase === 'ABORT';
