/**
 * kill -9 of a storage node in the middle of a migration, under write load through the real query node: afterwards the map
 * is whole, every role agrees with it, and no acknowledged write is missing.
 */
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { RpcStorageEngine } from '../../plugin/engines/lmdb/rpc-storage-engine.ts';
import { RpcTransport } from '../../plugin/engines/lmdb/rpc-transport.ts';
import { ClusterMapReader, clusterKeys } from '../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { NodeDirectory } from '../../plugin/metadata/node-directory.ts';
import { LocalCluster } from '../../plugin/node/local-cluster.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../src/model/ids.ts';
import type { MigrationPhase, PartitionRecord } from '../../src/model/migration.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { CLUSTER, keysOf, NumberedWrites, openMigration, sleep, until } from '../support/scenario.ts';

const NODE_COUNT = 3;
const PARTITION_COUNT = 16;
const PARTITION = 2;
const DOWN_MS = 200;
/** Some 400 KiB, copied in about a second: a copy that can be interrupted. */
const FILLER_COUNT = 400;
const FILLER_BYTES = 1_000;

const test = suite('a storage node is killed in the middle of a migration');

async function rolesOf(metadata: MetadataStore, record: PartitionRecord): Promise<string[]> {
  const directory = await NodeDirectory.open(metadata, CLUSTER);
  const transport = new RpcTransport({
    identity: { clusterId: CLUSTER, nodeId: 20_000, role: 'operator' },
    addressOf: (nodeId) => directory.addressOf(nodeId),
  });
  const engine = new RpcStorageEngine(transport);
  const command = {
    partitionId: asPartitionId(record.partitionId),
    migrationId: Math.max(1, record.migrationSeq),
    epoch: asEpoch(record.epoch),
  };
  const roles: string[] = [];
  for (let nodeId = 0; nodeId < NODE_COUNT; nodeId++)
    roles.push((await engine.status(asNodeId(nodeId), command)).role);
  await transport.close();
  directory.close();
  return roles;
}

const CASES: readonly { victim: 'source' | 'target'; phase: MigrationPhase }[] = [
  { victim: 'target', phase: 'COPY' },
  { victim: 'source', phase: 'COPY' },
  { victim: 'source', phase: 'SHIFT' },
  { victim: 'target', phase: 'GRACE' },
];

test('the map stays whole and every acknowledged write is there, whichever side dies in whichever phase', async () => {
  const cluster = await LocalCluster.start({
    storageNodeCount: NODE_COUNT,
    partitionCount: PARTITION_COUNT,
    settings: {
      migration: {
        copyBytesPerSecond: FILLER_COUNT * FILLER_BYTES,
        readWeightHoldMs: 60,
        graceMs: 300,
        unreachableMs: 10_000,
        prepareTimeoutMs: 10_000,
        fenceBudgetMs: 2_000,
        retryMsMax: 200,
        freeBytesReserve: 0,
      },
    },
  });
  const metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
  const reader = new ClusterMapReader(metadata, CLUSTER);
  const client = new Redis({ host: cluster.host, port: cluster.port, lazyConnect: true });
  try {
    await client.connect();
    const filler = keysOf(PARTITION, { partitionCount: PARTITION_COUNT, count: FILLER_COUNT });
    await Promise.all(filler.map((key) => client.set(`${key}:filler`, 'x'.repeat(FILLER_BYTES))));
    const load = new NumberedWrites(
      client,
      [PARTITION, 0, 15].flatMap((partitionId) =>
        keysOf(partitionId, { partitionCount: PARTITION_COUNT, count: 4 }),
      ),
    );
    for (const { victim, phase } of CASES) {
      const record = await reader.readPartition(PARTITION);
      const sourceNodeId = record?.ownerNodeId as number;
      const targetNodeId = (sourceNodeId + 1) % NODE_COUNT;
      await openMigration(metadata, { partitionId: PARTITION, targetNodeId });
      const phaseNow = async () => (await reader.readPartition(PARTITION))?.migration?.phase;
      await until(async () => (await phaseNow()) === phase, `phase ${phase}`);
      const victimId = victim === 'source' ? sourceNodeId : targetNodeId;
      const before = load.acknowledgedCount;
      await cluster.kill(victimId);
      await sleep(DOWN_MS);
      await cluster.restart(victimId);
      await until(
        async () => (await phaseNow()) === undefined,
        `the end of the migration whose ${victim} died in ${phase}`,
      );
      await until(async () => load.acknowledgedCount > before + 20, 'writes go on');
      const after = (await reader.readPartition(PARTITION)) as PartitionRecord;
      const expected = [0, 1, 2].map((nodeId) => (nodeId === after.ownerNodeId ? 'OWNER' : 'NONE'));
      check.equal(await rolesOf(metadata, after), expected, `${victim} died in ${phase}`);
    }
    await load.end();
    check.equal(await load.findLost(), []);
    check.ok(load.acknowledgedCount > 200, `${load.acknowledgedCount} writes`);
    for (const key of filler) check.is((await client.get(`${key}:filler`))?.length, FILLER_BYTES);
    const { map, quarantined, records } = await reader.load();
    check.equal(quarantined, []);
    check.ok(map.ownerOf.every((owner) => owner >= 0 && owner < NODE_COUNT));
    check.ok(records.every((record) => record?.migration === null));
    const { entries } = await metadata.list(clusterKeys(CLUSTER).cleanupPrefix);
    check.equal(entries, []);
  } finally {
    client.disconnect();
    await metadata.close();
    await cluster.stop();
  }
});

test.run();
