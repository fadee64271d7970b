/** How a mover goes about its windows, by whether anybody asks meanwhile. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { RedisConnection } from '../../../../../plugin/engines/redis-cluster/server/redis-connection.ts';
import type { RedisCommand } from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { SlotMover } from '../../../../../plugin/engines/redis-cluster/slots/slot-mover.ts';
import { systemClock } from '../../../../../src/base/clock.ts';
import { REDIS_DEFAULTS } from '../../../../../src/redis-settings.ts';
import { keysOfFourSlots, MemoryRedisCluster } from '../../../../support/memory-redis-cluster.ts';

const test = suite('redis-cluster: the mover of slots');

/** Each write takes a moment, and INFO tells of so many reads since the last. @returns the most writes that were on their way to one server. */
async function writesTogether(readsAtEachLook: number): Promise<number> {
  const cluster = new MemoryRedisCluster(3);
  const keysOf = keysOfFourSlots();
  for (const key of [...keysOf.values()].flat()) cluster.increment(key);
  let [reads, most] = [0, 0];
  const inFlight = new Map<string, number>();
  const count = (nodeId: string, change: number): void => {
    inFlight.set(nodeId, (inFlight.get(nodeId) ?? 0) + change);
    most = Math.max(most, inFlight.get(nodeId) as number);
  };
  const node = (nodeId: string): RedisConnection =>
    ({
      close: () => undefined,
      pipeline: async (commands: readonly RedisCommand[]) => {
        const isLoad = commands.every(([, what]) => what === 'commandstats');
        const isProbe = commands.every(([name]) => name === 'PING');
        if (isLoad) {
          reads += readsAtEachLook;
          return commands.map(() => Buffer.from(`cmdstat_get:calls=${reads}\r\n`));
        }
        if (!isProbe) count(nodeId, 1);
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (!isProbe) count(nodeId, -1);
        return cluster.node(nodeId).pipeline(commands);
      },
    }) as unknown as RedisConnection;
  const slotMove = { ...REDIS_DEFAULTS.slotMove, windowSlotsMax: 4, keysPerMigrateMax: 1, sampleShare: 0 };
  const mover = new SlotMover(
    { ...REDIS_DEFAULTS, slotMove },
    { nodes: { node, dedicated: node }, clock: systemClock(), assertMaySend: () => undefined },
  );
  type Server = MemoryRedisCluster['servers'][0];
  const [source, target] = cluster.servers as readonly [Server, Server, Server];
  const outcomes = await mover.move(
    {
      sourceId: source.nodeId,
      targetId: target.nodeId,
      targetAddress: { host: '127.0.0.1', port: target.port },
      otherMasterIds: [],
      slots: [...keysOf.keys()],
      formerIds: [],
      isSourcePromoted: false,
      sourceRunId: null,
    },
    { mayOpenWindow: () => true },
  );
  check.is(outcomes.flatMap(({ committedSlots }) => committedSlots).length, keysOf.size);
  return most;
}

test('where applications ask, the servers have one write of ours at a time: a processor is left for them', async () => {
  check.is(await writesTogether(1_000), 1);
});

test('where nobody asks, they have more', async () => {
  check.ok((await writesTogether(0)) > 1);
});

test('after a failover of the source, the target is told the owner of all that is open before anything moves', async () => {
  const cluster = new MemoryRedisCluster(3);
  const keysOf = keysOfFourSlots();
  for (const key of [...keysOf.values()].flat()) cluster.increment(key);
  type Server = MemoryRedisCluster['servers'][0];
  const [source, target] = cluster.servers as readonly [Server, Server, Server];
  const slots = [...keysOf.keys()];
  const formerId = 'f'.repeat(40);
  // What four slots were open at, when their source was killed; of the replica that follows it the target has not heard.
  for (const slot of slots) {
    target.importingFrom.set(slot, formerId);
    target.ownerOf[slot] = '';
  }
  let migrateCount = 0;
  const node = (nodeId: string): RedisConnection =>
    ({
      close: () => undefined,
      pipeline: async (commands: readonly RedisCommand[]) => {
        const migrates = commands.filter(([name]) => name === 'MIGRATE');
        migrateCount += migrates.length;
        if (migrates.length > 0 && target.ownerOf.includes(''))
          throw new Error('the target is down: CLUSTERDOWN');
        return cluster.node(nodeId).pipeline(commands);
      },
    }) as unknown as RedisConnection;
  // A window of one slot: three others are as open as it is.
  const slotMove = { ...REDIS_DEFAULTS.slotMove, windowSlotsMax: 1, sampleShare: 0 };
  const mover = new SlotMover(
    { ...REDIS_DEFAULTS, slotMove },
    { nodes: { node, dedicated: node }, clock: systemClock(), assertMaySend: () => undefined },
  );
  const outcomes = await mover.move(
    {
      sourceId: source.nodeId,
      targetId: target.nodeId,
      targetAddress: { host: '127.0.0.1', port: target.port },
      otherMasterIds: [],
      slots,
      formerIds: [formerId],
      isSourcePromoted: true,
      sourceRunId: null,
    },
    { mayOpenWindow: () => true },
  );
  check.is(outcomes.flatMap(({ committedSlots }) => committedSlots).length, slots.length);
  check.ok(migrateCount >= slots.length);
});

test.run();
