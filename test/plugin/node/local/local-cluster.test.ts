import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LocalCluster } from '../../../../plugin/node/local/local-cluster.ts';
import { foreshardArguments } from '../../../support/repository.ts';
import { requireOrSkip } from '../../../support/require.ts';
import { encodeCommand, RespClient } from '../../../support/resp-client.ts';

const test = suite('plugin/node/local-cluster: real processes, real clients');
const hasRedisTools = requireOrSkip('redis', spawnSync('redis-cli', ['--version']).status === 0);

let cluster: LocalCluster;

test.before(async () => {
  cluster = await LocalCluster.start({ storageNodeCount: 2, partitionCount: 16 });
});
test.after(async () => {
  const { folder } = cluster;
  await cluster.stop();
  assert.is(existsSync(folder), false, 'nothing is left on disk');
});

test('npm ioredis works unmodified: commands, pipelines, scan streams', async () => {
  const client = new Redis({ host: cluster.host, port: cluster.port });
  assert.is(await client.set('io:a', 'grün', 'EX', 100), 'OK');
  assert.is(await client.get('io:a'), 'grün');
  assert.is((await client.ttl('io:a')) > 90, true);
  assert.is(await client.set('io:a', 'x', 'NX'), null);
  assert.equal(await client.mset('io:b', '1', 'io:c', '2'), 'OK');
  assert.equal(await client.mget('io:b', 'nothing', 'io:c'), ['1', null, '2']);
  assert.is(await client.hset('io:h', { f: '1', g: '2' }), 2);
  assert.equal(await client.hgetall('io:h'), { f: '1', g: '2' });
  const pipeline = client.pipeline();
  for (let i = 0; i < 300; i++) pipeline.incr(`io:n${i % 50}`);
  const results = await pipeline.exec();
  assert.equal(
    results?.map(([error, value]) => [error, value]),
    Array.from({ length: 300 }, (_, i) => [null, Math.floor(i / 50) + 1]),
  );
  const found = new Set<string>();
  for await (const keys of client.scanStream({ match: 'io:n*', count: 20 }))
    for (const key of keys as string[]) found.add(key);
  assert.is(found.size, 50);
  await client.hget('io:b', 'f').then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /^WRONGTYPE/),
  );
  assert.is(await client.del('io:b', 'io:c', 'nothing'), 2);
  await client.quit();
});

test('npm redis works unmodified, in RESP2 and RESP3', async () => {
  for (const RESP of [2, 3] as const) {
    const client = createClient({ socket: { host: cluster.host, port: cluster.port }, RESP });
    client.on('error', () => {});
    await client.connect();
    await client.set('nr:a', 'v', { expiration: { type: 'PX', value: 50_000 } });
    assert.is(await client.get('nr:a'), 'v');
    await client.hSet('nr:h', { f: '1', g: '2' });
    assert.equal({ ...(await client.hGetAll('nr:h')) }, { f: '1', g: '2' });
    assert.equal(await client.mGet(['nr:a', 'nothing']), ['v', null]);
    assert.is(await client.incrBy('nr:n', 5), RESP === 2 ? 5 : 10);
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, i) => client.append('nr:s', String(i % 10))),
    );
    assert.is(replies.length, 100);
    assert.is(await client.getDel('nr:s'), '0123456789'.repeat(10));
    await client.close();
  }
});

test('redis-cli and redis-benchmark work unmodified', async () => {
  if (!hasRedisTools) return;
  const run = (program: string, ...words: string[]): Promise<string> =>
    new Promise((resolve) => {
      const child = spawn(program, ['-h', cluster.host, '-p', String(cluster.port), ...words]);
      let text = '';
      child.stdout.on('data', (chunk) => {
        text += chunk;
      });
      child.once('close', () => resolve(text));
    });
  assert.is(await run('redis-cli', 'SET', 'cli', 'value'), 'OK\n');
  assert.is(await run('redis-cli', '-3', 'GET', 'cli'), 'value\n');
  assert.is((await run('redis-cli', '--scan', '--pattern', 'cl*')).trim(), 'cli');
  const report = await run(
    'redis-benchmark',
    '-c',
    '20',
    '-n',
    '1000',
    '-P',
    '4',
    '-t',
    'ping,set,get,incr,hset,mset',
    '--csv',
  );
  for (const name of ['PING_INLINE', 'PING_MBULK', 'SET', 'GET', 'INCR', 'HSET', 'MSET'])
    assert.match(report, `"${name}`);
});

test('a client that asks for a hundred megabytes at once gets them, and another is served without an error', async () => {
  const valueBytes = 200_000;
  const count = 512;
  const greedy = await RespClient.connect(cluster.port);
  const modest = await RespClient.connect(cluster.port);
  assert.is(await greedy.call('SET', 'large', Buffer.alloc(valueBytes, 'v')), 'OK');
  greedy.socket.removeAllListeners('data');
  let received = 0;
  greedy.socket.on('data', (chunk) => {
    received += chunk.length;
  });
  const expected = count * (valueBytes + `$${valueBytes}\r\n\r\n`.length);
  greedy.socket.write(Buffer.concat(Array<Buffer>(count).fill(encodeCommand(['GET', 'large']))));
  let servedBeside = 0;
  while (received < expected && !greedy.socket.destroyed) {
    assert.is(await modest.call('INCR', `beside:${servedBeside % 40}`), Math.floor(servedBeside / 40) + 1);
    if (received < expected) servedBeside++;
    else break;
  }
  assert.is(received, expected);
  assert.ok(servedBeside > 3, `${servedBeside} were served meanwhile`);
  greedy.close();
  modest.close();
});

test('a storage node that is killed and restarted has everything that was acknowledged', async () => {
  const client = new Redis({ host: cluster.host, port: cluster.port });
  const acknowledged: string[] = [];
  let isWriting = true;
  const writing = (async () => {
    for (let i = 0; isWriting; i++) {
      const key = `durable:${i}`;
      // A write that was on its way is answered as unknown: it may be there or not, and is not counted on.
      await client.set(key, String(i)).then(
        () => acknowledged.push(key),
        (error: Error) => assert.match(error.message, /^(UNKNOWNOUTCOME|CLUSTERDOWN|TRYAGAIN)/),
      );
    }
  })();
  while (acknowledged.length < 50) await new Promise((resolve) => setTimeout(resolve, 5));
  await cluster.kill(0);
  await cluster.restart(0);
  const countAtRestart = acknowledged.length;
  while (acknowledged.length < countAtRestart + 50) await new Promise((resolve) => setTimeout(resolve, 5));
  isWriting = false;
  await writing;
  const values = await client.mget(acknowledged);
  assert.equal(
    values,
    acknowledged.map((key) => key.slice('durable:'.length)),
  );
  await client.quit();
});

test('the parent can ask the query node, and knows pids, logs and memory', async () => {
  const { ownerOf } = await cluster.control({ operation: 'ownership' });
  assert.equal([...ownerOf], [...Array(8).fill(0), ...Array(8).fill(1)]);
  assert.is(cluster.pid(0) !== cluster.pid(1), true);
  assert.is(cluster.memoryBytes() === 0 || cluster.memoryBytes() > 50_000_000, true);
  assert.type(cluster.log(0), 'string');
});

test('a query node whose port is taken says so and ends, instead of living on unheard', () => {
  const listen = `${cluster.host}:${cluster.port}`;
  const { status, stderr } = spawnSync(
    process.execPath,
    foreshardArguments(
      ...['node', '--role', 'query', '--node-id', '10001'],
      ...['--listen', listen, '--config', join(cluster.folder, 'foreshard.config.json')],
    ),
    { encoding: 'utf8', timeout: 30_000 },
  );
  assert.is(status, 1);
  assert.match(stderr, `cannot listen on ${listen}`);
});

test('a cluster that cannot start says why in the words of its node, and leaves nothing', async () => {
  try {
    await LocalCluster.start({
      storageNodeCount: 1,
      partitionCount: 16,
      settings: { node: { valueBytesMax: -1 } },
    });
  } catch (error) {
    assert.match((error as Error).message, 'node.valueBytesMax');
    return;
  }
  assert.unreachable();
});

test.run();
