/** A captured client answers as a bare one does: random sequences of commands, the same to both, before, during and after. */
import fc from 'fast-check';
import type { Cluster } from 'ioredis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { createRingMemory, RingProducer } from '../../../plugin/capture/ring.ts';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { tapClient } from '../../../plugin/redis/clients/tap-client.ts';
import { QueryTap } from '../../../plugin/redis/query-tap.ts';
import { type NodeRedisCluster, openIoredis, openNodeRedis } from '../../support/redis-clients.ts';
import { requireOrSkip } from '../../support/require.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('captured clients behave as bare ones');

/** `{0}` and `{1}` lie on different masters. */
const key = fc.constantFrom('{0}a', '{0}b', '{1}a', '{1}ü', '{1}list');
const word = fc.constantFrom('1', '2', 'x', '', 'é');
/** Right ones, ones of the wrong type, and ones that no server takes. */
const command = fc.oneof(
  fc.tuple(fc.constantFrom('set', 'append', 'getset'), key, word).map((words) => [...words]),
  fc
    .tuple(fc.constantFrom('get', 'incr', 'del', 'strlen', 'type', 'llen', 'hgetall'), key)
    .map((w) => [...w]),
  fc.tuple(fc.constantFrom('rpush', 'hset'), key, word, word).map((words) => [...words]),
  fc.tuple(fc.constant('mget'), key, key).map((words) => [...words]),
  fc
    .tuple(key, word)
    .map(([k, w]) => ['eval', "redis.call('set', KEYS[1], ARGV[1]) return {KEYS[1], 7, ARGV[1]}", '1', k, w]),
  key.map((k) => ['eval', "return redis.error_reply('NO way')", '1', k]),
  key.map((k) => ['blpop', `${k}none`, '0.01']),
  fc.constant(['echo', 'hello']),
  fc.constant(['set', '{0}a']),
  fc.constant(['nosuchcommand', '{0}a']),
);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('one' as const), commands: fc.tuple(command) }) },
  fc.record({
    kind: fc.constantFrom('pipeline' as const, 'multi' as const),
    commands: fc.array(command, { minLength: 1, maxLength: 5 }),
  }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Only commands of one kind on one connection end in an order that does not depend on how the network cuts replies. */
const isOrdered = ({ kind, commands }: Step): boolean =>
  kind === 'one' &&
  /^(set|get|append|getset|incr|strlen|type|llen) \{0}/.test((commands[0] as string[]).join(' '));

/** What came of a step, as text: values and errors alike. */
const outcomeOf = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    return show(await work());
  } catch (error) {
    return `threw ${show(error)}`;
  }
};

function show(value: unknown): string {
  if (value instanceof Error) {
    const { name, message, errorIndexes } = value as Error & { readonly errorIndexes?: readonly number[] };
    return `${value.constructor.name} ${name}: ${message} ${errorIndexes ?? ''}`;
  }
  if (Buffer.isBuffer(value)) return `bytes ${value.toString('hex')}`;
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  return JSON.stringify(value) ?? String(value);
}

async function runIoredis(client: Cluster, { kind, commands }: Step): Promise<unknown> {
  const [[name, ...args]] = commands as [string[]];
  if (kind === 'one') return client.call(name as string, args);
  const batch = kind === 'multi' ? client.multi() : client.pipeline();
  for (const [one, ...rest] of commands as string[][]) batch.call(one as string, ...rest);
  return batch.exec();
}

async function runNodeRedis(client: NodeRedisCluster, { kind, commands }: Step): Promise<unknown> {
  const keyOf = (words: readonly string[]): string | undefined => words.find((text) => /^\{/.test(text));
  if (kind === 'one') {
    const [words] = commands as [string[]];
    return client.sendCommand(keyOf(words), false, words);
  }
  const batch = client.multi(keyOf(commands.flat() as string[]));
  for (const words of commands as string[][]) batch.addCommand(keyOf(words), false, words as never);
  return kind === 'multi' ? batch.exec() : batch.execAsPipeline();
}

interface Pair<Client> {
  readonly bare: Client;
  readonly captured: Client;
  readonly run: (client: Client, step: Step) => Promise<unknown>;
}

async function assertSameReplies<Client extends object>(
  servers: LocalRedisCluster,
  { bare, captured, run }: Pair<Client>,
): Promise<void> {
  const producer = new RingProducer(createRingMemory(256), {
    keyPrefixBytes: 24,
    keyHash: true,
    readClock: Date.now,
  });
  const faults: unknown[] = [];
  const flush = async (): Promise<void> => {
    for (const index of servers.ports.keys()) await servers.command(index, 'FLUSHALL');
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 12 }),
      fc.boolean(),
      async (steps, isConcurrent) => {
        const tap = new QueryTap({
          producer,
          sampler: { isNext: true, next: () => true },
          clientId: 1,
          partitionCount: 256,
          onFault: (fault) => faults.push(fault),
        });
        const outcomes = async (client: Client): Promise<unknown> => {
          await flush();
          const ended: number[] = [];
          const running = steps.map((one, i) => async () => {
            const outcome = await outcomeOf(() => run(client, one));
            if (isOrdered(one)) ended.push(i);
            return outcome;
          });
          const told: string[] = [];
          if (isConcurrent) told.push(...(await Promise.all(running.map((go) => go()))));
          else for (const go of running) told.push(await go());
          return { told, ended };
        };
        const expected = await outcomes(bare);
        const before = await outcomes(captured);
        const undo = tapClient(captured, tap);
        const during = await outcomes(captured);
        undo();
        const after = await outcomes(captured);
        check.equal({ before, during, after }, { before: expected, during: expected, after: expected });
      },
    ),
    { seed: Number(testSeed('captured clients') % 2n ** 31n), numRuns: 30 },
  );
  check.equal(faults, []);
}

if (requireOrSkip('redis', hasRedisServer())) {
  let servers: LocalRedisCluster;
  test.before(async () => {
    // A server looks for blocked clients whose time is over this often.
    servers = await LocalRedisCluster.start({ serverArguments: ['--hz', '500'] });
  });
  test.after(() => servers.stop());

  test('ioredis: the same replies, errors and order', async () => {
    const bare = await openIoredis(servers);
    const captured = await openIoredis(servers);
    await assertSameReplies(servers, { bare, captured, run: runIoredis });
    bare.disconnect();
    captured.disconnect();
  });

  test('node-redis: the same replies, errors and order', async () => {
    const bare = await openNodeRedis(servers);
    const captured = await openNodeRedis(servers);
    await assertSameReplies(servers, { bare, captured, run: runNodeRedis });
    bare.destroy();
    captured.destroy();
  });
}

test.run();
