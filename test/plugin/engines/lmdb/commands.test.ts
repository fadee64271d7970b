import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { EngineBench, EngineClient, ownAll, partitionOfKey } from './support.ts';

interface Context {
  bench: EngineBench;
  clock: VirtualClock;
  client: EngineClient;
}

const test = suite<Context>('lmdb commands');

test.before.each(async (context) => {
  context.bench = new EngineBench();
  context.clock = new VirtualClock(1_700_000_000_000);
  const engine = await context.bench.open({ clock: context.clock, valueBytesMax: 1000 });
  await ownAll(engine);
  context.client = new EngineClient(engine);
});
test.after.each((context) => context.bench.close());

const WRONGTYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n';

test('a string is stored, read, measured and removed', async ({ client }) => {
  check.is(await client.ask('GET', 'k'), '$-1\r\n');
  check.is(await client.ask('SET', 'k', 'hello'), '+OK\r\n');
  check.is(await client.ask('GET', 'k'), '$5\r\nhello\r\n');
  check.is(await client.ask('STRLEN', 'k'), ':5\r\n');
  check.is(await client.ask('APPEND', 'k', ' you'), ':9\r\n');
  check.is(await client.ask('GETDEL', 'k'), '$9\r\nhello you\r\n');
  check.is(await client.ask('GETDEL', 'k'), '$-1\r\n');
});

test('null is spoken in the version of RESP that was asked for', async ({ client }) => {
  check.is((await client.call(['GET', 'k'], { isResp3: true })).text, '_\r\n');
  await client.ask('HSET', 'h', 'f', 'v');
  check.is((await client.call(['HGETALL', 'h'], { isResp3: true })).text, '%1\r\n$1\r\nf\r\n$1\r\nv\r\n');
  check.is(await client.ask('HGETALL', 'h'), '*2\r\n$1\r\nf\r\n$1\r\nv\r\n');
});

test('keys and values are any bytes', async ({ client }) => {
  const key = Buffer.from([0, 255, 1, 13, 10]);
  const value = Buffer.from([0, 1, 254, 13, 10, 0]);
  await client.ask('SET', key, value);
  check.is(await client.ask('GET', key), `$6\r\n${value.toString('latin1')}\r\n`);
  await client.ask('HSET', '', '', '');
  check.is(await client.ask('HGETALL', ''), '*2\r\n$0\r\n\r\n$0\r\n\r\n');
});

test('a key is not another that begins with it, nor is a field', async ({ client }) => {
  await client.ask('HSET', '{t}a', 'b', '1');
  await client.ask('HSET', '{t}ab', '', '2');
  await client.ask('SET', '{t}a\x01b', 'x');
  await client.ask('DEL', '{t}a');
  check.is(await client.ask('GET', '{t}a\x01b'), '$1\r\nx\r\n');
  check.is(await client.ask('HGET', '{t}ab', ''), '$1\r\n2\r\n');
  check.is(await client.ask('HGET', '{t}a', 'b'), '$-1\r\n');
});

test('operations on the wrong type change nothing and say so', async ({ client }) => {
  await client.ask('SET', 's', 'v');
  await client.ask('HSET', 'h', 'f', 'v');
  for (const command of [
    ['GET', 'h'],
    ['INCR', 'h'],
    ['APPEND', 'h', 'x'],
    ['STRLEN', 'h'],
    ['GETDEL', 'h'],
  ])
    check.is(await client.ask(...command), WRONGTYPE, command.join(' '));
  for (const command of [
    ['HGET', 's', 'f'],
    ['HSET', 's', 'f', '1'],
    ['HDEL', 's', 'f'],
    ['HLEN', 's'],
    ['HINCRBY', 's', 'f', '1'],
  ])
    check.is(await client.ask(...command), WRONGTYPE, command.join(' '));
  check.is(await client.ask('MGET', 's'), '*1\r\n$1\r\nv\r\n');
  check.is(await client.ask('SET', 'h', 'now a string'), '+OK\r\n');
  check.is(await client.ask('TYPE', 'h'), '+string\r\n');
});

test('a key has expired from the millisecond after its time, for reads and for writes', async ({
  client,
  clock,
}) => {
  await client.ask('SET', 'k', 'v', 'PX', '100');
  await client.ask('HSET', 'h', 'old', '1');
  await client.ask('PEXPIRE', 'h', '100');
  clock.advanceTo(clock.nowMs() + 100);
  check.is(await client.ask('GET', 'k'), '$1\r\nv\r\n');
  clock.advanceTo(clock.nowMs() + 1);
  check.is(await client.ask('GET', 'k'), '$-1\r\n');
  check.is(await client.ask('TTL', 'k'), ':-2\r\n');
  check.is(await client.ask('SET', 'k', 'w', 'XX'), '$-1\r\n');
  check.is(await client.ask('SET', 'k', 'w', 'NX'), '+OK\r\n');
  check.is(await client.ask('HSET', 'h', 'new', '2'), ':1\r\n');
  check.is(
    await client.ask('HGETALL', 'h'),
    '*2\r\n$3\r\nnew\r\n$1\r\n2\r\n',
    'no field of the expired hash is back',
  );
  check.is(await client.ask('PTTL', 'h'), ':-1\r\n');
});

test('a key or value beyond the limit is refused with the limit, and nothing of the command is written', async ({
  client,
}) => {
  const long = 'k'.repeat(1961);
  check.is(
    await client.ask('SET', long, 'v'),
    '-ERR key (with its field) has 1961 bytes, the engine stores at most 1960\r\n',
  );
  check.is(await client.ask('GET', long), '$-1\r\n');
  check.is(await client.ask('DEL', long), ':0\r\n');
  check.is(
    await client.ask('SET', 'k'.repeat(1960), 'v', 'EX', '10'),
    '+OK\r\n',
    'the longest, with its place in the expiry index',
  );
  check.is(await client.ask('GET', 'k'.repeat(1960)), '$1\r\nv\r\n');
  check.is(await client.ask('HSET', 'h', 'f'.repeat(1959), 'v'), ':1\r\n');
  check.match(
    await client.ask('HSET', 'h', 'ok', '1', 'f'.repeat(1960), 'v'),
    /^-ERR key \(with its field\) has 1961 bytes/,
  );
  check.is(await client.ask('HLEN', 'h'), ':1\r\n');
  check.is(
    await client.ask('SET', 'v', 'x'.repeat(1001)),
    '-ERR value has 1001 bytes, the limit is 1000\r\n',
  );
  check.match(await client.ask('MSET', '{t}1', 'v', '{t}2', 'x'.repeat(1001)), /^-ERR value has 1001/);
  check.is(await client.ask('EXISTS', '{t}1'), ':0\r\n');
  await client.ask('SET', 'v', 'x'.repeat(999));
  check.is(await client.ask('APPEND', 'v', 'xy'), '-ERR value has 1001 bytes, the limit is 1000\r\n');
});

test('integers are 64 bits wide and never wrap', async ({ client }) => {
  await client.ask('SET', 'n', '9223372036854775806');
  check.is(await client.ask('INCR', 'n'), ':9223372036854775807\r\n');
  check.is(await client.ask('INCR', 'n'), '-ERR increment or decrement would overflow\r\n');
  check.is(await client.ask('DECRBY', 'n', '-9223372036854775808'), '-ERR decrement would overflow\r\n');
  check.is(await client.ask('GET', 'n'), '$19\r\n9223372036854775807\r\n');
  for (const text of ['01', '+1', ' 1', '1 ', '-0', '', '1.0', '9223372036854775808', 'abc']) {
    await client.ask('SET', 'n', text);
    check.is(
      await client.ask('INCR', 'n'),
      '-ERR value is not an integer or out of range\r\n',
      JSON.stringify(text),
    );
  }
});

test('a scan of a partition meets every key that stays, however small its steps', async ({ client }) => {
  for (let i = 0; i < 60; i++) await client.ask('SET', `{t}${i}`, 'v');
  const big = Array.from({ length: 100 }, (_, i) => [`f${i}`, 'v']).flat();
  await client.ask('HSET', '{t}hash', ...big);
  const partitionId = partitionOfKey('{t}');
  const seen: string[] = [];
  let cursor = '0';
  do {
    const { text } = await client.call(['SCANPART', cursor, 'COUNT', '7'], { partitionId });
    const parts = text.split('\r\n').filter((_line, i) => i % 2 === 0 && i > 0);
    cursor = text.split('\r\n')[2];
    seen.push(...text.split('\r\n').filter((line) => line.startsWith('{t}')));
    check.ok(parts.length > 0);
    await client.ask('DEL', `{t}${seen.length % 60}`);
    await client.ask('SET', `{t}${seen.length % 60}`, 'again');
  } while (cursor !== '0');
  check.equal(
    [...new Set(seen)].sort(),
    [...Array.from({ length: 60 }, (_, i) => `{t}${i}`), '{t}hash'].sort(),
  );
  const { text } = await client.call(['SCANPART', '0', 'COUNT', '1000', 'MATCH', '*a*', 'TYPE', 'hash'], {
    partitionId,
  });
  check.is(text, '*2\r\n$1\r\n0\r\n*1\r\n$7\r\n{t}hash\r\n');
  check.is((await client.call(['KEYCOUNT'], { partitionId })).text, ':61\r\n');
});

test('a scan whose pattern costs much stops on its way with a cursor, and in the end has met every key', async ({
  client,
}) => {
  // Each long key costs this pattern some 900 x 900 steps, and none matches.
  const keys = Array.from({ length: 12 }, (_, i) => `{t}${'a'.repeat(1_800)}${i}`);
  for (const key of keys) await client.ask('SET', key, 'v');
  await client.ask('SET', '{t}!', 'v');
  const partitionId = partitionOfKey('{t}');
  const pattern = `*[^b-z0-9]${'a'.repeat(900)}!`;
  let calls = 0;
  for (let cursor = '0'; calls === 0 || cursor !== '0'; calls++) {
    const { text } = await client.call(['SCANPART', cursor, 'COUNT', '1000', 'MATCH', pattern], {
      partitionId,
    });
    check.not.match(text, /\{t\}/);
    cursor = text.split('\r\n')[2];
  }
  check.ok(calls > 2 && calls <= keys.length, `${calls} calls`);
});

test('a scan takes no pattern that is longer than any of use; a set that is not closed ends with it', async ({
  client,
}) => {
  await client.ask('SET', `{t}${'a'.repeat(1_800)}`, 'v');
  const partitionId = partitionOfKey('{t}');
  const scan = async (word: string, value: string): Promise<string> =>
    (await client.call(['SCANPART', '0', 'COUNT', '10', word, value], { partitionId })).text;
  check.is(await scan('MATCH', '*'.repeat(1_025)), '-ERR SCAN MATCH of 1025 bytes; the limit is 1024\r\n');
  check.is(await scan('TYPE', 's'.repeat(1_025)), '-ERR SCAN TYPE of 1025 bytes; the limit is 1024\r\n');
  check.match(await scan('MATCH', `*[${'b'.repeat(1_020)}a`), /a\r\n$/);
});

test('a scan does not show what has expired', async ({ client, clock }) => {
  await client.ask('SET', '{t}gone', 'v', 'PX', '5');
  await client.ask('SET', '{t}here', 'v');
  clock.advanceTo(clock.nowMs() + 6);
  const { text } = await client.call(['SCANPART', '0', 'COUNT', '10'], {
    partitionId: partitionOfKey('{t}'),
  });
  check.is(text, '*2\r\n$1\r\n0\r\n*1\r\n$7\r\n{t}here\r\n');
});

test('a value of 8 MiB is stored and read back', async ({ bench }) => {
  const engine = await bench.open({ name: 'large' });
  await ownAll(engine);
  const client = new EngineClient(engine);
  const value = Buffer.alloc(8 * 1024 * 1024, 'ab');
  check.is(await client.ask('SET', 'k', value), '+OK\r\n');
  const text = await client.ask('GET', 'k');
  check.is(text.length, value.length + '$8388608\r\n\r\n'.length);
  check.ok(text.includes(value.toString('latin1')));
  check.is(await client.ask('SET', 'small', 'v'), '+OK\r\n');
  check.is(await client.ask('GET', 'small'), '$1\r\nv\r\n');
  check.match(await client.ask('APPEND', 'k', 'x'), /^-ERR value has 8388609 bytes/);
});

test.run();
