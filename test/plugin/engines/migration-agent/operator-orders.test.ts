/** What operators may order, carried out by a real coordinator on real LMDB stores over real sockets, in one process. */
import * as check from 'uvu/assert';
import { CLUSTER, type MigrationCluster } from '../../../../bench/migration-cluster.ts';
import { clusterKeys } from '../../../../plugin/metadata/cluster-keys.ts';
import { decodeHistory, recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import {
  askCoordinator,
  askToRetire,
  type Order,
} from '../../../../plugin/operator/migration/ask-coordinator.ts';
import { readAudit } from '../../../../plugin/operator/migration/audit-command.ts';
import { setPaused } from '../../../../plugin/operator/migration/pause-command.ts';
import type { AuditRecord, MigrationHistory } from '../../../../src/migration/records/records.ts';
import { asEpoch, asNodeId } from '../../../../src/model/ids.ts';
import type { MigrationPhase, PartitionRecord } from '../../../../src/model/migration.ts';
import { clusterSuite, open, PARTITION, TAG } from './support.ts';

const test = clusterSuite('orders of an operator');

const entriesOf = (count: number, valueBytes: number, first = 0) =>
  Array.from({ length: count }, (_, i) => ({
    key: `${TAG}:${first + i}`,
    value: Buffer.alloc(valueBytes, first + i),
  }));

async function recordOf(cluster: MigrationCluster): Promise<PartitionRecord> {
  const record = await cluster.reader.readPartition(PARTITION);
  if (!record) throw new Error('no record');
  return record;
}

async function untilRecord(
  cluster: MigrationCluster,
  holds: (record: PartitionRecord) => boolean,
  what: string,
): Promise<PartitionRecord> {
  const deadlineMs = performance.now() + 15_000;
  for (;;) {
    const record = await recordOf(cluster);
    if (holds(record)) return record;
    if (performance.now() > deadlineMs) throw new Error(`never ${what}: ${JSON.stringify(record.migration)}`);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}

const isIn = (phase: MigrationPhase) => (record: PartitionRecord) => record.migration?.phase === phase;
const isStable = (record: PartitionRecord) => record.migration === null;

const orderOf = (cluster: MigrationCluster, order: Partial<Order>): Promise<AuditRecord> =>
  askCoordinator(cluster.metadata, CLUSTER, {
    action: 'cancel',
    partitionId: PARTITION,
    reason: 'the test',
    ...order,
  });

const rollback = (cluster: MigrationCluster) => orderOf(cluster, { action: 'rollback' });
const takeover = (cluster: MigrationCluster, lossAfterLsn: number | null, targetNodeId = 0) =>
  orderOf(cluster, {
    action: 'takeover',
    takeover: { fromStoreId: 'store', targetNodeId, lossAfterLsn, isEmptyAllowed: false },
  });

async function historyOf(cluster: MigrationCluster): Promise<MigrationHistory[]> {
  const { entries } = await cluster.metadata.list(clusterKeys(CLUSTER).historyPrefix);
  return entries.map((entry) => decodeHistory(entry.value)).sort((a, b) => a.migrationId - b.migrationId);
}

const roleAt = (cluster: MigrationCluster, nodeId: number) => cluster.storeOf(nodeId).meta(PARTITION).role;

test('a rollback switches back to the old owner, with what was written since, and copies nothing', async (context) => {
  const cluster = await open(context, { graceMs: 60_000 });
  cluster.write(0, entriesOf(300, 100));
  await cluster.move(PARTITION, 1);
  await untilRecord(cluster, isIn('GRACE'), 'in GRACE');
  cluster.write(1, entriesOf(20, 100, 300));
  let answer = await rollback(cluster);
  while (answer.outcome === 'refused' && /ask again/.test(answer.message)) answer = await rollback(cluster);
  check.is(answer.outcome, 'done', answer.message);
  const back = await untilRecord(cluster, (record) => record.ownerNodeId === 0, 'back at node 0');
  check.is(back.epoch, 3);
  check.equal(cluster.storeOf(0).statistics(PARTITION).entryCount, 320);
  await untilRecord(cluster, isIn('GRACE'), 'in the grace of the rollback');
  cluster.write(0, entriesOf(5, 100, 320));
  const [first, ...others] = await historyOf(cluster);
  check.equal([first?.outcome, first?.continuedBy, others.length], ['superseded', 2, 0]);
  const { entries } = await cluster.metadata.list(clusterKeys(CLUSTER).cleanupPrefix);
  check.equal(entries.length, 1, 'one copy besides the owner, one record that names it');
});

test('a rollback that is cancelled leaves the follower following, and may be asked for again', async (context) => {
  const cluster = await open(context, { graceMs: 60_000, fenceLagMax: 0, verifyLagMax: 1_000 });
  cluster.write(0, entriesOf(50, 100));
  await cluster.move(PARTITION, 1);
  await untilRecord(cluster, isIn('GRACE'), 'in GRACE');
  await setPaused(cluster.metadata, CLUSTER, { isPaused: true, partitionId: PARTITION, reason: '' });
  let answer = await rollback(cluster);
  while (answer.outcome === 'refused' && /ask again/.test(answer.message)) answer = await rollback(cluster);
  await untilRecord(cluster, (record) => record.migration?.pausedAtMs !== undefined, 'held by the pause');
  check.is((await orderOf(cluster, { action: 'cancel' })).outcome, 'done');
  await setPaused(cluster.metadata, CLUSTER, { isPaused: false, partitionId: PARTITION, reason: '' });
  const again = await untilRecord(cluster, isIn('GRACE'), 'in GRACE again');
  check.equal([again.ownerNodeId, again.epoch, again.migration?.migrationId], [1, 2, 3]);
  cluster.write(1, entriesOf(30, 100, 50));
  const deadlineMs = performance.now() + 5_000;
  while (cluster.storeOf(0).statistics(PARTITION).entryCount < 80 && performance.now() < deadlineMs)
    await new Promise((resolve) => setTimeout(resolve, 5));
  check.equal([roleAt(cluster, 0), cluster.storeOf(0).statistics(PARTITION).entryCount], ['FOLLOWER', 80]);
  check.is((await rollback(cluster)).outcome, 'done');
  await untilRecord(cluster, (record) => record.ownerNodeId === 0, 'back at node 0');
  check.is(cluster.storeOf(0).statistics(PARTITION).entryCount, 80);
});

test('rollback and cancel say what stands in the way, and what to do instead', async (context) => {
  const cluster = await open(context, { graceMs: 60_000, copyBytesPerSecond: 20_000 });
  const nothing = await rollback(cluster);
  check.match(nothing.message, /no old copy any more.*only a new move/);
  check.match((await orderOf(cluster, {})).message, /is not being moved/);
  cluster.write(0, entriesOf(400, 100));
  await cluster.move(PARTITION, 1);
  await untilRecord(cluster, isIn('COPY'), 'in COPY');
  check.match((await rollback(cluster)).message, /has not switched yet \(COPY\).*foreshard cancel/);
  const cancelled = await orderOf(cluster, {});
  check.is(cancelled.outcome, 'done', cancelled.message);
  const record = await untilRecord(cluster, isStable, 'stable');
  check.is(record.ownerNodeId, 0);
  check.match(record.quarantine?.reason ?? '', /cancelled by/);
  check.equal([roleAt(cluster, 0), roleAt(cluster, 1)], ['OWNER', 'NONE']);
  const [history] = await historyOf(cluster);
  check.equal([history?.outcome, history?.abortedIn, history?.openedFor], ['aborted', 'COPY', 'asked for']);
  const audit = await readAudit(cluster.metadata, CLUSTER);
  check.equal(
    audit.map(({ action, outcome }) => `${action} ${outcome}`),
    ['rollback refused', 'cancel refused', 'rollback refused', 'cancel done'],
  );
});

test('a pause stops the bytes of a copy and the clock of its phase', async (context) => {
  const cluster = await open(context, { copyBytesPerSecond: 150_000, phaseTimeoutMs: 2_200 });
  cluster.write(0, entriesOf(1_500, 100));
  await setPaused(cluster.metadata, CLUSTER, { isPaused: true, partitionId: null, reason: '' });
  await cluster.move(PARTITION, 1);
  await new Promise((resolve) => setTimeout(resolve, 60));
  check.is((await recordOf(cluster)).migration, null, 'nothing begins in a pause');
  await setPaused(cluster.metadata, CLUSTER, { isPaused: false, partitionId: null, reason: '' });
  await untilRecord(cluster, isIn('COPY'), 'in COPY');
  await setPaused(cluster.metadata, CLUSTER, { isPaused: true, partitionId: null, reason: '' });
  const held = await untilRecord(cluster, (record) => record.migration?.pausedAtMs !== undefined, 'held');
  await new Promise((resolve) => setTimeout(resolve, 800)); // the piece that was on its way
  const bytes = cluster.storeOf(1).statistics(PARTITION).sizeBytes;
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  check.is(cluster.storeOf(1).statistics(PARTITION).sizeBytes, bytes);
  check.equal(await recordOf(cluster), held);
  check.match(
    await setPaused(cluster.metadata, CLUSTER, { isPaused: false, partitionId: null, reason: '' }),
    /may go on$/,
  );
  check.match(
    await setPaused(cluster.metadata, CLUSTER, { isPaused: false, partitionId: null, reason: '' }),
    /^migrations were not paused: nothing was changed$/,
  );
  await untilRecord(cluster, (record) => record.ownerNodeId === 1, 'at node 1');
  check.is(cluster.storeOf(1).statistics(PARTITION).entryCount, 1_500);
});

test('a takeover names the loss first, then makes an owner of the follower and retires the lost store', async (context) => {
  const cluster = await open(context, { graceMs: 60_000 });
  cluster.write(0, entriesOf(100, 50));
  await cluster.move(PARTITION, 1);
  await untilRecord(cluster, isIn('GRACE'), 'in GRACE');
  const fromStoreId = cluster.storeOf(1).storeId;
  const order = (lossAfterLsn: number | null, targetNodeId = 0) =>
    orderOf(cluster, {
      action: 'takeover',
      takeover: { fromStoreId, targetNodeId, lossAfterLsn, isEmptyAllowed: false },
    });
  check.match((await takeover(cluster, 0)).message, /is owned by store .* not by store/);
  check.match((await order(100)).message, /answers from node 1: it is not lost/);
  await cluster.stopNode(1);
  check.match((await order(null)).message, /up to lsn 100, .*--i-accept-loss-after 100 to go on/);
  check.match((await order(150)).message, /less than the 150/);
  const answer = await order(100);
  check.is(answer.outcome, 'done', answer.message);
  const record = await untilRecord(cluster, isStable, 'stable');
  check.equal([record.ownerNodeId, record.epoch, record.lineage], [0, 4, { epoch: 4, lsn: 100 }]);
  check.is(roleAt(cluster, 0), 'OWNER');
  cluster.write(0, entriesOf(10, 50, 100));
  const { keys, decodeStoreState } = recordCodec(CLUSTER);
  const state = await cluster.metadata.get(keys.store(fromStoreId));
  check.is(state && decodeStoreState(state.value), 'retired');
  try {
    await cluster.startNode(1);
    check.unreachable('a retired store starts');
  } catch (error) {
    check.match(String(error), /was retired/);
  }
  const histories = await historyOf(cluster);
  check.equal(
    histories.map(({ outcome }) => outcome),
    ['superseded', 'taken-over'],
  );
  const { entries } = await cluster.metadata.list(keys.cleanupPrefix);
  check.equal(entries, []);
});

/** The other node owns no other partition: a store that owns something is not retired. */
async function giveAll(cluster: MigrationCluster, nodeId: number): Promise<void> {
  const { keys, encodePartition } = recordCodec(CLUSTER);
  const writes = [];
  for (let id = 0; id < 16; id++) {
    const record = id === PARTITION ? undefined : await cluster.reader.readPartition(id);
    if (!record || record.ownerNodeId === nodeId) continue;
    const owner = { ownerNodeId: asNodeId(nodeId), ownerStoreId: cluster.storeOf(nodeId).storeId };
    const value = encodePartition({ ...record, ...owner, epoch: asEpoch(2) });
    writes.push({ kind: 'put' as const, key: keys.map(id), value });
  }
  await cluster.metadata.commit({ conditions: [], writes });
}

const retire = (cluster: MigrationCluster, storeId: string, isConfirmed = true) =>
  askToRetire(cluster.metadata, CLUSTER, { storeId, reason: 'the test', isConfirmed });

test('a follower that is lost for good is retired: the grace ends without it, and the owner drops its log', async (context) => {
  const cluster = await open(context, { graceMs: 600_000 });
  cluster.write(0, entriesOf(100, 50));
  await cluster.move(PARTITION, 1);
  await untilRecord(cluster, isIn('GRACE'), 'in GRACE');
  const [lost, owner] = [cluster.storeOf(0).storeId, cluster.storeOf(1).storeId];
  check.match((await retire(cluster, lost)).message, /owns partitions 0, 1, 2, 4, 5, 6, 7, whose data/);
  await giveAll(cluster, 1);
  check.match((await retire(cluster, lost)).message, /answers from node 0: it is not lost/);
  check.match((await retire(cluster, owner)).message, /owns partitions .*foreshard takeover/);
  await cluster.stopNode(0);
  const asked = await retire(cluster, lost, false);
  check.match(asked.message, /migration 3\/1 \(GRACE\) ends without the old copy.*--it-is-gone-for-good/);
  check.is((await recordOf(cluster)).migration?.phase, 'GRACE', 'nothing was changed');
  const answer = await retire(cluster, lost);
  check.is(answer.outcome, 'done', answer.message);
  await untilRecord(cluster, isStable, 'stable');
  const { role, digestSeed } = cluster.storeOf(1).meta(PARTITION);
  check.equal([role, digestSeed], ['OWNER', null], 'no change log is kept');
  const { entries } = await cluster.metadata.list(clusterKeys(CLUSTER).cleanupPrefix);
  check.equal(entries, []);
  check.match((await retire(cluster, lost)).message, /is retired already/);
  try {
    await cluster.startNode(0);
    check.unreachable('a retired store starts');
  } catch (error) {
    check.match(String(error), /was retired/);
  }
});

test('a target that is lost for good is retired: its migration is aborted without it, also in a pause', async (context) => {
  const cluster = await open(context, { copyBytesPerSecond: 20_000, unreachableMs: 600_000 });
  cluster.write(0, entriesOf(400, 100));
  await giveAll(cluster, 0);
  await cluster.move(PARTITION, 1);
  await untilRecord(cluster, isIn('COPY'), 'in COPY');
  await setPaused(cluster.metadata, CLUSTER, { isPaused: true, partitionId: null, reason: '' });
  await untilRecord(cluster, (record) => record.migration?.pausedAtMs !== undefined, 'held by the pause');
  const lost = cluster.storeOf(1).storeId;
  await cluster.stopNode(1);
  const answer = await retire(cluster, lost);
  check.match(answer.message, /migration 3\/1 \(COPY\) is aborted, node 0 stays the owner/);
  check.is((await untilRecord(cluster, isStable, 'stable')).ownerNodeId, 0);
  check.is(cluster.storeOf(0).meta(PARTITION).digestSeed, null, 'no change log is kept');
  const { entries } = await cluster.metadata.list(clusterKeys(CLUSTER).cleanupPrefix);
  check.equal(entries, []);
  check.match((await historyOf(cluster))[0]?.reason ?? '', /store of the target is retired/);
});

test('what nobody answers for is removed once its node is there again', async (context) => {
  const cluster = await open(context, { copyBytesPerSecond: 20_000 });
  cluster.write(0, entriesOf(400, 100));
  await cluster.move(PARTITION, 1);
  await untilRecord(cluster, isIn('COPY'), 'in COPY');
  while (cluster.storeOf(1).statistics(PARTITION).entryCount === 0)
    await new Promise((resolve) => setTimeout(resolve, 5));
  await cluster.stopNode(1);
  // As after a map that was restored: the migration is gone from the record, its clean-up record is not.
  const { keys, encodePartition } = recordCodec(CLUSTER);
  const entry = await cluster.metadata.get(keys.map(PARTITION));
  const record = await recordOf(cluster);
  await cluster.metadata.commit({
    conditions: [{ key: keys.map(PARTITION), revisionIs: entry?.revision ?? 0 }],
    writes: [
      { kind: 'put', key: keys.map(PARTITION), value: encodePartition({ ...record, migration: null }) },
    ],
  });
  await cluster.startNode(1);
  check.is(roleAt(cluster, 1), 'STAGING');
  const deadlineMs = performance.now() + 15_000;
  while (roleAt(cluster, 1) !== 'NONE' && performance.now() < deadlineMs)
    await new Promise((resolve) => setTimeout(resolve, 20));
  check.equal([roleAt(cluster, 1), cluster.storeOf(1).statistics(PARTITION).entryCount], ['NONE', 0]);
});

test.run();
