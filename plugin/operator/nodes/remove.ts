import { ForeshardError } from '../../../src/base/errors.ts';
import { asNodeId } from '../../../src/model/ids.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { StorageEngine } from '../../../src/ports/storage-engine.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { listMembers } from '../../metadata/members.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { encodeStoreRecord } from '../../metadata/store-records.ts';
import { auditWrite } from '../migration/order.ts';
import { assertQueryNodeThere } from '../status/answers-clients.ts';
import { storageMember } from '../what-is-there.ts';
import { isEmpty, standingOf, standingText } from './node-standing.ts';

export interface RemoveOrder {
  readonly nodeId: number;
  readonly reason: string;
}

/**
 * `foreshard remove`: takes an empty storage node out of the cluster; its store is retired, so that no process serves from it
 * again. No plan gives anything to a store that is being drained, and no migration to it is opened once its record has changed:
 * what the map did not name after that, it cannot name any more.
 *
 * @returns what to tell.
 * @throws ForeshardError FORESHARD_CONFIG for a node that is none, FORESHARD_CONFLICT saying what stands in the way.
 */
export async function removeStorageNode(
  metadata: MetadataStore,
  engine: Pick<StorageEngine, 'nodeStatistics'>,
  clusterName: string,
  { nodeId, reason }: RemoveOrder,
): Promise<string> {
  const member = await storageMember(metadata, clusterName, nodeId);
  const standing = await standingOf(metadata, clusterName, member);
  const { state } = standing.store;
  if (state === 'active')
    throw conflict(
      `node ${nodeId} is not being drained: \`foreshard drain ${nodeId}\` first, and wait until it is empty`,
    );
  if (!isEmpty(standing)) throw conflict(standingText(standing));
  await assertAgrees(engine, nodeId);
  const keys = clusterKeys(clusterName);
  const message = `node ${nodeId} is removed, and its store ${member.storeId} retired`;
  const audit = auditWrite(recordCodec(clusterName), {
    action: 'remove',
    partitionId: null,
    reason,
    message,
  });
  const key = keys.store(member.storeId);
  const { isCommitted } = await metadata.commit({
    conditions: [{ key, revisionIs: standing.storeRevision }],
    writes: [
      { kind: 'put', key, value: encodeStoreRecord({ state: 'retired', nodeId }) },
      { kind: 'delete', key: keys.member(nodeId) },
      { kind: 'delete', key: keys.node(nodeId) },
      { kind: 'delete', key: keys.join(nodeId) },
      audit,
    ],
  });
  if (!isCommitted) throw conflict(`node ${nodeId}: somebody has just changed what its store is: try again`);
  return message;
}

/** A node that answers must not think that it owns anything: then the map is not what it was. */
async function assertAgrees(engine: Pick<StorageEngine, 'nodeStatistics'>, nodeId: number): Promise<void> {
  const statistics = await engine.nodeStatistics(asNodeId(nodeId)).catch(() => null);
  const ownBytes = statistics?.partitionBytes.reduce((sum, bytes) => sum + bytes, 0) ?? 0;
  if (ownBytes > 0)
    throw conflict(
      `node ${nodeId} answers, and holds ${ownBytes} bytes of partitions as their owner, of which the map says nothing`,
    );
}

/** Of a query node only its entry is left, after a crash. @returns what to tell. */
export async function removeQueryNode(
  metadata: MetadataStore,
  clusterName: string,
  { nodeId, reason }: RemoveOrder,
): Promise<string> {
  const member = (await listMembers(metadata, clusterName)).find((node) => node.nodeId === nodeId);
  if (member === undefined)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `there is no query node ${nodeId} in the cluster (one that is stopped in order leaves by itself); nothing was done`,
    );
  const isRegistered = (await metadata.get(clusterKeys(clusterName).node(nodeId))) !== undefined;
  const isThere = await assertQueryNodeThere(member, isRegistered).then(
    () => true,
    () => false,
  );
  if (isThere)
    throw conflict(
      `query node ${nodeId} answers at ${member.host}:${member.port}: stop it, and it leaves by itself`,
    );
  const keys = clusterKeys(clusterName);
  const message = `query node ${nodeId} is removed`;
  const audit = auditWrite(recordCodec(clusterName), {
    action: 'remove',
    partitionId: null,
    reason,
    message,
  });
  await metadata.commit({
    conditions: [],
    writes: [{ kind: 'delete', key: keys.member(nodeId) }, { kind: 'delete', key: keys.node(nodeId) }, audit],
  });
  return message;
}

const conflict = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFLICT', 're-read', `${message}; nothing was done`);
