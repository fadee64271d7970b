/** What a storage node waits for before it serves: a cluster, a map that is not older than its store, roles that agree with it. */
import { ForeshardError } from '../../../src/base/errors.ts';
import type { LmdbPartitionStore } from '../../engines/lmdb/lmdb-partition-store.ts';
import { reconcileRoles } from '../../engines/migration-agent/reconcile-roles.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { ClusterMapReader } from '../../metadata/cluster-map.ts';
import { isNotPermitted } from '../../metadata/etcd/faults.ts';
import { bootstrapCluster } from '../../metadata/form-cluster.ts';
import { awaitedText, readFounders } from '../../metadata/founders.ts';
import { whyBehind } from '../../metadata/map-behind.ts';
import { assertNotClosing, type StorageNodeComponents, type StorageNodeOptions } from '../node-options.ts';

/** How long a node waits for the others that a new cluster needs. */
const FORM_CLUSTER_MS_MAX = 60_000;
/** A hint says when to look again; this is for hints that never came. */
const FORM_CLUSTER_LOOK_MS = 250;
/** A map that an operator has to mend is looked at so often. */
const MAP_LOOK_MS = 500;

/** Whoever sees that all nodes are there forms the cluster; doing it twice does nothing. */
export async function waitForCluster(
  { clusterId, partitionCount, storageNodeCount }: StorageNodeOptions,
  { metadata, clock, closing, onWaiting }: StorageNodeComponents,
): Promise<void> {
  const keys = clusterKeys(clusterId);
  const deadlineMs = clock.monotonicMs() + FORM_CLUSTER_MS_MAX;
  let wake = (): void => {};
  const unwatch = metadata.watch(keys.nodePrefix, () => wake());
  try {
    for (;;) {
      assertNotClosing(closing);
      const hint = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const isFormed = (await metadata.get(keys.cluster)) !== undefined;
      const founders = isFormed
        ? { present: [], missing: [] }
        : await readFounders(metadata, clusterId, storageNodeCount);
      if (founders.missing.length === 0)
        try {
          return await bootstrapCluster(metadata, clusterId, { partitionCount, nodes: founders.present });
        } catch (error) {
          // Where storage nodes may not write the map, a query node forms the cluster.
          if (!isNotPermitted(error)) throw error;
        }
      onWaiting?.(awaitedText(founders));
      if (clock.monotonicMs() > deadlineMs)
        throw new ForeshardError(
          'FORESHARD_NOT_READY',
          'retry',
          `${awaitedText(founders)}: start the others, and this one again`,
        );
      await Promise.race([hint, clock.sleep(FORM_CLUSTER_LOOK_MS)]);
    }
  } finally {
    unwatch();
  }
}

/**
 * A map that knows less than this store was restored from a backup. By such a map nobody may act: the node stands, and says to
 * `foreshard resync` what it has, until the map is right.
 */
export async function waitForMap(
  store: LmdbPartitionStore,
  { clusterId }: StorageNodeOptions,
  { metadata, logger, clock, closing, onWaiting }: StorageNodeComponents,
): Promise<void> {
  const reader = new ClusterMapReader(metadata, clusterId);
  for (let isTold = false; ; isTold = true) {
    assertNotClosing(closing);
    const { records } = await reader.load();
    const behind = records.flatMap((record) => {
      const why = record && whyBehind(store.meta(record.partitionId), record, store.storeId);
      return why ? [`partition ${record.partitionId}: the map says ${why}`] : [];
    });
    if (behind.length === 0) return;
    const why =
      'the map is older than this store: it was restored from a backup. The node does not serve until `foreshard resync` has mended it';
    if (!isTold) logger.error({ count: behind.length, first: behind[0] }, why);
    onWaiting?.(why);
    await clock.sleep(MAP_LOOK_MS);
  }
}

/** Brings the roles of this store's partitions in line with the map, which may have moved on while the node was down. */
export async function takeRoles(
  store: LmdbPartitionStore,
  { clusterId }: StorageNodeOptions,
  { metadata, logger }: StorageNodeComponents,
): Promise<void> {
  const { records, quarantined } = await new ClusterMapReader(metadata, clusterId).load();
  for (const { partitionId, why } of quarantined)
    logger.error(
      { partitionId, why },
      'the record of a partition is not valid: it keeps the role this store last recorded, and is not migrated',
    );
  for (const { partitionId, before, after } of await reconcileRoles(store, records))
    if (before !== 'NONE')
      logger.warn({ partitionId, before, after }, 'a role was brought in line with the map');
}
