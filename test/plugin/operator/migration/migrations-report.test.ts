import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  type OpenMigration,
  openLine,
  reportLines,
} from '../../../../plugin/operator/migration/migrations-report.ts';
import type { MigrationHistory } from '../../../../src/migration/records/records.ts';

const test = suite('foreshard migrations');

const OPEN: OpenMigration = {
  partitionId: 5,
  migrationId: 4,
  kind: 'move',
  sourceNodeId: 0,
  targetNodeId: 1,
  phase: 'COPY',
  phaseSeconds: 3,
  isPaused: false,
  readWeight: 0,
  guardReds: 0,
  guardReason: null,
  reads: null,
  reason: 'node 0 is hot',
  copiedBytes: 12 << 20,
  sizeBytes: 40 << 20,
  bytesPerSecond: 4 << 20,
  limitBytesPerSecond: 8 << 20,
  paceReason: 'halved: p99 of writes',
  eta: { phaseSeconds: 7, handOverSeconds: 40, endSeconds: 1_000 },
  wayBackSeconds: null,
};
const WITHOUT_PACE = {
  bytesPerSecond: null,
  limitBytesPerSecond: null,
  paceReason: null,
  eta: { phaseSeconds: 600, handOverSeconds: null, endSeconds: 640 },
};
const ENDED: MigrationHistory = {
  partitionId: 5,
  migrationId: 3,
  sourceNodeId: 0,
  targetNodeId: 2,
  outcome: 'aborted',
  reason: 'the fence stood longer than its budget',
  startedAtMs: 0,
  endedAtMs: 61_000,
  epoch: 1,
  fenceLsn: 77,
  verifiedLsn: 70,
  copiedBytes: 1 << 20,
  copySeconds: 1,
  fenceSeconds: null,
  abortedIn: 'FENCED',
  openedFor: 'node 0 is hot',
  continuedBy: 4,
};

test('an open migration tells how far it is, an ended one why and what came of it', () => {
  const cleanup = { kind: 'staging', policy: 'on-failure', sinceMs: 0, nodeId: 2 } as const;
  const named = { partitionId: 5, migrationId: 2, storeId: 'store-2' };
  const lines = reportLines(
    {
      atMs: 0,
      open: [OPEN, { ...OPEN, ...WITHOUT_PACE, phase: 'GRACE', kind: 'rollback', wayBackSeconds: 600 }],
      ended: [ENDED, ENDED],
      cleanups: [
        { ...named, ...cleanup, isOverdue: false },
        { ...named, ...cleanup, isOverdue: true },
      ],
    },
    1,
  );
  check.equal(lines, [
    '2 migrations open',
    'migration 5/4: partition 5, node 0 -> 1, COPY for 3.0 s, 12.0 MiB of 40.0 MiB, 4.0 MiB/s of 8.0 MiB/s allowed (halved: p99 of writes), ' +
      'about 7.0 s left, hand-over in 40.0 s, over in 17 min: node 0 is hot',
    'migration 5/4: rollback, partition 5, node 0 -> 1, GRACE for 3.0 s, over in 11 min, way back open for 10 min: node 0 is hot',
    '2 ended, the latest 1',
    '1970-01-01 00:01 UTC migration 5/3: partition 5, node 0 -> 2, aborted in FENCED after 61.0 s, 1.0 MiB, lsn 77, goes on as migration 5/4: ' +
      'the fence stood longer than its budget (it was opened for: node 0 is hot)',
    'ALARM: what migration 5/2 left on node 2 is not removed since 1970-01-01 00:00 UTC',
  ]);
});

test('of reads that a guard has taken back it tells why, beside why the migration was opened', () => {
  const shift = { ...OPEN, ...WITHOUT_PACE, phase: 'SHIFT', copiedBytes: null, guardReds: 2 } as const;
  const lineOf = (guardReason: string | null): string =>
    openLine({ ...shift, guardReason, eta: { phaseSeconds: null, handOverSeconds: null, endSeconds: null } });
  check.is(
    lineOf('p99 of reads is 80 ms'),
    'migration 5/4: partition 5, node 0 -> 1, SHIFT for 3.0 s, reads taken back 2 times (p99 of reads is 80 ms): node 0 is hot',
  );
  check.match(lineOf(null), /reads taken back 2 times: node 0 is hot/);
});

test.run();
