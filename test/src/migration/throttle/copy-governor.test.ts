import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { LATENCY_BUCKET_COUNT, latencyBucket } from '../../../../src/migration/reads/read-latency.ts';
import type { OpenRecord } from '../../../../src/migration/records/record-changes.ts';
import { DEFAULT_MIGRATION_SETTINGS, type MigrationSettings } from '../../../../src/migration/settings.ts';
import type { NodeLatency } from '../../../../src/migration/throttle/client-latency.ts';
import { CopyGovernor } from '../../../../src/migration/throttle/copy-governor.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import type { MigrationPhase } from '../../../../src/model/migration.ts';
import type { NodeMigrationStatus } from '../../../../src/ports/storage-engine.ts';

const test = suite('copy governor');
const SETTINGS: MigrationSettings = { ...DEFAULT_MIGRATION_SETTINGS, copyBytesPerSecond: 8 << 20 };

const record = (
  partitionId: number,
  source: number,
  target: number,
  phase: MigrationPhase = 'COPY',
): OpenRecord => ({
  partitionId: asPartitionId(partitionId),
  ownerNodeId: asNodeId(source),
  ownerStoreId: `s${source}`,
  epoch: asEpoch(3),
  ownedSinceMs: 0,
  migrationSeq: 1,
  migration: {
    migrationId: 1,
    sourceNodeId: asNodeId(source),
    sourceStoreId: `s${source}`,
    targetNodeId: asNodeId(target),
    targetStoreId: `s${target}`,
    phase,
    phaseAtMs: 0,
    startedAtMs: 0,
    digestSeed: '0'.repeat(16),
    readWeight: 0,
    notBeforeMs: 0,
    reason: '',
    attempt: 0,
  },
});

/** Two nodes with clients, and a copy between them. */
class World {
  readonly clock = new VirtualClock();
  readonly latency = new Map<number, { reads: number[]; writes: number[] }>();
  readonly governor: CopyGovernor;
  calm = { reads: countsOf(500, 1), writes: countsOf(500, 4) };
  copiedEntries = 0;
  copiedBytes = 0;
  ownerLsn = 1;

  constructor(settings = SETTINGS) {
    this.governor = new CopyGovernor(settings, {
      clock: this.clock,
      watch: {
        latencyOf: async (nodeId): Promise<NodeLatency | null> => {
          const total = this.latency.get(nodeId);
          return total === undefined
            ? null
            : { total: structuredClone(total), calm: this.calm, calmPerSecond: 100 };
        },
      },
    });
  }

  answer(nodeId: number, kind: 'reads' | 'writes', count: number, latencyMs: number): void {
    const of = this.latency.get(nodeId) ?? { reads: countsOf(0, 1), writes: countsOf(0, 1) };
    this.latency.set(nodeId, of);
    of[kind][latencyBucket(latencyMs)] += count;
  }

  /** One look of the coordinator, half a second after the last. */
  async next(
    of: OpenRecord,
    bytesPerSecond: number,
    source: NodeMigrationStatus | null = null,
  ): Promise<string | null> {
    this.clock.advanceTo(this.clock.monotonicMs() + 500);
    return this.governor.observed(of, { source, target: this.#status(bytesPerSecond) }, [of]);
  }

  #status(bytesPerSecond: number): NodeMigrationStatus {
    return {
      role: 'STAGING',
      epoch: 3,
      lsn: this.copiedEntries,
      closedMigrationId: 0,
      copiedBytes: this.copiedBytes,
      isSnapshotComplete: false,
      verify: null,
      digest: null,
      failure: null,
      copy: {
        copiedEntries: this.copiedEntries,
        ownerLsn: this.ownerLsn,
        bytesPerSecond,
        limitBytesPerSecond: 1e12,
        pieceBytes: 1,
        reason: '',
      },
    };
  }
}

function countsOf(count: number, latencyMs: number): number[] {
  const counts = new Array<number>(LATENCY_BUCKET_COUNT).fill(0);
  counts[latencyBucket(latencyMs)] += count;
  return counts;
}

test('a copy begins at its floor and doubles while clients feel nothing', async () => {
  const world = new World();
  const of = record(3, 0, 1);
  const limits: number[] = [];
  for (let i = 0; i < 5; i++) {
    limits.push(world.governor.ratesOf(of, [of]).bytesPerSecond / 2 ** 20);
    for (const nodeId of [0, 1]) world.answer(nodeId, 'writes', 200, 4);
    await world.next(of, 8 << 20);
  }
  check.equal(limits, [1, 2, 4, 8, 8]);
});

test('writes at the target that take twice as long as usual halve it, and the reason names them', async () => {
  const world = new World();
  const of = record(3, 0, 1);
  for (let i = 0; i < 6; i++) {
    for (const nodeId of [0, 1]) world.answer(nodeId, 'writes', 200, 4);
    await world.next(of, 8 << 20);
  }
  world.answer(1, 'writes', 200, 10);
  await world.next(of, 8 << 20);
  check.is(world.governor.ratesOf(of, [of]).bytesPerSecond, 4 << 20);
  check.match(
    world.governor.statusOf(of)?.reason ?? '',
    /^halved: p99 of writes at the target \(node 1\) is 1\d\.\d ms, \d\.\d ms without migrations$/,
  );
});

test('slow reads that are too few to judge by wait for more', async () => {
  const world = new World();
  const of = record(3, 0, 1);
  world.governor.ratesOf(of, [of]);
  world.answer(0, 'reads', 1, 1);
  await world.next(of, 1 << 20);
  const before = world.governor.ratesOf(of, [of]).bytesPerSecond;
  world.answer(0, 'reads', 60, 50);
  await world.next(of, 1 << 20);
  check.ok(world.governor.ratesOf(of, [of]).bytesPerSecond >= before);
  world.answer(0, 'reads', 60, 50);
  await world.next(of, 1 << 20);
  check.match(world.governor.statusOf(of)?.reason ?? '', /p99 of reads at the source/);
});

test('a query node that starts anew says nothing for one window, whatever its counts', async () => {
  const world = new World();
  const of = record(3, 0, 1);
  world.governor.ratesOf(of, [of]);
  world.answer(0, 'reads', 500, 1);
  await world.next(of, 1 << 20);
  world.latency.set(0, { reads: countsOf(400, 60), writes: countsOf(0, 1) });
  await world.next(of, 1 << 20);
  check.not.match(world.governor.statusOf(of)?.reason ?? '', /p99/);
});

test('limits of nodes and cluster are shared by the copies that are open', () => {
  const throttle = {
    ...SETTINGS.throttle,
    isAdaptive: false,
    nodeBytesPerSecond: 3e6,
    clusterEntriesPerSecond: 900,
  };
  const { governor } = new World({ ...SETTINGS, throttle });
  const open = [record(1, 0, 1), record(2, 0, 2), record(3, 4, 5), record(4, 6, 7, 'GRACE')];
  check.is(governor.ratesOf(open[0] as OpenRecord, open).bytesPerSecond, 1.5e6, 'two leave node 0');
  check.is(governor.ratesOf(open[2] as OpenRecord, open).bytesPerSecond, 3e6);
  check.is(governor.ratesOf(open[2] as OpenRecord, open).entriesPerSecond, 300, 'a grace copies nothing');
});

test('while writes wait nothing is held back', () => {
  const { governor } = new World();
  const of = record(3, 0, 1, 'FENCED');
  check.ok(governor.ratesOf(of, [of]).bytesPerSecond > 1e12);
});

test('the floor is what outruns the log, and a copy that cannot even so is given up', async () => {
  const world = new World();
  const of = record(3, 0, 1);
  let reason: string | null = null;
  for (let i = 0; i < 21 && reason === null; i++) {
    reason = await world.next(of, 1 << 20);
    world.copiedEntries += 1_000;
    world.copiedBytes += 1_000 * 512;
    world.ownerLsn += 1_500;
  }
  // 3,000 entries a second are written; twice as many of 512 bytes outrun them.
  check.is(world.governor.ratesOf(of, [of]).bytesPerSecondMin, 2 * 3_000 * 512);
  check.is(reason, 'cannot catch up: write rate 3000/s > apply rate 2000/s');
});

test('large entries are copied fewer a second than small ones are written: no reason before the log is read', async () => {
  const world = new World();
  const [copying, catching] = [record(3, 0, 1), record(3, 0, 1, 'CATCHUP')];
  const owner = (): NodeMigrationStatus => ({ role: 'OWNER', lsn: 1e9 }) as NodeMigrationStatus;
  let reason: string | null = null;
  const look = async (of: OpenRecord): Promise<void> => {
    reason ??= await world.next(of, 1 << 20, owner());
    world.copiedEntries += 10;
    world.copiedBytes += 10 << 20;
    world.ownerLsn += 500;
  };
  for (let i = 0; i < 40; i++) await look(copying);
  check.is(reason, null);
  for (let i = 0; i < 2; i++) await look(catching);
  check.match(reason ?? '', /^cannot catch up: write rate 1000/);
});

test.run();
