/** What is recorded of a captured client: every query once, in its slot; and nothing of it is left when it is undone. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { createRingMemory, RingProducer } from '../../../plugin/capture/ring.ts';
import { RingSource } from '../../../plugin/capture/ring-source.ts';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { tapClient } from '../../../plugin/redis/clients/tap-client.ts';
import { REDIS_COMMANDS, redisCommand } from '../../../plugin/redis/commands.ts';
import { captureCluster } from '../../../plugin/redis/index.ts';
import { QueryTap, SLOT_UNKNOWN } from '../../../plugin/redis/query-tap.ts';
import { RunSampler } from '../../../plugin/redis/run-sampler.ts';
import { SLOT_COUNT } from '../../../src/model/partition-map.ts';
import type { QueryRecord } from '../../../src/model/query-log.ts';
import { keySlot } from '../../../src/routing/key-slot.ts';
import { openIoredis, openNodeRedis } from '../../support/redis-clients.ts';
import { requireOrSkip } from '../../support/require.ts';

const test = suite('capture of redis clients');
const slotOf = (key: string): number => keySlot(Buffer.from(key), 0, Buffer.byteLength(key));

const EVERY_RECORD = { isNext: true, next: () => true };

/** A tap whose records can be looked at. */
function newTap(ringSlots = 256, sampler: Pick<RunSampler, 'isNext' | 'next'> = EVERY_RECORD) {
  const memory = createRingMemory(ringSlots);
  const producer = new RingProducer(memory, { keyPrefixBytes: 24, keyHash: true, readClock: Date.now });
  const source = new RingSource(memory, REDIS_COMMANDS);
  const faults: unknown[] = [];
  const tap = new QueryTap({
    producer,
    sampler,
    clientId: 7,
    partitionCount: SLOT_COUNT,
    onFault: (fault) => faults.push(fault),
  });
  const drain = () => {
    producer.publish();
    const records: QueryRecord[] = [];
    return { ...source.drain((record) => records.push(record)), records };
  };
  return { tap, drain, faults, producer, source };
}

/** `GET a`, `SET b`: what was asked, in the order of the answers. */
const told = (records: readonly QueryRecord[]): string[] =>
  records.map(
    ({ command, keyPrefix, outcome }) => `${command} ${keyPrefix}${outcome === 'ok' ? '' : ` ${outcome}`}`,
  );

test('keys are written for the records that will be looked at, also where some were dropped in between', () => {
  const { tap, source, producer } = newTap(256, new RunSampler(77));
  const reader = new RunSampler(77);
  const get = redisCommand('get');
  const slot = slotOf('a key');
  let sampledCount = 0;
  let droppedCount = 0;
  for (let i = 0; i < 20_000; i++) {
    tap.answered(get, ['a key'], 0, 0, i % 2 === 0 ? slot : SLOT_UNKNOWN, 'reply');
    // The ring holds 256: of each 300 some find no room.
    if (i % 300 !== 299) continue;
    producer.publish();
    const drained = source.drain(({ keyPrefix, partitionId }) => {
      const isSampled = reader.next();
      sampledCount += Number(isSampled);
      check.is(keyPrefix, isSampled ? 'a key' : '');
      check.is(partitionId, slot);
    });
    droppedCount += drained.droppedCount;
  }
  check.ok(sampledCount > 60 && droppedCount > 2_000, `${sampledCount} sampled, ${droppedCount} dropped`);
});

test('another kind of client is refused, and told what is taken', () => {
  check.throws(() => captureCluster({ get() {} }), /captureCluster takes a Cluster or Redis of ioredis/);
});

test('a wrong setting is refused at once, by its name', () => {
  const client = { sendCommand() {}, defineCommand() {}, isCluster: true };
  check.throws(
    () => captureCluster(client, { settings: { capture: { ringSlots: 'many' } } }),
    (error: Error) => /capture\.ringSlots/.test(error.message),
  );
  check.equal(Object.getOwnPropertyNames(client), ['sendCommand', 'defineCommand', 'isCluster']);
});

test('a fault of ours lets go, is told once, and the application gets its answer', async () => {
  const { tap, faults, producer } = newTap();
  producer.record = () => {
    throw new TypeError('a planted bug');
  };
  const command = {
    name: 'get',
    args: ['a'],
    resolve: (reply: unknown) => `settled ${reply}`,
    reject: (error: unknown) => error,
  };
  const client = {
    isCluster: true,
    defineCommand() {},
    sendCommand: (sent: typeof command) => sent.resolve('v'),
  };
  tapClient(client, tap);
  check.is(client.sendCommand({ ...command }), 'settled v');
  check.is(client.sendCommand({ ...command }), 'settled v');
  check.is(faults.length, 1);
  check.is(tap.isOpen, false);
});

test('an application that passes what no server takes ends nothing: the next query is recorded', async () => {
  const { tap, faults, drain } = newTap();
  const refuse = () => Promise.reject(new TypeError('"arguments[2]" must be of type "string | Buffer"'));
  const nodeRedis = {
    sendCommand: (args: unknown) =>
      JSON.stringify(args) === '["GET","a"]' ? Promise.resolve('v') : refuse(),
    _executeMulti: refuse,
    _executePipeline: refuse,
  };
  const settled = { resolve: () => undefined, reject: () => undefined };
  const ioredis = {
    isCluster: true,
    defineCommand() {},
    sendCommand: (sent: { resolve(value: unknown): void }) => sent.resolve('v'),
  };
  tapClient(nodeRedis, tap);
  tapClient(ioredis, tap);
  const pipeline = {};
  const send = ioredis.sendCommand as (command: object, stream?: object) => void;
  send({ ...settled, name: 'multi', args: [] }, pipeline);
  for (const bad of [undefined, null, 5, {}, Symbol('x')]) {
    for (const args of [['SET', 'k', bad], ['GET', bad], ['EVAL', 'return 1', bad], [bad], [], bad]) {
      await nodeRedis.sendCommand(args).catch(() => undefined);
      const batch = nodeRedis._executePipeline as (commands: object[]) => Promise<unknown>;
      await batch([{ args }]).catch(() => undefined);
    }
    send({ ...settled, name: bad, args: [] }, pipeline);
  }
  send({ ...settled, name: 'discard', args: [] }, pipeline);
  send({ ...settled, name: 'get', args: ['b'] });
  await nodeRedis.sendCommand(['GET', 'a']);
  check.equal(faults, []);
  check.equal(told(drain().records), ['GET b', 'GET a']);
});

test('a full ring drops, and counts what it drops', () => {
  const { tap, drain } = newTap(128);
  const client = {
    isCluster: true,
    defineCommand() {},
    sendCommand: (sent: { resolve(value: unknown): void }) => sent.resolve('v'),
  };
  tapClient(client, tap);
  for (let i = 0; i < 200; i++)
    client.sendCommand({
      name: 'get',
      args: ['a'],
      resolve: () => undefined,
      reject: () => undefined,
    } as never);
  const { recordCount, droppedCount } = drain();
  check.equal([recordCount, droppedCount], [128, 72]);
});

if (requireOrSkip('redis', hasRedisServer())) {
  let servers: LocalRedisCluster;
  test.before(async () => {
    servers = await LocalRedisCluster.start();
  });
  test.after(() => servers.stop());

  test('ioredis: what is recorded is what was sent, slot by slot', async () => {
    const client = await openIoredis(servers);
    const { tap, drain } = newTap();
    const undo = tapClient(client, tap);
    await client.set('a', '1');
    await client.get('ü'.repeat(20));
    await client.get(Buffer.from('a'));
    await client.mget('{a}1', '{a}2');
    await client.pipeline().get('{a}x').incr('{a}y').exec();
    await client.multi().set('{a}x', '1').get('{a}x').exec();
    await client.eval('return 1', 1, 'b');
    await client.lpush('a', 'x').catch(() => undefined);
    await client.xread('COUNT', 1, 'STREAMS', 'stream', '0');
    await client.blpop('none', 0.01);
    await client.publish('channel', 'x');
    const { records } = drain();
    check.equal(told(records), [
      'SET a',
      `GET ${Buffer.from('ü'.repeat(12)).toString('latin1')}`,
      'GET a',
      'MGET {a}1',
      'GET {a}x',
      'INCR {a}y',
      'SET {a}x',
      'GET {a}x',
      'EVAL b',
      'LPUSH a error',
      'XREAD stream',
      'BLPOP none',
    ]);
    check.equal(
      records.map(({ partitionId }) => partitionId),
      ['a', 'ü'.repeat(20), 'a', 'a', 'a', 'a', 'a', 'a', 'b', 'a', 'stream', 'none'].map(slotOf),
    );
    check.is(tap.keylessCount, 2, 'MULTI and PUBLISH belong to no slot');
    undo();
    await client.get('a');
    check.is(drain().recordCount, 0);
    client.disconnect();
  });

  test('ioredis: a transaction that did not happen is not recorded, a script is recorded once', async () => {
    const client = await openIoredis(servers);
    client.defineCommand('readIt', { numberOfKeys: 1, lua: 'return redis.call("get", KEYS[1])' });
    const { tap, drain } = newTap();
    tapClient(client, tap);
    await client
      .multi()
      .set('t', '1')
      .call('set', 't')
      .exec()
      .catch(() => undefined);
    check.equal(told(drain().records), []);
    await (client as unknown as { readIt(key: string): Promise<string> }).readIt('script');
    for (const index of servers.ports.keys()) await servers.command(index, 'SCRIPT', 'FLUSH');
    await (client as unknown as { readIt(key: string): Promise<string> }).readIt('script');
    // Servers that have forgotten it are asked anew: that is one query all the same.
    check.equal(told(drain().records), ['EVALSHA script', 'EVALSHA script']);
    client.disconnect();
  });

  test('node-redis: what is recorded is what was sent, slot by slot', async () => {
    const client = await openNodeRedis(servers);
    const { tap, drain } = newTap();
    const undo = tapClient(client, tap);
    await client.set('c', '1');
    await client.get('c');
    await client.multi().set('{c}x', '1').get('{c}x').exec();
    await client.multi().set('{c}x', '1').get('{c}x').execAsPipeline();
    await client.eval('return 1', { keys: ['d'] });
    await client.lPush('c', 'x').catch(() => undefined);
    await client.xRead([{ key: 'stream', id: '0' }]);
    await client.blPop('none', 0.01);
    await client.publish('channel', 'x');
    await client.sendCommand('c', true, ['STRLEN', 'c']);
    const { records } = drain();
    check.equal(told(records), [
      'SET c',
      'GET c',
      ...['SET {c}x', 'GET {c}x', 'SET {c}x', 'GET {c}x'],
      'EVAL d',
      'LPUSH c error',
      'XREAD stream',
      'BLPOP none',
      'STRLEN c',
    ]);
    check.equal(
      records.map(({ partitionId }) => partitionId),
      ['c', 'c', 'c', 'c', 'c', 'c', 'd', 'c', 'stream', 'none', 'c'].map(slotOf),
    );
    undo();
    await client.get('c');
    check.is(drain().recordCount, 0);
    client.destroy();
  });

  test('node-redis: a pipeline with an error in it has run all the same, a transaction has not', async () => {
    const client = await openNodeRedis(servers);
    const { tap, drain } = newTap();
    tapClient(client, tap);
    await client.set('{p}text', 'x');
    const failing = () => client.multi().get('{p}text').incr('{p}text').set('{p}after', '1');
    const failed = await failing()
      .execAsPipeline()
      .then(
        () => false,
        () => true,
      );
    check.is(await client.get('{p}after'), '1', 'what came after the error ran as well');
    const tellsAll = failed ? ' error' : '';
    check.equal(told(drain().records), [
      'SET {p}text',
      `GET {p}text${tellsAll}`,
      'INCR {p}text error',
      `SET {p}after${tellsAll}`,
      'GET {p}after',
    ]);
    client.destroy();
  });

  test('undone, the very functions are there that were there before', async () => {
    const ioredis = await openIoredis(servers);
    const nodeRedis = await openNodeRedis(servers);
    const { _self } = nodeRedis as unknown as { readonly _self: { readonly _slots: object } };
    const nodes = nodeRedis.masters.map(
      ({ client }) => (client as unknown as { readonly _self: object })._self,
    );
    const objects = [ioredis, nodeRedis, _self, _self._slots, ...nodes];
    const methods = () =>
      objects.map((object) =>
        ['sendCommand', '_executeMulti', '_executePipeline', 'nodeClient', 'get'].map((name) => [
          (object as unknown as Record<string, unknown>)[name],
          Object.hasOwn(object, name),
        ]),
      );
    const before = methods();
    const { tap } = newTap();
    const undos = [tapClient(ioredis, tap), tapClient(nodeRedis, tap)];
    check.is.not(methods()[0]?.[0]?.[0], before[0]?.[0]?.[0]);
    for (const undo of undos) undo();
    methods().forEach((object, i) => {
      object.forEach(([method, isOwn], j) => {
        check.is(method, before[i]?.[j]?.[0]);
        check.is(isOwn, before[i]?.[j]?.[1]);
      });
    });
    ioredis.disconnect();
    nodeRedis.destroy();
  });

  test('messages of channels arrive as before, at both libraries', async () => {
    const ioredis = await openIoredis(servers);
    const nodeRedis = await openNodeRedis(servers);
    const { tap } = newTap();
    tapClient(ioredis, tap);
    tapClient(nodeRedis, tap);
    const heard: string[] = [];
    const both = new Promise<void>((resolve) => {
      const hear = (words: string): void => {
        heard.push(words);
        if (heard.length === 2) resolve();
      };
      ioredis.on('message', (channel, message) => hear(`ioredis ${channel} ${message}`));
      nodeRedis.subscribe('news', (message, channel) => hear(`node-redis ${channel} ${message}`)).catch(hear);
    });
    await Promise.all([ioredis.subscribe('news'), nodeRedis.subscribe('other', () => undefined)]);
    await nodeRedis.publish('news', 'hello');
    await both;
    check.equal(heard.sort(), ['ioredis news hello', 'node-redis news hello']);
    ioredis.disconnect();
    nodeRedis.destroy();
  });
}

test.run();
