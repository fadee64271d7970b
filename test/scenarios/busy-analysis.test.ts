/**
 * An analysis thread that computes for three seconds at a time, as a large plan would: migrations pass their fences beside it,
 * and the coordinator stays in office, though both have less time than that. They have more than by default, so that a
 * machine with too much to do does not count as a fault.
 */
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { clusterKeys } from '../../plugin/metadata/cluster-keys.ts';
import { ClusterMapReader } from '../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { decodeHistory } from '../../plugin/metadata/record-codec.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { repositoryFile } from '../support/repository.ts';
import { CLUSTER, keysOf, NumberedWrites, openMigration, until } from '../support/scenario.ts';

const PARTITION_COUNT = 16;
/** Of the first node, which owns 0..7. */
const PARTITIONS = [1, 3, 5];
/** Renewed three times within it: less than one stretch of computing. */
const LEASE_TTL_MS = 2_400;
const FENCE_BUDGET_MS = 2_000;

const test = suite('the analysis thread computes for seconds at a time');

test('migrations pass their fences beside it, and the lease is kept', async () => {
  const cluster = await LocalCluster.start({
    storageNodeCount: 2,
    partitionCount: PARTITION_COUNT,
    nodeFlags: ['--require', repositoryFile('test/support/busy-analysis.cjs')],
    settings: {
      controller: { leaseTtlMs: LEASE_TTL_MS },
      migration: { fenceBudgetMs: FENCE_BUDGET_MS, readWeightHoldMs: 20, graceMs: 100, freeBytesReserve: 0 },
    },
  });
  const metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
  const reader = new ClusterMapReader(metadata, CLUSTER);
  const client = new Redis({ host: cluster.host, port: cluster.port, lazyConnect: true });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const term = async () => (await metadata.get(clusterKeys(CLUSTER).coordinator))?.createRevision;
    await until(async () => (await term()) !== undefined, 'the query node is elected');
    const termBefore = await term();
    const keys = PARTITIONS.flatMap((partitionId) =>
      keysOf(partitionId, { partitionCount: PARTITION_COUNT, count: 3 }),
    );
    const writes = new NumberedWrites(client, keys);
    // One after another, at any moment of the stretch.
    for (const partitionId of PARTITIONS) {
      await openMigration(metadata, { partitionId, targetNodeId: 1 });
      const isOver = async () => (await reader.readPartition(partitionId))?.migration === null;
      await until(isOver, `the end of partition ${partitionId}'s migration`);
    }
    await writes.end();

    const { entries } = await metadata.list(clusterKeys(CLUSTER).historyPrefix);
    const histories = entries.map(({ value }) => decodeHistory(value));
    check.equal(
      histories.map(({ partitionId, outcome }) => [partitionId, outcome]),
      PARTITIONS.map((partitionId) => [partitionId, 'done']),
    );
    for (const { fenceSeconds } of histories) check.ok((fenceSeconds ?? 9) * 1000 < FENCE_BUDGET_MS);
    check.is(await term(), termBefore, 'the same term');
    check.equal(await writes.findLost(), []);
    // Whoever asks how they stand does not wait for the analysis thread either.
    const askedMs = performance.now();
    check.is((await cluster.control({ operation: 'migrationStatus' })).doneCount, PARTITIONS.length);
    check.ok(performance.now() - askedMs < FENCE_BUDGET_MS);
  } finally {
    client.disconnect();
    await metadata.close();
    await cluster.stop();
  }
});

test.run();
