import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { isOver, type MoveEvidence, outcomeOf } from '../../../../plugin/operator/apply/follow-moves.ts';

const test = suite('foreshard apply');

const MOVE = { partitionId: 3, sourceNodeId: 0, targetNodeId: 1 };
const NOTHING = { isApprovalPending: false, ended: [], voided: undefined };

const seen = (changes: object, ownerNodeId = 0, migration: object | null = null): MoveEvidence =>
  ({ ...NOTHING, record: { partitionId: 3, ownerNodeId, migration }, ...changes }) as unknown as MoveEvidence;

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
  check.is(outcomeOf(MOVE, seen({ isApprovalPending: true })).state, 'waiting');
  check.is(outcomeOf(MOVE, seen({})).state, 'waiting', 'between two reads');
});

test('what came to nothing says why', () => {
  const voided = outcomeOf(MOVE, seen({ voided: { message: 'another epoch' } }));
  check.equal([voided.state, voided.detail, isOver(voided)], ['void', 'another epoch', true]);
  const aborted = outcomeOf(
    MOVE,
    seen({ ended: [{ reason: 'the copy never caught up' }, { reason: 'older' }] }),
  );
  check.equal([aborted.state, aborted.detail], ['aborted', 'the copy never caught up']);
});

test.run();
