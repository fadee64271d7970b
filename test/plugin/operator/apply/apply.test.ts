import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { bootstrapCluster } from '../../../../plugin/metadata/form-cluster.ts';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import {
  isOver,
  lookAtMoves,
  type MoveEvidence,
  outcomeOf,
  readBeforehand,
} from '../../../../plugin/operator/apply/follow-moves.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('foreshard apply');

const MOVE = { partitionId: 3, sourceNodeId: 0, targetNodeId: 1 };
const SEQ = 4;
const NOTHING = {
  isApprovalPending: false,
  slotMove: undefined,
  seqBefore: SEQ,
  ended: [],
  whyWithdrawn: undefined,
};

/** As it stands after the approval's migration was opened. */
const seen = (changes: object, ownerNodeId = 0, migration: object | null = null): MoveEvidence =>
  ({
    ...NOTHING,
    record: {
      partitionId: 3,
      ownerNodeId,
      migrationSeq: SEQ + 1,
      migration: migration && { migrationId: SEQ + 1, ...migration },
    },
    ...changes,
  }) as unknown as MoveEvidence;

/** As it stood before. */
const UNOPENED = { record: { partitionId: 3, ownerNodeId: 0, migrationSeq: SEQ, migration: null } };

test('a move is over when the target owns it, not when the old owner is gone', () => {
  const inGrace = outcomeOf(MOVE, seen({}, 1, { phase: 'GRACE', reason: 'planned' }));
  check.equal([inGrace.state, isOver(inGrace)], ['moved', true]);
  check.is(outcomeOf(MOVE, seen({}, 1)).state, 'moved');
});

test('what is under way is waited for, an abort that goes on too', () => {
  for (const phase of ['PREPARE', 'COPY', 'FENCED', 'ABORT']) {
    const outcome = outcomeOf(MOVE, seen({}, 0, { phase, reason: 'planned' }));
    check.equal([outcome.state, isOver(outcome)], ['moving', false], phase);
  }
  check.is(outcomeOf(MOVE, seen({ ...UNOPENED, isApprovalPending: true })).state, 'waiting');
  const slots = outcomeOf(MOVE, seen({ ...UNOPENED, slotMove: { moveId: SEQ + 1, reason: 'planned' } }));
  check.equal([slots.state, slots.detail], ['moving', 'planned'], 'of a Redis cluster');
  const other = { ...UNOPENED.record, migration: { migrationId: SEQ, phase: 'ABORT', reason: 'older' } };
  check.is(outcomeOf(MOVE, seen({ record: other, isApprovalPending: true })).state, 'waiting');
});

test('what came to nothing says why', () => {
  const voided = outcomeOf(MOVE, seen({ ...UNOPENED, whyWithdrawn: 'another epoch' }));
  check.equal([voided.state, voided.detail, isOver(voided)], ['void', 'another epoch', true]);
  const untold = outcomeOf(MOVE, seen(UNOPENED));
  check.is(untold.state, 'void', 'an approval that is gone without a migration was taken back');
  const aborted = outcomeOf(
    MOVE,
    seen({ ended: [{ outcome: 'aborted', reason: 'the copy never caught up' }, { reason: 'older' }] }),
  );
  check.equal([aborted.state, aborted.detail], ['aborted', 'the copy never caught up']);
  const movedOn = seen({ ended: [{ outcome: 'done', targetNodeId: 1, reason: 'planned' }] }, 2);
  check.is(outcomeOf(MOVE, movedOn).state, 'moved');
});

const CLUSTER = 'test';
const codec = recordCodec(CLUSTER);

test('a rejection ends the waiting, and so does an abort by a coordinator whose clock is an hour behind', async () => {
  const metadata = new PlainMetadata();
  const store = metadata as unknown as MetadataStore;
  const nodes = [0, 1].map((nodeId) => ({ nodeId, storeId: `store-${nodeId}` }));
  await bootstrapCluster(store, CLUSTER, { partitionCount: 16, nodes });
  const before = await readBeforehand(store, CLUSTER);
  const look = async () => (await lookAtMoves(store, CLUSTER, { moves: [MOVE], before }))[0];

  const rejection = { requestId: 'r', by: 'somebody', reason: 'not today', partitionId: 3, atMs: Date.now() };
  const untilMs = Date.now() + 60_000;
  metadata.put(codec.keys.rejection(3), codec.encodeRejection({ ...rejection, untilMs }));
  check.equal((await look())?.detail, 'rejected by somebody: not today');

  const record = before.records[3] as PartitionRecord;
  metadata.put(
    codec.keys.map(3),
    codec.encodePartition({ ...record, migrationSeq: record.migrationSeq + 1 }),
  );
  const hourAgoMs = Date.now() - 3_600_000;
  const history = {
    ...{
      ...MOVE,
      migrationId: record.migrationSeq + 1,
      outcome: 'aborted' as const,
      reason: 'the disk is full',
    },
    ...{ startedAtMs: hourAgoMs, endedAtMs: hourAgoMs + 1, epoch: record.epoch, fenceLsn: null },
    ...{ verifiedLsn: null, copiedBytes: 0, copySeconds: null, fenceSeconds: null },
  } as const;
  metadata.put(codec.keys.history(3, history.migrationId), codec.encodeHistory(history));
  const aborted = await look();
  check.equal([aborted?.state, aborted?.detail], ['aborted', 'the disk is full']);
});

test.run();
