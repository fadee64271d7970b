import { setTimeout as delay } from 'node:timers/promises';
import { ForeshardError } from '../../../src/base/errors.ts';
import { buildRoutingTable, type RoutingTable } from '../../../src/routing/routing-table.ts';
import type { ClusterMapReader } from '../../metadata/cluster-map.ts';
import { bootstrapCluster } from '../../metadata/form-cluster.ts';
import { awaitedText, readFounders } from '../../metadata/founders.ts';
import { assertNotClosing, type QueryNodeComponents, type QueryNodeOptions } from '../node-options.ts';

const FORMING_POLL_MS = 25;
const FORMING_TIMEOUT_MS = 60_000;

/**
 * The map a query node begins with: waits until the cluster has been formed, and forms it once all storage nodes are there.
 *
 * @throws ForeshardError FORESHARD_NOT_READY when they do not come, FORESHARD_CONFIG when the cluster has other partitions.
 */
export async function loadFirstTable(
  reader: ClusterMapReader,
  options: QueryNodeOptions,
  { metadata, clock, closing, logger, onWaiting }: QueryNodeComponents,
): Promise<RoutingTable> {
  const deadlineMs = clock.monotonicMs() + FORMING_TIMEOUT_MS;
  let isWaitTold = false;
  for (;;) {
    assertNotClosing(closing);
    try {
      const loaded = await reader.load();
      if (loaded.map.partitionCount !== options.partitionCount)
        throw new ForeshardError(
          'FORESHARD_CONFIG',
          'fix-config',
          `cluster.partitionCount: the cluster was formed with ${loaded.map.partitionCount} partitions, the settings say ${options.partitionCount}: set it to ${loaded.map.partitionCount}`,
        );
      return buildRoutingTable(loaded.records, loaded.map.partitionCount);
    } catch (error) {
      if (!(error instanceof ForeshardError) || error.code !== 'FORESHARD_NOT_READY') throw error;
    }
    const founders = await readFounders(metadata, options.clusterId, options.storageNodeCount);
    if (founders.missing.length === 0) {
      const { clusterId, partitionCount } = options;
      await bootstrapCluster(metadata, clusterId, { partitionCount, nodes: founders.present });
      continue;
    }
    onWaiting?.(awaitedText(founders));
    if (!isWaitTold) logger.info({ timeoutMs: FORMING_TIMEOUT_MS }, awaitedText(founders));
    isWaitTold = true;
    if (clock.monotonicMs() > deadlineMs)
      throw new ForeshardError(
        'FORESHARD_NOT_READY',
        'wait',
        `${awaitedText(founders)}, for ${FORMING_TIMEOUT_MS} ms in vain: start them (\`foreshard node --role storage\`, each with its own --node-id and --data-dir) and this node again, or set cluster.storageNodeCount`,
      );
    await delay(FORMING_POLL_MS);
  }
}
