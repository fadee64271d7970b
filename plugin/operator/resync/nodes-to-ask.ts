import { silentLogger } from '../../../src/base/logger.ts';
import { type Leftover, listLeftovers } from '../../../src/migration/leftovers.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { LoadedMap } from '../../metadata/cluster-map.ts';
import { listMembers } from '../../metadata/members.ts';
import { listNodes } from '../../metadata/node-registrations.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { listStoreRecords } from '../../metadata/store-records.ts';

export interface NodesToAsk {
  /** Sorted. A node that starts writes its `member/` and `node/` before it waits for the map, so who joined after the backup is here. */
  readonly nodeIds: readonly number[];
  /** Of these: who need not answer, since the stores that are known of it were retired and the map gives it nothing. */
  readonly excused: ReadonlySet<number>;
  readonly leftovers: readonly Leftover[];
}

/** Every storage node that any record names. */
export async function nodesToAsk(
  metadata: MetadataStore,
  { name, storageNodeCount }: { readonly name: string; readonly storageNodeCount: number },
  { records }: Pick<LoadedMap, 'records'>,
): Promise<NodesToAsk> {
  const [members, registered, leftovers, stores] = await Promise.all([
    listMembers(metadata, name),
    listNodes(metadata, name),
    listLeftovers({ metadata, codec: recordCodec(name), logger: silentLogger }),
    listStoreRecords(metadata, name),
  ]);
  const known = new Set<number>();
  const needed = new Set<number>();
  const isRetired = (storeId: string): boolean => stores.get(storeId)?.state === 'retired';
  const note = (nodeId: number, storeId: string): void => {
    known.add(nodeId);
    if (!isRetired(storeId)) needed.add(nodeId);
  };
  for (const { role, nodeId, storeId } of [...members, ...registered])
    if (role === 'storage') note(nodeId, storeId);
  for (const { storeId, cleanup } of leftovers)
    if (cleanup.nodeId !== undefined) note(cleanup.nodeId, storeId);
  // A founder has a member record from its first start until it is removed, and then its retired store names it.
  const removed = new Set([...stores.values()].flatMap(({ nodeId }) => nodeId ?? []));
  for (let nodeId = 0; nodeId < storageNodeCount; nodeId++)
    if (!known.has(nodeId) && !removed.has(nodeId)) needed.add(nodeId);
  // By the map also a retired store can own: a takeover has taken one of its partitions so far.
  for (const record of records) {
    if (!record) continue;
    needed.add(record.ownerNodeId);
    if (record.migration) needed.add(record.migration.sourceNodeId).add(record.migration.targetNodeId);
  }
  const nodeIds = [...new Set([...known, ...removed, ...needed])].sort((a, b) => a - b);
  return { nodeIds, excused: new Set(nodeIds.filter((nodeId) => !needed.has(nodeId))), leftovers };
}
