/** What orders of an operator do to the executor in the middle of its work: a coordinator against scripted nodes. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { type ExecutorComponents, MigrationExecutor } from '../../../../src/migration/executor.ts';
import type { ReadVerdict } from '../../../../src/migration/reads/read-guard.ts';
import { DEFAULT_MIGRATION_SETTINGS, type MigrationSettings } from '../../../../src/migration/settings.ts';
import { asPartitionId } from '../../../../src/model/ids.ts';
import type { MigrationPhase, MigrationRecord, PartitionRecord } from '../../../../src/model/migration.ts';
import type { MetadataEntry, MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { DIGEST, recordIn } from '../../../support/migration-record.ts';
import { PlainMetadata } from '../../../support/plain-metadata.ts';

const test = suite('orders of an operator: executor');

const codec = recordCodec('test');
const { keys } = codec;
const PARTITION = 0;

interface Script {
  /** Told of each command; may throw, as a node that does not answer. */
  readonly onCommand: (name: string, nodeId: number) => void;
  verdict: ReadVerdict;
  isAbortDone: boolean;
  isInWindow: boolean;
  readonly settings: MigrationSettings;
}

/** A coordinator that has just read the record of a migration from node 1 to node 2. */
function coordinate(phase: MigrationPhase, change: Partial<MigrationRecord>, given: Partial<Script> = {}) {
  const script: Script = {
    onCommand: () => {},
    verdict: { kind: 'green' },
    isAbortDone: true,
    isInWindow: true,
    settings: SETTINGS,
    ...given,
  };
  const metadata = new PlainMetadata();
  const clock = new VirtualClock(1_000_000);
  const commands: string[] = [];
  const asked =
    <T>(name: string, answer: () => T) =>
    async (nodeId: number, _command: unknown, options?: { keepsLog?: boolean }): Promise<T> => {
      commands.push(`${name} ${nodeId}${options?.keepsLog ? ' keeps log' : ''}`);
      script.onCommand(name, nodeId);
      return answer();
    };
  const status = {
    role: 'OWNER',
    epoch: 7,
    lsn: 100,
    closedMigrationId: 3,
    copiedBytes: 0,
    isSnapshotComplete: true,
    verify: { lsn: 100, scanned: DIGEST, running: DIGEST },
    digest: DIGEST,
    failure: null,
  };
  const engine = {
    capabilities: { changeStream: true, weightedReads: true, checksum: true, reverseStream: true },
    prepare: asked('prepare', () => undefined),
    copy: asked('copy', () => undefined),
    beginVerify: asked('beginVerify', () => ({ lsn: 100 })),
    serveReads: asked('serveReads', () => undefined),
    fence: asked('fence', () => ({ lsn: 100, digest: DIGEST })),
    activate: asked('activate', () => undefined),
    follow: asked('follow', () => undefined),
    abort: asked('abort', () => script.isAbortDone),
    status: asked('status', () => status),
    nodeStatistics: asked('nodeStatistics', () => ({ partitionBytes: {} })),
  } as unknown as ExecutorComponents['engine'];
  const times = { phaseAtMs: clock.nowMs(), startedAtMs: clock.nowMs() };
  const record = recordIn(phase, { ...times, ...change }, { partitionId: asPartitionId(PARTITION) });
  metadata.put(keys.map(PARTITION), codec.encodePartition(record));
  metadata.put(keys.coordinator, new Uint8Array(1));
  const fence = {
    key: keys.coordinator,
    createRevisionIs: metadata.entries.get(keys.coordinator)?.createRevision ?? 0,
  };
  const executor = new MigrationExecutor(script.settings, {
    clock,
    random: seededRandom(1n),
    logger: silentLogger,
    engine,
    metadata: metadata as unknown as MetadataStore,
    codec,
    leadership: () => ({ fence, lost: new Promise(() => {}), isHeld: () => true, resign: async () => {} }),
    readGuard: { verdictOf: async () => script.verdict, summaryOf: () => null },
    isInWindow: () => script.isInWindow,
  });
  return {
    script,
    engine,
    executor,
    commands,
    metadata,
    pause: () => metadata.put(keys.pause, new Uint8Array(1)),
    resume: () => metadata.entries.delete(keys.pause),
    read(): PartitionRecord {
      const entry = metadata.entries.get(keys.map(PARTITION)) as MetadataEntry;
      return codec.decodePartition(PARTITION, entry.value);
    },
    /** Lets time pass, and all that waits for it go on as far as it can without more. */
    async advance(byMs: number): Promise<void> {
      const turns = async (): Promise<void> => {
        for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
      };
      await turns();
      clock.advanceTo(clock.nowMs() + byMs);
      await turns();
    },
    async tick(afterMs: number, count = 1): Promise<void> {
      for (let i = 0; i < count; i++) {
        clock.advanceTo(clock.nowMs() + afterMs);
        await executor.tick();
        await executor.settled();
      }
    },
  };
}

const SETTINGS = { ...DEFAULT_MIGRATION_SETTINGS, readWeightSteps: [0.5, 1], readWeightHoldMs: 100 };
/** At its last weight the next step is the fence. */
const BEFORE_FENCE = { readWeight: 1, phaseAtMs: 0 };

const shareOf = ({ migration }: PartitionRecord) => [migration?.phase, migration?.readWeight];

const silent = () => {
  throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'connection refused');
};

test('at the switch the old owner is told to follow beside the new one’s activation, and may be dead', async () => {
  const fence = { fenceLsn: 100, fenceDigest: DIGEST };
  const both = coordinate('SWITCHED', fence);
  await both.tick(10);
  check.equal(both.commands.slice(0, 2), ['activate 2', 'follow 1']);
  check.is(both.read().migration?.phase, 'GRACE');
  const withDead = coordinate('SWITCHED', fence, {
    onCommand: (_, nodeId) => void (nodeId === 1 && silent()),
  });
  await withDead.tick(10);
  check.is(withDead.read().migration?.phase, 'GRACE');
  const withDeadTarget = coordinate('SWITCHED', fence, {
    onCommand: (_, nodeId) => void (nodeId === 2 && silent()),
  });
  await withDeadTarget.tick(10);
  check.is(withDeadTarget.read().migration?.phase, 'SWITCHED', 'nobody owns it yet');
});

test('nothing waits at the switch for an old owner that hangs', async () => {
  const fence = { fenceLsn: 100, fenceDigest: DIGEST };
  const run = coordinate('SWITCHED', fence);
  run.engine.follow = () => new Promise(() => {});
  await run.executor.tick();
  await run.advance(0);
  check.is(run.read().migration?.phase, 'GRACE');
});

test('an old owner that never answers in the grace holds nobody for ever: the migration is looked at again', async () => {
  const run = coordinate('GRACE', { notBeforeMs: Number.MAX_SAFE_INTEGER });
  run.engine.follow = () => {
    run.commands.push('follow');
    return new Promise(() => {});
  };
  const follows = (): number => run.commands.filter((command) => command === 'follow').length;
  void run.executor.tick();
  await run.advance(SETTINGS.unreachableMs - 1);
  void run.executor.tick();
  await run.advance(0);
  check.is(follows(), 1, 'a request is on its way');
  await run.advance(1);
  await run.advance(SETTINGS.retryMsMax);
  void run.executor.tick();
  await run.advance(0);
  check.is(follows(), 2);
  check.match(run.executor.status().open[0]?.failure ?? '', /no answer for/);
});

test('outside the windows a whole copy is tried again after a fence that stood too long, and a pause holds it', async () => {
  const settings = { ...SETTINGS, pausesOutsideWindows: true };
  const resumed = { resumes: 3, fenceFailures: 1 };
  const run = coordinate('PREPARE', resumed, { isInWindow: false, settings });
  await run.tick(10, 5);
  check.is(run.read().migration?.phase, 'SHIFT');
  const fresh = coordinate('PREPARE', {}, { isInWindow: false, settings });
  await fresh.tick(10, 5);
  check.is(fresh.read().migration?.phase, 'PREPARE');
  const paused = coordinate('PREPARE', resumed, { isInWindow: true, settings });
  paused.pause();
  await paused.tick(10, 5);
  check.is(paused.read().migration?.phase, 'PREPARE', 'an operator’s word holds it like any other');
});

test('outside the windows a copy is held if the settings say so, and what is copied is handed over all the same', async () => {
  const settings = { ...SETTINGS, pausesOutsideWindows: true };
  const [held, free] = [
    coordinate('COPY', {}, { isInWindow: false, settings }),
    coordinate('COPY', {}, { isInWindow: false }),
  ];
  for (const run of [held, free]) await run.tick(10, 3);
  check.is(held.read().migration?.phase, 'COPY');
  check.ok(held.read().migration?.pausedAtMs !== undefined);
  check.is(free.read().migration?.phase, 'SHIFT');
  held.script.isInWindow = true;
  await held.tick(10, 3);
  check.is(held.read().migration?.phase, 'SHIFT');
  const behind = coordinate('CATCHUP', {}, { isInWindow: false, settings });
  await behind.tick(10, 3);
  check.is(behind.read().migration?.phase, 'SHIFT');
});

test('reads leave a target that dies during a pause, and nothing else goes on', async () => {
  let isDead = false;
  const run = coordinate(
    'SHIFT',
    { readWeight: 0.5 },
    { onCommand: (_, nodeId) => void (isDead && nodeId === 2 && silent()) },
  );
  run.pause();
  await run.tick(10, 50);
  check.equal(
    shareOf(run.read()),
    ['SHIFT', 0.5],
    'a weight does not rise in a pause, nor fall without need',
  );
  isDead = true;
  await run.tick(10);
  check.equal(shareOf(run.read()), ['SHIFT', 0.5], 'the guard has seen nothing yet');
  run.script.verdict = { kind: 'red', reason: 'reads are lost' };
  await run.tick(10);
  const { migration } = run.read();
  check.equal([migration?.phase, migration?.readWeight, migration?.guardReds], ['SHIFT', 0, 1]);
  check.match(migration?.guardReason ?? '', /reads are lost/);
  const heldSinceMs = migration?.pausedAtMs as number;
  await run.tick(2 * SETTINGS.unreachableMs, 5);
  check.equal(run.read().migration, migration, 'it is not given up while it is held');

  run.resume();
  isDead = false;
  run.script.verdict = { kind: 'green' };
  await run.tick(10);
  const released = run.read().migration as MigrationRecord;
  check.equal([released.pausedAtMs, released.phase, released.readWeight], [undefined, 'SHIFT', 0]);
  check.ok(released.phaseAtMs > heldSinceMs, 'the target has the whole hold to recover');
  await run.tick(SETTINGS.readGuard.holdMs - 1);
  check.equal(shareOf(run.read()), ['SHIFT', 0]);
  await run.tick(1);
  check.equal(shareOf(run.read()), ['SHIFT', 0.5], 'the pause is no part of the hold');
});

test('a bad copy serves no reads in a pause, and is given up after it', async () => {
  const run = coordinate('SHIFT', { readWeight: 1 });
  run.pause();
  await run.tick(10);
  run.script.verdict = { kind: 'bad-copy', reason: 'GET k' };
  await run.tick(10, 5);
  check.equal(shareOf(run.read()), ['SHIFT', 0]);
  run.resume();
  await run.tick(10, 3);
  const { migration, quarantine } = run.read();
  check.is(migration, null);
  check.is(quarantine?.untilMs, null);
});

test('a pause that comes in the middle of a drive stops it before the fence', async () => {
  let isPausing = false;
  const run = coordinate('SHIFT', BEFORE_FENCE, {
    onCommand: (name) => {
      if (name === 'serveReads' && isPausing) run.pause();
    },
  });
  await run.tick(10); // a fence is promised once the metadata store has answered twice
  isPausing = true;
  await run.tick(10);
  check.equal(
    run.commands.filter((command) => command.startsWith('fence')),
    [],
  );
  check.is(run.read().migration?.phase, 'SHIFT');
  await run.tick(10);
  check.ok(run.read().migration?.pausedAtMs !== undefined, 'held by the next tick');
  isPausing = false;
  run.resume();
  await run.tick(10, 3);
  check.equal([run.read().migration?.phase, run.read().ownerNodeId], ['GRACE', 2]);
});

test('a pause in the middle of a drive holds the earlier phases as well, but no way back', async () => {
  const verifying = coordinate(
    'VERIFY',
    {},
    { onCommand: (name) => void (name === 'beginVerify' && verifying.pause()) },
  );
  await verifying.tick(10);
  check.is(verifying.read().migration?.phase, 'VERIFY');

  const refusing = coordinate(
    'VERIFY',
    {},
    {
      onCommand: (name) => {
        if (name !== 'beginVerify') return;
        refusing.pause();
        throw new ForeshardError('FORESHARD_DISK_FULL', 'free-space', 'the disk is full');
      },
    },
  );
  await refusing.tick(10);
  check.is(refusing.read().migration, null);
  check.is(refusing.read().ownerNodeId, 1);
});

test('a migration whose writes wait already goes on past a pause', async () => {
  const run = coordinate('SHIFT', BEFORE_FENCE, {
    onCommand: (name) => void (name === 'fence' && run.pause()),
  });
  await run.tick(10, 2);
  check.equal([run.read().migration?.phase, run.read().ownerNodeId], ['GRACE', 2]);
});

const cancelOrder = {
  requestId: '1-a',
  action: 'cancel' as const,
  partitionId: PARTITION,
  by: 'ann@host',
  reason: 'because',
  atMs: 1_000_000,
  expiresAtMs: 2_000_000,
};

test('no store becomes an owner while its retirement is asked for, nor after it', async () => {
  const request = codec.encodeRetirement({
    requestId: '1-a',
    by: 'ann@host',
    reason: 'burnt',
    atMs: 0,
    expiresAtMs: 2_000_000,
    storeId: 'store-2',
    isConfirmed: true,
  });
  const fenced = { fenceLsn: 100, fenceDigest: DIGEST };
  let retiredAt: MigrationPhase | undefined;
  let isAsked = false;
  const run = coordinate('FENCED', fenced, {
    // The request comes when the controls of this tick have been read.
    onCommand(name) {
      if (name === 'copy' && !isAsked) run.metadata.put(keys.retirement('store-2'), request);
      isAsked ||= name === 'copy';
      if (name === 'nodeStatistics') retiredAt = run.read().migration?.phase;
    },
  });
  await run.tick(10);
  check.equal([run.read().ownerNodeId, run.read().migration?.phase], [1, 'FENCED']);
  await run.tick(10, 3);
  const store = run.metadata.entries.get(keys.store('store-2')) as MetadataEntry;
  check.is(codec.decodeStoreState(store.value), 'retired');
  check.is(retiredAt, 'FENCED');
  check.equal([run.read().ownerNodeId, run.read().migration], [1, null], 'the migration ends without it');
  check.ok(!run.commands.includes('abort 2'), 'nothing is asked of it');
});

test('a cancel between two tries of a fence ends the tries, and drops the copy', async () => {
  const given = { keepsCopyFor: 'retry', fenceFailures: 1, abortedIn: 'FENCED', openedFor: 'hot' } as const;
  const run = coordinate('ABORT', given, { isAbortDone: false });
  await run.tick(10);
  check.equal(run.commands, ['abort 1 keeps log'], 'another try is what comes next');
  run.metadata.put(keys.request(PARTITION), codec.encodeRequest(cancelOrder));
  await run.tick(10);
  check.is(run.metadata.entries.has(keys.request(PARTITION)), false);
  const audit = run.metadata.entries.get(keys.audit('1-a')) as MetadataEntry;
  check.match(new TextDecoder().decode(audit.value), /"outcome":"done".*cancelled before its next fence/);
  run.commands.length = 0;
  run.script.isAbortDone = true;
  await run.tick(10, 20);
  check.equal(run.commands, ['abort 1', 'abort 2']);
  const { migration, ownerNodeId, quarantine } = run.read();
  check.equal([migration, ownerNodeId], [null, 1]);
  check.match(quarantine?.reason ?? '', /cancelled by ann@host: because/);
});

test('the copy of a rollback that is cancelled between two fences follows again', async () => {
  const given = { keepsCopyFor: 'retry', kind: 'rollback', fenceFailures: 1, openedFor: 'asked' } as const;
  const run = coordinate('ABORT', given, { isAbortDone: false });
  run.metadata.put(keys.request(PARTITION), codec.encodeRequest(cancelOrder));
  await run.tick(10);
  run.script.isAbortDone = true;
  await run.tick(10);
  const { migration, ownerNodeId } = run.read();
  check.equal([migration?.phase, migration?.sourceNodeId, ownerNodeId], ['GRACE', 2, 1]);
  check.ok(!run.commands.includes('abort 2'), 'it is the old owner, its copy is not dropped');
});

test.run();
