import { ForeshardError } from '../../../src/base/errors.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { joinPermit } from '../../metadata/join-permits.ts';
import { listMembers } from '../../metadata/members.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { auditWrite } from '../migration/order.ts';

/**
 * `foreshard join`: lets a storage node of a new number into the cluster, when it is started.
 *
 * @returns what to tell.
 * @throws ForeshardError FORESHARD_CONFLICT where there is no cluster to join, or a node of this number.
 */
export async function allowJoin(
  metadata: MetadataStore,
  clusterName: string,
  { nodeId, reason, nowMs }: { readonly nodeId: number; readonly reason: string; readonly nowMs: number },
): Promise<string> {
  if ((await metadata.get(clusterKeys(clusterName).cluster)) === undefined)
    throw refused(
      `cluster ${clusterName} is not formed yet: storage nodes below cluster.storageNodeCount need no leave`,
    );
  const members = await listMembers(metadata, clusterName);
  if (members.some((member) => member.nodeId === nodeId))
    throw refused(`node ${nodeId} belongs to cluster ${clusterName} already: start it`);
  const message = `storage node ${nodeId} may join`;
  const audit = auditWrite(recordCodec(clusterName), { action: 'join', partitionId: null, reason, message });
  await metadata.commit({ conditions: [], writes: [joinPermit(clusterName, nodeId, nowMs), audit] });
  return `${message}: start it within a day, and plans may give it partitions`;
}

const refused = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFLICT', 're-read', `${message}; nothing was done`);
