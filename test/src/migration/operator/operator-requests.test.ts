import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  answerCancel,
  answerRollback,
  answerTakeover,
  type RequestAnswer,
  refuseRollback,
  type TakeoverFacts,
} from '../../../../src/migration/operator/operator-requests.ts';
import { mayAbort } from '../../../../src/migration/phases.ts';
import type { OpenRecord } from '../../../../src/migration/records/record-changes.ts';
import type { OperatorAction, OperatorRequest } from '../../../../src/migration/records/records.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../../src/migration/settings.ts';
import {
  MIGRATION_PHASES,
  type MigrationPhase,
  type PartitionRole,
} from '../../../../src/model/migration.ts';
import type { NodeMigrationStatus } from '../../../../src/ports/storage-engine.ts';
import { recordIn as recordOf } from '../../../support/migration-record.ts';

const test = suite('orders of an operator: answers');

const NOW_MS = 1_000_000;
const CONTEXT = { settings: DEFAULT_MIGRATION_SETTINGS, nowMs: NOW_MS };

const requestOf = (action: OperatorAction): OperatorRequest => ({
  requestId: '1-a',
  action,
  partitionId: 5,
  by: 'ann@host',
  reason: 'because',
  atMs: NOW_MS,
  expiresAtMs: NOW_MS + 1,
});

const recordIn = (phase: MigrationPhase, quarantine?: OpenRecord['quarantine']): OpenRecord => {
  const times = { phaseAtMs: NOW_MS - 10, startedAtMs: NOW_MS - 10 };
  return recordOf(phase, { ...times, readWeight: 0.5 }, quarantine ? { quarantine } : {});
};

const statusOf = (role: PartitionRole, lsn: number, change: Partial<NodeMigrationStatus> = {}) => ({
  role,
  epoch: 8,
  lsn,
  closedMigrationId: 3,
  copiedBytes: 0,
  isSnapshotComplete: true,
  verify: null,
  digest: null,
  failure: null,
  ...change,
});

const textOf = (answer: RequestAnswer): string => (answer.kind === 'refuse' ? answer.why : answer.message);

test('a cancel is carried out in every phase that may abort, and refused with a way out in every other', () => {
  for (const phase of MIGRATION_PHASES) {
    const answer = answerCancel(recordIn(phase), requestOf('cancel'), CONTEXT);
    check.is(answer.kind === 'do', mayAbort(phase), phase);
    if (answer.kind === 'do') {
      const { migration, quarantine, ownerNodeId } = answer.record;
      check.equal([migration.phase, migration.readWeight, migration.abortedIn], ['ABORT', 0, phase]);
      check.equal([migration.openedFor, ownerNodeId], ['node 1 is hot', 1]);
      check.is(quarantine?.untilMs, NOW_MS + DEFAULT_MIGRATION_SETTINGS.quarantineMs);
    }
  }
  const grace = answerCancel(recordIn('GRACE'), requestOf('cancel'), CONTEXT);
  check.match(textOf(grace), /foreshard rollback 5 --reason …` takes the partition back to node 1/);
  check.match(textOf(answerCancel(recordIn('CLEANUP'), requestOf('cancel'), CONTEXT)), /only a new move/);
  const stable = { ...recordIn('PREPARE'), migration: null };
  check.match(textOf(answerCancel(stable, requestOf('cancel'), CONTEXT)), /nothing to cancel/);
});

test('only in GRACE a way back is open, and every other phase says what to do', () => {
  const refusals = MIGRATION_PHASES.filter((phase) => phase !== 'GRACE').map((phase) => {
    const answer = refuseRollback(recordIn(phase));
    check.is(answer?.kind, 'refuse', phase);
    return textOf(answer as RequestAnswer);
  });
  check.ok(
    refusals.every((text) => /foreshard cancel|again in a moment|only a new move|being aborted/.test(text)),
  );
  check.is(refuseRollback(recordIn('GRACE')), null);
  const doubted = { sinceMs: 0, untilMs: null, migrationId: 4, reason: 'digests differ' };
  check.match(textOf(refuseRollback(recordIn('GRACE', doubted)) as RequestAnswer), /digests differ/);
  check.is(refuseRollback(recordIn('GRACE', { ...doubted, untilMs: NOW_MS })), null);
});

test('a rollback opens a migration to the follower that goes on with its copy, under the same seed', () => {
  const facts = {
    canFollow: true,
    follower: { answer: statusOf('FOLLOWER', 90) },
    owner: { answer: statusOf('OWNER', 100) },
  };
  const record = recordIn('GRACE');
  const answer = answerRollback(record, requestOf('rollback'), facts, CONTEXT);
  check.ok(answer.kind === 'do');
  const { migration, migrationSeq, ownerNodeId, epoch } = answer.record;
  check.equal(
    [migrationSeq, migration.migrationId, migration.resumes, migration.kind],
    [5, 5, 4, 'rollback'],
  );
  check.equal([migration.sourceNodeId, migration.targetNodeId, migration.targetStoreId], [2, 1, 'store-1']);
  check.equal([migration.phase, migration.digestSeed], ['PREPARE', '0'.repeat(16)]);
  check.equal([ownerNodeId, epoch], [2, 8], 'nothing changes hands yet');

  const ask = (change: Partial<typeof facts> | object) =>
    textOf(answerRollback(record, requestOf('rollback'), { ...facts, ...change }, CONTEXT));
  check.match(
    ask({ follower: { silence: 'connection refused' } }),
    /node 1, .* \(connection refused\): start it/,
  );
  check.match(ask({ owner: { silence: 'down' } }), /foreshard takeover 5/);
  check.match(ask({ follower: { answer: statusOf('FENCED', 90) } }), /does not follow yet: ask again/);
  check.match(
    ask({ follower: { answer: statusOf('FOLLOWER', 90, { failure: 'disk full' }) } }),
    /stopped following at lsn 90: disk full/,
  );
  check.match(ask({ owner: { answer: statusOf('OWNER', 5_000) } }), /4910 entries behind .* \(1000\)/);
  check.match(ask({ canFollow: false }), /only a new move/);
});

test('a takeover states the loss before it accepts it, and takes nothing that is not a whole copy', () => {
  const record = recordIn('GRACE');
  const facts: TakeoverFacts = {
    ownerStoreId: { silence: 'connection refused' },
    target: { answer: { storeId: 'store-1', isRetired: false, status: statusOf('FOLLOWER', 90) } },
    otherCopies: [],
    lastOwnerLsn: { lsn: 97, atMs: 0 },
    digestSeed: '1'.repeat(16),
  };
  const ask = (order: object = {}, change: Partial<TakeoverFacts> = {}) => {
    const takeover = {
      fromStoreId: 'store-2',
      targetNodeId: 1,
      lossAfterLsn: 90,
      isEmptyAllowed: false,
      ...order,
    };
    return answerTakeover(record, { ...requestOf('takeover'), takeover }, { ...facts, ...change }, NOW_MS);
  };
  const answer = ask();
  check.ok(answer.kind === 'do');
  check.is(answer.retiresStoreId, 'store-2');
  check.match(answer.message, /up to lsn 90, .* last known at lsn 97, 1970/);
  const { migration, ownerNodeId, epoch } = answer.record;
  check.equal([migration.phase, migration.kind, migration.resumes], ['PREPARE', 'takeover', 4]);
  check.equal([ownerNodeId, epoch], [2, 8], 'the owner changes when the copy is adopted, not before');

  const target = (status: NodeMigrationStatus) => ({
    target: { answer: { storeId: 'store-1', isRetired: false, status } },
  });
  check.match(textOf(ask({ fromStoreId: 'store-1' })), /owned by store store-2 on node 2, not by store-1/);
  check.match(textOf(ask({}, { ownerStoreId: { answer: 'store-2' } })), /it is not lost/);
  check.is(ask({}, { ownerStoreId: { answer: 'a new disk' } }).kind, 'do');
  check.match(textOf(ask({ lossAfterLsn: null })), /nothing was changed: say --i-accept-loss-after 90/);
  check.match(textOf(ask({ lossAfterLsn: 91 })), /less than the 91/);
  check.match(textOf(ask({}, { lastOwnerLsn: null })), /nobody here knows the owner's last lsn/);
  check.match(textOf(ask({}, { target: { silence: 'down' } })), /node 1 does not answer \(down\)/);
  const retired = { answer: { storeId: 'store-1', isRetired: true, status: statusOf('FOLLOWER', 90) } };
  check.match(textOf(ask({}, { target: retired })), /the store of node 1 was retired itself/);
  const given = { answer: { storeId: 'store-2', isRetired: false, status: statusOf('FOLLOWER', 90) } };
  check.match(textOf(ask({}, { target: given })), /node 1 has the very store that is given up/);
  const partial = target(statusOf('STAGING', 90, { isSnapshotComplete: false }));
  check.match(textOf(ask({}, partial)), /no whole copy/);
  check.match(textOf(ask({}, target(statusOf('RETIRED', 90)))), /no whole copy/);
});

test('a partition is opened empty only if it is said, and only if nobody is known to have a copy', () => {
  const record = { ...recordIn('COPY'), migration: null };
  const facts: TakeoverFacts = {
    ownerStoreId: { silence: 'down' },
    target: { answer: { storeId: 'store-3', isRetired: false, status: statusOf('NONE', 0) } },
    otherCopies: [],
    lastOwnerLsn: null,
    digestSeed: '1'.repeat(16),
  };
  const ask = (isEmptyAllowed: boolean, change: Partial<TakeoverFacts> = {}) => {
    const takeover = { fromStoreId: 'store-1', targetNodeId: 3, lossAfterLsn: 0, isEmptyAllowed };
    return answerTakeover(record, { ...requestOf('takeover'), takeover }, { ...facts, ...change }, NOW_MS);
  };
  check.match(textOf(ask(false)), /all of its data would be lost; --empty/);
  const elsewhere = { otherCopies: [{ nodeId: 2, status: { answer: statusOf('FENCED', 70) } }] };
  check.match(textOf(ask(true, elsewhere)), /node 2 has one at lsn 70: take that, --to 2/);
  const useless = {
    otherCopies: [
      { nodeId: 2, status: { answer: statusOf('STAGING', 70, { isSnapshotComplete: false }) } },
      { nodeId: 4, status: { silence: 'down' } },
    ],
  };
  check.match(textOf(ask(false, useless)), /would be lost; --empty .*; but node 4 may have a copy/);
  check.match(textOf(ask(true, useless)), /; but node 4 may have a copy, and does not answer/);
  const answer = ask(true);
  check.ok(answer.kind === 'do' && answer.record.migration.takeover?.isEmpty);
  check.is(answer.kind === 'do' && answer.record.migration.resumes, undefined);

  // Cancelled, and not removed yet: at its node it looks like a whole copy, at the lsn that the node once had.
  if (answer.kind !== 'do') return;
  const opened = { ...answer.record, migration: { ...answer.record.migration, phase: 'ABORT' as const } };
  const takeover = { fromStoreId: 'store-1', targetNodeId: 3, lossAfterLsn: 500, isEmptyAllowed: false };
  const again = answerTakeover(
    opened,
    { ...requestOf('takeover'), takeover },
    {
      ...facts,
      target: { answer: { storeId: 'store-3', isRetired: false, status: statusOf('STAGING', 500) } },
    },
    NOW_MS,
  );
  check.match(textOf(again), /all of its data would be lost; --empty/);
});

test.run();
