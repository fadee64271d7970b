import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { LmdbEngine } from '../../../../plugin/engines/lmdb/engine.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { type Random, seededRandom } from '../../../../src/base/random.ts';
import { hasRedisServer, RedisServer } from '../../../support/redis.ts';
import { requireOrSkip } from '../../../support/require.ts';
import { testSeed } from '../../../support/seed.ts';
import { EngineBench, EngineClient, ownAll, PARTITION_COUNT, partitionOfKey } from './support.ts';

/** Random commands, the same to the engine and to a real redis-server: every reply must be the same, byte for byte. */
const test = suite('lmdb commands against redis-server');

const pick = <T>(random: Random, choices: readonly T[]): T => choices[random.nextBelow(choices.length)];
// One tag, so that commands of many keys stay in one partition, as a query node sends them.
const key = (random: Random): string => `{t}${random.nextBelow(12)}`;
const field = (random: Random): string =>
  pick(random, ['', 'a', 'b', 'c', '\x01', 'long'.repeat(9), '\xff\x00']);
const value = (random: Random): string =>
  pick(random, [
    '',
    'x',
    '12',
    '-7',
    '9223372036854775800',
    '-9223372036854775808',
    '007',
    ' 1',
    'y'.repeat(300),
    '\r\n\x00',
  ]);
const integer = (random: Random): string =>
  pick(random, [
    '1',
    '-1',
    '0',
    '5',
    '9223372036854775807',
    '-9223372036854775808',
    '9223372036854775808',
    '1.5',
    'x',
    '',
    '+3',
    '-0',
    '01',
  ]);
/** Far enough that nothing expires while the test runs, or long past. */
const seconds = (random: Random): string =>
  pick(random, [
    '100',
    '1000',
    '5000',
    '0',
    '-5',
    'x',
    '9223372036854775807',
    '9223372036854775',
    '-9223372036854775807',
  ]);
const someCase = (random: Random, word: string): string =>
  random.nextBelow(3) === 0 ? word.toLowerCase() : word;
const many = <T>(random: Random, most: number, make: () => T): T[] =>
  Array.from({ length: 1 + random.nextBelow(most) }, make);

function setOptions(random: Random): string[] {
  const options: string[] = [];
  const nowSeconds = 1_700_000_000; // long past: EXAT and PXAT mostly ask for what has been
  for (let left = random.nextBelow(4); left > 0; left--) {
    const word = pick(random, ['NX', 'XX', 'GET', 'KEEPTTL', 'EX', 'PX', 'EXAT', 'PXAT', 'WRONG']);
    options.push(someCase(random, word));
    if (word === 'EX') options.push(seconds(random));
    if (word === 'PX') options.push(pick(random, ['500000', '900000', '0', '-1', 'x']));
    if (word === 'EXAT') options.push(pick(random, [String(nowSeconds), '99999999999', '0', '-3']));
    if (word === 'PXAT') options.push(pick(random, [String(nowSeconds), '99999999999000', '0']));
  }
  return options;
}

const COMMANDS: Record<string, (random: Random) => string[]> = {
  GET: (r) => [key(r)],
  SET: (r) => [key(r), value(r), ...setOptions(r)],
  GETDEL: (r) => [key(r)],
  MGET: (r) => many(r, 4, () => key(r)),
  MSET: (r) => many(r, 3, () => [key(r), value(r)]).flat(),
  DEL: (r) => many(r, 3, () => key(r)),
  UNLINK: (r) => many(r, 3, () => key(r)),
  EXISTS: (r) => many(r, 4, () => key(r)),
  TYPE: (r) => [key(r)],
  INCR: (r) => [key(r)],
  INCRBY: (r) => [key(r), integer(r)],
  DECR: (r) => [key(r)],
  DECRBY: (r) => [key(r), integer(r)],
  APPEND: (r) => [key(r), value(r)],
  STRLEN: (r) => [key(r)],
  EXPIRE: (r) => [
    key(r),
    seconds(r),
    ...(r.nextBelow(2) ? many(r, 2, () => someCase(r, pick(r, ['NX', 'XX', 'GT', 'LT', 'Bad']))) : []),
  ],
  PEXPIRE: (r) => [key(r), pick(r, ['500000', '900000', '-1', '0', 'x', '9223372036854775807'])],
  TTL: (r) => [key(r)],
  PTTL: (r) => [key(r)],
  PERSIST: (r) => [key(r)],
  HSET: (r) => [key(r), ...many(r, 3, () => [field(r), value(r)]).flat(), ...(r.nextBelow(8) ? [] : ['odd'])],
  HGET: (r) => [key(r), field(r)],
  HMGET: (r) => [key(r), ...many(r, 3, () => field(r))],
  HGETALL: (r) => [key(r)],
  HDEL: (r) => [key(r), ...many(r, 3, () => field(r))],
  HINCRBY: (r) => [key(r), field(r), integer(r)],
  HLEN: (r) => [key(r)],
  HEXISTS: (r) => [key(r), field(r)],
};
const NAMES = Object.keys(COMMANDS);

const isArity = (command: readonly string[]): boolean => !(command[0] === 'HSET' && command.length < 4);

/** Fields of a hash have no order: Redis has the order of insertion, this engine that of bytes. */
function comparable(name: string, reply: string): string {
  if (name === 'HGETALL') return [...reply].sort().join('');
  const remaining = name === 'PTTL' || name === 'TTL' ? /^:(\d+)\r\n$/.exec(reply) : null;
  // The two clocks are read one after the other.
  return remaining ? String(Math.round(Number(remaining[1]) / (name === 'TTL' ? 10 : 10_000))) : reply;
}

/** The log alone, applied from the start, makes the same partition; and the running digests say what is on disk. */
async function checkCopyByLog(bench: EngineBench, engine: LmdbEngine, partitionId: number): Promise<void> {
  const copy = await bench.open({ name: 'copy', clock: systemClock() });
  await copy.store.startChangeLog(partitionId, { digestSeed: 'abc' });
  await copy.store.updateMeta(partitionId, (meta) => ({
    ...meta,
    role: 'STAGING',
    migrationId: 1,
    staging: { migrationId: 1, sourceStoreId: 's', snapshotLsn: 0, cursor: null, isComplete: true },
  }));
  const { lsn, digest } = engine.store.runningDigest(partitionId);
  for (let applied = 0; applied < lsn; )
    applied = await copy.store.applyLog(
      partitionId,
      1,
      engine.store.readChangeLog(partitionId, applied, 50_000),
    );
  check.equal(copy.store.runningDigest(partitionId), { lsn, digest });
  for (const each of [engine, copy]) {
    const snapshot = each.store.openSnapshot(partitionId);
    check.equal(await snapshot.digest('abc'), digest);
    snapshot.close();
  }
  check.is(copy.store.states[partitionId].keyCount, engine.store.states[partitionId].keyCount);
}

for (const isResp3 of [false, true])
  test(`${isResp3 ? 'RESP3' : 'RESP2'}: three thousand random commands get the same replies`, async () => {
    if (!requireOrSkip('redis', hasRedisServer())) return;
    const seed = testSeed('lmdb differential');
    const random = seededRandom(seed).fork(String(isResp3));
    const bench = new EngineBench();
    const redis = await RedisServer.start();
    try {
      const engine = await bench.open({ clock: systemClock() });
      await ownAll(engine);
      const client = new EngineClient(engine);
      if (isResp3) await redis.pipeline([['HELLO', '3']]);
      const partitionId = partitionOfKey('{t}');
      // In the second run every command also feeds log and digest, as it does while the partition is being moved.
      if (isResp3) await engine.store.startChangeLog(partitionId, { digestSeed: 'abc' });
      for (let group = 0; group < 60; group++) {
        const commands: string[][] = [];
        while (commands.length < 50) {
          const name = pick(random, NAMES);
          const command = [name, ...COMMANDS[name](random)];
          if (isArity(command)) commands.push(command);
        }
        const ours = Promise.all(commands.map((command) => client.request(command, { isResp3 })));
        client.send();
        const [mine, theirs] = await Promise.all([ours, redis.pipeline(commands)]);
        for (let i = 0; i < commands.length; i++)
          check.is(
            comparable(commands[i][0], mine[i].text),
            comparable(commands[i][0], theirs[i]),
            `SEED=${seed} ${JSON.stringify(commands[i])} after ${JSON.stringify(commands.slice(Math.max(0, i - 12), i))}`,
          );
      }
      const [size] = await redis.pipeline([['DBSIZE']]);
      check.is((await client.call(['KEYCOUNT'], { partitionId })).text, size);
      const { text } = await client.call(['SCANPART', '0', 'COUNT', '1000'], { partitionId });
      const [all] = await redis.pipeline([['KEYS', '*']]);
      const keysIn = (reply: string): string[] => (reply.match(/\{t\}\d+/g) ?? []).sort();
      check.equal(keysIn(text), keysIn(all));
      for (let p = 0; p < PARTITION_COUNT; p++) {
        const snapshot = engine.store.openSnapshot(p);
        const { entryCount, sizeBytes } = await snapshot.digest('1');
        snapshot.close();
        check.equal(
          engine.store.statistics(p),
          { entryCount, sizeBytes },
          'the counts kept are the counts there',
        );
      }
      if (isResp3) await checkCopyByLog(bench, engine, partitionId);
    } finally {
      await redis.close();
      await bench.close();
    }
  });

test('MATCH patterns match what they match in Redis', async () => {
  if (!requireOrSkip('redis', hasRedisServer())) return;
  const seed = testSeed('glob differential');
  const random = seededRandom(seed);
  const bench = new EngineBench();
  const redis = await RedisServer.start();
  try {
    const engine = await bench.open({ clock: systemClock() });
    await ownAll(engine);
    const client = new EngineClient(engine);
    const alphabet = ['a', 'b', 'c', '*', '?', '[', ']', '^', '-', '\\'];
    const word = (length: number): string => many(random, length, () => pick(random, alphabet)).join('');
    for (let i = 0; i < 80; i++) {
      const name = `{t}${word(5)}`;
      await redis.pipeline([['SET', name, 'v']]);
      await client.ask('SET', name, 'v');
    }
    const partitionId = partitionOfKey('{t}');
    for (let i = 0; i < 300; i++) {
      const pattern = `*${word(6)}`;
      const [theirs] = await redis.pipeline([['KEYS', pattern]]);
      const { text } = await client.call(['SCANPART', '0', 'COUNT', '1000', 'MATCH', pattern], {
        partitionId,
      });
      const keysIn = (reply: string): string[] =>
        reply
          .split('\r\n')
          .filter((line) => line.startsWith('{t}'))
          .sort();
      check.equal(keysIn(text), keysIn(theirs), `SEED=${seed} ${pattern}`);
    }
  } finally {
    await redis.close();
    await bench.close();
  }
});

test.run();
