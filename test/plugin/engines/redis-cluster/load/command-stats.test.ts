/** What commands cost, from a real server's counters to the load of a partition that an application asks. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  CommandStats,
  commandCounters,
} from '../../../../../plugin/engines/redis-cluster/load/command-stats.ts';
import type { RedisNode } from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { ProfileLedger } from '../../../../../plugin/host/analysis/profile-ledger.ts';
import { ProfilePublisher } from '../../../../../plugin/host/analysis/profile-publisher.ts';
import { commandCostsKey, profilePrefix } from '../../../../../plugin/host/records/record-keys.ts';
import { openEmbeddedMetadata } from '../../../../../plugin/metadata/embedded.ts';
import { readCommandCosts, tryCommandCosts } from '../../../../../plugin/redis/command-costs.ts';
import { REDIS_COMMANDS } from '../../../../../plugin/redis/commands.ts';
import { captureCluster } from '../../../../../plugin/redis/index.ts';
import { systemClock, VirtualClock } from '../../../../../src/base/clock.ts';
import { silentLogger } from '../../../../../src/base/logger.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../../../../src/model/load-profile.ts';
import type {
  MetadataCondition,
  MetadataStore,
  MetadataWrite,
} from '../../../../../src/ports/metadata-store.ts';
import { keySlot } from '../../../../../src/routing/key-slot.ts';
import { hasRedisServer, RedisServer } from '../../../../support/redis.ts';
import { withTemporaryFolder } from '../../../../support/temporary-folder.ts';

const test = suite('redis-cluster: what commands cost');
const FENCE: MetadataCondition = { key: 'fence', revision: 1 } as unknown as MetadataCondition;
const CLUSTER = 'shop';

/** Stats of servers that answer so; what is told goes to `writes`. */
function statsOf(answer: (nodeId: string, section?: string) => Promise<string>, metadata?: MetadataStore) {
  const clock = new VirtualClock(1e9);
  const writes: MetadataWrite[] = [];
  const node = (nodeId: string) =>
    ({
      pipeline: async (commands: readonly (readonly string[])[]) => {
        const replies: Buffer[] = [];
        for (const [, section] of commands) replies.push(Buffer.from(await answer(nodeId, section)));
        return replies;
      },
    }) as unknown as RedisNode;
  const stats = new CommandStats({
    ...{ nodes: { node }, clock, clusterName: CLUSTER },
    metadata: {
      commit: async (transaction) => {
        writes.push(...transaction.writes);
        return metadata?.commit({ ...transaction, conditions: [] }) as never;
      },
    },
  });
  const look = async (nodeIds: readonly string[] = ['m']): Promise<void> => {
    clock.advanceTo(clock.nowMs() + 61_000);
    await stats.look(nodeIds, FENCE);
  };
  return { stats, look, writes, clock };
}

const line = (command: string, calls: number, us: number): string =>
  `cmdstat_${command}:calls=${calls},usec=${us},usec_per_call=${(us / calls).toFixed(2)},rejected_calls=0,failed_calls=0\r\n`;

test('counters of a server are read by command, with those of its subcommands', () => {
  const text = `# Commandstats\r\n${line('get', 10, 35)}${line('xinfo|stream', 2, 10)}${line('xinfo|groups', 3, 5)}rubbish\r\n`;
  check.equal(
    [...commandCounters(text)],
    [
      ['get', { calls: 10, us: 35 }],
      ['xinfo', { calls: 5, us: 15 }],
    ],
  );
});

test('what a command costs follows what it costs of late, of all servers, also of one that was started anew', async () => {
  const answers: Record<string, string> = { a: line('get', 1e9, 50e9), b: line('get', 100, 5_000) };
  const { stats, look, writes } = statsOf(async (nodeId) => answers[nodeId] as string);
  await look(['a', 'b']);
  check.is(Math.round(stats.costs().get('get') as number), 50);
  // Half a million calls at 2 µs: five half-lives.
  answers.a = line('get', 1e9 + 5e5, 50e9 + 1e6);
  await look(['a', 'b']);
  const cost = stats.costs().get('get') as number;
  check.ok(cost > 1.9 && cost < 8, `${cost}`);
  answers.b = line('get', 4e5, 4e5);
  await look(['a', 'b']);
  answers.b = line('get', 1e5, 1e5);
  await look(['a', 'b']);
  const after = stats.costs().get('get') as number;
  check.ok(after > 0.9 && after < 1.5, `${after}`);
  check.is(writes.length, 4);
});

test('what calls take beside their commands is the rest of the CPU, of an idle server no more than the usual price', async () => {
  const server = { calls: 0, cpuSeconds: 0 };
  const { stats, look } = statsOf(async (_, section) =>
    section === 'cpu'
      ? `used_cpu_sys:${server.cpuSeconds / 2}\r\nused_cpu_user:${server.cpuSeconds / 2}\r\n`
      : `${line('get', server.calls, 2 * server.calls)}${line('exec', server.calls, 9 * server.calls)}`,
  );
  // Of 20 µs a pair 2 are the GET's; EXEC takes what its commands take, and does not count twice.
  server.calls += 10_000;
  server.cpuSeconds += 0.2;
  await look();
  const [get, exec] = ['get', 'exec'].map((name) => stats.costs().get(name)) as [number, number];
  check.ok(Math.abs(get - 11) < 0.1 && Math.abs(exec - 18) < 0.1, `${get} and ${exec}`);
  for (let idle = 0; idle < 5; idle++) {
    server.calls += 100_000;
    server.cpuSeconds += 1_000;
    await look();
  }
  check.is(Math.round(stats.costs().get('get') as number), 22);
});

test('a few calls tell nothing, and servers are asked once a minute', async () => {
  let asked = 0;
  const { stats, writes, look, clock } = statsOf(async (_, section) => {
    asked += Number(section === 'commandstats');
    return line('sort', 3, 9_000);
  });
  await look();
  await stats.look(['m'], FENCE);
  clock.advanceTo(clock.nowMs() + 30_000);
  await stats.look(['m'], FENCE);
  check.is(asked, 1);
  check.equal([stats.costs().size, writes.length], [0, 0]);
});

test('a record that cannot be read costs nothing but prices', async () => {
  const entry = (text: string) => ({
    get: async () => ({ key: '', value: Buffer.from(text), revision: 1 }) as never,
  });
  for (const text of [
    'rubbish',
    '{"v":9}',
    '{"v":1,"usPerCall":{"get":-1}}',
    '{"v":1,"usPerCall":{"get":null}}',
  ])
    check.is(await tryCommandCosts(entry(text), CLUSTER), undefined, text);
  check.is(await tryCommandCosts({ get: async () => undefined }, CLUSTER), undefined);
  const costs = (await readCommandCosts(
    entry('{"v":1,"atMs":1,"usPerCall":{"get":3.5}}'),
    CLUSTER,
  )) as Float64Array;
  for (const { name, index } of REDIS_COMMANDS)
    check.ok(name === 'GET' ? costs[index] === 3.5 : Number.isNaN(costs[index]), name);
});

const withRedis = hasRedisServer() ? test : test.skip;

withRedis('a partition of dear commands has the CPU that a real server took for them', () =>
  withTemporaryFolder(async (path) => {
    const server = await RedisServer.start();
    const metadata = openEmbeddedMetadata({ path });
    try {
      const list = Array.from({ length: 3_000 }, (_, i) => String((i * 7_919) % 100_003));
      await server.pipeline([
        ['RPUSH', 'board', ...list],
        ...Array.from({ length: 400 }, () => ['SET', 'user', 'x']),
      ]);
      await server.pipeline(Array.from({ length: 400 }, () => ['GET', 'user']));
      await server.pipeline(Array.from({ length: 60 }, () => ['SORT', 'board']));
      const answer = async (_: string, section = ''): Promise<string> => {
        const [reply] = await server.pipeline([['INFO', section]]);
        return (reply as string).replace(/^\$\d+\r\n/, '');
      };
      const { stats, look } = statsOf(answer, metadata);
      await look();
      const [get, sort] = ['get', 'sort'].map((name) => stats.costs().get(name)) as [number, number];
      check.ok(get > 0 && get < 100 && sort > 10 * get, `GET ${get} µs, SORT ${sort} µs`);

      const windowMs = 3_600_000;
      const partitionCount = 64;
      const client = {
        isCluster: true,
        defineCommand() {},
        sendCommand: (command: { resolve(value: unknown): unknown }) => command.resolve(Buffer.from('value')),
      };
      const capture = captureCluster(client, {
        application: 'app',
        settings: {
          ...{ cluster: { name: CLUSTER, partitionCount }, metadata: { path } },
          ...{ analyzer: { windowMs }, node: { logLevel: 'error' } },
        },
      });
      await capture.started;
      // Prices are read with the first pulse.
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      const ask = (name: string, key: string): unknown =>
        client.sendCommand({ name, args: [key], resolve: () => 0, reject: () => 1 } as never);
      for (let i = 0; i < 1_000; i++)
        for (const [name, key] of [
          ['get', 'user'],
          ['sort', 'board'],
        ] as const)
          ask(name, key);
      await capture.stop();

      const ledger = new ProfileLedger({ windowMs, partitionCount, windowsMax: 10 });
      const publisher = new ProfilePublisher({
        ...{ metadata, ledger, logger: silentLogger },
        prefix: profilePrefix(CLUSTER),
      });
      const nowMs = systemClock().nowMs();
      await publisher.refresh(nowMs + windowMs);
      const startMs = Math.floor(nowMs / windowMs) * windowMs;
      const parts = [startMs - windowMs, startMs].flatMap((at) => ledger.windowAt(at));
      const cpuOf = (key: string): number => {
        const partition = keySlot(Buffer.from(key), 0, key.length) >> 8;
        const at = partition * LOAD_DIMENSION_COUNT + dimensionIndex('cpuSeconds');
        return parts.reduce((sum, { values }) => sum + (values[at] as number), 0);
      };
      check.ok(Math.abs(cpuOf('user') / (1_000 * get * 1e-6) - 1) < 1e-3, `${cpuOf('user')} s`);
      check.ok(Math.abs(cpuOf('board') / (1_000 * sort * 1e-6) - 1) < 1e-3, `${cpuOf('board')} s`);
      check.ok((await metadata.get(commandCostsKey(CLUSTER))) !== undefined);
    } finally {
      await metadata.close();
      await server.close();
    }
  }),
);

test.run();
