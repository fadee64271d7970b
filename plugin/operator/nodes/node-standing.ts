import { parseCleanupKey } from '../../../src/migration/leftovers.ts';
import { isOpen } from '../../../src/migration/records/record-changes.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { loadMap } from '../../metadata/cluster-map.ts';
import type { Member } from '../../metadata/members.ts';
import { readStoreRecord, type StoreRecord } from '../../metadata/store-records.ts';
import { counted } from '../units-text.ts';

/** What a storage node still has to do with the cluster. */
export interface NodeStanding {
  readonly nodeId: number;
  readonly storeId: string;
  readonly store: StoreRecord;
  /** Of the store's record; 0 where there is none. */
  readonly storeRevision: number;
  readonly ownedCount: number;
  /** Of these, on their way to another node. */
  readonly leavingCount: number;
  /** Open migrations that bring something. */
  readonly arrivingCount: number;
  /** Old copies that follow their new owner until the way back ends. */
  readonly followingCount: number;
  /** When the last of these may be removed. */
  readonly followingUntilMs: number | null;
  /** Copies that are still to be removed from its disk. */
  readonly leftoverCount: number;
}

export const isEmpty = (standing: NodeStanding): boolean =>
  standing.ownedCount + standing.arrivingCount + standing.followingCount + standing.leftoverCount === 0;

/** The store's record is read before the map: what the map did not name then, nobody gives to the store while its record stands. */
export async function standingOf(
  metadata: MetadataStore,
  clusterName: string,
  { nodeId, storeId }: Member,
): Promise<NodeStanding> {
  const { record: store, revision: storeRevision } = await readStoreRecord(metadata, clusterName, storeId);
  const { records } = await loadMap(metadata, clusterName);
  const { entries } = await metadata.list(clusterKeys(clusterName).cleanupPrefix);
  const owned = records.filter((record) => record?.ownerStoreId === storeId);
  const open = records.filter(isOpen).map(({ ownerStoreId, migration }) => ({ ownerStoreId, migration }));
  const following = open.filter(
    ({ ownerStoreId, migration }) => migration.sourceStoreId === storeId && ownerStoreId !== storeId,
  );
  const isOpenHere = new Set(
    records.filter(isOpen).map(({ partitionId, migration }) => `${partitionId}/${migration.migrationId}`),
  );
  const leftovers = entries.flatMap(({ key }) => {
    const named = parseCleanupKey(key, clusterKeys(clusterName).cleanupPrefix);
    return named?.storeId === storeId && !isOpenHere.has(`${named.partitionId}/${named.migrationId}`)
      ? [named]
      : [];
  });
  return {
    nodeId,
    storeId,
    store,
    storeRevision,
    ownedCount: owned.length,
    leavingCount: owned.filter((record) => record?.migration?.sourceStoreId === storeId).length,
    arrivingCount: open.filter(
      ({ ownerStoreId, migration }) => migration.targetStoreId === storeId && ownerStoreId !== storeId,
    ).length,
    followingCount: following.length,
    followingUntilMs:
      following.length === 0 ? null : Math.max(...following.map(({ migration }) => migration.notBeforeMs)),
    leftoverCount: leftovers.length,
  };
}

/** Such as `node 3: 3 of 17 partitions left, 1 on its way`. */
export function standingText(standing: NodeStanding): string {
  const { nodeId, store, ownedCount, leavingCount, arrivingCount, followingCount, leftoverCount } = standing;
  if (isEmpty(standing))
    return `node ${nodeId} is empty: stop it, then \`foreshard remove ${nodeId}\` takes it out of the cluster`;
  const of = store.partitionCount === undefined ? '' : ` of ${Math.max(store.partitionCount, ownedCount)}`;
  const facts = [`${ownedCount}${of} partitions left`];
  if (leavingCount > 0) facts.push(`${leavingCount} on ${leavingCount === 1 ? 'its' : 'their'} way`);
  if (arrivingCount > 0) facts.push(`${counted(arrivingCount, 'migration')} to it still open`);
  if (followingCount > 0) {
    const until = standing.followingUntilMs ?? 0;
    const when =
      until > 0 ? ` until ${new Date(until).toISOString().slice(0, 19).replace('T', ' ')} UTC` : '';
    facts.push(
      `${followingCount} old ${followingCount === 1 ? 'copy' : 'copies'} kept for a way back${when}`,
    );
  }
  if (leftoverCount > 0) facts.push(`${leftoverCount} still to be removed from its disk`);
  return `node ${nodeId}: ${facts.join(', ')}`;
}
