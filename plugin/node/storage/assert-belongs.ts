import { ForeshardError } from '../../../src/base/errors.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { mayJoin } from '../../metadata/join-permits.ts';
import { listMembers } from '../../metadata/members.ts';
import { listNodes } from '../../metadata/node-registrations.ts';

export interface StartingStorageNode {
  readonly nodeId: number;
  /** Null: it comes with another than before. */
  readonly storeId: string | null;
  /** Whether its store has ever had a partition. */
  readonly hasPartitions: boolean;
  /** Of a cluster that is not formed yet. */
  readonly isFounder: boolean;
  readonly nowMs: number;
}

/**
 * A slip in a node's number would make it a node more, which plans then give partitions to; or it would take the place of the one
 * that has this number. Both are found out before it registers. Whoever has partitions, by the map or on its disk, belongs here:
 * a map that was restored from a backup may not know its members yet.
 *
 * @param records of the map; empty where the cluster is not formed.
 * @throws ForeshardError FORESHARD_CONFIG, or FORESHARD_UNAVAILABLE where another process has the number now.
 */
export async function assertBelongs(
  metadata: MetadataStore,
  clusterName: string,
  node: StartingStorageNode,
  records: readonly (PartitionRecord | null)[],
): Promise<void> {
  const { nodeId, storeId } = node;
  const other = (await listNodes(metadata, clusterName)).find((registered) => registered.nodeId === nodeId);
  if (other !== undefined && storeId !== null && other.storeId !== storeId)
    throw new ForeshardError(
      'FORESHARD_UNAVAILABLE',
      'retry',
      `node ${nodeId}: ${other.host}:${other.port} is registered as this node, with store ${other.storeId}: name the right node.id ` +
        '(--node-id), or stop the other; of a process that has just died it is forgotten within 20 s',
    );
  if (node.isFounder || node.hasPartitions) return;
  if (records.some((record) => record?.ownerNodeId === nodeId)) return;
  const members = (await listMembers(metadata, clusterName)).filter(({ role }) => role === 'storage');
  if (members.some((member) => member.nodeId === nodeId)) return;
  if (await mayJoin(metadata, clusterName, node)) return;
  throw new ForeshardError(
    'FORESHARD_CONFIG',
    'fix-config',
    `node ${nodeId}: cluster ${clusterName} has no such storage node, but ${members.map((member) => member.nodeId).join(', ') || 'none yet'}: ` +
      `name the right node.id (--node-id). If it is to join, \`foreshard join ${nodeId} --reason TEXT\`, and start it again within a day`,
  );
}
