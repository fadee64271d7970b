import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { clusterKeys } from '../../../plugin/metadata/cluster-keys.ts';
import { ClusterMapReader, loadMap, NO_OWNER, readStoreState } from '../../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';
import { bootstrapCluster } from '../../../plugin/metadata/form-cluster.ts';
import { listNodes, registerNode } from '../../../plugin/metadata/node-registrations.ts';
import { recordCodec } from '../../../plugin/metadata/record-codec.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';

const test = suite<{ store: MetadataStore; path: string }>('cluster map');
const keys = clusterKeys('c');
const NODES = [0, 1, 2, 3].map((nodeId) => ({ nodeId, storeId: `store-${nodeId}` }));

test.before.each((context) => {
  context.path = mkdtempSync(join(tmpdir(), 'foreshard-map-'));
  context.store = openEmbeddedMetadata({ path: context.path });
});
test.after.each(async (context) => {
  await context.store.close();
  rmSync(context.path, { recursive: true, force: true });
});

async function codeOf(action: Promise<unknown>): Promise<string> {
  try {
    await action;
    return 'no error';
  } catch (error) {
    return error instanceof ForeshardError ? error.code : String(error);
  }
}

test('before it is formed, a cluster has no map', async ({ store }) => {
  check.is(await codeOf(loadMap(store, 'c')), 'FORESHARD_NOT_READY');
});

test('a formed cluster deals out contiguous runs at epoch 1', async ({ store }) => {
  await bootstrapCluster(store, 'c', { partitionCount: 256, nodes: NODES });
  const { map, records, quarantined } = await loadMap(store, 'c');
  check.equal(quarantined, []);
  check.is(map.ownerOf[63], 0);
  check.is(map.ownerOf[64], 1);
  check.ok(map.epochOf.every((epoch) => epoch === 1));
  check.is(records[255]?.ownerStoreId, 'store-3');
  check.is(await readStoreState(store, 'c', 'store-3'), 'active');
  check.is(await readStoreState(store, 'c', 'store-9'), undefined);
});

test('processes that form the cluster at once, or again, agree on one map', async ({ store }) => {
  await Promise.all([0, 1, 2].map(() => bootstrapCluster(store, 'c', { partitionCount: 128, nodes: NODES })));
  const first = await loadMap(store, 'c');
  await bootstrapCluster(store, 'c', { partitionCount: 128, nodes: NODES.slice(0, 2) });
  check.equal((await loadMap(store, 'c')).records, first.records);
  check.is(
    await codeOf(bootstrapCluster(store, 'c', { partitionCount: 64, nodes: NODES })),
    'FORESHARD_CONFIG',
  );
});

test('a forming that crashed half way is completed by the next', async ({ store }) => {
  await bootstrapCluster(store, 'c', { partitionCount: 16, nodes: NODES });
  await store.commit({
    conditions: [],
    writes: [keys.cluster, keys.map(3), keys.map(9)].map((key) => ({ kind: 'delete', key })),
  });
  await bootstrapCluster(store, 'c', { partitionCount: 16, nodes: NODES });
  check.equal((await loadMap(store, 'c')).quarantined, []);
});

test('a record that does not validate quarantines its partition alone', async ({ store }) => {
  await bootstrapCluster(store, 'c', { partitionCount: 16, nodes: NODES });
  const reader = new ClusterMapReader(store, 'c');
  const good = (await reader.load()).records[5];
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const bad: [number, Uint8Array][] = [
    [1, new Uint8Array([0xff, 0xfe])],
    [2, encode({ ...good, v: 1 })], // speaks of partition 5
    [3, encode({ ...good, v: 1, partitionId: 3, epoch: -1 })],
    [4, encode({ ...good, v: 2, partitionId: 4 })],
  ];
  await store.commit({
    conditions: [],
    writes: bad.map(([p, value]) => ({ kind: 'put', key: keys.map(p), value })),
  });
  const { map, records, quarantined } = await reader.load();
  check.equal(
    quarantined.map(({ partitionId }) => partitionId),
    [1, 2, 3, 4],
  );
  check.is(map.ownerOf[1], NO_OWNER);
  check.is(records[4], null);
  check.equal(records[5], good);
  check.is(await codeOf(reader.readPartition(2)), 'FORESHARD_CORRUPT');
});

test('every field of an open migration survives the way through the store', async ({ store }) => {
  await bootstrapCluster(store, 'c', { partitionCount: 16, nodes: NODES });
  const codec = recordCodec('c');
  const base = (await loadMap(store, 'c')).records[7];
  const digest = { entryCount: 2, sizeBytes: 20, buckets: ['0123456789abcdef', 'ffffffffffffffff'] };
  const record = {
    ...base,
    migrationSeq: 3,
    migration: {
      migrationId: 3,
      sourceNodeId: 1,
      sourceStoreId: 'store-1',
      targetNodeId: 2,
      targetStoreId: 'store-2',
      phase: 'FENCED',
      phaseAtMs: 12.5,
      startedAtMs: 1,
      digestSeed: '00ff00ff00ff00ff',
      fenceLsn: 9,
      fenceDigest: digest,
      verified: { lsn: 8, digest },
      readWeight: 0.25,
      notBeforeMs: 0,
      reason: 'hot',
      attempt: 2,
    },
  } as unknown as Parameters<typeof codec.encodePartition>[0];
  check.equal(codec.decodePartition(7, codec.encodePartition(record)), record);
});

test('a node that starts again replaces its registration', async ({ store }) => {
  const node = {
    nodeId: 1,
    role: 'storage',
    host: '127.0.0.1',
    port: 7000,
    storeId: 'store-1',
    incarnation: 'a',
    version: '0.1.0',
    startedAtMs: 5,
  } as const;
  await registerNode(store, 'c', { ...node, nodeId: 10 });
  await registerNode(store, 'c', node);
  await registerNode(store, 'c', { ...node, port: 7001, incarnation: 'b' });
  await store.commit({
    conditions: [],
    writes: [{ kind: 'put', key: keys.node(2), value: new Uint8Array([1]) }],
  });
  check.equal(
    (await listNodes(store, 'c')).map(({ nodeId, port }) => [nodeId, port]),
    [
      [1, 7001],
      [10, 7000],
    ],
  );
});

test.run();
