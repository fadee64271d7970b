/** A partition's move as the next agent meets it: what another has left behind, and masters that are not there. */
import calculateSlot from 'cluster-key-slot';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { AtomicMover } from '../../../../../plugin/engines/redis-cluster/atomic/atomic-mover.ts';
import { CopyFirstMover } from '../../../../../plugin/engines/redis-cluster/copy-first/copy-first-mover.ts';
import type { SlotMoveRecord } from '../../../../../plugin/engines/redis-cluster/moves/move-record.ts';
import {
  PartitionMove,
  type PartitionMoveOutcome,
} from '../../../../../plugin/engines/redis-cluster/moves/partition-move.ts';
import { parseClusterNodes } from '../../../../../plugin/engines/redis-cluster/server/cluster-nodes.ts';
import type { RedisConnection } from '../../../../../plugin/engines/redis-cluster/server/redis-connection.ts';
import { textOf } from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { SlotMover } from '../../../../../plugin/engines/redis-cluster/slots/slot-mover.ts';
import { SlotMoveStopped } from '../../../../../plugin/engines/redis-cluster/steps/slot-move.ts';
import type { ClusterView } from '../../../../../plugin/engines/redis-cluster/topology/cluster-view.ts';
import {
  type ClusterTopology,
  topologyOf,
} from '../../../../../plugin/engines/redis-cluster/topology/topology.ts';
import { systemClock } from '../../../../../src/base/clock.ts';
import { silentLogger } from '../../../../../src/base/logger.ts';
import { REDIS_DEFAULTS, type RedisSettings } from '../../../../../src/redis-settings.ts';
import { MemoryRedisCluster } from '../../../../support/memory-redis-cluster.ts';

const test = suite('redis-cluster: the move of a partition');

const SETTINGS: RedisSettings = {
  ...REDIS_DEFAULTS,
  slotMove: { ...REDIS_DEFAULTS.slotMove, plan: 'copy-first' },
};
const LAST_SLOT = 63;
const KEYS = Array.from({ length: 20_000 }, (_, i) => `k${i}`).filter(
  (key) => calculateSlot(key) <= LAST_SLOT,
);

/** What outlives an agent. */
interface World {
  readonly cluster: MemoryRedisCluster;
  record: SlotMoveRecord;
}

function newWorld(): World {
  const cluster = new MemoryRedisCluster(3);
  for (const key of KEYS) cluster.increment(key);
  const [source, target] = cluster.servers.map(({ nodeId }) => nodeId) as [string, string];
  const record: SlotMoveRecord = {
    ...{ v: 1, partitionId: 0, moveId: 1, sourceNodeId: 0, targetNodeId: 1 },
    ...{ firstSlot: 0, lastSlot: LAST_SLOT, targetIds: [target], sourceIds: [source] },
    ...{ isSourcePromoted: false, startedAtMs: 0, sizeBytes: 1, reason: 'test', cancelledFor: null },
  };
  return { cluster, record };
}

/** As the cluster tells it now. */
async function topologyIn({ cluster }: World): Promise<ClusterTopology> {
  const views = new Map(
    await Promise.all(
      cluster.servers.map(async ({ nodeId }) => {
        const [told] = await cluster.node(nodeId).pipeline([['CLUSTER', 'NODES']]);
        return [nodeId, parseClusterNodes(textOf(told), '')] as const;
      }),
    ),
  );
  return topologyOf([...views.values()][0] ?? [], views);
}

interface AgentOptions {
  readonly mayOpen?: boolean;
  readonly topology?: ClusterTopology;
}

const runAgent = async (world: World, options: AgentOptions = {}): Promise<PartitionMoveOutcome> =>
  (await moveIn(world, options)).run(world.record);

async function moveIn(world: World, { mayOpen = true, topology }: AgentOptions = {}): Promise<PartitionMove> {
  const { cluster } = world;
  const clock = systemClock();
  const node = (id: string): RedisConnection => cluster.node(id) as unknown as RedisConnection;
  const nodes = { node, dedicated: node };
  const mover = new SlotMover(SETTINGS, { nodes, clock, assertMaySend: () => undefined });
  return new PartitionMove(SETTINGS, {
    topology: topology ?? (await topologyIn(world)),
    shards: cluster.servers.map(({ nodeId }, index) => ({
      ...{ nodeId: index, masterId: nodeId, memberIds: [nodeId] },
    })),
    mover,
    atomicMover: { kindOf: async () => null } as unknown as AtomicMover,
    copyFirstMover: new CopyFirstMover({ mover, clock }),
    view: { counters: async () => ({ runId: 'run' }) } as unknown as ClusterView,
    logger: silentLogger,
    mayOpen: async () => mayOpen,
    noteCopies: async (_, copies) => {
      const { copies: before, ...rest } = world.record;
      world.record = copies === null ? rest : { ...rest, copies };
    },
    orderOf: async () => 'leave',
  });
}

/** Dies as soon as copies are at the target. */
async function dieCopying({ cluster, ...world }: World): Promise<SlotMoveRecord> {
  const mortal = { cluster, ...world };
  cluster.onCommand = ([name]) => {
    if (name === 'EXEC') cluster.faults = { commandsMax: cluster.commandCount, isMigrateHalfDone: false };
  };
  await runAgent(mortal).catch(() => undefined);
  cluster.onCommand = () => undefined;
  cluster.faults = { commandsMax: Number.POSITIVE_INFINITY, isMigrateHalfDone: false };
  for (const server of cluster.servers) Object.assign(server, { isAsking: false, queued: null });
  check.is(mortal.record.copies?.stage, 'copying');
  check.ok((cluster.servers[1]?.keys.size ?? 0) > 0, 'copies are at the target');
  return mortal.record;
}

test('what had only been copied when an agent died is not moved while the move is paused', async () => {
  const world = newWorld();
  world.record = await dieCopying(world);
  const outcome = await runAgent(world, { mayOpen: false });
  check.is(outcome.movedSlots, 0);
  check.is(world.cluster.servers[1]?.keys.size, 0, 'the copies are gone');
  check.is(world.cluster.servers[0]?.keys.size, KEYS.length);
  for (const { migratingTo, importingFrom } of world.cluster.servers)
    check.is(migratingTo.size + importingFrom.size, 0);
});

test('what had only been copied when an agent died is copied anew, and moves no key while it is open', async () => {
  const world = newWorld();
  world.record = await dieCopying(world);
  const { cluster } = world;
  let openMigrates = 0;
  cluster.onCommand = ([name]) => {
    if (name === 'MIGRATE' && cluster.servers[0]?.migratingTo.size !== 0) openMigrates++;
  };
  const outcome = await runAgent(world);
  check.is(outcome.movedSlots, LAST_SLOT + 1);
  check.is(openMigrates, 0);
  check.is(cluster.servers[1]?.keys.size, KEYS.length);
});

const withoutTarget = (
  topology: ClusterTopology,
  { isForgotten }: { isForgotten: boolean },
): ClusterTopology => {
  const targetId = '1'.repeat(40);
  return {
    ...topology,
    masters: topology.masters.filter(({ nodeId }) => nodeId !== targetId),
    addresses: isForgotten
      ? new Map([...topology.addresses].filter(([nodeId]) => nodeId !== targetId))
      : topology.addresses,
  };
};

test('a target without slots that does not answer is waited for, and one that was forgotten ends the move', async () => {
  const world = newWorld();
  const topology = await topologyIn(world);
  const silent = await runAgent(world, { topology: withoutTarget(topology, { isForgotten: false }) }).catch(
    (error: unknown) => error,
  );
  check.instance(silent, SlotMoveStopped, String(silent));
  check.match((silent as Error).message, 'does not answer');
  const outcome = await runAgent(world, { topology: withoutTarget(topology, { isForgotten: true }) });
  check.is(outcome.isOver, true);
  check.is(outcome.isComplete, false);
  check.match(outcome.failure ?? '', 'not part of the cluster any more');
});

test('a source that was a replica in between is known by its epoch, though name and run id are what they were', async () => {
  const world = newWorld();
  const asked = { partitionId: 0, sourceNodeId: 0, targetNodeId: 1, sizeBytes: 1, reason: 'test' };
  const draft = (await moveIn(world)).draft(asked, world.record);
  const [sourceId] = world.record.sourceIds as [string];
  const record: SlotMoveRecord = { ...world.record, ...draft, sourceRunIds: { [sourceId]: 'run' } };
  check.is(await (await moveIn(world)).withPresentMasters(record), record);
  Object.assign(world.cluster.servers[0] as object, { configEpoch: 10 });
  const current = await (await moveIn(world)).withPresentMasters(record);
  check.is(current.isSourcePromoted, true, 'which copy of a key counts cannot be told any more');
  check.is(await (await moveIn(world)).withPresentMasters(current), current);
});

test.run();
