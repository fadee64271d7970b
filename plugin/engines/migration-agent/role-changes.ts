/**
 * How a command changes a partition's durable meta: pure, and called inside the transaction that writes it. What is asked
 * twice changes nothing the second time; what comes late, or to the wrong node, is refused and changes nothing at all.
 */
import { ForeshardError } from '../../../src/base/errors.ts';
import { isSwitched } from '../../../src/migration/phases.ts';
import type { Digest, Lsn, MigrationCommand, PartitionRecord } from '../../../src/model/migration.ts';
import type { PartitionMeta } from '../../../src/ports/partition-store.ts';
import type { CopyAdoption } from '../../../src/ports/storage-engine.ts';

/** R6: refuses what is older than what this node has durably seen. */
function assertFresh(meta: PartitionMeta, command: MigrationCommand): void {
  if (command.migrationId <= meta.closedMigrationId)
    throw stale(command, `it was closed here, as were all up to ${meta.closedMigrationId}`);
  if (command.epoch < meta.epochMax)
    throw stale(command, `epoch ${meta.epochMax} has been seen, this is ${command.epoch}`);
  if (command.migrationId < meta.migrationId) throw stale(command, `migration ${meta.migrationId} has begun`);
}

const stale = ({ partitionId, migrationId }: MigrationCommand, why: string): ForeshardError =>
  new ForeshardError(
    'FORESHARD_STALE_EPOCH',
    'refresh-map',
    `partition ${partitionId}, migration ${migrationId}: ${why}`,
  );

const wrongRole = ({ partitionId, migrationId }: MigrationCommand, meta: PartitionMeta): ForeshardError =>
  new ForeshardError(
    'FORESHARD_NOT_OWNER',
    'refresh-map',
    `partition ${partitionId} is ${meta.role} at epoch ${meta.epoch} of migration ${meta.migrationId} here, ` +
      `which migration ${migrationId} cannot use`,
  );

const notReady = (why: string): ForeshardError => new ForeshardError('FORESHARD_NOT_READY', 'retry', why);

export function sourcePrepared(meta: PartitionMeta, command: MigrationCommand): PartitionMeta {
  assertFresh(meta, command);
  if (meta.role !== 'OWNER' || meta.epoch !== command.epoch) throw wrongRole(command, meta);
  return meta.migrationId === command.migrationId ? meta : { ...meta, migrationId: command.migrationId };
}

export function targetPrepared(
  meta: PartitionMeta,
  command: MigrationCommand,
  sourceStoreId: string,
): PartitionMeta {
  assertFresh(meta, command);
  if (meta.role === 'STAGING' && meta.staging?.migrationId === command.migrationId) return meta;
  // What an earlier migration left must be gone first: entries of two copies must never mix.
  if (meta.role === 'STAGING' || meta.role === 'RETIRED')
    throw notReady(`an earlier copy is still being removed`);
  if (meta.role !== 'NONE') throw wrongRole(command, meta);
  return {
    ...meta,
    role: 'STAGING',
    epoch: command.epoch,
    epochMax: command.epoch,
    migrationId: command.migrationId,
    fence: null,
    staging: {
      migrationId: command.migrationId,
      sourceStoreId,
      snapshotLsn: 0,
      cursor: null,
      isComplete: false,
    },
  };
}

const isAbandoned = (meta: PartitionMeta): boolean =>
  meta.closedMigrationId >= (meta.staging?.migrationId ?? 0);

/** Entries that come now are of a state at `lsn`, which the copy's log has yet to reach. */
export function snapshotReopened(meta: PartitionMeta, migrationId: number, lsn: Lsn): PartitionMeta {
  const { staging } = meta;
  const isOurs = meta.role === 'STAGING' && staging?.migrationId === migrationId;
  if (!isOurs || staging.snapshotLsn >= lsn) return meta;
  return { ...meta, staging: { ...staging, snapshotLsn: lsn } };
}

/**
 * Whether a copy that is being filled is a state that the source once had: its snapshot was read to its end, and the log has
 * come to the lsn of the youngest one that was opened. Before, it holds later entries beside earlier ones.
 */
export const isWholeState = ({ lsn, staging }: PartitionMeta): boolean =>
  staging?.isComplete === true && lsn >= staging.snapshotLsn;

/**
 * Whether a node has a copy that lacks no more than the last log entries, and that nobody has begun to delete. What a
 * deposed owner has that was never fenced is none: it may hold entries that no other owner knows.
 */
const hasCopy = (meta: PartitionMeta): boolean =>
  meta.role === 'FOLLOWER' ||
  (meta.role === 'FENCED' && meta.fence !== null) ||
  (meta.role === 'STAGING' && isWholeState(meta) && !isAbandoned(meta));

/**
 * The copy that is here becomes that of a new migration: an old owner's, for the way back; that of a fence that stood too
 * long; for a takeover, any. All older migrations are closed with it: none of their commands may touch the copy any more.
 *
 * @param adopts see CopyAdoption.
 */
export function copyAdopted(
  meta: PartitionMeta,
  command: MigrationCommand,
  sourceStoreId: string,
  adopts: CopyAdoption,
): PartitionMeta {
  assertFresh(meta, command);
  const { migrationId } = command;
  if (meta.role === 'STAGING' && meta.staging?.migrationId === migrationId) return meta;
  const isEmpty = meta.role === 'NONE' && adopts.isEmptyAllowed;
  const isNamed = adopts.migrationId === null || meta.migrationId === adopts.migrationId;
  if (!isEmpty && !(hasCopy(meta) && isNamed)) throw wrongRole(command, meta);
  return {
    ...meta,
    role: 'STAGING',
    epoch: command.epoch,
    epochMax: command.epoch,
    migrationId,
    closedMigrationId: migrationId - 1,
    fence: null,
    staging: { migrationId, sourceStoreId, snapshotLsn: meta.lsn, cursor: null, isComplete: true },
  };
}

/** The store has one writer, so this transaction is the barrier: every write before it is below the fence's lsn. */
export function fenced(
  meta: PartitionMeta,
  command: MigrationCommand,
  runningDigest: () => Digest | null,
): PartitionMeta {
  assertFresh(meta, command);
  if (meta.role === 'FENCED' && meta.fence?.migrationId === command.migrationId) return meta;
  const isSource =
    meta.role === 'OWNER' && meta.epoch === command.epoch && meta.migrationId === command.migrationId;
  if (!isSource) throw wrongRole(command, meta);
  const digest = runningDigest();
  if (!digest) throw notReady('the running digest is not complete');
  return { ...meta, role: 'FENCED', fence: { migrationId: command.migrationId, lsn: meta.lsn, digest } };
}

export function activated(meta: PartitionMeta, command: MigrationCommand, fenceLsn: Lsn): PartitionMeta {
  if (meta.role === 'OWNER' && meta.epoch === command.epoch) return meta;
  if (command.migrationId <= meta.closedMigrationId) throw stale(command, 'it was closed here');
  const isCopy = meta.role === 'STAGING' && meta.staging?.migrationId === command.migrationId;
  if (!isCopy || command.epoch <= meta.epochMax) throw wrongRole(command, meta);
  if (!isWholeState(meta) || meta.lsn !== fenceLsn)
    throw new ForeshardError(
      'FORESHARD_DIGEST_MISMATCH',
      'report',
      `the copy stands at lsn ${meta.lsn}, the fence at ${fenceLsn}: it must not become the owner`,
    );
  return {
    ...meta,
    role: 'OWNER',
    epoch: command.epoch,
    epochMax: command.epoch,
    closedMigrationId: command.migrationId,
    staging: null,
    fence: null,
  };
}

/**
 * @param command bears the new owner's epoch.
 * @param isResumed the map says that a rollback has failed: this is its copy, or the follower that it did not reach.
 */
export function following(meta: PartitionMeta, command: MigrationCommand, isResumed = false): PartitionMeta {
  assertFresh(meta, command);
  if (isResumed && meta.migrationId < command.migrationId && hasCopy(meta))
    return {
      ...followerOf(meta, command),
      migrationId: command.migrationId,
      closedMigrationId: command.migrationId - 1,
    };
  if (meta.migrationId !== command.migrationId) throw wrongRole(command, meta);
  if (meta.role === 'FOLLOWER') return meta;
  if (meta.role !== 'FENCED' || meta.fence?.migrationId !== command.migrationId)
    throw wrongRole(command, meta);
  return followerOf(meta, command);
}

const followerOf = (meta: PartitionMeta, { epoch }: MigrationCommand): PartitionMeta => ({
  ...meta,
  role: 'FOLLOWER',
  epoch,
  epochMax: epoch,
  staging: null,
});

export function retired(meta: PartitionMeta, command: MigrationCommand): PartitionMeta {
  assertFresh(meta, command);
  if (meta.migrationId !== command.migrationId) throw wrongRole(command, meta);
  if (meta.role === 'RETIRED') return meta;
  if (meta.role !== 'FENCED' && meta.role !== 'FOLLOWER') throw wrongRole(command, meta);
  return { ...meta, role: 'RETIRED', epoch: command.epoch, epochMax: command.epoch, fence: null };
}

/** Nothing is left of a retired or abandoned copy. */
export function emptied(meta: PartitionMeta, migrationId: number): PartitionMeta {
  const isLeftOver = meta.role === 'STAGING' && isAbandoned(meta);
  if (!isLeftOver && !(meta.role === 'RETIRED' && meta.migrationId === migrationId)) return meta;
  return {
    ...meta,
    role: 'NONE',
    closedMigrationId: Math.max(meta.closedMigrationId, migrationId),
    migrationId: 0,
    staging: null,
    fence: null,
  };
}

/** The caller has read in the map that the migration is aborted, if a fence is to be lifted. */
export function aborted(meta: PartitionMeta, { migrationId }: MigrationCommand): PartitionMeta {
  if (migrationId <= meta.closedMigrationId) return meta;
  const isOurs = meta.migrationId === migrationId;
  const isOurFence = meta.role === 'FENCED' && meta.fence?.migrationId === migrationId;
  return {
    ...meta,
    role: isOurFence ? 'OWNER' : meta.role,
    fence: isOurFence ? null : meta.fence,
    closedMigrationId: migrationId,
    // A staging copy keeps its number until it is emptied: that is what says whose entries these are.
    migrationId: isOurs && meta.role !== 'STAGING' ? 0 : meta.migrationId,
  };
}

/** Its own migration, or one that it never heard of while it kept its log for another (the follower was given up for lost). */
export const mayFinish = (meta: PartitionMeta, { migrationId }: MigrationCommand): boolean =>
  meta.migrationId === migrationId || (meta.migrationId === 0 && migrationId > meta.closedMigrationId);

/**
 * Closed here as well: who became the owner by this very migration has closed it then, but an owner that only was followed
 * under its number has not, and would begin it anew at a late command.
 */
export const finished = (meta: PartitionMeta, command: MigrationCommand): PartitionMeta =>
  meta.role === 'OWNER' && mayFinish(meta, command)
    ? {
        ...meta,
        migrationId: 0,
        closedMigrationId: Math.max(meta.closedMigrationId, command.migrationId),
      }
    : meta;

/**
 * What a node that was down makes of itself by the map it reads before it listens.
 *
 * @param storeId this node's disk: an emptied or swapped one has another, and owns nothing.
 */
export function reconciled(meta: PartitionMeta, record: PartitionRecord, storeId: string): PartitionMeta {
  const isOwnerByMap = record.ownerStoreId === storeId;
  const { migration } = record;
  const isFirstOwner = isOwnerByMap && record.epoch === 1 && record.migrationSeq === 0 && meta.epochMax === 0;
  if (meta.role === 'NONE' && isFirstOwner) return { ...meta, role: 'OWNER', epoch: 1, epochMax: 1 };

  const isDeposed = meta.role === 'OWNER' && record.epoch > meta.epoch && !isOwnerByMap;
  if (isDeposed) return { ...meta, role: 'FENCED', epochMax: record.epoch };

  const isActivationDue =
    isOwnerByMap &&
    migration !== null &&
    isSwitched(migration.phase) &&
    meta.role === 'STAGING' &&
    meta.staging?.migrationId === migration.migrationId &&
    meta.lsn === migration.fenceLsn;
  if (!isActivationDue) return meta;
  const command = {
    partitionId: record.partitionId,
    migrationId: migration.migrationId,
    epoch: record.epoch,
  };
  return activated(meta, command, migration.fenceLsn as Lsn);
}
