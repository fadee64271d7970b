import type { PartitionRecord } from '../../src/model/migration.ts';

/** What a store has durably heard of a partition. */
export interface Heard {
  readonly role: string;
  readonly epoch: number;
  readonly epochMax: number;
  readonly closedMigrationId: number;
  readonly migrationId: number;
}

/**
 * Why the map's record is older than what a store has heard from the map; null where it is not. Whatever a node hears (an epoch, a
 * migration's number) was in the map first, so this cannot be of a map that has only grown: it was restored from a backup.
 */
export function whyBehind(
  heard: Heard,
  record: Pick<PartitionRecord, 'epoch' | 'migrationSeq' | 'ownerStoreId'>,
  storeId: string,
): string | null {
  if (record.epoch < heard.epochMax) return `epoch ${record.epoch}, here ${heard.epochMax} has been seen`;
  const migrationMax = Math.max(heard.closedMigrationId, heard.migrationId);
  if (record.migrationSeq < migrationMax)
    return `migrations up to ${record.migrationSeq}, here ${migrationMax} has been seen`;
  if (heard.role === 'OWNER' && record.epoch === heard.epoch && record.ownerStoreId !== storeId)
    return `store ${record.ownerStoreId} as the owner at epoch ${record.epoch}, at which this one is`;
  return null;
}
