import { ForeshardError } from '../../src/base/errors.ts';
import type { ClusterKeys } from '../../src/migration/records/records.ts';

/** Names of all keys of one cluster. @throws ForeshardError FORESHARD_CONFIG when the cluster's name cannot be part of one. */
export function clusterKeys(clusterName: string): ClusterKeys {
  if (!/^[A-Za-z0-9_.-]{1,64}$/.test(clusterName))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `cluster name must be 1..64 letters, digits, "_", "." or "-", got ${JSON.stringify(clusterName)}`,
    );
  const root = `/foreshard/v1/${clusterName}/`;
  // Padded, so that the order of keys is the order of partitions.
  const padded = (id: number): string => String(id).padStart(5, '0');
  return {
    cluster: `${root}cluster`,
    coordinator: `${root}coord/leader`,
    lastCoordinator: `${root}coord/last`,
    mapPrefix: `${root}map/`,
    map: (partitionId) => `${root}map/${padded(partitionId)}`,
    nodePrefix: `${root}node/`,
    node: (nodeId) => `${root}node/${padded(nodeId)}`,
    memberPrefix: `${root}member/`,
    member: (nodeId) => `${root}member/${padded(nodeId)}`,
    join: (nodeId) => `${root}join/${padded(nodeId)}`,
    storePrefix: `${root}store/`,
    store: (storeId) => `${root}store/${storeId}`,
    cleanupPrefix: `${root}cleanup/`,
    cleanupOf: (partitionId) => `${root}cleanup/${padded(partitionId)}/`,
    cleanup: (partitionId, migrationId, storeId) =>
      `${root}cleanup/${padded(partitionId)}/${migrationId}/${storeId}`,
    historyPrefix: `${root}hist/`,
    history: (partitionId, migrationId) => `${root}hist/${padded(partitionId)}/${migrationId}`,
    evidencePrefix: `${root}evidence/`,
    evidence: (partitionId, migrationId) => `${root}evidence/${padded(partitionId)}/${migrationId}`,
    controlPrefix: `${root}ctl/`,
    pause: `${root}ctl/pause`,
    pauseOf: (partitionId) => `${root}ctl/pause/${padded(partitionId)}`,
    requestPrefix: `${root}ctl/request/`,
    request: (partitionId) => `${root}ctl/request/${padded(partitionId)}`,
    approvalPrefix: `${root}ctl/approved/`,
    approval: (partitionId) => `${root}ctl/approved/${padded(partitionId)}`,
    rejectionPrefix: `${root}ctl/rejected/`,
    rejection: (partitionId) => `${root}ctl/rejected/${padded(partitionId)}`,
    retirementPrefix: `${root}ctl/retire/`,
    retirement: (storeId) => `${root}ctl/retire/${storeId}`,
    auditPrefix: `${root}audit/`,
    audit: (requestId) => `${root}audit/${requestId}`,
  };
}
