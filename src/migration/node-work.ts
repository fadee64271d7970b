/**
 * The commands that a phase asks of its two nodes. All may be repeated for ever, so nothing is remembered between calls:
 * a coordinator that took over a moment ago does the same.
 */
import { ForeshardError } from '../base/errors.ts';
import { asEpoch, type NodeId } from '../model/ids.ts';
import type { Lsn, MigrationCommand } from '../model/migration.ts';
import type { NodeMigrationStatus, StorageEngine } from '../ports/storage-engine.ts';
import { isSwitched } from './phases.ts';
import { type MigrationSettings, TARGET_SIZE_FACTOR } from './settings.ts';
import type { Observation, OpenRecord } from './step.ts';

export interface NodeWorkContext {
  readonly engine: StorageEngine;
  readonly settings: MigrationSettings;
  readonly nowMs: number;
}

/** @throws ForeshardError of the node that refused or could not be reached. */
export async function doNodeWork(record: OpenRecord, context: NodeWorkContext): Promise<Observation> {
  const { engine, settings } = context;
  const { migration } = record;
  const command = commandOf(record);
  const { sourceNodeId, targetNodeId } = migration;
  const copy = (): Promise<void> =>
    engine.copy(targetNodeId, command, { bytesPerSecond: settings.copyBytesPerSecond });

  switch (migration.phase) {
    case 'PREPARE':
      await prepare(record, command, context);
      return NOTHING_SEEN;
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
    case 'FENCED':
      await copy();
      return { source: null, target: await engine.status(targetNodeId, command, 'digest') };
    case 'SWITCHED':
      await engine.activate(targetNodeId, command, { fenceLsn: migration.fenceLsn as Lsn });
      return NOTHING_SEEN;
    case 'GRACE':
      return grace(record, command, context);
    case 'CLEANUP': {
      const isRemoved = await engine.remove(sourceNodeId, command);
      if (isRemoved) await engine.finish(targetNodeId, command);
      return { ...NOTHING_SEEN, areNodesDone: isRemoved };
    }
    case 'ABORT': {
      // The source first: it may hold writes back.
      const isSourceOpen = await engine.abort(sourceNodeId, command);
      const isTargetEmpty = isSourceOpen && (await engine.abort(targetNodeId, command));
      return { ...NOTHING_SEEN, areNodesDone: isSourceOpen && isTargetEmpty };
    }
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
  { migration }: OpenRecord,
  command: MigrationCommand,
  { engine, settings }: NodeWorkContext,
): Promise<void> {
  const sizeBytes =
    (await engine.nodeStatistics(migration.sourceNodeId)).partitionBytes[command.partitionId] ?? 0;
  const options = {
    sourceNodeId: migration.sourceNodeId,
    targetNodeId: migration.targetNodeId,
    sourceStoreId: migration.sourceStoreId,
    targetStoreId: migration.targetStoreId,
    digestSeed: migration.digestSeed,
    freeBytesMin: Math.ceil(sizeBytes * TARGET_SIZE_FACTOR) + settings.freeBytesReserve,
  };
  await engine.prepare(migration.sourceNodeId, command, { ...options, side: 'source' });
  await engine.prepare(migration.targetNodeId, command, { ...options, side: 'target' });
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
  const barrier = await engine.beginVerify(sides.ownerNodeId, command, {});
  try {
    await engine.beginVerify(sides.copyNodeId, command, { barrierLsn: barrier.lsn });
  } catch (error) {
    if (!(error instanceof ForeshardError && error.code === 'FORESHARD_CONFLICT')) throw error;
    // The copy restarted, or never saw the barrier, and has applied more than that: both begin again at a later lsn.
    const fresh = await engine.beginVerify(sides.ownerNodeId, command, { isFresh: true });
    await engine.beginVerify(sides.copyNodeId, command, { barrierLsn: fresh.lsn });
  }
  return bothStatuses(record, command, engine, 'verify');
}

async function grace(
  record: OpenRecord,
  command: MigrationCommand,
  { engine, nowMs }: NodeWorkContext,
): Promise<Observation> {
  const { migration } = record;
  if (!engine.capabilities.reverseStream) return NOTHING_SEEN;
  await engine.follow(migration.sourceNodeId, command);
  if (nowMs < migration.notBeforeMs) return NOTHING_SEEN;
  const source = await engine.status(migration.sourceNodeId, command);
  if (source.failure) return { source, target: null };
  return verify(record, command, engine, {
    ownerNodeId: migration.targetNodeId,
    copyNodeId: migration.sourceNodeId,
  });
}

/** Whether a failing command may only be tried again: the switch is made, or the way back is taken. */
export const mustRetry = (record: OpenRecord): boolean =>
  isSwitched(record.migration.phase) || record.migration.phase === 'ABORT';
