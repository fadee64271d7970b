/** Migrations between real LMDB stores over real sockets, in one process. */
import { createHash } from 'node:crypto';
import * as check from 'uvu/assert';
import type { MigrationCluster } from '../../../../bench/migration-cluster.ts';
import { clusterKeys } from '../../../../plugin/metadata/cluster-keys.ts';
import { decodeHistory } from '../../../../plugin/metadata/record-codec.ts';
import type { MigrationHistory } from '../../../../src/migration/records/records.ts';
import { clusterSuite, open, PARTITION, TAG } from './support.ts';

const test = clusterSuite('migration over lmdb');

const entriesOf = (count: number, valueBytes: number, first = 0) =>
  Array.from({ length: count }, (_, i) => ({
    key: `${TAG}:${first + i}`,
    value: Buffer.alloc(valueBytes, first + i),
  }));

/** What a node has of the partition: how many entries, and a hash of them all (a difference of maps would fill the screen). */
function contentOf(
  cluster: MigrationCluster,
  nodeId: number,
): { readonly entryCount: number; readonly hash: string } {
  const snapshot = cluster.storeOf(nodeId).openSnapshot(PARTITION);
  const hash = createHash('sha256');
  let entryCount = 0;
  for (let cursor: Uint8Array | null = null; ; ) {
    const entries = snapshot.read(cursor, 1 << 20);
    for (const { key, value } of entries)
      hash.update(`${key.length},${value.length};`).update(key).update(value);
    entryCount += entries.length;
    const last = entries[entries.length - 1];
    if (!last) break;
    cursor = last.key;
  }
  snapshot.close();
  return { entryCount, hash: hash.digest('hex') };
}

async function historyOf(cluster: MigrationCluster): Promise<MigrationHistory[]> {
  const { entries } = await cluster.metadata.list(clusterKeys('local').historyPrefix);
  return entries.map((entry) => decodeHistory(entry.value));
}

test('a partition moves with all its entries, and nothing is left behind', async (context) => {
  const cluster = await open(context);
  cluster.write(0, entriesOf(500, 100));
  const before = contentOf(cluster, 0);
  await cluster.move(PARTITION, 1);
  await cluster.waitUntilStable();
  check.equal(contentOf(cluster, 1), before);
  check.is(contentOf(cluster, 0).entryCount, 0);
  check.is(cluster.storeOf(0).meta(PARTITION).role, 'NONE');
  check.is(cluster.storeOf(1).meta(PARTITION).role, 'OWNER');
  const { records, map } = await cluster.loadMap();
  check.is(map.ownerOf[PARTITION], 1);
  check.is(map.epochOf[PARTITION], 2);
  check.is(records[PARTITION]?.migration, null);
  const { entries } = await cluster.metadata.list(clusterKeys('local').cleanupPrefix);
  check.equal(entries, []);
  const [history] = await historyOf(cluster);
  check.is(history?.outcome, 'done');
  check.is(history?.fenceLsn, 500);
  check.ok((history?.copiedBytes ?? 0) > 500 * 100);
});

test('writes made while it moves are in the new copy, whichever owner took them', async (context) => {
  const cluster = await open(context);
  cluster.write(0, entriesOf(300, 50));
  await cluster.move(PARTITION, 1);
  let written = 300;
  let takenByTarget = 0;
  while ((await cluster.loadMap()).records[PARTITION]?.migration !== null || takenByTarget === 0) {
    const owner = [0, 1].find((nodeId) => cluster.storeOf(nodeId).meta(PARTITION).role === 'OWNER');
    if (owner !== undefined) {
      cluster.write(owner, entriesOf(1, 50, written++));
      takenByTarget += owner;
    }
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  await cluster.waitUntilStable();
  check.is(contentOf(cluster, 1).entryCount, written);
  check.is(cluster.storeOf(1).meta(PARTITION).lsn, written);
});

test('there and back again', async (context) => {
  const cluster = await open(context);
  cluster.write(0, entriesOf(50, 20));
  const before = contentOf(cluster, 0);
  for (const target of [1, 0, 1]) {
    await cluster.move(PARTITION, target);
    await cluster.waitUntilStable();
  }
  check.equal(contentOf(cluster, 1), before);
  check.is((await cluster.loadMap()).map.epochOf[PARTITION], 4);
});

test('a value larger than one message travels in parts', async (context) => {
  const cluster = await open(context);
  cluster.write(0, [{ key: `${TAG}:big`, value: Buffer.alloc(7 << 20, 'x') }, ...entriesOf(5, 10)]);
  const before = contentOf(cluster, 0);
  await cluster.move(PARTITION, 1);
  await cluster.waitUntilStable();
  check.equal(contentOf(cluster, 1), before);
});

test('a target that restarts in the middle of the copy goes on where it stood', async (context) => {
  const cluster = await open(context, { copyBytesPerSecond: 400_000 });
  cluster.write(0, entriesOf(1500, 400));
  const before = contentOf(cluster, 0);
  await cluster.move(PARTITION, 1);
  await until(() => cluster.storeOf(1).statistics(PARTITION).entryCount > 0, 'a first piece');
  check.ok(cluster.storeOf(1).statistics(PARTITION).entryCount < 1500);
  await cluster.stopNode(1);
  await cluster.startNode(1);
  await cluster.waitUntilStable();
  check.equal(contentOf(cluster, 1), before);
  check.is((await historyOf(cluster))[0]?.outcome, 'done');
});

test('a source that restarts in the middle of the copy stays the owner and the migration goes on', async (context) => {
  const cluster = await open(context, { copyBytesPerSecond: 400_000 });
  cluster.write(0, entriesOf(1500, 400));
  await cluster.move(PARTITION, 1);
  await until(() => cluster.storeOf(1).statistics(PARTITION).entryCount > 0, 'a first piece');
  await cluster.stopNode(0);
  await cluster.startNode(0);
  check.is(cluster.storeOf(0).meta(PARTITION).role, 'OWNER');
  cluster.write(0, entriesOf(10, 400, 1500));
  await cluster.waitUntilStable();
  check.is(contentOf(cluster, 1).entryCount, 1510);
});

test('a target without room refuses, the source stays the owner and takes writes', async (context) => {
  const cluster = await open(context, { freeBytesReserve: 2 ** 50 });
  cluster.write(0, entriesOf(20, 20));
  await cluster.move(PARTITION, 1);
  await cluster.waitUntilStable();
  const [history] = await historyOf(cluster);
  check.is(history?.outcome, 'aborted');
  check.match(history?.reason ?? '', /bytes free/);
  cluster.write(0, entriesOf(1, 20, 20));
  check.is(cluster.storeOf(0).meta(PARTITION).role, 'OWNER');
  check.is(cluster.storeOf(1).meta(PARTITION).role, 'NONE');
});

test('an entry that is altered on the target is found before the switch', async (context) => {
  const cluster = await open(context);
  cluster.write(0, entriesOf(40, 20));
  const target = cluster.storeOf(1);
  const applySnapshot = target.applySnapshot.bind(target);
  target.applySnapshot = (partitionId, migrationId, entries, cursor) => {
    const altered = entries.map((entry, i) =>
      i === 7 ? { ...entry, value: Uint8Array.from([...entry.value, 1]) } : entry,
    );
    return applySnapshot(partitionId, migrationId, altered, cursor);
  };
  await cluster.move(PARTITION, 1);
  await cluster.waitUntilStable();
  const [history] = await historyOf(cluster);
  check.is(history?.outcome, 'aborted');
  check.match(history?.reason ?? '', /verification failed: scans of owner and copy differ/);
  check.is(contentOf(cluster, 0).entryCount, 40);
  check.is(contentOf(cluster, 1).entryCount, 0);
  check.equal(cluster.executor.status().quarantinedPartitionIds, [PARTITION]);
});

async function until(claim: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!claim()) {
    if (performance.now() > deadlineMs) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test('a fence that stands too long is tried again with the same copy, and the move goes on to its end', async (context) => {
  const cluster = await open(context, { fenceBudgetMs: 800 });
  cluster.write(0, entriesOf(50, 20));
  const source = cluster.storeOf(0);
  const updateMeta = source.updateMeta.bind(source);
  let fencesDelayed = 0;
  source.updateMeta = async (partitionId, change) => {
    const record = await cluster.reader.readPartition(partitionId);
    if (record?.migration?.phase === 'FENCING' && fencesDelayed++ === 0)
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    return updateMeta(partitionId, change);
  };
  await cluster.move(PARTITION, 1);
  await cluster.waitUntilStable();
  check.ok(fencesDelayed > 0);
  check.is(cluster.executor.status().abortedCount, 0);
  check.ok(((await cluster.reader.readPartition(PARTITION))?.migrationSeq ?? 0) >= 2);
  check.is(cluster.storeOf(1).meta(PARTITION).role, 'OWNER');
  check.is(cluster.storeOf(0).meta(PARTITION).role, 'NONE');
});

test.run();
