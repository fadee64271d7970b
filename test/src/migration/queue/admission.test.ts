import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { RetryBook } from '../../../../src/migration/backoff.ts';
import {
  ADMISSION_REFUSALS,
  type AdmissionContext,
  CopyCounts,
  isTemporary,
  refusalOf,
} from '../../../../src/migration/queue/admission.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../../src/migration/settings.ts';
import { compareSides } from '../../../../src/migration/verification.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import type { MigrationPhase, MigrationRecord, PartitionRecord } from '../../../../src/model/migration.ts';
import type { Move } from '../../../../src/model/proposal.ts';

const test = suite('migration admission and retries');
const NOW_MS = 10_000_000;
const SETTINGS = {
  ...DEFAULT_MIGRATION_SETTINGS,
  retryMsMin: 100,
  retryMsMax: 1_000,
  attemptsMax: 3,
  quarantineMs: 5_000,
};

function recordOf(
  partitionId: number,
  owner: number,
  open?: { phase: MigrationPhase; target: number },
): PartitionRecord {
  const migration = open && {
    migrationId: 1,
    sourceNodeId: asNodeId(owner),
    targetNodeId: asNodeId(open.target),
    phase: open.phase,
  };
  return {
    partitionId: asPartitionId(partitionId),
    ownerNodeId: asNodeId(owner),
    ownerStoreId: `store-${owner}`,
    epoch: asEpoch(1),
    ownedSinceMs: 0,
    migrationSeq: 0,
    migration: (migration ?? null) as MigrationRecord | null,
  };
}

const moveOf = (partitionId: number, source: number, target: number): Move => ({
  partitionId: asPartitionId(partitionId),
  sourceNodeId: asNodeId(source),
  targetNodeId: asNodeId(target),
  sizeBytes: 1,
  gain: 1,
  cost: 0,
  reason: '',
  schedule: null,
});

function contextOf(
  records: (PartitionRecord | null)[],
  change: Partial<AdmissionContext> = {},
): AdmissionContext {
  return {
    records,
    storageNodeCount: 8,
    settings: SETTINGS,
    nowMs: NOW_MS,
    planNowMs: NOW_MS,
    isInWindow: true,
    isPaused: () => false,
    isQuarantined: () => false,
    isRejected: () => false,
    ...change,
  };
}

function refusal(move: Move, context: AdmissionContext, epoch = 1) {
  const expected = { ownerNodeId: context.records[move.partitionId]?.ownerNodeId ?? -1, epoch };
  return refusalOf(move, expected, new CopyCounts(context.records), context);
}

test('a move whose hour is still to come waits for it, by the clock of the plan', () => {
  const records = [recordOf(0, 0), recordOf(1, 1)];
  const schedule = { startMs: 500, endMs: 600, seconds: 0.1, bytesPerSecond: 1, price: 0, gain: 1 };
  const move = { ...moveOf(0, 0, 1), schedule };
  check.is(refusal(move, contextOf(records, { planNowMs: 499 })), 'not-due');
  check.is(refusal(move, contextOf(records, { isInWindow: false })), 'outside-windows');
  check.ok(isTemporary('not-due'), 'it stays in the queue');
  check.is(refusal(move, contextOf(records, { planNowMs: 500 })), null);
});

test('a move on the map it was made for is admitted', () => {
  check.is(refusal(moveOf(0, 0, 1), contextOf([recordOf(0, 0)])), null);
});

test('every refusal names its reason', () => {
  const fresh = { ...recordOf(0, 0), ownedSinceMs: NOW_MS - SETTINGS.residenceMs + 1 };
  const busy = (phase: MigrationPhase) => [recordOf(0, 0), recordOf(1, 0, { phase, target: 2 })];
  check.is(refusal(moveOf(0, 0, 1), contextOf([null])), 'unknown-partition');
  check.is(refusal(moveOf(0, 3, 1), contextOf([recordOf(0, 0)])), 'stale-proposal');
  check.is(refusal(moveOf(0, 0, 1), contextOf([recordOf(0, 0)]), 2), 'stale-proposal');
  check.is(
    refusal(moveOf(0, 0, 1), contextOf([recordOf(0, 0, { phase: 'GRACE', target: 2 })])),
    'migration-open',
  );
  check.is(refusal(moveOf(0, 0, 1), contextOf([fresh])), 'residence');
  check.is(
    refusal(moveOf(0, 0, 1), contextOf([recordOf(0, 0)], { isQuarantined: () => true })),
    'quarantine',
  );
  check.is(refusal(moveOf(0, 0, 1), contextOf([recordOf(0, 0)], { isRejected: () => true })), 'rejected');
  check.is(refusal(moveOf(0, 0, 1), contextOf([recordOf(0, 0)], { isPaused: () => true })), 'paused');
  check.is(refusal(moveOf(0, 0, 1), contextOf(busy('COPY'))), 'source-busy');
  check.is(refusal(moveOf(0, 0, 1), contextOf(busy('GRACE'))), null);
  check.is(refusal(moveOf(2, 3, 2), contextOf([...busy('SHIFT'), recordOf(2, 3)])), 'target-busy');
  check.is(
    refusal(moveOf(2, 3, 4), contextOf([...busy('COPY'), recordOf(2, 3)], { storageNodeCount: 3 })),
    'cluster-busy',
  );
});

test('what passes by itself keeps a move in the queue, and nothing else does', () => {
  check.equal(ADMISSION_REFUSALS.filter(isTemporary), [
    'not-due',
    'outside-windows',
    'source-busy',
    'target-busy',
    'cluster-busy',
    'paused',
    'awaits-room',
  ]);
});

test('copies are admitted up to the limit of a node, and of half the cluster', () => {
  const settings = { ...SETTINGS, copiesPerNodeMax: 2 };
  const records = Array.from({ length: 4 }, (_, p) => recordOf(p, 0));
  const copies = new CopyCounts(records);
  const admit = (partition: number, target: number, storageNodeCount: number) =>
    refusalOf(
      moveOf(partition, 0, target),
      { ownerNodeId: 0, epoch: 1 },
      copies,
      contextOf(records, { settings, storageNodeCount }),
    );
  check.is(admit(0, 1, 1), null, 'a cluster of any size may have one');
  copies.add(0, 1);
  check.is(admit(1, 1, 3), 'cluster-busy', 'one of three nodes is half of them');
  check.is(admit(1, 1, 4), null);
  copies.add(0, 1);
  check.is(admit(2, 2, 8), 'source-busy');
  copies.outgoing.set(0, 0);
  check.is(admit(2, 1, 8), 'target-busy');
  check.is(admit(2, 2, 8), null);
});

test('retries wait twice as long each time, with jitter, up to a limit', () => {
  const clock = new VirtualClock();
  const book = new RetryBook(SETTINGS, clock, seededRandom(3n));
  const waits: number[] = [];
  for (let failure = 0; failure < 8; failure++) {
    book.failed(7);
    const startMs = clock.monotonicMs();
    while (!book.isDue(7)) clock.advanceTo(clock.monotonicMs() + 1);
    waits.push(clock.monotonicMs() - startMs);
  }
  waits.forEach((waitMs, failure) => {
    const fullMs = Math.min(1_000, 100 * 2 ** failure);
    check.ok(waitMs >= fullMs / 2 && waitMs <= fullMs + 1, `wait ${failure} is ${waitMs} of ${fullMs}`);
  });
  book.failed(7);
  book.succeeded(7);
  check.ok(book.isDue(7));
});

test('the last of several failures in a row is known before it is written down', () => {
  const clock = new VirtualClock();
  const book = new RetryBook(SETTINGS, clock, seededRandom(3n));
  book.aborted(7);
  book.aborted(7);
  check.ok(book.isLastAttempt(7), 'of three');
  check.not.ok(book.isLastAttempt(8));
  book.aborted(7);
  check.ok(book.isLastAttempt(7), 'each further one as well');
  book.migrated(7);
  check.not.ok(book.isLastAttempt(7));
});

test('sides are compared at one lsn only', () => {
  const digest = { entryCount: 1, sizeBytes: 9, buckets: ['aa'] };
  const side = (lsn: number, sizeBytes = 9) => ({
    lsn,
    scanned: { ...digest, sizeBytes },
    running: { ...digest, sizeBytes },
  });
  check.is(compareSides(side(4), side(5)), null);
  check.is(compareSides(side(4), side(4)), '');
  check.match(compareSides(side(4), side(4, 10)) ?? '', /9 and 10 bytes/);
});

test.run();
