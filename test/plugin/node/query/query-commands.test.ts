import { connect } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { COMMANDS } from '../../../../plugin/commands/table.ts';
import { DEFAULT_HANDSHAKE_LIMITS } from '../../../../plugin/security/handshake-gate.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import {
  eventually,
  type FakeCluster,
  partitionOfKey,
  startFakeCluster,
} from '../../../support/fake-cluster.ts';
import { encodeCommand, RespClient, type RespError } from '../../../support/resp-client.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('plugin/node/query-node: connection commands');

let cluster: FakeCluster;
let client: RespClient;

test.before(async () => {
  cluster = await startFakeCluster();
});
test.after(() => cluster.close());
test.before.each(async () => {
  client = await RespClient.connect(cluster.query.port);
});
test.after.each(() => client.close());

test('PING, ECHO and SELECT answer as Redis does', async () => {
  assert.is(await client.call('ping'), 'PONG');
  assert.is(await client.call('PING', 'hello'), 'hello');
  assert.is(await client.call('ECHO', 'a\r\nb'), 'a\r\nb');
  assert.is(await client.call('SELECT', '0'), 'OK');
  assert.is(await client.errorOf('SELECT', '1'), 'ERR DB index is out of range');
  assert.is(await client.errorOf('SELECT', 'x'), 'ERR invalid DB index');
});

test('wrong arity and unknown commands are errors that name the command, and the connection goes on', async () => {
  assert.is(await client.errorOf('GET'), "ERR wrong number of arguments for 'get' command");
  assert.is(await client.errorOf('PING', 'a', 'b'), "ERR wrong number of arguments for 'ping' command");
  assert.is(await client.errorOf('MSET', 'a', '1', 'b'), "ERR wrong number of arguments for 'mset' command");
  assert.is(
    await client.errorOf('Frobnicate', 'a\nb', 'c'),
    "ERR unknown command 'Frobnicate', with args beginning with: 'a b' 'c' ",
  );
  assert.match(String(await client.errorOf('SCANPART', '0', 'COUNT', '10')), /^ERR unknown command/);
  assert.match(String(await client.errorOf('KEYCOUNT')), /^ERR unknown command/);
  assert.match(
    String(await client.errorOf('x'.repeat(500), 'y'.repeat(500))),
    /^ERR unknown command 'x{128}'/,
  );
  assert.is(await client.call('PING'), 'PONG');
});

test('HELLO changes the protocol, sets a name, and refuses what it does not know', async () => {
  const resp2 = (await client.call('HELLO', '2')) as unknown[];
  assert.equal(resp2.slice(0, 6), ['server', 'redis', 'version', '7.0.15', 'proto', 2]);
  const resp3 = (await client.call('HELLO', '3', 'SETNAME', 'me')) as Map<string, unknown>;
  assert.is(resp3.get('proto'), 3);
  assert.is(await client.call('CLIENT', 'GETNAME'), 'me');
  assert.is(await client.errorOf('HELLO', '4'), 'NOPROTO unsupported protocol version');
  assert.match(String(await client.errorOf('HELLO', '3', 'BOGUS')), /^ERR Syntax error in HELLO/);
  assert.match(String(await client.errorOf('HELLO', 'x')), /^ERR Protocol version/);
  assert.is(await client.call('RESET'), 'RESET');
  assert.is(await client.call('CLIENT', 'GETNAME'), null);
  assert.instance(await client.call('CONFIG', 'GET', 'save'), Array, 'RESP2 again');
});

test('CLIENT tells and takes what libraries want of it', async () => {
  const id = await client.call('CLIENT', 'ID');
  assert.type(id, 'number');
  assert.is(await client.call('CLIENT', 'SETNAME', 'app'), 'OK');
  assert.match(String(await client.errorOf('CLIENT', 'SETNAME', 'a b')), /^ERR Client names cannot/);
  assert.is(await client.call('CLIENT', 'SETINFO', 'LIB-NAME', 'mylib'), 'OK');
  assert.is(await client.call('CLIENT', 'SETINFO', 'lib-ver', '1.2'), 'OK');
  assert.match(String(await client.errorOf('CLIENT', 'SETINFO', 'other', 'x')), /^ERR Unrecognized option/);
  assert.is(await client.call('CLIENT', 'NO-EVICT', 'on'), 'OK');
  const info = String(await client.call('CLIENT', 'INFO'));
  for (const part of [`id=${id} `, 'name=app ', 'lib-name=mylib ', 'lib-ver=1.2', 'resp=2 '])
    assert.match(info, part);
  const other = await RespClient.connect(cluster.query.port);
  await other.call('PING');
  assert.is(
    String(await client.call('CLIENT', 'LIST'))
      .trim()
      .split('\n').length,
    2,
  );
  assert.match(String(await client.call('CLIENT', 'LIST', 'ID', String(id))), `id=${id} `);
  other.close();
  assert.match(String(await client.errorOf('CLIENT', 'KILL', 'x')), /^ERR unknown subcommand 'KILL'/);
});

test('COMMAND describes exactly the commands a client may send', async () => {
  const all = (await client.call('COMMAND')) as unknown[][];
  const open = COMMANDS.filter(({ spread }) => spread !== 'partition');
  assert.is(await client.call('COMMAND', 'COUNT'), open.length);
  assert.equal(
    all.map(([name]) => name),
    open.map(({ name }) => name.toLowerCase()),
  );
  const [mset, none] = (await client.call('COMMAND', 'INFO', 'mset', 'nonsense')) as (unknown[] | null)[];
  assert.equal(mset?.slice(0, 6), ['mset', -3, ['write', 'denyoom'], 1, -1, 2]);
  assert.is(none, null);
  assert.equal(await client.call('COMMAND', 'GETKEYS', 'MSET', 'a', '1', 'b', '2'), ['a', 'b']);
  const docs = (await client.call('COMMAND', 'DOCS', 'get')) as unknown[];
  assert.is(docs[0], 'get');
});

test('CONFIG GET answers what redis-benchmark asks; INFO has sections and counts', async () => {
  assert.equal(await client.call('CONFIG', 'GET', 'save', 'appendonly'), ['save', '', 'appendonly', 'yes']);
  assert.equal(await client.call('CONFIG', 'GET', 'nothing*'), []);
  assert.match(String(await client.errorOf('CONFIG', 'SET', 'save', '')), /^ERR unknown subcommand/);
  await client.call('NOSUCH');
  const info = String(await client.call('INFO'));
  assert.match(info, /# Server\r\nredis_version:7\.0\.15\r\n/);
  assert.match(info, /total_error_replies:[1-9]/);
  const stats = String(await client.call('INFO', 'stats'));
  assert.is(stats.startsWith('# Stats\r\n') && !stats.includes('# Server'), true);
});

test('QUIT answers what came before it, then closes; so does a client that stops sending', async () => {
  const replies = await client.pipeline(
    [['SET', 'k', 'v'], ['GET', 'k'], ['QUIT'], ['SET', 'k', 'after']].slice(0, 3),
  );
  assert.equal(replies, ['OK', 'v', 'OK']);
  await client.closed;
  const half = await RespClient.connect(cluster.query.port);
  const answered = half.pipeline([['GET', 'k'], ['PING']]);
  half.socket.end();
  assert.equal(await answered, ['v', 'PONG']);
  await half.closed;
});

test('FIN after a pipeline far deeper than what may be in flight: all of it is answered, then the connection ends', async () => {
  const count = 20_000;
  const socket = connect({ port: cluster.query.port, host: '127.0.0.1', allowHalfOpen: true });
  let replyCount = 0;
  socket.on('data', (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 10) replyCount++;
  });
  socket.end(Buffer.concat(Array.from({ length: count }, () => encodeCommand(['APPEND', 'fin', 'x']))));
  await new Promise((resolve) => socket.once('close', resolve));
  assert.is(replyCount, count);
  assert.is(((await client.call('GET', 'fin')) as string).length, count);
});

test('FIN in the middle of a request ends the connection after what came before', async () => {
  const replies = client.sendRaw('PING\r\n*2\r\n$3\r\nGET\r\n$9\r\nhal', 1);
  client.socket.end();
  assert.equal(await replies, ['PONG']);
  await client.closed;
});

test('a malformed frame is answered after what came before it, and its connection closed', async () => {
  const replies = await client.sendRaw(
    Buffer.concat([
      encodeCommand(['SET', 'k', 'v']),
      Buffer.from('*1\r\n+oops\r\n'),
      encodeCommand(['PING']),
    ]),
    2,
  );
  assert.is(replies[0], 'OK');
  assert.is((replies[1] as RespError).text, "ERR Protocol error: expected '$', got '+'");
  await client.closed;
  assert.is(cluster.query.counters.protocolErrors > 0, true);
  const wrongLength = await RespClient.connect(cluster.query.port);
  const [error] = await wrongLength.sendRaw('*2\r\n$3\r\nGETXX$1\r\na\r\n', 1);
  assert.is((error as RespError).text, 'ERR Protocol error: expected CRLF after a bulk');
  await wrongLength.closed;
});

test('an oversized value gets an error reply, and the connection goes on', async () => {
  const replies = await client.pipeline([['SET', 'k', Buffer.alloc((1 << 20) + 1)], ['PING']]);
  assert.match((replies[0] as RespError).text, /^ERR a value of 1048577 bytes; the limit is 1048576/);
  assert.is(replies[1], 'PONG');
  assert.match(String(await client.errorOf('GET', 'k'.repeat(3000))), /^ERR a key of 3000 bytes/);
});

test('inline commands work, and HTTP is shown the door', async () => {
  assert.equal(await client.sendRaw('PING\r\nset inline "a b"\r\nget inline\r\n', 3), ['PONG', 'OK', 'a b']);
  const browser = connect(cluster.query.port, '127.0.0.1', () =>
    browser.write('POST / HTTP/1.1\r\nHost: x\r\n\r\n'),
  );
  let answer = '';
  browser.on('data', (chunk) => {
    answer += chunk;
  });
  await new Promise((resolve) => browser.once('close', resolve));
  assert.is(answer, '');
});

test('a pipeline far deeper than what may be in flight is answered whole and in order', async () => {
  const count = 5000;
  const replies = await client.pipeline(
    Array.from({ length: count }, (_, i) => ['SET', `deep${i}`, String(i)]),
  );
  assert.is(
    replies.every((reply) => reply === 'OK'),
    true,
  );
  const values = await client.pipeline(Array.from({ length: count }, (_, i) => ['GET', `deep${i}`]));
  assert.equal(
    values,
    Array.from({ length: count }, (_, i) => String(i)),
  );
});

test('many large values at once stay within the memory that may be in flight', async () => {
  const value = Buffer.alloc(1 << 20, 'v');
  const clients = await Promise.all(Array.from({ length: 8 }, () => RespClient.connect(cluster.query.port)));
  const replies = await Promise.all(
    clients.map((one, i) =>
      one.pipeline(Array.from({ length: 10 }, (_, j) => ['SET', `large${i}.${j}`, value])),
    ),
  );
  assert.is(
    replies.flat().every((reply) => reply === 'OK'),
    true,
  );
  for (const one of clients) one.close();
});

test('a client that goes away in the middle of its queries leaves nothing behind', async () => {
  const gone = await RespClient.connect(cluster.query.port);
  cluster.nodes[0].verdictOf = () => 'keep';
  const key = Array.from({ length: 50 }, (_, i) => `gone${i}`).find(
    (name) => partitionOfKey(name) < 8,
  ) as string;
  gone.socket.write(encodeCommand(['SET', key, 'v']));
  await eventually(() => cluster.nodes[0].keptCount === 1, 'on its way');
  gone.close();
  await gone.closed;
  cluster.nodes[0].verdictOf = () => 'answer';
  cluster.nodes[0].flushKept();
  await eventually(() => cluster.query.counters.connectedClients === 1, 'its connection is gone');
  assert.is(await client.call('GET', key), 'v');
});

test('mutated streams end in replies or a closed connection; the node goes on', async () => {
  const random = seededRandom(testSeed('query-node-fuzz'));
  const stream = Buffer.concat([
    encodeCommand(['SET', 'fuzz', 'value']),
    encodeCommand(['MGET', 'fuzz', 'other']),
    Buffer.from('GET fuzz\r\n'),
    encodeCommand(['CLIENT', 'SETNAME', 'x']),
    encodeCommand(['HELLO', '3', 'SETNAME', 'y']),
    encodeCommand(['SCAN', '0', 'MATCH', '*', 'COUNT', '10']),
  ]);
  for (let round = 0; round < 150; round++) {
    const bytes = Buffer.from(stream.subarray(0, 1 + random.nextBelow(stream.length)));
    for (let i = random.nextBelow(4); i >= 0; i--)
      bytes[random.nextBelow(bytes.length)] = random.nextBelow(256);
    await new Promise<void>((resolve) => {
      const socket = connect(cluster.query.port, '127.0.0.1', () => socket.end(bytes));
      socket.resume();
      socket.on('error', () => {});
      socket.once('close', () => resolve());
    });
  }
  assert.is(await client.call('PING'), 'PONG');
});

test('a command that the query node answers itself takes 128 arguments, and HELLO each option once', async () => {
  const infos = (await client.call('COMMAND', 'INFO', ...Array(127).fill('get'))) as unknown[];
  assert.is(infos.length, 127);
  assert.is(
    await client.errorOf('COMMAND', 'INFO', ...Array(500).fill('get')),
    'ERR 501 arguments; the limit is 128',
  );
  const twice = ['SETNAME', 'one', 'SETNAME', 'two'];
  assert.is(await client.errorOf('HELLO', '3', ...twice), "ERR Syntax error in HELLO option 'SETNAME'");
  assert.is(await client.call('CLIENT', 'GETNAME'), null, 'no name was taken from it');
});

test('SCAN is refused with a long pattern or type, or with more options than there are', async () => {
  assert.is(
    await client.errorOf('SCAN', '0', 'MATCH', `*[${'b'.repeat(1_023)}`),
    'ERR SCAN MATCH of 1025 bytes; the limit is 1024',
  );
  assert.is(
    await client.errorOf('SCAN', '0', 'TYPE', 's'.repeat(2_000)),
    'ERR SCAN TYPE of 2000 bytes; the limit is 1024',
  );
  const options = Array.from({ length: 10 }, () => ['MATCH', 'a*']).flat();
  assert.is(await client.errorOf('SCAN', '0', ...options), 'ERR syntax error');
});

const auth = suite('plugin/node/query-node: authentication');
let locked: FakeCluster;
auth.before(async () => {
  locked = await startFakeCluster({
    password: 'sesame',
    guards: { handshakeLimits: { ...DEFAULT_HANDSHAKE_LIMITS, wrongGuessMs: 1 } },
  });
});
auth.after(() => locked.close());

auth('nothing but AUTH, HELLO, QUIT and RESET is done for a client that has not authenticated', async () => {
  const stranger = await RespClient.connect(locked.query.port);
  assert.is(await stranger.errorOf('GET', 'a'), 'NOAUTH Authentication required.');
  assert.is(await stranger.errorOf('PING'), 'NOAUTH Authentication required.');
  assert.match(String(await stranger.errorOf('HELLO', '3')), /^NOAUTH HELLO must be called/);
  for (const wrong of ['sesam', 'sesame2', '', 'SESAME'])
    assert.match(String(await stranger.errorOf('AUTH', wrong)), /^WRONGPASS/);
  assert.match(String(await stranger.errorOf('AUTH', 'root', 'sesame')), /^WRONGPASS/);
  assert.match(String(await stranger.errorOf('HELLO', '3', 'AUTH', 'default', 'no')), /^WRONGPASS/);
  const auths = ['AUTH', 'default', 'sesame', 'AUTH', 'default', 'sesame'];
  assert.is(await stranger.errorOf('HELLO', '3', ...auths), "ERR Syntax error in HELLO option 'AUTH'");
  assert.is(await stranger.call('RESET'), 'RESET');
  assert.instance(await stranger.call('HELLO', '3', 'AUTH', 'default', 'sesame'), Map);
  assert.is(await stranger.call('GET', 'a'), null);
  await stranger.call('RESET');
  assert.is(await stranger.errorOf('GET', 'a'), 'NOAUTH Authentication required.');
  assert.is(await stranger.call('AUTH', 'sesame'), 'OK');
  assert.is(await stranger.call('AUTH', 'default', 'sesame'), 'OK');
  stranger.close();
});

auth('a large request of a stranger is refused before it is read', async () => {
  const stranger = await RespClient.connect(locked.query.port);
  const [reply] = await stranger.sendRaw('*2\r\n$4\r\nAUTH\r\n$1000000\r\n', 1);
  assert.is((reply as RespError).text, 'ERR Protocol error: unauthenticated bulk length');
  await stranger.closed;
});

test.run();
auth.run();
