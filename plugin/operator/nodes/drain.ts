import { ForeshardError } from '../../../src/base/errors.ts';
import type { MetadataCondition, MetadataStore } from '../../../src/ports/metadata-store.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { decodeMember, listMembers } from '../../metadata/members.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { encodeStoreRecord, readStoreRecord, type StoreRecord } from '../../metadata/store-records.ts';
import { noReason } from '../flags.ts';
import { auditWrite } from '../migration/order.ts';
import { storageMember } from '../what-is-there.ts';
import { type NodeStanding, standingOf } from './node-standing.ts';

export interface DrainOrder {
  readonly nodeId: number;
  readonly isDraining: boolean;
  readonly reason: string;
  readonly nowMs: number;
}

/**
 * `foreshard drain` and `undrain`: the operator's switch, obeyed by every plan from now on. Said again it changes nothing.
 *
 * @throws ForeshardError FORESHARD_CONFIG for a node that is none, or without a reason; FORESHARD_CONFLICT for one that is retired, or the
 * last that could take anything.
 */
export async function setDraining(
  metadata: MetadataStore,
  clusterName: string,
  order: DrainOrder,
): Promise<NodeStanding & { readonly hasChanged: boolean }> {
  const { nodeId, isDraining, reason, nowMs } = order;
  const member = await storageMember(metadata, clusterName, nodeId);
  const standing = await standingOf(metadata, clusterName, member);
  const { state } = standing.store;
  if (state === 'retired')
    throw refused(`node ${nodeId}: its store ${member.storeId} is retired already: it owns nothing for good`);
  if ((state === 'draining') === isDraining) return { ...standing, hasChanged: false };
  if (reason === '') throw noReason();
  const whileAnotherIsLeft = isDraining ? await conditionsOfAnother(metadata, clusterName, nodeId) : [];
  const record: StoreRecord = isDraining
    ? { state: 'draining', sinceMs: nowMs, partitionCount: standing.ownedCount }
    : { state: 'active' };
  const key = clusterKeys(clusterName).store(member.storeId);
  const message = isDraining
    ? `node ${nodeId} is being drained of ${standing.ownedCount} partitions`
    : `node ${nodeId} is no longer drained`;
  const audit = auditWrite(recordCodec(clusterName), {
    action: isDraining ? 'drain' : 'undrain',
    partitionId: null,
    reason,
    message,
  });
  const { isCommitted } = await metadata.commit({
    conditions: [{ key, revisionIs: standing.storeRevision }, ...whileAnotherIsLeft],
    writes: [{ kind: 'put', key, value: encodeStoreRecord(record) }, audit],
  });
  if (!isCommitted)
    throw new ForeshardError(
      'FORESHARD_CONFLICT',
      'retry',
      `node ${nodeId}: somebody has just changed what its store is, or that of another node; nothing was done, try again`,
    );
  return { ...standing, store: record, hasChanged: true };
}

/**
 * That a node which could take the partitions stays so until the order is given: of two orders at once that name each other's
 * node the later one is refused.
 */
async function conditionsOfAnother(
  metadata: MetadataStore,
  clusterName: string,
  nodeId: number,
): Promise<readonly MetadataCondition[]> {
  const keys = clusterKeys(clusterName);
  for (const { role, nodeId: other } of await listMembers(metadata, clusterName)) {
    if (role !== 'storage' || other === nodeId) continue;
    const key = keys.member(other);
    const entry = await metadata.get(key);
    if (entry === undefined) continue;
    const { storeId, stoppedAtMs } = decodeMember(entry.value);
    if (stoppedAtMs !== undefined) continue;
    const { record, revision } = await readStoreRecord(metadata, clusterName, storeId);
    if (record.state !== 'active') continue;
    return [
      { key, revisionIs: entry.revision },
      { key: keys.store(storeId), revisionIs: revision },
    ];
  }
  throw refused(
    `node ${nodeId}: no other storage node is left that could take its partitions: let one join first`,
  );
}

const refused = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFLICT', 're-read', `${message}; nothing was done`);
