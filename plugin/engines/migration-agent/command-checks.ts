/** Why a storage node refuses a command: what it has durably seen, and what the map says. */
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MigrationCommand, MigrationRecord, PartitionRecord } from '../../../src/model/migration.ts';
import type { PartitionMeta } from '../../../src/ports/partition-store.ts';

export type OpenRecord = PartitionRecord & { readonly migration: MigrationRecord };

/** One partition's record, linearizably. */
export type ReadRecord = (partitionId: number) => Promise<PartitionRecord | undefined>;

/** R6: the migration has ended here, so its commands are late ones. */
export const isClosed = (meta: PartitionMeta, command: MigrationCommand): boolean =>
  command.migrationId <= meta.closedMigrationId;

export function refusal({ partitionId, migrationId }: MigrationCommand, why: string): ForeshardError {
  const what = `partition ${partitionId}, migration ${migrationId}: ${why}`;
  return new ForeshardError('FORESHARD_CONFLICT', 're-read', what);
}

/** @throws ForeshardError FORESHARD_CONFLICT where the map does not speak of the command's migration. */
export async function readOpenRecord(readRecord: ReadRecord, command: MigrationCommand): Promise<OpenRecord> {
  const record = await readRecord(command.partitionId);
  if (record?.migration?.migrationId !== command.migrationId)
    throw refusal(command, `the map speaks of migration ${record?.migration?.migrationId ?? 'none'}`);
  return record as OpenRecord;
}

/**
 * R3: a fence is lifted by nothing but the map's own word that this very migration is aborted.
 *
 * @throws ForeshardError FORESHARD_CONFLICT otherwise.
 */
export async function assertAborted(readRecord: ReadRecord, command: MigrationCommand): Promise<void> {
  const record = await readRecord(command.partitionId);
  if (record?.migration?.migrationId !== command.migrationId || record.migration.phase !== 'ABORT')
    throw new ForeshardError(
      'FORESHARD_CONFLICT',
      're-read',
      'the map does not say that this migration is aborted',
    );
}

/**
 * R7, of a copy that was never an owner's: one that the map counts on is not dropped, whoever asks and however late.
 *
 * @throws ForeshardError FORESHARD_CONFLICT where the map counts on it.
 */
export async function assertDroppable(
  readRecord: ReadRecord,
  command: MigrationCommand,
  storeId: string,
): Promise<void> {
  const record = await readRecord(command.partitionId);
  const migration = record?.migration;
  const isOpen =
    migration?.migrationId === command.migrationId &&
    (migration.phase !== 'ABORT' || migration.keepsCopyFor !== undefined);
  // What a takeover has opened with nothing is no copy of anything, once that takeover is aborted.
  const isNothing = migration?.phase === 'ABORT' && migration.takeover?.isEmpty === true;
  const isTakingOver = migration?.kind === 'takeover' && migration.targetStoreId === storeId && !isNothing;
  if (isOpen || isTakingOver || record?.ownerStoreId === storeId)
    throw refusal(command, `the map counts on this copy: ${migration?.phase ?? 'it is the owner'}`);
}
