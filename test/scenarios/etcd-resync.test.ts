/** A real snapshot of etcd, restored after the map has gone on: nobody acts by it until an operator has mended it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { RpcTransport } from '../../plugin/engines/migration-agent/rpc-transport.ts';
import { loadMap } from '../../plugin/metadata/cluster-map.ts';
import { openEtcdMetadata } from '../../plugin/metadata/etcd/etcd-metadata.ts';
import { NodeDirectory } from '../../plugin/metadata/node-directory.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { hasEtcd, LocalEtcd } from '../../plugin/node/local/local-etcd.ts';
import { QUERY_NODE_ID_MIN } from '../../plugin/node/node-options.ts';
import { type ResyncOptions, resync } from '../../plugin/operator/resync/resync-command.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import { DEFAULT_SETTINGS } from '../../src/settings.ts';
import { requireOrSkip } from '../support/require.ts';
import { CLUSTER, keysOf, openMigration, until } from '../support/scenario.ts';

const PARTITION_COUNT = 16;
const [MOVED, COPIED] = [0, 1] as const;
const NODES = [0, 1, QUERY_NODE_ID_MIN] as const;

const test = suite('etcd restored from an old snapshot');

const keyOf = (partitionId: number): string =>
  keysOf(partitionId, { partitionCount: PARTITION_COUNT, count: 1 })[0] as string;

if (requireOrSkip('etcd', hasEtcd()))
  test('is refused by those who knew better, and by those who start, until it is resynced', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'foreshard-etcd-resync-'));
    const etcd = await LocalEtcd.start();
    const open = () => openEtcdMetadata({ endpoints: etcd.endpoints, requestTimeoutMs: 1_000 });
    let metadata = open();
    let cluster: LocalCluster | null = null;
    try {
      cluster = await startCluster(etcd);
      const client = new Redis({ port: cluster.port });
      const recordOf = async (partitionId: number): Promise<PartitionRecord> =>
        (await loadMap(metadata, CLUSTER)).records[partitionId] as PartitionRecord;

      await client.set(keyOf(MOVED), 'before');
      const snapshot = join(folder, 'snapshot.db');
      etcd.saveSnapshot(snapshot);

      // The map goes on: one partition is moved, and another is being copied.
      await openMigration(metadata, { partitionId: MOVED, targetNodeId: 1 });
      await until(async () => (await recordOf(MOVED)).ownerNodeId === 1, 'the partition is moved');
      await until(async () => (await recordOf(MOVED)).migration === null, 'its migration is over');
      check.is(await client.set(keyOf(MOVED), 'after'), 'OK');
      await client.set(keyOf(COPIED), 'x'.repeat(200_000));
      await openMigration(metadata, { partitionId: COPIED, targetNodeId: 1 });
      await until(async () => (await recordOf(COPIED)).migration?.phase === 'COPY', 'the copy is under way');
      await until(
        async () => ((await recordOf(COPIED)).migration?.phaseAtMs ?? 0) > 0,
        'it stands in the map',
      );

      await etcd.restoreSnapshot(snapshot);
      const running = cluster;
      // Who knew better serves on by what it knew.
      const refusal = /has been at \d+: was it restored from a backup\?.*foreshard resync/;
      await until(
        async () => refusal.test(running.log(QUERY_NODE_ID_MIN)),
        'the query node says what is wrong',
      );
      check.is(await client.get(keyOf(MOVED)), 'after');
      client.disconnect();

      for (const nodeId of NODES) await cluster.kill(nodeId);
      await metadata.close();
      metadata = open();
      const starting = Promise.all([cluster.restart(0), cluster.restart(1)]);
      starting.catch(() => {});
      await until(
        async () => /older than this store/.test(running.log(1)),
        'a node that starts refuses to serve',
      );

      const order = (options: ResyncOptions) => orderResync(metadata, options);
      const dry = await orderUntilAnswered(() => order({ isConfirmed: false, reason: '', without: [] }));
      check.match(dry.join('\n'), /partition 0: owner 0 at epoch 1 becomes 1 at epoch 2/);
      check.match(dry.join('\n'), /partition 1: .*migration 1 is aborted/);
      check.match(dry.at(-1) as string, /2 of 16 records would be changed: nothing was done/);
      check.is((await recordOf(MOVED)).ownerNodeId, 0);

      const done = await order({ isConfirmed: true, reason: 'restored on purpose', without: [] });
      check.match(done.at(-1) as string, /2 of 16 records were changed/);
      await starting;
      await cluster.restart(QUERY_NODE_ID_MIN);
      const late = new Redis({ port: cluster.port });
      check.is(await late.get(keyOf(MOVED)), 'after');
      check.is(await late.set(keyOf(COPIED), 'v'), 'OK');
      late.disconnect();
      // The copy that nobody knew of any more is dropped, and both partitions are moved as ever.
      await until(async () => (await recordOf(COPIED)).migration === null, 'the copy is given up');
      for (const [partitionId, targetNodeId] of [
        [MOVED, 0],
        [COPIED, 1],
      ] as const) {
        await openMigration(metadata, { partitionId, targetNodeId });
        await until(
          async () => (await recordOf(partitionId)).ownerNodeId === targetNodeId,
          'a move after it',
        );
      }
      check.is((await recordOf(MOVED)).epoch, 3);
    } finally {
      await metadata.close();
      await cluster?.stop();
      await etcd.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

test.run();

const startCluster = (etcd: LocalEtcd): Promise<LocalCluster> =>
  LocalCluster.start({
    storageNodeCount: 2,
    partitionCount: PARTITION_COUNT,
    settings: {
      controller: { leaseTtlMs: 1_000, executorIntervalMs: 50 },
      migration: {
        copyBytesPerSecond: 20_000,
        readWeightSteps: [1],
        readWeightHoldMs: 50,
        graceMs: 100,
        residenceMs: 0,
        freeBytesReserve: 0,
        quarantineMs: 1_000,
      },
      metadata: { kind: 'etcd', endpoints: etcd.endpoints },
    },
  });

async function orderResync(
  metadata: ReturnType<typeof openEtcdMetadata>,
  options: ResyncOptions,
): Promise<string[]> {
  const directory = await NodeDirectory.open(metadata, CLUSTER);
  const transport = new RpcTransport({
    identity: { clusterId: CLUSTER, nodeId: 0, role: 'operator' },
    addressOf: (nodeId) => directory.addressOf(nodeId),
  });
  try {
    const cluster = { ...DEFAULT_SETTINGS.cluster, storageNodeCount: 2, partitionCount: PARTITION_COUNT };
    return await resync({ cluster }, { metadata, transport }, options);
  } finally {
    await transport.close();
    directory.close();
  }
}

/** Both nodes have to have announced themselves. */
async function orderUntilAnswered(order: () => Promise<string[]>): Promise<string[]> {
  let answer: string[] | null = null;
  await until(async () => {
    answer = await order().catch(() => null);
    return answer !== null;
  }, 'both nodes say what they hold');
  return answer as unknown as string[];
}
