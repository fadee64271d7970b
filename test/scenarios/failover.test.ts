/**
 * kill -9 of the coordinator's process in the middle of a migration: another query node is elected, finishes what was open,
 * and no acknowledged write is missing.
 */
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { clusterKeys } from '../../plugin/metadata/cluster-keys.ts';
import { ClusterMapReader } from '../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { CLUSTER, keysOf, NumberedWrites, openMigration, until } from '../support/scenario.ts';

const PARTITION_COUNT = 16;
const PARTITION = 2;
const [FIRST, SECOND] = [10_000, 10_001];
const LEASE_TTL_MS = 1_000;
/** One lease runs out, the next is won: the rest is for a busy machine. */
const TAKEOVER_MS_MAX = 4 * LEASE_TTL_MS;
/** Two seconds of copying: the lease runs out meanwhile. */
const FILLER_COUNT = 400;
const FILLER_BYTES = 1_000;

const test = suite('the coordinator’s process is killed in the middle of a migration');

test('another query node takes over within a few lease times and finishes what was open', async () => {
  const cluster = await LocalCluster.start({
    storageNodeCount: 2,
    partitionCount: PARTITION_COUNT,
    settings: {
      controller: { leaseTtlMs: LEASE_TTL_MS },
      migration: {
        copyBytesPerSecond: (FILLER_COUNT * FILLER_BYTES) / 2,
        readWeightHoldMs: 60,
        graceMs: 300,
        retryMsMax: 200,
        freeBytesReserve: 0,
      },
    },
  });
  const metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
  const reader = new ClusterMapReader(metadata, CLUSTER);
  const leader = async (): Promise<string | undefined> => {
    const entry = await metadata.get(clusterKeys(CLUSTER).coordinator);
    return entry && JSON.parse(Buffer.from(entry.value).toString()).candidate;
  };
  const clients: Redis[] = [];
  try {
    await until(async () => (await leader()) === `query-${FIRST}`, 'the first query node is elected');
    await cluster.restart(SECOND);
    for (const nodeId of [FIRST, SECOND]) {
      const { host, port } = cluster.addressOf(nodeId);
      // Of the node that is killed: no queue, no second attempt, so that an answer is an answer.
      const client = new Redis({
        host,
        port,
        lazyConnect: true,
        enableOfflineQueue: false,
        maxRetriesPerRequest: 0,
      });
      client.on('error', () => undefined);
      await client.connect();
      clients.push(client);
    }
    const [doomed, surviving] = clients as [Redis, Redis];
    const filler = keysOf(PARTITION, { partitionCount: PARTITION_COUNT, count: FILLER_COUNT + 8 });
    for (const key of filler.slice(8)) void surviving.set(key, 'x'.repeat(FILLER_BYTES));
    await surviving.ping();
    const writesOf = (client: Redis, keys: readonly string[]) => new NumberedWrites(client, keys);
    const [doomedWrites, writes] = [
      writesOf(doomed, filler.slice(0, 4)),
      writesOf(surviving, filler.slice(4, 8)),
    ];

    const sourceNodeId = await openMigration(metadata, { partitionId: PARTITION, targetNodeId: 1 });
    check.is(sourceNodeId, 0);
    const phaseNow = async () => (await reader.readPartition(PARTITION))?.migration?.phase;
    await until(async () => (await phaseNow()) === 'COPY', 'the copy begins');
    check.is(await leader(), `query-${FIRST}`);
    const killedAtMs = performance.now();
    await cluster.kill(FIRST);
    await doomedWrites.end();
    await until(async () => (await leader()) === `query-${SECOND}`, 'the second query node is elected');
    const takeoverMs = performance.now() - killedAtMs;
    check.ok(takeoverMs < TAKEOVER_MS_MAX, `${takeoverMs.toFixed(0)} ms`);
    const before = writes.acknowledgedCount;
    await until(async () => (await phaseNow()) === undefined, 'the end of the migration');
    await until(async () => writes.acknowledgedCount > before + 20, 'writes go on');
    await writes.end();

    const record = await reader.readPartition(PARTITION);
    check.is(record?.ownerNodeId, 1);
    check.is(record?.migrationSeq, 1, 'the one that was open, not another');
    check.ok(doomedWrites.acknowledgedCount > 0 && writes.acknowledgedCount > 0);
    check.equal(await doomedWrites.findLost(surviving), []);
    check.equal(await writes.findLost(), []);
    for (const key of filler.slice(8)) check.is((await surviving.get(key))?.length, FILLER_BYTES);
    const { openMigrationCount, doneCount } = await statusOf(cluster);
    check.equal([openMigrationCount, doneCount], [0, 1]);
  } finally {
    for (const client of clients) client.disconnect();
    await metadata.close();
    await cluster.stop();
  }
});

async function statusOf(cluster: LocalCluster) {
  const status = await cluster.control({ operation: 'migrationStatus' }, { nodeId: SECOND });
  return { openMigrationCount: status.open.length, doneCount: status.doneCount };
}

test.run();
