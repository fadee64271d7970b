import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { HeldPartition } from '../../../../plugin/node/storage/partition-inventory.ts';
import { planResync, type ResyncKnowledge } from '../../../../plugin/operator/resync/plan-resync.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';

const test = suite('what a map that has gone back becomes');

const RECORD: PartitionRecord = {
  partitionId: asPartitionId(3),
  ownerNodeId: asNodeId(0),
  ownerStoreId: 's0',
  epoch: asEpoch(4),
  ownedSinceMs: 0,
  migrationSeq: 6,
  migration: null,
};
const NONE: HeldPartition = {
  partitionId: 3,
  role: 'NONE',
  epoch: 0,
  epochMax: 0,
  closedMigrationId: 0,
  migrationId: 0,
  lsn: 0,
  fencedBy: null,
};
const owner = (epoch: number, closedMigrationId = 0): Partial<HeldPartition> => ({
  role: 'OWNER',
  epoch,
  epochMax: epoch,
  closedMigrationId,
});

const KNOWN: ResyncKnowledge = {
  nowMs: 1,
  digestSeed: '0011223344556677',
  targets: [],
  without: new Set(),
};

/** @param held by node 0, 1, 2. */
const plan = (...held: readonly Partial<HeldPartition>[]) => planKnowing({}, ...held);

function planKnowing(known: Partial<ResyncKnowledge>, ...held: readonly Partial<HeldPartition>[]) {
  const stores = held.map((each, nodeId) => ({
    nodeId,
    storeId: `s${nodeId}`,
    held: new Map([[3, { ...NONE, ...each }]]),
  }));
  return planResync(RECORD, stores, { ...KNOWN, ...known });
}

function changed(...held: readonly Partial<HeldPartition>[]): PartitionRecord {
  const decision = plan(...held);
  if (decision.kind !== 'change') throw new Error(JSON.stringify(decision));
  return decision.record;
}

test('a record that no store contradicts stays', () => {
  check.is(plan(owner(4, 6), {}).kind, 'right');
  // What the map has told and a node has not heard yet is no contradiction.
  check.is(plan(owner(3, 2), {}).kind, 'right');
});

test('the owner is who says so at the highest epoch, and numbers go on where they were', () => {
  const left = { role: 'FOLLOWER', epoch: 5, epochMax: 5, migrationId: 9 } as const;
  const { ownerNodeId, ownerStoreId, epoch, migrationSeq, migration } = changed(left, owner(5, 9));
  check.equal([ownerNodeId, ownerStoreId, epoch, migrationSeq, migration], [1, 's1', 5, 9, null]);
});

test('a copy that was being filled is aborted, the owner stays', () => {
  const staging = { role: 'STAGING', epoch: 4, epochMax: 4, migrationId: 7 } as const;
  const { ownerNodeId, epoch, migrationSeq, migration } = changed(
    { ...owner(4, 6), migrationId: 7 },
    {},
    staging,
  );
  check.equal([ownerNodeId, epoch, migrationSeq], [0, 4, 7]);
  check.equal(
    [migration?.phase, migration?.migrationId, migration?.sourceNodeId, migration?.targetNodeId],
    ['ABORT', 7, 0, 2],
  );
});

test('who has fenced itself is the owner where nobody else has become it, and the fence is lifted', () => {
  const fenced = { role: 'FENCED', epoch: 5, epochMax: 5, migrationId: 8, fencedBy: 8 } as const;
  const staging = { role: 'STAGING', epoch: 5, epochMax: 5, migrationId: 8 } as const;
  const { ownerNodeId, epoch, migration } = changed({}, fenced, staging);
  check.equal([ownerNodeId, epoch, migration?.phase, migration?.migrationId], [1, 5, 'ABORT', 8]);
});

test('what only people can know is left as it is', () => {
  check.is(plan({ role: 'RETIRED', epoch: 5, epochMax: 5 }, {}).kind, 'unclear', 'nobody owns it');
  check.is(plan(owner(5), owner(5)).kind, 'unclear', 'two owners of one epoch');
  // The new owner's machine is missing: the old one's fence must not be taken for ownership.
  check.is(plan({ ...owner(4), epochMax: 6 }, {}).kind, 'unclear', 'a later epoch has been seen');
});

const FENCED = {
  role: 'FENCED',
  epoch: 4,
  epochMax: 4,
  migrationId: 7,
  closedMigrationId: 6,
  fencedBy: 7,
} as const;

test('who has fenced itself is not made the owner while the target of its fence is silent', () => {
  const unknown = plan(FENCED, {});
  if (unknown.kind !== 'unclear') throw new Error('the old owner would overtake the new one');
  check.match(unknown.why, /migration 7 to a store that is not known.*start its node.*would lose/);
  const target = { migrationId: 7, storeId: 's5', nodeId: 5 };
  const named = planKnowing({ targets: [target] }, FENCED, {});
  if (named.kind !== 'unclear') throw new Error('the old owner would overtake the new one');
  check.match(named.why, /store s5 of node 5, which does not answer.*--without 5/);
  // One that answers, and has nothing, has never been the owner.
  check.is(planKnowing({ targets: [{ ...target, storeId: 's1' }] }, FENCED, {}).kind, 'change');
  check.is(plan(FENCED, { closedMigrationId: 7 }).kind, 'change', 'it has heard that there was no switch');
  check.is(plan(FENCED, { closedMigrationId: 5 }).kind, 'unclear', 'it has heard of an older one');
});

test('a target is given up by its own name, and what is risked is said', () => {
  const targets = [{ migrationId: 7, storeId: 's5', nodeId: 5 }];
  check.is(planKnowing({ targets, without: new Set([6]) }, FENCED, {}).kind, 'unclear');
  const decision = planKnowing({ targets, without: new Set([5]) }, FENCED, {});
  if (decision.kind !== 'change') throw new Error(JSON.stringify(decision));
  check.is(decision.record.ownerNodeId, 0);
  check.match(decision.risk ?? '', /store s5 of node 5 .* is lost/);
});

test('a fence that nobody is there to lift stays as it is', () => {
  const targets = [{ migrationId: 7, storeId: 's5', nodeId: 5 }];
  check.is(planKnowing({ targets, without: new Set([5]) }, FENCED).kind, 'unclear');
});

test('an epoch that the map has given away is not taken back', () => {
  // The map's own owner, at epoch 4, is silent; node 1 has not heard that another took over from it.
  check.is(plan({}, { ...owner(3, 7) }).kind, 'unclear');
});

test.run();
