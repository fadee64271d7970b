import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ClusterObserver } from '../../../../plugin/host/analysis/cluster-observer.ts';
import { type LoadedMap, NO_OWNER } from '../../../../plugin/metadata/cluster-map.ts';
import type { Decisions } from '../../../../plugin/metadata/decisions.ts';
import type { Member } from '../../../../plugin/metadata/members.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../../src/model/load-profile.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';
import { contiguousMap } from '../../../../src/model/partition-map.ts';
import type { NodeStatistics } from '../../../../src/ports/storage-engine.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../src/settings.ts';

const test = suite('cluster observer');
const PARTITION_COUNT = 16;
const NOW_MS = 1_000_000_000;

/** 100 queries in each partition and window: 1,600 in all. */
const PROFILE: LoadProfile = {
  startMs: 0,
  windowMs: 10_000,
  windowCount: 2,
  partitionCount: PARTITION_COUNT,
  values: new Float64Array(2 * PARTITION_COUNT * LOAD_DIMENSION_COUNT).map((_, i) =>
    i % LOAD_DIMENSION_COUNT === 0 ? 100 : 0,
  ),
  coverage: new Float64Array(2).fill(1),
};

const statistics = (over: Partial<NodeStatistics> = {}): NodeStatistics => ({
  storeId: 's',
  freeBytes: 1e9,
  dataBytes: 500,
  partitionBytes: new Float64Array(PARTITION_COUNT).fill(10),
  cpuSeconds: 0,
  isWritable: true,
  ...over,
});

function observe(options: {
  readonly records?: Readonly<Record<number, Partial<PartitionRecord>>>;
  readonly quarantined?: readonly number[];
  readonly nodes?: readonly (NodeStatistics | null)[];
  readonly queriesPerSecond?: number | null;
  readonly decisions?: Decisions;
  readonly members?: readonly Member[];
  readonly draining?: readonly string[];
  /** Of the settings, where others have joined since. */
  readonly storageNodeCount?: number;
}) {
  const nodes = options.nodes ?? [statistics(), statistics()];
  const { cluster } = DEFAULT_SETTINGS;
  const settings: Settings = {
    ...DEFAULT_SETTINGS,
    cluster: {
      ...cluster,
      partitionCount: PARTITION_COUNT,
      storageNodeCount: options.storageNodeCount ?? nodes.length,
      nodeCapacity: { ...cluster.nodeCapacity, queries: options.queriesPerSecond ?? null },
    },
  };
  const map = contiguousMap(PARTITION_COUNT, options.storageNodeCount ?? nodes.length);
  const quarantined = (options.quarantined ?? []).map((partitionId) => ({ partitionId, why: 'bad' }));
  for (const { partitionId } of quarantined) map.ownerOf[partitionId] = NO_OWNER;
  const records = Array.from(
    { length: PARTITION_COUNT },
    (_, p) =>
      ({
        partitionId: p,
        ownerNodeId: map.ownerOf[p],
        ownedSinceMs: 0,
        migration: null,
        ...options.records?.[p],
      }) as PartitionRecord,
  );
  const loaded: LoadedMap = { map, records, revisions: [], quarantined, revision: 1 };
  const observer = new ClusterObserver(settings, {
    mapReader: { load: async () => loaded },
    engine: {
      async nodeStatistics(nodeId) {
        const node = nodes[nodeId];
        if (!node) throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'silent');
        return node;
      },
    },
    decisions: async () => options.decisions ?? { approvals: [], rejections: [] },
    membership: async () => ({
      members: options.members ?? [],
      drainingStoreIds: new Set(options.draining ?? []),
    }),
    clock: new VirtualClock(NOW_MS),
    logger: silentLogger,
  });
  return observer.observe(PROFILE);
}

test('partitions that are being moved or were moved lately rest, and where they go is told', async () => {
  const { residenceMs } = DEFAULT_SETTINGS.migration;
  const migration = { targetNodeId: 1 } as NonNullable<PartitionRecord['migration']>;
  const state = await observe({
    records: {
      2: { migration },
      3: { ownedSinceMs: NOW_MS - residenceMs + 1 },
      4: { ownedSinceMs: NOW_MS - residenceMs },
    },
  });
  check.equal([...state.restingPartitions], [2, 3]);
  check.equal([...state.openMigrations], [[2, 1]]);
});

test('a move that was approved counts as done, and a partition whose move was rejected stays', async () => {
  const approval = { partitionId: 4, targetNodeId: 1 } as Decisions['approvals'][number];
  const rejection = { partitionId: 6, untilMs: NOW_MS + 1 } as Decisions['rejections'][number];
  const state = await observe({ decisions: { approvals: [approval], rejections: [rejection] } });
  check.equal([...state.restingPartitions], [4, 6]);
  check.equal([...state.openMigrations], [[4, 1]]);
});

test('a silent node is no target, and what it owns stays: it can hand nothing over', async () => {
  const state = await observe({ nodes: [statistics(), null] });
  check.equal(
    state.nodes.map(({ isAlive }) => isAlive),
    [true, false],
  );
  check.equal([...state.restingPartitions], [8, 9, 10, 11, 12, 13, 14, 15]);
});

test('a node that takes no writes is no target, but its partitions may leave', async () => {
  const state = await observe({ nodes: [statistics({ isWritable: false }), statistics()] });
  check.is(state.nodes[0]?.isAlive, false);
  check.is(state.restingPartitions.size, 0);
});

test('a quarantined partition has a place in the plan and is not touched', async () => {
  const state = await observe({ quarantined: [12] });
  check.ok(state.map.ownerOf.every((owner) => owner >= 0));
  check.equal([...state.restingPartitions], [12]);
});

test('when no node answers nothing is planned', async () => {
  const error = await observe({ nodes: [null, null] }).catch((caught: ForeshardError) => caught);
  check.is((error as ForeshardError).code, 'FORESHARD_UNAVAILABLE');
});

test('capacity is what the operator states for a window, else guessed from the peak', async () => {
  const stated = await observe({ queriesPerSecond: 50 });
  check.is(stated.nodes[0]?.capacity[0], 500);
  const guessed = await observe({});
  check.ok(Math.abs((guessed.nodes[0]?.capacity[0] ?? 0) - 1_600 / 2 / 0.7) < 1e-9);
});

const memberOf = (nodeId: number, over: Partial<Member> = {}): Member => ({
  nodeId,
  role: 'storage',
  host: 'db',
  port: 7400,
  storeId: `store-${nodeId}`,
  incarnation: 'i',
  version: '1',
  startedAtMs: 0,
  ...over,
});

test('a node that has joined may be given something, with what it says of itself; one that was removed is not missed', async () => {
  const state = await observe({
    storageNodeCount: 2,
    nodes: [statistics(), statistics(), null, statistics()],
    members: [
      memberOf(0),
      memberOf(1),
      memberOf(3, {
        zone: 'rack-3',
        capacity: { queries: 7, cpuSeconds: null, readBytes: null, writeBytes: null },
      }),
    ],
    queriesPerSecond: 50,
  });
  check.equal(
    state.nodes.map(({ isAlive, zone, capacity }) => [isAlive, zone, capacity[0]]),
    [
      [true, undefined, 500],
      [true, undefined, 500],
      [false, undefined, 500],
      [true, 'rack-3', 70],
    ],
  );
  check.equal(state.silentNodes, []);
});

test('a node that is being drained is no target, and its partitions may leave', async () => {
  const state = await observe({
    nodes: [statistics({ storeId: 'a' }), statistics({ storeId: 'b' })],
    draining: ['b'],
  });
  check.equal(
    state.nodes.map(({ isAlive, isDraining }) => [isAlive, isDraining]),
    [
      [true, false],
      [false, true],
    ],
  );
  check.is(state.restingPartitions.size, 0);
});

test.run();
