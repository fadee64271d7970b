import { ForeshardError } from '../../../src/base/errors.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';

/**
 * A folder that is not the one whose data this node answers for, most often a slip of `--data-dir`, is found out before the node
 * registers: under this id it would take the place of the node that has the data.
 *
 * @throws ForeshardError FORESHARD_CONFIG.
 */
export function assertOwnStore(
  records: readonly (PartitionRecord | null)[],
  node: { readonly nodeId: number; readonly storeId: string; readonly dataDir: string },
): void {
  const owned = records.filter((record) => record?.ownerNodeId === node.nodeId);
  const other = owned.find((record) => record?.ownerStoreId !== node.storeId);
  if (other === undefined || other === null) return;
  const count = owned.filter((record) => record?.ownerStoreId === other.ownerStoreId).length;
  throw new ForeshardError(
    'FORESHARD_CONFIG',
    'fix-config',
    `node ${node.nodeId} owns ${count} partitions in store ${other.ownerStoreId}, but ${node.dataDir} holds store ${node.storeId}: ` +
      'name the right --data-dir (node.dataDir). If that disk is lost for good, start with --replace-store, then `foreshard takeover` each partition',
  );
}
