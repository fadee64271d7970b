import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { mayAbort, PHASE_TRANSITIONS } from '../../../src/migration/phases.ts';
import { pauseChange } from '../../../src/migration/records/record-changes.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../src/migration/settings.ts';
import {
  abort,
  type Decision,
  decide,
  type Observation,
  type OpenRecord,
  type StepContext,
} from '../../../src/migration/step.ts';
import {
  type Digest,
  MIGRATION_PHASES,
  type MigrationPhase,
  type MigrationRecord,
} from '../../../src/model/migration.ts';
import type { NodeMigrationStatus } from '../../../src/ports/storage-engine.ts';
import { DIGEST, recordIn as recordOf } from '../../support/migration-record.ts';

const test = suite('migration step');

const digestOf = (lane: string): Digest => ({ ...DIGEST, buckets: [lane, '00'] });
const NOW_MS = 1_000_000;
const SETTINGS = {
  ...DEFAULT_MIGRATION_SETTINGS,
  readWeightSteps: [0.5, 1],
  readWeightHoldMs: 100,
  graceMs: 1_000,
};
const CONTEXT: StepContext = { settings: SETTINGS, nowMs: NOW_MS, canShiftReads: true, canFollow: true };

const recordIn = (phase: MigrationPhase, change: Partial<MigrationRecord> = {}): OpenRecord =>
  recordOf(phase, { phaseAtMs: NOW_MS, startedAtMs: NOW_MS, ...change });

const status = (change: Partial<NodeMigrationStatus> = {}): NodeMigrationStatus => ({
  role: 'OWNER',
  epoch: 7,
  lsn: 100,
  closedMigrationId: 3,
  copiedBytes: 0,
  isSnapshotComplete: true,
  verify: null,
  digest: null,
  failure: null,
  ...change,
});
const verified = (lsn: number, digest = DIGEST, running = digest) =>
  status({ verify: { lsn, scanned: digest, running } });
const both = (source: NodeMigrationStatus, target: NodeMigrationStatus): Observation => ({ source, target });
const NOTHING: Observation = { source: null, target: null };

const phaseAfter = (decision: Decision): MigrationPhase | null | 'stay' =>
  decision.kind === 'stay' ? 'stay' : (decision.record.migration?.phase ?? null);

const TAKEOVER: Partial<MigrationRecord> = {
  kind: 'takeover',
  takeover: { lossAfterLsn: 100, isEmpty: false },
};

/** For every transition of the table: an observation under which it is taken. */
const WAYS: readonly (readonly [
  MigrationPhase,
  MigrationPhase | null,
  Observation,
  Partial<MigrationRecord>?,
])[] = [
  ['PREPARE', 'COPY', NOTHING],
  ['PREPARE', 'CATCHUP', NOTHING, { resumes: 3 }],
  ['PREPARE', 'SWITCHED', { source: null, target: status({ role: 'STAGING' }) }, TAKEOVER],
  ['COPY', 'CATCHUP', { source: null, target: status() }],
  ['CATCHUP', 'VERIFY', both(status({ lsn: 1100 }), status({ lsn: 100 }))],
  ['VERIFY', 'SHIFT', both(verified(90), verified(90))],
  ['SHIFT', 'SHIFT', both(status(), status())],
  [
    'SHIFT',
    'FENCING',
    { ...both(status(), status()), isFencePromising: true },
    { readWeight: 1, phaseAtMs: NOW_MS - 100 },
  ],
  ['FENCING', 'FENCED', { ...NOTHING, fence: { lsn: 100, digest: DIGEST } }],
  ['FENCED', 'SWITCHED', { source: null, target: status({ digest: DIGEST }) }],
  ['SWITCHED', 'GRACE', NOTHING],
  ['SWITCHED', null, NOTHING, TAKEOVER],
  ['GRACE', 'CLEANUP', both(verified(120), verified(120)), { notBeforeMs: NOW_MS }],
  ['GRACE', 'GRACE', both(verified(120, digestOf('bb')), verified(120)), { notBeforeMs: NOW_MS }],
  ['CLEANUP', null, { ...NOTHING, areNodesDone: true }],
  ['ABORT', null, { ...NOTHING, areNodesDone: true }],
  ['ABORT', 'PREPARE', { ...NOTHING, areNodesDone: true }, { keepsCopyFor: 'retry', fenceFailures: 1 }],
  ['ABORT', 'GRACE', { ...NOTHING, areNodesDone: true }, { keepsCopyFor: 'follow', kind: 'rollback' }],
];

test('every transition of the table is taken, and no other', () => {
  const taken = new Set<string>();
  for (const [phase, next, seen, change] of WAYS) {
    check.is(phaseAfter(decide(recordIn(phase, change), seen, CONTEXT)), next, `${phase} -> ${next}`);
    taken.add(`${phase}>${next}`);
  }
  for (const phase of MIGRATION_PHASES)
    if (mayAbort(phase)) {
      check.is(phaseAfter(abort(recordIn(phase), 'why', CONTEXT)), 'ABORT');
      taken.add(`${phase}>ABORT`);
    } else check.throws(() => abort(recordIn(phase), 'why', CONTEXT), /no abort/);
  const table = Object.entries(PHASE_TRANSITIONS).flatMap(([phase, nexts]) =>
    nexts.map((next) => `${phase}>${next}`),
  );
  check.equal([...taken].sort(), table.sort());
});

test('a phase whose condition does not hold stays', () => {
  const still: readonly (readonly [MigrationPhase, Observation, Partial<MigrationRecord>?])[] = [
    ['COPY', { source: null, target: status({ isSnapshotComplete: false }) }],
    ['CATCHUP', both(status({ lsn: 1101 }), status({ lsn: 100 }))],
    ['VERIFY', both(verified(90), status())],
    ['VERIFY', both(verified(90), verified(80))],
    ['SHIFT', both(status(), status()), { readWeight: 0.5 }],
    [
      'SHIFT',
      { ...both(status({ lsn: 151 }), status()), isFencePromising: true },
      { readWeight: 1, phaseAtMs: NOW_MS - 100 },
    ],
    [
      'SHIFT',
      { ...both(status(), status()), isFencePromising: false },
      { readWeight: 1, phaseAtMs: NOW_MS - 100 },
    ],
    ['FENCING', NOTHING],
    ['FENCED', { source: null, target: status({ lsn: 99, digest: digestOf('bb') }) }],
    ['GRACE', both(verified(120), verified(120)), { notBeforeMs: NOW_MS + 1 }],
    ['CLEANUP', { ...NOTHING, areNodesDone: false }],
    ['ABORT', { ...NOTHING, areNodesDone: false }],
  ];
  for (const [phase, seen, change] of still)
    check.is(decide(recordIn(phase, change), seen, CONTEXT).kind, 'stay', `${phase} ${JSON.stringify(seen)}`);
});

test('only the switch changes the owner, and adds one to the epoch; a takeover adds two', () => {
  for (const [phase, , seen, change] of WAYS) {
    const before = recordIn(phase, change);
    const decision = decide(before, seen, CONTEXT);
    if (decision.kind === 'stay') continue;
    const { ownerNodeId, ownerStoreId, epoch } = decision.record;
    const isTakeover = decision.record.migration?.kind === 'takeover';
    if (isTakeover) check.equal([ownerNodeId, ownerStoreId, epoch], [2, 'store-2', 9]);
    else if (phase === 'FENCED') check.equal([ownerNodeId, ownerStoreId, epoch], [2, 'store-2', 8]);
    else
      check.equal(
        [ownerNodeId, ownerStoreId, epoch],
        [before.ownerNodeId, before.ownerStoreId, before.epoch],
      );
  }
});

test('copies that differ are never switched to, and never removed', () => {
  const other = digestOf('bb');
  const scans = decide(recordIn('VERIFY'), both(verified(90), verified(90, other)), CONTEXT);
  const rot = decide(recordIn('VERIFY'), both(verified(90, DIGEST, other), verified(90)), CONTEXT);
  const fence = decide(recordIn('FENCED'), { source: null, target: status({ digest: other }) }, CONTEXT);
  const beyond = decide(
    recordIn('FENCED'),
    { source: null, target: status({ lsn: 101, digest: DIGEST }) },
    CONTEXT,
  );
  for (const decision of [scans, rot, fence, beyond]) {
    check.is(phaseAfter(decision), 'ABORT');
    check.ok(decision.kind === 'go' && decision.mismatch);
  }
  const removal = decide(
    recordIn('GRACE', { notBeforeMs: NOW_MS }),
    both(verified(120, other), verified(120)),
    CONTEXT,
  );
  check.is(phaseAfter(removal), 'GRACE');
  check.ok(removal.kind === 'go' && (removal.record.migration?.notBeforeMs ?? 0) > NOW_MS);
});

test('a node that gives up, or a phase without end, aborts what can be aborted', () => {
  const failed = both(status(), status({ failure: 'the log has a gap' }));
  for (const phase of MIGRATION_PHASES.filter(mayAbort)) {
    check.is(phaseAfter(decide(recordIn(phase), failed, CONTEXT)), 'ABORT', phase);
    const late = { ...CONTEXT, nowMs: NOW_MS + SETTINGS.phaseTimeoutMs + 1 };
    check.is(phaseAfter(decide(recordIn(phase), NOTHING, late)), 'ABORT', phase);
  }
  const overFence = { ...CONTEXT, nowMs: NOW_MS + SETTINGS.fenceBudgetMs + 1 };
  check.is(phaseAfter(decide(recordIn('FENCED'), NOTHING, overFence)), 'ABORT');
  check.is(phaseAfter(decide(recordIn('SWITCHED'), failed, overFence)), 'GRACE');
});

test('one budget spans the fence: FENCED keeps the time of FENCING', () => {
  const fencing = recordIn('FENCING', { phaseAtMs: NOW_MS - 77 });
  const decision = decide(fencing, { ...NOTHING, fence: { lsn: 1, digest: DIGEST } }, CONTEXT);
  check.ok(decision.kind === 'go');
  check.is(decision.kind === 'go' && decision.record.migration?.phaseAtMs, NOW_MS - 77);
});

test('a red guard takes reads back from the target, which is tried again after a hold, and given up in the end', () => {
  const red = { ...both(status(), status()), guard: { kind: 'red', reason: 'slow' } as const };
  const green = { ...both(status(), status()), guard: { kind: 'green' } as const };
  let record = recordIn('SHIFT', { readWeight: 0.5 });
  let context = CONTEXT;
  for (let reds = 1; reds < SETTINGS.readGuard.redsMax; reds++) {
    const back = decide(record, red, context);
    check.ok(back.kind === 'go');
    const { migration } = back.record as OpenRecord;
    check.equal([migration.readWeight, migration.guardReds, migration.guardReason], [0, reds, 'slow']);
    check.is(migration.reason, 'node 1 is hot', 'why it was opened');
    record = back.record as OpenRecord;
    check.is(decide(record, red, context).kind, 'stay', 'at 0 there is nothing to take back');
    const early = { ...context, nowMs: context.nowMs + SETTINGS.readGuard.holdMs - 1 };
    check.is(decide(record, green, early).kind, 'stay');
    context = { ...context, nowMs: context.nowMs + SETTINGS.readGuard.holdMs };
    const again = decide(record, green, context);
    check.ok(again.kind === 'go');
    record = again.record as OpenRecord;
    check.is(record.migration.readWeight, 0.5);
  }
  const last = decide(record, red, context);
  check.is(phaseAfter(last), 'ABORT');
  check.match(
    (last as { record: OpenRecord }).record.migration.reason,
    /went back to the source 3 times: slow/,
  );
  check.is(last.kind === 'go' && last.mismatch, undefined, 'its data are not in doubt');
});

test('a copy that answers otherwise than the source is a bad copy, at any weight', () => {
  const seen = { ...both(status(), status()), guard: { kind: 'bad-copy', reason: 'GET k' } as const };
  for (const readWeight of [0, 1]) {
    const decision = decide(recordIn('SHIFT', { readWeight }), seen, CONTEXT);
    check.is(phaseAfter(decision), 'ABORT');
    check.ok(decision.kind === 'go' && decision.mismatch);
  }
});

test('reads are only mirrored for one hold before the first of them goes to the copy, where somebody compares', () => {
  const judged = { ...both(status(), status()), guard: { kind: 'green' } as const };
  check.is(decide(recordIn('SHIFT'), judged, CONTEXT).kind, 'stay');
  check.is(phaseAfter(decide(recordIn('SHIFT', { phaseAtMs: NOW_MS - 100 }), judged, CONTEXT)), 'SHIFT');
  check.is(phaseAfter(decide(recordIn('SHIFT'), both(status(), status()), CONTEXT)), 'SHIFT');
});

test('an engine that cannot shift reads goes from verification to the fence', () => {
  const seen = { ...both(status(), status()), isFencePromising: true };
  check.is(phaseAfter(decide(recordIn('SHIFT'), seen, { ...CONTEXT, canShiftReads: false })), 'FENCING');
});

test('what goes wrong in the grace is told beside why the migration was opened', () => {
  const record = recordIn('GRACE', { notBeforeMs: NOW_MS });
  const differing = both(verified(100, digestOf('ff')), verified(100));
  const held = decide(record, differing, CONTEXT);
  check.ok(held.kind === 'go' && held.record.migration.phase === 'GRACE');
  const { migration } = held.record as OpenRecord;
  check.match(migration.reason, /verification before removal failed/);
  check.is(migration.openedFor, 'node 1 is hot');
  const again = decide({ ...record, migration: { ...migration, notBeforeMs: NOW_MS } }, differing, CONTEXT);
  check.is((again as { record: OpenRecord }).record.migration.openedFor, 'node 1 is hot');
});

test('an old owner that cannot follow is kept for two more graces, then removed', () => {
  const record = recordIn('GRACE', { notBeforeMs: NOW_MS });
  const seen = { source: status({ failure: 'disk full' }), target: null };
  check.is(decide(record, seen, CONTEXT).kind, 'stay');
  const later = { ...CONTEXT, nowMs: NOW_MS + 2 * SETTINGS.graceMs };
  const over = decide(record, seen, later);
  check.is(phaseAfter(over), 'CLEANUP');
  const { reason, openedFor } = (over as { record: OpenRecord }).record.migration;
  check.equal([reason, openedFor], ['disk full', 'node 1 is hot']);
});

test('a fence that stood too long is tried again with the same copy, later each time, and given up in the end', () => {
  const { fenceRetriesMax, fenceRetryMs } = SETTINGS;
  let record = recordIn('FENCED', { reason: 'node 1 is hot' });
  let nowMs = NOW_MS;
  for (let failures = 1; failures <= fenceRetriesMax; failures++) {
    nowMs = record.migration.phaseAtMs + SETTINGS.fenceBudgetMs + 1;
    const given = decide(record, NOTHING, { ...CONTEXT, nowMs });
    check.ok(given.kind === 'go');
    const { phase, keepsCopyFor, migrationId } = given.record.migration;
    check.equal([phase, keepsCopyFor], ['ABORT', 'retry']);
    const again = decide(given.record, { ...NOTHING, areNodesDone: true }, { ...CONTEXT, nowMs });
    check.ok(again.kind === 'go');
    const { migration, migrationSeq, epoch } = again.record;
    check.equal(
      [migration.phase, migration.migrationId, migrationSeq],
      ['PREPARE', migrationId + 1, migrationId + 1],
    );
    check.equal([migration.resumes, migration.reason, epoch], [migrationId, 'node 1 is hot', 7]);
    check.is(migration.notBeforeMs, nowMs + fenceRetryMs * 2 ** (failures - 1));
    // It goes its way up to the fence, which waits for its time.
    const shift = {
      ...again.record,
      migration: { ...migration, phase: 'SHIFT' as const, readWeight: 1, phaseAtMs: 0 },
    };
    const seen = { ...both(status(), status()), isFencePromising: true };
    check.is(decide(shift, seen, { ...CONTEXT, nowMs: migration.notBeforeMs - 1 }).kind, 'stay');
    nowMs = migration.notBeforeMs;
    check.is(phaseAfter(decide(shift, seen, { ...CONTEXT, nowMs })), 'FENCING');
    record = { ...shift, migration: { ...shift.migration, phase: 'FENCING', phaseAtMs: nowMs } };
  }
  const last = decide(record, NOTHING, { ...CONTEXT, nowMs: nowMs + SETTINGS.fenceBudgetMs + 1 });
  check.is(phaseAfter(last), 'ABORT');
  check.is((last as { record: OpenRecord }).record.migration.keepsCopyFor, undefined);
});

test('a rollback holds no read weights, and leaves a follower behind when it fails for another reason than its fence', () => {
  const rollback = { kind: 'rollback', resumes: 3 } as const;
  const seen = { ...both(status(), status()), isFencePromising: true };
  check.is(phaseAfter(decide(recordIn('SHIFT', rollback), seen, CONTEXT)), 'FENCING');
  const failed = abort(recordIn('SHIFT', rollback), 'the target is slow', CONTEXT).record;
  check.is(failed.migration.keepsCopyFor, 'follow');
  const grace = decide(failed, { ...NOTHING, areNodesDone: true }, CONTEXT);
  check.ok(grace.kind === 'go');
  const { migration, ownerNodeId, epoch } = grace.record;
  // Node 1 owns it still, and node 2, which should have become the owner, follows.
  check.equal([migration.phase, migration.sourceNodeId, migration.targetNodeId], ['GRACE', 2, 1]);
  check.equal([ownerNodeId, epoch, migration.migrationId, migration.kind], [1, 7, 5, undefined]);
  check.is(migration.notBeforeMs, NOW_MS + SETTINGS.graceMs);
  const late = { ...CONTEXT, nowMs: NOW_MS + SETTINGS.fenceBudgetMs + 1 };
  const fence = decide(recordIn('FENCED', rollback), NOTHING, late);
  check.is((fence as { record: OpenRecord }).record.migration.keepsCopyFor, 'retry');
});

test('a pause takes its own time out of that of the phase, and holds no phase in which writes wait', () => {
  for (const phase of MIGRATION_PHASES) {
    const held = pauseChange(recordIn(phase), true, NOW_MS + 10);
    const isHeld = ['PREPARE', 'COPY', 'CATCHUP', 'VERIFY', 'SHIFT'].includes(phase);
    check.is(held?.migration.pausedAtMs, isHeld ? NOW_MS + 10 : undefined, phase);
    if (held === null) continue;
    check.is(pauseChange(held, true, NOW_MS + 20), null, 'once');
    const late = { ...CONTEXT, nowMs: NOW_MS + 10 * SETTINGS.phaseTimeoutMs };
    check.is.not(phaseAfter(decide(held, both(status(), status()), late)), 'ABORT');
    const released = pauseChange(held, false, late.nowMs) as OpenRecord;
    check.is(late.nowMs - released.migration.phaseAtMs, 10, 'as long in the phase as before the pause');
    check.is(released.migration.pausedAtMs, undefined);
    check.is(abort(held, 'why', CONTEXT).record.migration.pausedAtMs, undefined);
  }
});

test.run();
