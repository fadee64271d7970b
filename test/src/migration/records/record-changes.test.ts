import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { takenOver, takeoverOf } from '../../../../src/migration/records/record-changes.ts';
import { asNodeId } from '../../../../src/model/ids.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';
import { STABLE_RECORD } from '../../../support/migration-record.ts';

const test = suite('changes of a record');

const takeoverAt = (copyLsn: number, isEmpty: boolean): PartitionRecord => {
  const plan = {
    targetNodeId: asNodeId(2),
    targetStoreId: 'store-2',
    lossAfterLsn: 0,
    isEmpty,
    reason: 'the machine is gone',
    digestSeed: '0'.repeat(16),
  };
  return takenOver(takeoverOf(STABLE_RECORD, plan, 1_000), copyLsn, 1_100);
};

test('a takeover keeps what the copy has', () => {
  const { ownerNodeId, epoch, lineage } = takeoverAt(20, false);
  check.equal([ownerNodeId, epoch, lineage], [2, 9, { epoch: 9, lsn: 20 }]);
});

test('a takeover with nothing keeps nothing, also on a node that stands at the lsn of an earlier stay', () => {
  const { lineage, migration } = takeoverAt(20, true);
  check.equal(lineage, { epoch: 9, lsn: 0 });
  check.is(migration?.fenceLsn, 20); // where the node stands, and goes on
});

test.run();
