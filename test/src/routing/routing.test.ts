import calculateSlot from 'cluster-key-slot';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../../src/base/random.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../src/model/ids.ts';
import type { MigrationPhase, PartitionRecord } from '../../../src/model/migration.ts';
import { keySlot } from '../../../src/routing/key-slot.ts';
import {
  advanceRoutingTable,
  buildRoutingTable,
  isCopyReader,
  NO_NODE,
} from '../../../src/routing/routing-table.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('src/routing');

const slotOf = (key: string): number => {
  const bytes = Buffer.from(`pad{x}${key}}pad`);
  return keySlot(bytes, 6, bytes.length - 4);
};

test('an empty first tag is none, as in Redis itself (npm cluster-key-slot would take the second)', () => {
  // 8363 is what CLUSTER KEYSLOT answers.
  assert.is(slotOf('foo{}{bar}'), 8363);
});

test('slots are those of Redis Cluster, tags and their odd cases included', () => {
  const odd = [
    '',
    'foo',
    '{user1000}.following',
    'foo{{bar}}zap',
    'foo{bar}{zap}',
    '{',
    '}',
    '{}',
    'a{b',
    'ü{ö}ä',
    '}{a}',
  ];
  for (const key of odd) assert.is(slotOf(key), calculateSlot(key), JSON.stringify(key));
  const random = seededRandom(testSeed('slots'));
  for (let round = 0; round < 3000; round++) {
    const key = Array.from({ length: random.nextBelow(20) }, () => 'ab{}é1'[random.nextBelow(6)]).join('');
    if (!/^[^{]*\{\}/.test(key)) assert.is(slotOf(key), calculateSlot(key), JSON.stringify(key));
  }
});

function record(
  p: number,
  owner: number,
  epoch: number,
  migration?: { phase: MigrationPhase; readWeight: number },
): PartitionRecord {
  return {
    partitionId: asPartitionId(p),
    ownerNodeId: asNodeId(owner),
    ownerStoreId: 's',
    epoch: asEpoch(epoch),
    ownedSinceMs: 0,
    migrationSeq: 1,
    migration: migration
      ? {
          migrationId: 1,
          sourceNodeId: asNodeId(owner),
          sourceStoreId: 's',
          targetNodeId: asNodeId(7),
          targetStoreId: 't',
          phaseAtMs: 0,
          startedAtMs: 0,
          digestSeed: '0'.repeat(16),
          notBeforeMs: 0,
          reason: '',
          attempt: 1,
          ...migration,
        }
      : null,
  };
}

test('reads go to a copy only in phases in which it is verified and not yet the owner', () => {
  const targetIn = (phase: MigrationPhase, readWeight = 0.5): number =>
    buildRoutingTable([record(0, 1, 1, { phase, readWeight })], 16).readTargetOf[0];
  for (const phase of ['SHIFT', 'FENCING', 'FENCED'] as const) assert.is(targetIn(phase), 7);
  for (const phase of [
    'PREPARE',
    'COPY',
    'CATCHUP',
    'VERIFY',
    'SWITCHED',
    'GRACE',
    'CLEANUP',
    'ABORT',
  ] as const)
    assert.is(targetIn(phase), NO_NODE);
  assert.is(targetIn('SHIFT', 0), 7, 'reads are mirrored before the first is answered there');
});

test('a partition without a valid record has no owner', () => {
  const table = buildRoutingTable([record(0, 3, 5), null], 16);
  assert.is(table.ownerOf[0], 3);
  assert.is(table.ownerOf[1], NO_NODE);
  assert.is(table.ownerOf[15], NO_NODE);
});

test('an older or lost record does not undo what is known, and changes of owner are named', () => {
  const current = buildRoutingTable([record(0, 1, 5), record(1, 1, 5), record(2, 1, 5), record(3, 1, 5)], 16);
  const next = buildRoutingTable([record(0, 2, 6), record(1, 9, 4), null, record(3, 1, 5)], 16);
  const { table, changed } = advanceRoutingTable(current, next);
  assert.equal(changed, [0]);
  assert.equal([...table.ownerOf.subarray(0, 4)], [2, 1, 1, 1]);
  assert.equal([...table.epochOf.subarray(0, 4)], [6, 5, 5, 5]);
});

test('the share of clients that read from the copy follows the weight, and only grows with it', () => {
  for (const weight of [0, 0.05, 0.25, 0.5, 1]) {
    let count = 0;
    for (let client = 1; client <= 4000; client++) {
      const isReader = isCopyReader(client, 17, weight);
      if (isReader) count++;
      if (isReader) assert.is(isCopyReader(client, 17, Math.min(1, weight + 0.2)), true);
    }
    assert.is(Math.abs(count / 4000 - weight) < 0.03, true, `${count} of 4000 at ${weight}`);
  }
});

test.run();
