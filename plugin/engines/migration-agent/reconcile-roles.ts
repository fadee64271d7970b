import type { PartitionRecord, PartitionRole } from '../../../src/model/migration.ts';
import type { PartitionStore } from '../../../src/ports/partition-store.ts';
import { reconciled } from './role-changes.ts';

export interface RoleChange {
  readonly partitionId: number;
  readonly before: PartitionRole;
  readonly after: PartitionRole;
}

/**
 * Brings the roles of a store's partitions in line with the map.
 *
 * @param records all that were read, linearizably; null where a record is not valid: its partition keeps its role.
 * @returns what has changed.
 */
export async function reconcileRoles(
  store: PartitionStore,
  records: readonly (PartitionRecord | null)[],
): Promise<RoleChange[]> {
  const changes: RoleChange[] = [];
  for (const record of records) {
    if (!record) continue;
    const { partitionId } = record;
    const before = store.meta(partitionId).role;
    const { role: after } = await store.updateMeta(partitionId, (meta) =>
      reconciled(meta, record, store.storeId),
    );
    if (after !== before) changes.push({ partitionId, before, after });
  }
  return changes;
}
