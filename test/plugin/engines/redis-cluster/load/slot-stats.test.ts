/** Against a server that answers as the documentation of Valkey 8.0 says, and, where it is installed, against Valkey itself. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import {
  type RedisCommand,
  RedisRefusal,
  type RedisReply,
} from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { SlotStats } from '../../../../../plugin/redis/index.ts';
import { LOAD_DIMENSION_COUNT } from '../../../../../src/model/load-profile.ts';
import { keySlot } from '../../../../../src/routing/key-slot.ts';
import { requireOrSkip } from '../../../../support/require.ts';

const test = suite('slot statistics of servers');

const statistics = (slot: number, counters: Record<string, number>): RedisReply => [
  slot,
  Object.entries(counters).flatMap(([name, value]): RedisReply[] => [Buffer.from(name), value]),
];

/** Answers poll after poll with what it is given. */
function server(...replies: RedisReply[]) {
  const asked: unknown[] = [];
  return {
    asked,
    pipeline: async (commands: readonly unknown[]) => {
      asked.push(...commands);
      return [replies.shift() as RedisReply];
    },
  };
}

const loadOf = (values: Float64Array, slot: number): number[] => [
  ...values.slice(slot * LOAD_DIMENSION_COUNT, (slot + 1) * LOAD_DIMENSION_COUNT),
];

test('load is what has come since the poll before; the first poll only begins', async () => {
  const first = { 'key-count': 5, 'cpu-usec': 1000, 'network-bytes-in': 100, 'network-bytes-out': 900 };
  const then = { 'key-count': 6, 'cpu-usec': 3500, 'network-bytes-in': 160, 'network-bytes-out': 1900 };
  const master = server([statistics(0, first)], [statistics(0, then), statistics(7, first)]);
  const stats = new SlotStats();
  const begun = await stats.poll(new Map([['a', master]]));
  check.equal(master.asked[0], ['CLUSTER', 'SLOT-STATS', 'SLOTSRANGE', 0, 16_383]);
  check.is(begun.support, 'load');
  check.equal(loadOf(begun.values, 0), [0, 0, 0, 0]);
  const { values, keyCounts } = await stats.poll(new Map([['a', master]]));
  check.equal(loadOf(values, 0), [0, 0.0025, 1000, 60]);
  check.equal(loadOf(values, 7), [0, 0, 0, 0], 'a slot that has just come');
  check.is(keyCounts[0], 6);
});

test('counters that were set back, and a slot at another server, are a new beginning, not a negative load', async () => {
  const high = { 'key-count': 1, 'cpu-usec': 900, 'network-bytes-in': 90, 'network-bytes-out': 90 };
  const low = { 'key-count': 1, 'cpu-usec': 10, 'network-bytes-in': 1, 'network-bytes-out': 1 };
  const a = server([statistics(1, high), statistics(2, high)], [statistics(1, low)]);
  const b = server([], [statistics(2, low)]);
  const stats = new SlotStats();
  const masters = new Map([
    ['a', a],
    ['b', b],
  ]);
  await stats.poll(masters);
  const { values } = await stats.poll(masters);
  check.is(
    values.every((value) => value === 0),
    true,
  );
});

test('a server set to count keys alone, and one without the command, are told apart', async () => {
  const keys = server([statistics(3, { 'key-count': 4 })]);
  const polled = await new SlotStats().poll(new Map([['a', keys]]));
  check.equal([polled.support, polled.keyCounts[3]], ['keys', 4]);
  const refusal = new RedisRefusal("ERR unknown subcommand 'SLOT-STATS'. Try CLUSTER HELP.");
  check.is((await new SlotStats().poll(new Map([['a', server(refusal)]]))).support, 'none');
  const mixed = new Map([
    ['a', server([statistics(3, { 'key-count': 4, 'cpu-usec': 1 })])],
    ['b', server(refusal)],
  ]);
  check.is((await new SlotStats().poll(mixed)).support, 'none');
});

// Whatever serves the other suites: Redis 7.0 has no such command.
if (requireOrSkip('valkey', hasRedisServer('valkey-server')))
  test('Valkey tells key counts, and CPU time and bytes once it is set to', async () => {
    const cluster = await LocalRedisCluster.start({ program: 'valkey-server' });
    try {
      const masters = new Map(
        cluster.nodeIds.map((id, index) => [
          id,
          { pipeline: (commands: readonly RedisCommand[]) => cluster.pipeline(index, commands) },
        ]),
      );
      // Slot 2,507 is the first master's.
      await cluster.command(0, 'SET', 'foreshard-7', 'v'.repeat(1_000));
      const slot = keySlot(Buffer.from('foreshard-7'), 0, 11);
      const stats = new SlotStats();
      const bare = await stats.poll(masters);
      check.equal([bare.support, bare.keyCounts[slot]], ['keys', 1]);
      for (const index of [0, 1, 2])
        await cluster.command(index, 'CONFIG', 'SET', 'cluster-slot-stats-enabled', 'yes');
      await stats.poll(masters);
      for (let i = 0; i < 50; i++) await cluster.command(0, 'GET', 'foreshard-7');
      const { support, values } = await stats.poll(masters);
      check.is(support, 'load');
      const [, cpuSeconds, readBytes, writeBytes] = loadOf(values, slot) as [number, number, number, number];
      check.ok(cpuSeconds > 0 && cpuSeconds < 1, `${cpuSeconds} s`);
      check.ok(readBytes > 50_000 && readBytes < 60_000, `${readBytes} bytes read`);
      check.ok(writeBytes > 0 && writeBytes < 5_000, `${writeBytes} bytes of commands`);
      const others = values.filter((_, at) => Math.floor(at / LOAD_DIMENSION_COUNT) !== slot);
      check.ok(
        others.every((value) => value === 0),
        'nothing else was asked',
      );
    } finally {
      await cluster.stop();
    }
  });

test.run();
