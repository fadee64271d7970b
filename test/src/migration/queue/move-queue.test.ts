/** Which moves begin, and what becomes of those that people have approved: a coordinator against nodes that answer nothing else. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import type { Approval } from '../../../../src/migration/queue/approvals.ts';
import { MoveQueue } from '../../../../src/migration/queue/move-queue.ts';
import { Committer } from '../../../../src/migration/records/committer.ts';
import { ControlReader } from '../../../../src/migration/records/controls.ts';
import { isOpen } from '../../../../src/migration/records/record-changes.ts';
import { RecordReader } from '../../../../src/migration/records/record-reader.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../../src/migration/settings.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';
import type { Move, Proposal } from '../../../../src/model/proposal.ts';
import type { MetadataEntry, MetadataStore } from '../../../../src/ports/metadata-store.ts';
import type { StorageEngine } from '../../../../src/ports/storage-engine.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('queue of moves');

const NOW_MS = 100_000_000;
const PARTITION_COUNT = 8;
const NODE_COUNT = 4;
const codec = recordCodec('test');
const { keys } = codec;

const recordOf = (partitionId: number): PartitionRecord => ({
  partitionId: asPartitionId(partitionId),
  ownerNodeId: asNodeId(partitionId % NODE_COUNT),
  ownerStoreId: `store-${partitionId % NODE_COUNT}`,
  epoch: asEpoch(3),
  ownedSinceMs: 0,
  migrationSeq: 0,
  migration: null,
});

const approvalOf = (partitionId: number, targetNodeId: number, change: Partial<Approval> = {}): Approval => ({
  requestId: '1-a',
  by: 'ann@host',
  reason: 'looks right',
  atMs: NOW_MS,
  partitionId,
  sourceNodeId: partitionId % NODE_COUNT,
  targetNodeId,
  epoch: 3,
  sizeBytes: 10,
  notBeforeMs: NOW_MS,
  notAfterMs: NOW_MS + 1_000,
  order: 0,
  after: [],
  moveReason: 'node 1 is hot',
  ...change,
});

function coordinate() {
  const metadata = new PlainMetadata();
  const clock = new VirtualClock(NOW_MS);
  for (let p = 0; p < PARTITION_COUNT; p++) metadata.put(keys.map(p), codec.encodePartition(recordOf(p)));
  metadata.put(keys.coordinator, new Uint8Array(1));
  const { createRevision } = metadata.entries.get(keys.coordinator) as MetadataEntry;
  const fence = { key: keys.coordinator, createRevisionIs: createRevision };
  const store = metadata as unknown as MetadataStore;
  const components = { clock, logger: silentLogger, metadata: store, codec };
  let beforeOpening = () => {};
  const window = { isOpen: true };
  const engine = {
    nodeStatistics: async (nodeId: number) => {
      beforeOpening();
      return { storeId: `store-${nodeId}`, isWritable: true };
    },
  } as unknown as StorageEngine;
  const queue = new MoveQueue(DEFAULT_MIGRATION_SETTINGS, {
    ...components,
    engine,
    random: seededRandom(1n),
    committer: new Committer({
      ...components,
      leadership: () => ({
        fence,
        lost: new Promise(() => {}),
        isHeld: () => true,
        resign: async () => {},
      }),
    }),
    planNowMs: () => clock.nowMs(),
    isInWindow: () => window.isOpen,
    attemptsOf: () => 0,
    onOpened: () => {},
  });
  async function seen() {
    const { records } = await new RecordReader(store, codec, silentLogger).read();
    return { records, controls: await new ControlReader(store, codec, silentLogger).read() };
  }
  return {
    metadata,
    window,
    approve: (approval: Approval) =>
      metadata.put(keys.approval(approval.partitionId), codec.encodeApproval(approval)),
    take: async (moves: readonly Move[]) => queue.take(planOf(moves), await seen()),
    async begin(afterMs = 0): Promise<void> {
      clock.advanceTo(clock.nowMs() + afterMs);
      await queue.begin(await seen());
    },
    /** `partition -> target` of migrations that are open. */
    async open(): Promise<string[]> {
      const { records } = await seen();
      return records
        .filter(isOpen)
        .map(({ partitionId, migration }) => `${partitionId} -> ${migration.targetNodeId}`);
    },
    /** Audit records as they were written, in their order. */
    audits: () =>
      [...metadata.entries.values()]
        .filter(({ key }) => key.startsWith(keys.auditPrefix))
        .map(({ value }) => new TextDecoder().decode(value)),
    approved: async () => (await seen()).controls.approvals.map(({ approval }) => approval.partitionId),
    /** Moves of the plan that have not begun. */
    waiting: () => queue.waiting.queuedMoveCount + queue.waiting.scheduledMoveCount,
    read(partitionId: number): PartitionRecord {
      const { value } = metadata.entries.get(keys.map(partitionId)) as MetadataEntry;
      return codec.decodePartition(partitionId, value);
    },
    put: (record: PartitionRecord) =>
      metadata.put(keys.map(record.partitionId), codec.encodePartition(record)),
    onOpening(call: () => void): void {
      beforeOpening = call;
    },
  };
}

const moveOf = (partitionId: number, targetNodeId: number): Move => ({
  partitionId: asPartitionId(partitionId),
  sourceNodeId: asNodeId(partitionId % NODE_COUNT),
  targetNodeId: asNodeId(targetNodeId),
  sizeBytes: 10,
  gain: 1,
  cost: 0,
  reason: 'planned',
  schedule: null,
});

const planOf = (moves: readonly Move[]) =>
  ({
    baseOwnerOf: Int32Array.from({ length: PARTITION_COUNT }, (_, p) => p % NODE_COUNT),
    baseEpochOf: new Uint32Array(PARTITION_COUNT).fill(3),
    moves,
  }) as unknown as Proposal;

test('an approved move begins in its time, once, and says who approved it', async () => {
  const run = coordinate();
  run.approve(approvalOf(0, 1, { notBeforeMs: NOW_MS + 500 }));
  await run.begin();
  check.equal(await run.open(), []);
  await run.begin(500);
  check.equal(await run.open(), ['0 -> 1']);
  const { value } = run.metadata.entries.get(keys.map(0)) as MetadataEntry;
  check.is(codec.decodePartition(0, value).migration?.reason, 'approved by ann@host: node 1 is hot');
  check.equal(await run.approved(), [], 'used up by the commit that opened it');
});

test('an approved move keeps what the proposal expected of it, for its scorecard', async () => {
  const run = coordinate();
  const predicted = { gain: 3, price: 1, sizeBytes: 10, seconds: 2, queriesPerSecond: 70 };
  run.approve(approvalOf(0, 1, { predicted }));
  run.approve(approvalOf(3, 2, { order: 1 }));
  await run.begin();
  const predictionIn = (partitionId: number) => {
    const { value } = run.metadata.entries.get(keys.map(partitionId)) as MetadataEntry;
    return codec.decodePartition(partitionId, value).migration?.predicted;
  };
  check.equal(predictionIn(0), predicted);
  check.is(predictionIn(3), undefined, 'it was approved by a version that did not say');
});

test('approvals wait for a place like any move, and are remembered by nobody but the store', async () => {
  const run = coordinate();
  run.approve(approvalOf(0, 1, { order: 0 }));
  run.approve(approvalOf(4, 2, { order: 1 }));
  await run.begin();
  check.equal(await run.open(), ['0 -> 1'], 'node 0 sends one copy at a time');
  check.equal(await run.approved(), [4]);
  run.put(recordOf(0));
  await run.begin();
  check.equal(await run.open(), ['4 -> 2']);
});

test('what needs room waits for what makes it, until that has switched', async () => {
  const run = coordinate();
  run.approve(approvalOf(0, 1, { order: 1, after: [MAKER] }));
  run.approve(approvalOf(3, 2, { order: 0, notBeforeMs: NOW_MS + 100 }));
  await run.begin();
  check.equal(await run.open(), []);
  await run.begin(100);
  check.equal(await run.open(), ['3 -> 2']);
  await run.begin();
  check.equal(await run.approved(), [0], 'partition 3 is still being copied');
  const { value } = run.metadata.entries.get(keys.map(3)) as MetadataEntry;
  const record = codec.decodePartition(3, value);
  check.ok(record.migration);
  run.put({ ...record, ownerNodeId: asNodeId(2), migration: { ...record.migration, phase: 'GRACE' } });
  await run.begin();
  check.equal(await run.open(), ['0 -> 1', '3 -> 2']);
});

test('what needs room is void when what had to make it stays: rejected, given up, or void itself', async () => {
  for (const spoil of [
    (run: Run) => run.metadata.entries.delete(keys.approval(3)),
    async (run: Run) => {
      await run.begin(100);
      check.equal(await run.open(), ['3 -> 2']);
      run.put(recordOf(3)); // Its migration has ended in ABORT.
    },
    (run: Run) => run.begin(2_000),
  ]) {
    const run = coordinate();
    run.approve(approvalOf(0, 1, { order: 1, after: [MAKER], notAfterMs: NOW_MS + 9_000 }));
    run.approve(approvalOf(3, 2, { order: 0, notBeforeMs: NOW_MS + 100 }));
    await run.begin();
    await spoil(run);
    await run.begin();
    check.equal(await run.open(), [], 'nothing begins without the room');
    check.equal(await run.approved(), []);
    check.match(run.audits().at(-1) as string, /partition 0 is void: partition 3 had to leave node 3 first/);
  }
});

test('what needs room waits while its maker comes back', async () => {
  const run = coordinate();
  run.approve(approvalOf(3, 2, { order: 0 }));
  await run.begin();
  const { value } = run.metadata.entries.get(keys.map(3)) as MetadataEntry;
  const record = codec.decodePartition(3, value);
  check.ok(record.migration);
  const [sourceNodeId, targetNodeId] = [asNodeId(2), asNodeId(3)];
  const migration = {
    ...record.migration,
    kind: 'rollback',
    phase: 'COPY',
    sourceNodeId,
    targetNodeId,
  } as const;
  run.put({ ...record, ownerNodeId: asNodeId(2), migration });
  run.approve(approvalOf(0, 1, { order: 1, after: [MAKER] }));
  await run.begin();
  check.equal(await run.open(), ['3 -> 3'], 'its way back only');
  check.equal(await run.approved(), [0]);
});

test('an approval is not void for want of room that a migration, opened since the map was read, will make', async () => {
  const run = coordinate();
  run.approve(approvalOf(0, 1, { after: [MAKER] }));
  const get = run.metadata.get.bind(run.metadata);
  run.metadata.get = async (key: string) => {
    const entry = await get(key);
    if (key === keys.map(3)) run.put(recordOf(3)); // Any change, between this reading and the commit.
    return entry;
  };
  await run.begin();
  check.equal(await run.approved(), [0]);
  run.metadata.get = get;
  await run.begin();
  check.equal(await run.approved(), []);
});

test('a rejection holds for a plan that waits: before, while a migration is opened, and until it runs out', async () => {
  const run = coordinate();
  const schedule = { startMs: NOW_MS + 100, endMs: NOW_MS + 200 } as NonNullable<Move['schedule']>;
  const rejects = (untilMs: number): void => {
    const base = { requestId: '1-r', by: 'ann', reason: 'no', atMs: NOW_MS, partitionId: 0, untilMs };
    run.metadata.put(keys.rejection(0), codec.encodeRejection(base));
  };
  await run.take([{ ...moveOf(0, 1), schedule }]);
  await run.begin();
  rejects(NOW_MS + 1_000);
  await run.begin(100);
  check.equal(await run.open(), []);
  const { refused } = await run.take([moveOf(0, 1)]);
  check.equal(
    refused.map(({ refusal }) => refusal),
    ['rejected'],
  );

  await run.begin(900);
  await run.take([moveOf(0, 1)]);
  run.onOpening(() => rejects(NOW_MS + 2_000));
  await run.begin();
  check.equal(await run.open(), [], 'the one that was read had run out, another came');

  run.onOpening(() => {});
  await run.begin(1_000);
  await run.take([moveOf(0, 1)]);
  await run.begin();
  check.equal(await run.open(), ['0 -> 1'], 'it has run out');
});

test('an approval of what has changed since, or whose time is over, is void and says so in the audit', async () => {
  for (const [spoil, why] of [
    [(run: Run) => run.put({ ...recordOf(0), epoch: asEpoch(4) }), /node 0 owns it at epoch 4/],
    [(run: Run) => run.put({ ...recordOf(0), ownerNodeId: asNodeId(2) }), /node 2 owns it at epoch 3/],
    [(run: Run) => run.begin(2_000), /could not begin in its time/],
  ] as const) {
    const run = coordinate();
    run.approve(approvalOf(0, 1, { notBeforeMs: NOW_MS + 900 }));
    await spoil(run);
    await run.begin();
    check.equal(await run.open(), []);
    check.equal(await run.approved(), []);
    const audits = run.audits();
    check.is(audits.length, 1);
    check.match(audits[0] as string, why);
  }
});

test('an approval that is withdrawn while its migration is being opened opens none', async () => {
  const run = coordinate();
  run.approve(approvalOf(0, 1));
  run.onOpening(() => run.metadata.entries.delete(keys.approval(0)));
  await run.begin();
  check.equal(await run.open(), []);
});

test('outside the windows a plan’s move waits, and what an operator has approved does not', async () => {
  const run = coordinate();
  run.window.isOpen = false;
  await run.take([moveOf(0, 1)]);
  run.approve(approvalOf(3, 2));
  await run.begin();
  check.equal(await run.open(), ['3 -> 2']);
  run.window.isOpen = true;
  await run.begin();
  check.equal(await run.open(), ['0 -> 1', '3 -> 2']);
});

test('a plan leaves alone what people have decided', async () => {
  const run = coordinate();
  run.approve(approvalOf(0, 1, { notBeforeMs: NOW_MS + 500 }));
  const { queued } = await run.take([moveOf(0, 3), moveOf(2, 3)]);
  check.is(queued.length, 2);
  await run.begin();
  check.equal(await run.open(), ['2 -> 3']);
  await run.begin(500);
  check.equal(await run.open(), ['0 -> 1', '2 -> 3']);
});

test('an approval that nobody can read holds up no other', async () => {
  const run = coordinate();
  run.metadata.put(keys.approval(1), new TextEncoder().encode('{"partitionId":1}'));
  run.approve(approvalOf(2, 3));
  await run.begin();
  check.equal(await run.open(), ['2 -> 3']);
});

test('a move of a plan waits for those that make room for it, until they have switched', async () => {
  const run = coordinate();
  // Partition 4 makes room and waits for a place: node 0 sends one copy at a time.
  const moves = [moveOf(0, 2), moveOf(4, 2), { ...moveOf(1, 0), after: [asPartitionId(4)] }];
  const { queued } = await run.take(moves);
  check.is(queued.length, 3);
  await run.begin();
  check.equal(await run.open(), ['0 -> 2']);
  run.put({ ...recordOf(0), ownerNodeId: asNodeId(2) });
  await run.begin();
  check.equal(await run.open(), ['4 -> 2']);
  await run.begin();
  check.equal(await run.open(), ['4 -> 2'], 'it is still being copied');
  const record = run.read(4);
  check.ok(record.migration);
  run.put({ ...record, ownerNodeId: asNodeId(2), migration: { ...record.migration, phase: 'GRACE' } });
  await run.begin();
  check.equal(await run.open(), ['1 -> 0', '4 -> 2']);
});

test('a move of a plan never begins when one that makes room for it aborts, is refused or cannot be opened', async () => {
  const aborted = coordinate();
  const pair = [moveOf(0, 2), { ...moveOf(1, 0), after: [asPartitionId(0)] }];
  const chain = [...pair, { ...moveOf(2, 1), after: [asPartitionId(1)] }, moveOf(3, 1)];
  await aborted.take(chain);
  await aborted.begin();
  check.equal(await aborted.open(), ['0 -> 2', '3 -> 1']);
  aborted.put(recordOf(0));
  await aborted.begin();
  check.equal(await aborted.open(), ['3 -> 1']);
  check.equal(aborted.waiting(), 0, 'nor does what was to come after it');

  const refused = coordinate();
  refused.put({ ...recordOf(0), epoch: asEpoch(4) });
  const report = await refused.take(pair);
  check.equal(
    report.refused.map(({ move, refusal }) => [move.partitionId, refusal]),
    [
      [0, 'stale-proposal'],
      [1, 'no-room'],
    ],
  );

  const unopened = coordinate();
  unopened.metadata.put(keys.store('store-2'), codec.encodeStoreState('draining'));
  await unopened.take(pair);
  await unopened.begin();
  await unopened.begin();
  check.equal(await unopened.open(), []);
  check.equal(unopened.waiting(), 0);
});

type Run = ReturnType<typeof coordinate>;
/** Where partition 3 stands while it has to make room. */
const MAKER = { partitionId: 3, sourceNodeId: 3 };

test('nothing is opened to a store that an operator has emptied, also if he begins to while it is being opened', async () => {
  const run = coordinate();
  const drains = (): void => run.metadata.put(keys.store('store-1'), codec.encodeStoreState('draining'));
  drains();
  await run.take([moveOf(0, 1)]);
  await run.begin();
  check.equal(await run.open(), []);

  run.metadata.put(keys.store('store-1'), codec.encodeStoreState('active'));
  const get = run.metadata.get.bind(run.metadata);
  run.metadata.get = async (key: string) => {
    const entry = await get(key);
    if (key === keys.store('store-1')) drains();
    return entry;
  };
  await run.take([moveOf(0, 1)]);
  await run.begin();
  check.equal(await run.open(), [], 'it was active when it was read');

  run.metadata.get = get;
  run.metadata.put(keys.store('store-1'), codec.encodeStoreState('active'));
  await run.take([moveOf(0, 1)]);
  await run.begin();
  check.equal(await run.open(), ['0 -> 1']);
});

test.run();
