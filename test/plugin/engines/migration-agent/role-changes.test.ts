import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  decodeEntries,
  encodeEntries,
} from '../../../../plugin/engines/migration-agent/migration-messages.ts';
import * as role from '../../../../plugin/engines/migration-agent/role-changes.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import type { MigrationRecord, PartitionRecord } from '../../../../src/model/migration.ts';
import type { LogEntry, PartitionMeta } from '../../../../src/ports/partition-store.ts';
import type { CopyAdoption } from '../../../../src/ports/storage-engine.ts';
import { EMPTY_META } from '../../../support/memory-partition-store.ts';

const test = suite('role changes of a partition');

const DIGEST = { entryCount: 1, sizeBytes: 2, buckets: ['aa'] };
const OWNER: PartitionMeta = {
  ...EMPTY_META,
  role: 'OWNER',
  epoch: 5,
  epochMax: 5,
  closedMigrationId: 2,
  lsn: 40,
};
const command = (migrationId: number, epoch: number) => ({
  partitionId: asPartitionId(1),
  migrationId,
  epoch: asEpoch(epoch),
});
const digest = () => DIGEST;

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'no error';
  } catch (error) {
    return error instanceof ForeshardError ? error.code : String(error);
  }
}

const prepared = role.sourcePrepared(OWNER, command(3, 5));
const fenced = role.fenced(prepared, command(3, 5), digest);
const staging = role.targetPrepared(EMPTY_META, command(3, 5), 'store-1');
const filled: PartitionMeta = {
  ...staging,
  lsn: 40,
  staging: { ...(staging.staging as object), isComplete: true } as PartitionMeta['staging'],
};

test('the way of a source: owner, fenced, follower, retired, nothing', () => {
  check.is(fenced.role, 'FENCED');
  check.equal(fenced.fence, { migrationId: 3, lsn: 40, digest: DIGEST });
  const follower = role.following(fenced, command(3, 6));
  check.equal([follower.role, follower.epoch], ['FOLLOWER', 6]);
  const retired = role.retired(follower, command(3, 6));
  const gone = role.emptied(retired, 3);
  check.equal([gone.role, gone.closedMigrationId, gone.migrationId], ['NONE', 3, 0]);
});

test('the way of a target: nothing, staging, owner at the next epoch', () => {
  const owner = role.activated(filled, command(3, 6), 40);
  check.equal([owner.role, owner.epoch, owner.closedMigrationId, owner.staging], ['OWNER', 6, 3, null]);
  check.is(role.finished(owner, command(3, 6)).migrationId, 0);
});

test('what is asked twice changes nothing the second time', () => {
  check.is(role.sourcePrepared(prepared, command(3, 5)), prepared);
  check.is(role.fenced(fenced, command(3, 5), digest), fenced);
  check.is(role.targetPrepared(staging, command(3, 5), 'store-1'), staging);
  const owner = role.activated(filled, command(3, 6), 40);
  check.is(role.activated(owner, command(3, 6), 40), owner);
  const aborted = role.aborted(fenced, command(3, 5));
  check.is(role.aborted(aborted, command(3, 5)), aborted);
});

test('an abort lifts the fence of its own migration only', () => {
  check.equal(
    [role.aborted(fenced, command(3, 5)).role, role.aborted(fenced, command(3, 5)).fence],
    ['OWNER', null],
  );
  const foreign = { ...fenced, fence: { migrationId: 4, lsn: 40, digest: DIGEST }, migrationId: 4 };
  check.is(role.aborted(foreign, command(3, 5)).role, 'FENCED');
});

test('late commands of a migration that has ended are refused', () => {
  const closed = role.aborted(fenced, command(3, 5));
  check.is(
    codeOf(() => role.sourcePrepared(closed, command(3, 5))),
    'FORESHARD_STALE_EPOCH',
  );
  check.is(
    codeOf(() => role.fenced(closed, command(3, 5), digest)),
    'FORESHARD_STALE_EPOCH',
  );
  const dropped = role.emptied(role.aborted(staging, command(3, 5)), 3);
  check.is(dropped.role, 'NONE');
  check.is(
    codeOf(() => role.targetPrepared(dropped, command(3, 5), 'store-1')),
    'FORESHARD_STALE_EPOCH',
  );
  check.is(
    codeOf(() => role.activated({ ...filled, closedMigrationId: 3 }, command(3, 6), 40)),
    'FORESHARD_STALE_EPOCH',
  );
});

test('a command of an older epoch is refused, and one to the wrong role', () => {
  check.is(
    codeOf(() => role.sourcePrepared(OWNER, command(3, 4))),
    'FORESHARD_STALE_EPOCH',
  );
  check.is(
    codeOf(() => role.targetPrepared(OWNER, command(3, 5), 's')),
    'FORESHARD_NOT_OWNER',
  );
  check.is(
    codeOf(() => role.retired(prepared, command(3, 6))),
    'FORESHARD_NOT_OWNER',
  );
  check.is(
    codeOf(() => role.following(prepared, command(3, 6))),
    'FORESHARD_NOT_OWNER',
  );
  check.is(
    codeOf(() => role.fenced(OWNER, command(3, 5), digest)),
    'FORESHARD_NOT_OWNER',
  );
});

test('a copy that is not at the fence never becomes the owner', () => {
  check.is(
    codeOf(() => role.activated(filled, command(3, 6), 41)),
    'FORESHARD_DIGEST_MISMATCH',
  );
  check.is(
    codeOf(() => role.activated({ ...staging, lsn: 40 }, command(3, 6), 40)),
    'FORESHARD_DIGEST_MISMATCH',
  );
});

test('only the copy of a migration becomes the owner by it', () => {
  for (const meta of [
    { ...filled, role: 'FOLLOWER' as const },
    { ...filled, staging: { ...(filled.staging as object), migrationId: 4 } as PartitionMeta['staging'] },
    { ...EMPTY_META, lsn: 40 },
  ])
    check.is(
      codeOf(() => role.activated(meta, command(3, 6), 40)),
      'FORESHARD_NOT_OWNER',
      meta.role,
    );
});

test('a snapshot that is opened anew is of a later state, for the migration that fills the copy alone', () => {
  const later = role.snapshotReopened(filled, 3, 55);
  check.is(later.staging?.snapshotLsn, 55);
  check.is(role.isWholeState(later), false, 'its log has not come there');
  check.is(role.isWholeState({ ...later, lsn: 55 }), true);
  check.is(role.snapshotReopened(later, 3, 54), later);
  check.is(role.snapshotReopened(filled, 4, 55), filled, 'of another migration');
  const follower = { ...filled, role: 'FOLLOWER' as const };
  check.is(role.snapshotReopened(follower, 3, 55), follower, 'no copy that is being filled');
});

test('a fence without a complete digest is not put up', () => {
  check.is(
    codeOf(() => role.fenced(prepared, command(3, 5), () => null)),
    'FORESHARD_NOT_READY',
  );
});

function recordOf(
  change: Partial<PartitionRecord>,
  migration: Partial<MigrationRecord> | null = null,
): PartitionRecord {
  return {
    partitionId: asPartitionId(1),
    ownerNodeId: asNodeId(0),
    ownerStoreId: 'mine',
    epoch: asEpoch(1),
    ownedSinceMs: 0,
    migrationSeq: 0,
    migration: migration as MigrationRecord | null,
    ...change,
  };
}

test('a node that starts takes the roles that the map leaves to it, and no more', () => {
  check.is(role.reconciled(EMPTY_META, recordOf({}), 'mine').role, 'OWNER');
  // An emptied disk has another id; and a partition that has moved once is nobody's by birth.
  check.is(role.reconciled(EMPTY_META, recordOf({}), 'another').role, 'NONE');
  check.is(
    role.reconciled(EMPTY_META, recordOf({ epoch: asEpoch(3), migrationSeq: 2 }), 'mine').role,
    'NONE',
  );
  const moved = recordOf({ ownerStoreId: 'other', epoch: asEpoch(6) });
  check.is(role.reconciled(OWNER, moved, 'mine').role, 'FENCED');
  check.is(role.reconciled(fenced, recordOf({ epoch: asEpoch(5) }), 'mine').role, 'FENCED');
});

test('a target that was down at the switch activates itself, if it stands at the fence', () => {
  const switched = recordOf(
    { epoch: asEpoch(6), migrationSeq: 3 },
    { migrationId: 3, phase: 'SWITCHED', fenceLsn: 40 },
  );
  check.equal(
    [role.reconciled(filled, switched, 'mine').role, role.reconciled(filled, switched, 'mine').epoch],
    ['OWNER', 6],
  );
  check.is(role.reconciled({ ...filled, lsn: 39 }, switched, 'mine').role, 'STAGING');
  const fencing = recordOf(
    { epoch: asEpoch(5), migrationSeq: 3 },
    { migrationId: 3, phase: 'FENCED', fenceLsn: 40 },
  );
  check.is(role.reconciled(filled, fencing, 'mine').role, 'STAGING');
});

const plain = { noNullPrototype: true };
const entry: fc.Arbitrary<LogEntry> = fc.oneof(
  fc.record(
    { lsn: fc.nat(), kind: fc.constant('put' as const), key: fc.uint8Array(), value: fc.uint8Array() },
    plain,
  ),
  fc.record({ lsn: fc.nat(), kind: fc.constant('delete' as const), key: fc.uint8Array() }, plain),
);

test('entries survive the way as bytes', () => {
  fc.assert(
    fc.property(fc.array(entry), (entries) => check.equal(decodeEntries(encodeEntries(entries)), entries)),
  );
});

test('bytes that are cut short or altered are decoded, or refused, but never more', () => {
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1 }), fc.nat(), fc.nat(255), (entries, position, byte) => {
      const bytes = encodeEntries(entries);
      check.is(
        codeOf(() => decodeEntries(bytes.subarray(0, bytes.length - 1))),
        'FORESHARD_CORRUPT',
      );
      bytes[position % bytes.length] = byte;
      const code = codeOf(() => decodeEntries(bytes));
      check.ok(code === 'no error' || code === 'FORESHARD_CORRUPT', code);
    }),
  );
});

const OF_3 = { migrationId: 3, isEmptyAllowed: false };
const ANY = { migrationId: null, isEmptyAllowed: false };

test('a copy is adopted by the migration that goes on with it, which closes all before it', () => {
  const follower = role.following(fenced, command(3, 6));
  for (const copy of [follower, fenced, filled]) {
    const adopted = role.copyAdopted(copy, command(4, copy.epoch), 'store-2', OF_3);
    check.equal(
      [adopted.role, adopted.migrationId, adopted.closedMigrationId, adopted.lsn],
      ['STAGING', 4, 3, 40],
    );
    check.equal([adopted.staging?.migrationId, adopted.staging?.isComplete, adopted.fence], [4, true, null]);
    check.is(
      role.copyAdopted(adopted, command(4, copy.epoch), 'store-2', OF_3),
      adopted,
      'twice changes nothing',
    );
    const owner = role.activated(adopted, command(4, 7), 40);
    check.equal([owner.role, owner.epoch], ['OWNER', 7]);
    // Late commands of the migration before find it closed: nothing of theirs touches the copy.
    check.is(role.aborted(adopted, command(3, 6)), adopted);
    for (const late of [
      () => role.retired(adopted, command(3, 6)),
      () => role.following(adopted, command(3, 6)),
    ])
      check.is(codeOf(late), 'FORESHARD_STALE_EPOCH');
  }
});

test('nothing is adopted that is not a whole copy, or not the one that is named', () => {
  const refused = (meta: PartitionMeta, adopts: CopyAdoption) =>
    codeOf(() => role.copyAdopted(meta, command(9, 7), 'store-2', adopts));
  const follower = role.following(fenced, command(3, 6));
  check.is(refused(follower, { ...OF_3, migrationId: 2 }), 'FORESHARD_NOT_OWNER');
  check.is(refused(staging, ANY), 'FORESHARD_NOT_OWNER');
  check.is(refused({ ...filled, closedMigrationId: 3 }, ANY), 'FORESHARD_NOT_OWNER', 'it is being dropped');
  check.is(refused(role.retired(follower, command(3, 6)), ANY), 'FORESHARD_NOT_OWNER', 'it is being removed');
  check.is(refused(OWNER, ANY), 'FORESHARD_NOT_OWNER');
  check.is(refused({ ...OWNER, role: 'FENCED' }, ANY), 'FORESHARD_NOT_OWNER', 'deposed, and never fenced');
  check.is(refused(EMPTY_META, ANY), 'FORESHARD_NOT_OWNER');
  const empty = role.copyAdopted(EMPTY_META, command(9, 7), 'store-2', { ...ANY, isEmptyAllowed: true });
  check.equal([empty.role, empty.staging?.isComplete], ['STAGING', true]);
});

test('after a rollback that failed its copy follows again, whether the rollback had reached it or not', () => {
  const follower = role.following(fenced, command(3, 6));
  const adopted = role.copyAdopted(follower, command(4, 6), 'store-2', OF_3);
  for (const copy of [adopted, follower, fenced]) {
    const again = role.following(copy, command(5, 6), true);
    check.equal([again.role, again.migrationId, again.epoch, again.staging], ['FOLLOWER', 5, 6, null]);
    check.is(
      codeOf(() => role.copyAdopted(again, command(4, 6), 'store-2', OF_3)),
      'FORESHARD_STALE_EPOCH',
    );
  }
  check.is(
    codeOf(() => role.following(adopted, command(5, 6))),
    'FORESHARD_NOT_OWNER',
    'the map does not say so',
  );
});

test('an owner that was only followed under a number closes it in the end: late commands do not begin it anew', () => {
  const followed = {
    ...EMPTY_META,
    role: 'OWNER' as const,
    epoch: 6,
    epochMax: 6,
    closedMigrationId: 2,
    migrationId: 3,
  };
  const after = role.finished(followed, command(3, 6));
  check.is(after.closedMigrationId, 3);
  check.throws(() => role.sourcePrepared(after, command(3, 6)), /closed/);
});

test('an owner ends what it kept its log for, and no late word of an older migration does that', () => {
  const owner = { ...EMPTY_META, role: 'OWNER' as const, epoch: 6, epochMax: 6, closedMigrationId: 3 };
  check.is(role.mayFinish(owner, command(4, 6)), true);
  check.is(role.finished(owner, command(4, 6)).closedMigrationId, 4);
  check.is(role.mayFinish(owner, command(3, 6)), false);
  check.is(role.mayFinish({ ...owner, migrationId: 5 }, command(4, 6)), false);
});

test.run();
