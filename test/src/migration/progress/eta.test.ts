import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { type EtaFacts, etaOf } from '../../../../src/migration/progress/eta.ts';
import type { OpenRecord } from '../../../../src/migration/records/record-changes.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../../src/migration/settings.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import type { MigrationRecord } from '../../../../src/model/migration.ts';

const test = suite('time that is left of a migration');
const NOW_MS = 1_000_000;
const SETTINGS = {
  ...DEFAULT_MIGRATION_SETTINGS,
  copyBytesPerSecond: 10e6,
  readWeightSteps: [0.5, 1],
  readWeightHoldMs: 5_000,
  graceMs: 60_000,
};
const NOTHING: EtaFacts = {
  copiedBytes: null,
  sizeBytes: null,
  lagEntries: null,
  writeRate: null,
  applyRate: null,
};

const recordIn = (migration: Partial<MigrationRecord>): OpenRecord => ({
  partitionId: asPartitionId(1),
  ownerNodeId: asNodeId(0),
  ownerStoreId: 's0',
  epoch: asEpoch(1),
  ownedSinceMs: 0,
  migrationSeq: 1,
  migration: {
    migrationId: 1,
    sourceNodeId: asNodeId(0),
    sourceStoreId: 's0',
    targetNodeId: asNodeId(1),
    targetStoreId: 's1',
    phase: 'COPY',
    phaseAtMs: NOW_MS - 10_000,
    startedAtMs: 0,
    digestSeed: '0'.repeat(16),
    readWeight: 0,
    notBeforeMs: 0,
    reason: '',
    attempt: 0,
    ...migration,
  },
});

const eta = (migration: Partial<MigrationRecord>, facts: Partial<EtaFacts> = {}) =>
  etaOf(recordIn(migration), { ...NOTHING, ...facts }, { settings: SETTINGS, nowMs: NOW_MS });
const about = (found: number | null, seconds: number) =>
  check.ok(found !== null && Math.abs(found - seconds) < 0.5, `${found} is about ${seconds}`);

test('of a copy what is left at its pace so far, then scan, holds and fence, then grace and removal', () => {
  const { phaseSeconds, handOverSeconds, endSeconds } = eta({}, { copiedBytes: 24e6, sizeBytes: 72e6 });
  check.is(phaseSeconds, 20);
  about(handOverSeconds, 20 + 3 + 15 + 0.1);
  about(endSeconds, 20 + 3 + 15 + 0.1 + 60 + 3 + 72);
});

test('without a pace or a size nothing is said, nor while it is paused or aborted', () => {
  check.is(eta({}, { copiedBytes: 0, sizeBytes: 10 }).phaseSeconds, null);
  check.is(eta({}, { copiedBytes: 10 }).handOverSeconds, null);
  check.is(eta({}, { copiedBytes: 50, sizeBytes: 40 }).phaseSeconds, 0, 'the log counts as well');
  check.is(eta({ pausedAtMs: 1 }, { copiedBytes: 24e6, sizeBytes: 72e6 }).endSeconds, null);
  check.is(eta({ phase: 'ABORT' }, { copiedBytes: 24e6, sizeBytes: 72e6 }).endSeconds, null);
});

test('in SHIFT the weights that are left, and no earlier than a fence that was given up allows', () => {
  const half = { phase: 'SHIFT', readWeight: 0.5, phaseAtMs: NOW_MS - 2_000 } as const;
  about(eta(half).phaseSeconds, 3 + 5);
  about(eta({ ...half, notBeforeMs: NOW_MS + 30_000 }).phaseSeconds, 30);
  about(eta({ ...half, kind: 'rollback' }).phaseSeconds, 0);
});

test('behind the owner, by how fast that shrinks; where it grows nobody knows', () => {
  const behind = { phase: 'CATCHUP', phaseAtMs: NOW_MS } as const;
  check.is(eta(behind, { lagEntries: 600, writeRate: 100, applyRate: 300, sizeBytes: 0 }).phaseSeconds, 3);
  check.is(eta(behind, { lagEntries: 600, writeRate: 300, applyRate: 100, sizeBytes: 0 }).phaseSeconds, null);
  check.is(eta(behind, { lagEntries: 0, sizeBytes: 0 }).phaseSeconds, 0, 'it is there, whatever the rates');
});

test('after the switch there is no hand-over to wait for', () => {
  const grace = eta({ phase: 'GRACE', notBeforeMs: NOW_MS + 40_000 }, { sizeBytes: 24e6 });
  check.is(grace.handOverSeconds, null);
  about(grace.phaseSeconds, 41);
  about(grace.endSeconds, 41 + 24);
});

test.run();
