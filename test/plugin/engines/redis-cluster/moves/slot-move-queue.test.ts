import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  type SeenMoves,
  SlotMoveQueue,
} from '../../../../../plugin/engines/redis-cluster/moves/slot-move-queue.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../../../src/migration/settings.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../../../src/model/ids.ts';
import type { PartitionRecord } from '../../../../../src/model/migration.ts';
import type { Move, Proposal } from '../../../../../src/model/proposal.ts';

const test = suite('queue of slot moves');

const recordOf = (partitionId: number, owner = partitionId): PartitionRecord => ({
  partitionId: asPartitionId(partitionId),
  ownerNodeId: asNodeId(owner),
  ownerStoreId: `store-${owner}`,
  epoch: asEpoch(1),
  ownedSinceMs: 0,
  migrationSeq: 0,
  migration: null,
});

const moveOf = (partitionId: number, target: number, after: readonly number[] = []): Move => ({
  partitionId: asPartitionId(partitionId),
  sourceNodeId: asNodeId(partitionId),
  targetNodeId: asNodeId(target),
  sizeBytes: 1,
  gain: 1,
  cost: 0,
  reason: 'planned',
  schedule: null,
  after: after.map(asPartitionId),
});

/** Partitions 0, 1 and 2 on nodes of these numbers. */
const planOf = (moves: readonly Move[]): Proposal =>
  ({
    baseOwnerOf: Int32Array.of(0, 1, 2),
    baseEpochOf: Uint32Array.of(1, 1, 1),
    moves,
  }) as unknown as Proposal;

const seenOf = (
  records: readonly PartitionRecord[],
  change: Partial<Pick<SeenMoves, 'openPartitionIds' | 'isInWindow'>> = {},
): SeenMoves => ({
  records,
  controls: {
    isPaused: false,
    pausedPartitionIds: new Set(),
    retiredStoreIds: new Set(),
    approvals: [],
    rejections: new Map(),
  } as unknown as SeenMoves['controls'],
  openPartitionIds: new Set(),
  nowMs: 1e9,
  planNowMs: 1e9,
  isInWindow: true,
  ...change,
});

const HOME = [recordOf(0), recordOf(1), recordOf(2)];
const WITH_ROOM = [moveOf(0, 2), moveOf(1, 0, [0])];

test('a move of a plan waits for those that make room for it', () => {
  const queue = new SlotMoveQueue(DEFAULT_MIGRATION_SETTINGS);
  check.is(queue.take(planOf(WITH_ROOM), seenOf(HOME)).queued.length, 2);
  const first = queue.next(seenOf(HOME));
  check.is(first?.move.partitionId, 0);
  queue.drop(first?.move as Move);
  check.is(queue.next(seenOf(HOME, { openPartitionIds: new Set([0]) })), null, 'it is being moved');
  check.is(queue.next(seenOf([recordOf(0, 2), recordOf(1), recordOf(2)]))?.move.partitionId, 1);
});

test('a move of a plan never begins when what was to make room for it is given up', () => {
  const queue = new SlotMoveQueue(DEFAULT_MIGRATION_SETTINGS);
  queue.take(planOf([...WITH_ROOM, moveOf(2, 1, [1])]), seenOf(HOME));
  queue.drop(queue.next(seenOf(HOME))?.move as Move);
  check.is(queue.next(seenOf(HOME)), null);
  check.equal(queue.waiting(1e9), { queuedMoveCount: 0, scheduledMoveCount: 0 });
});

test('moves of relief go before those of the plan, which stay; of a partition that both move, the plan’s is dropped', () => {
  const queue = new SlotMoveQueue(DEFAULT_MIGRATION_SETTINGS);
  const later = { startMs: 2e9, endMs: 3e9, seconds: 1, bytesPerSecond: 1, price: 0, gain: 1 };
  const planned = [moveOf(0, 1), moveOf(1, 2)].map((move) => ({ ...move, schedule: later }));
  queue.take(planOf(planned), seenOf(HOME));
  // Partition 2 has been moved since, and rests; partition 0 goes elsewhere, and at once.
  const more = { ...planOf([moveOf(0, 2), moveOf(2, 0)]), baseEpochOf: Uint32Array.of(1, 9, 1) };
  const moved = [recordOf(0), recordOf(1), recordOf(2, 1)];
  const { queued, refused } = queue.take(more, seenOf(moved), { isAddition: true });
  check.equal(
    [queued, refused].map(({ length }) => length),
    [1, 1],
    'it answers for these alone',
  );
  check.equal(queue.waiting(1e9), { queuedMoveCount: 1, scheduledMoveCount: 1 });
  const next = queue.next(seenOf(moved))?.move as Move;
  check.equal([next.partitionId, next.targetNodeId], [0, 2]);
  queue.drop(next);
  check.is(queue.next(seenOf(moved)), null);
  // The plan's own base holds for its own moves.
  const due = { ...seenOf(moved), planNowMs: 2.5e9 };
  check.is(queue.next(due)?.move.partitionId, 1);
  queue.take(planOf([]), seenOf(moved));
  check.equal(
    queue.waiting(1e9),
    { queuedMoveCount: 0, scheduledMoveCount: 0 },
    'a plan takes the place of all',
  );
});

test('a move of relief starts from where its partition was then, not from where the plan saw it', () => {
  // Partition 0 has gone to node 1 since the plan, and goes on to node 2.
  const moved = [{ ...recordOf(0, 1), epoch: asEpoch(2) }, recordOf(1), recordOf(2)];
  const onward = { ...moveOf(0, 2), sourceNodeId: asNodeId(1) };
  const more = {
    ...planOf([onward]),
    baseOwnerOf: Int32Array.of(1, 1, 2),
    baseEpochOf: Uint32Array.of(2, 1, 1),
  };
  const queue = new SlotMoveQueue(DEFAULT_MIGRATION_SETTINGS);
  queue.take(planOf([moveOf(2, 0)]), seenOf(HOME));
  const { queued, refused } = queue.take(more, seenOf(moved), { isAddition: true });
  check.equal([queued.length, refused], [1, []]);
  check.is(queue.next(seenOf(moved))?.move, onward);
});

test.run();
