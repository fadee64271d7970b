/** What a stranger, or a peer gone bad, tries against the listeners: each is refused, and counted or told where an operator looks. */
import { connect, type Socket } from 'node:net';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { assertMayQuery } from '../../../plugin/node/storage/peer-rights.ts';
import {
  encodeFrame,
  FRAME_CONTROL_REQUEST,
  FRAME_DATA_REQUEST,
  FRAME_HELLO,
} from '../../../plugin/rpc/frames.ts';
import { encodeHello } from '../../../plugin/rpc/hello.ts';
import { RpcServer } from '../../../plugin/rpc/server.ts';
import { DEFAULT_HANDSHAKE_LIMITS } from '../../../plugin/security/handshake-gate.ts';
import { startFakeCluster } from '../../support/fake-cluster.ts';
import { KeptLog } from '../../support/kept-log.ts';
import { encodeCommand } from '../../support/resp-client.ts';

const test = suite('attacks');

const SECRET = 'correct horse battery staple';
const LIMITS = { ...DEFAULT_HANDSHAKE_LIMITS, openMsMax: 300, wrongGuessMs: 50 };

/** Sends, and collects what comes back until the other end closes. */
function provoke(port: number, bytes: Buffer | string): Promise<string> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.once('close', () => resolve(answer));
  });
}

const CLIENT_ATTACKS: readonly (readonly [name: string, bytes: Buffer | string, answer: RegExp])[] = [
  ['slow-loris: a byte and then nothing', '*', /^$/],
  ['a line without an end', 'x'.repeat(5_000), /unauthenticated request too big/],
  ['many words that mean nothing', '\r\n'.repeat(3_000), /unauthenticated request too big/],
  ['a length that lies', '*1\r\n$999999999999\r\n', /invalid bulk length/],
  ['a large request of a stranger', '*2\r\n$4\r\nAUTH\r\n$100000\r\n', /unauthenticated bulk length/],
  ['a million arguments', '*1000000\r\n', /unauthenticated multibulk length/],
  ['HTTP, from a browser that was talked into it', 'POST / HTTP/1.1\r\nHost: x\r\n\r\nFLUSHALL\r\n', /^$/],
  [
    'guessing, as fast as the line carries it',
    Buffer.concat(Array.from({ length: 300 }, () => encodeCommand(['AUTH', 'guess']))),
    /^(-WRONGPASS[^\r\n]*\r\n){0,5}$/,
  ],
  [
    'a reply forged by a line break',
    Buffer.concat([encodeCommand(['x\r\n+OK', 'y\r\n-ERR']), encodeCommand(['QUIT'])]),
    /^-[^\r\n]*\r\n\+OK\r\n$/,
  ],
];

test('strangers at the listener of clients get nothing, whatever they send', async () => {
  const log = new KeptLog();
  const cluster = await startFakeCluster({
    password: SECRET,
    logger: log,
    guards: { handshakeLimits: LIMITS },
  });
  try {
    for (const [name, bytes, answer] of CLIENT_ATTACKS)
      check.match(await provoke(cluster.query.port, bytes), answer, name);
    const { authenticationFailures } = cluster.query.counters;
    check.ok(
      authenticationFailures >= 1 && authenticationFailures <= 12,
      `${authenticationFailures} guesses`,
    );
    check.ok(cluster.query.counters.protocolErrors >= 5);
    check.ok(cluster.query.handshakes.expiredCount >= 1);
    check.match(log.text, /did not show in time who it is/);
    check.ok(log.lines.length < 20, 'a stranger does not fill the log');
    check.is(log.lines.length, log.text.split('\n').length, 'nor forge lines of it');
    check.not.match(log.text, SECRET);
  } finally {
    await cluster.close();
  }
});

const hello = (clusterId: string): Buffer =>
  encodeFrame(encodeHello({ clusterId, nodeId: 7, role: 'storage' }), { type: FRAME_HELLO });
const control = (message: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(message.length);
  return Buffer.concat([
    hello('main'),
    encodeFrame(Buffer.concat([length, message]), { type: FRAME_CONTROL_REQUEST }),
  ]);
};
const tooLong = encodeFrame(Buffer.alloc(5_000), { type: FRAME_HELLO });
const ERROR_EXTENSION = [0xc7, 0x0b, 0x65, 0x93, 0xa5, ...Buffer.from('Error'), 0xa1, 0x78, 0xc0, 0xc0];

const PEER_ATTACKS: readonly (readonly [name: string, bytes: Buffer])[] = [
  ['slow-loris: half a header and then nothing', hello('main').subarray(0, 10)],
  ['a hello that is too long', tooLong],
  ['another cluster', hello('other')],
  ['a request before the hello', encodeFrame(Buffer.alloc(8), { type: FRAME_CONTROL_REQUEST })],
  ['a hello twice', Buffer.concat([hello('main'), hello('main')])],
  ['a depth bomb', control(Buffer.alloc(5_000, 0x91))],
  [
    'a bomb of empty maps',
    control(Buffer.concat([Buffer.from([0xdd, 0, 0, 0xbf, 0xff]), Buffer.alloc(0xbfff, 0x80)])),
  ],
  ['an extension of msgpackr', control(Buffer.from(ERROR_EXTENSION))],
  ['a key that is no string', control(Buffer.from([0x81, 0x01, 0x01]))],
  [
    'data of a peer that may not read',
    Buffer.concat([hello('main'), encodeFrame(Buffer.alloc(28), { type: FRAME_DATA_REQUEST })]),
  ],
  ['a flipped bit', Buffer.from(hello('main').map((byte, i) => (i === 30 ? byte ^ 1 : byte)))],
];

test('whatever fails a check at the listener of peers ends its connection, unanswered, and is counted', async () => {
  const log = new KeptLog();
  const asked: string[] = [];
  const server = new RpcServer(
    {
      identity: { clusterId: 'main', nodeId: 0, role: 'storage' },
      port: 0,
      logger: log,
      handshakeLimits: LIMITS,
    },
    {
      // As a storage node does it.
      onData: ({ peer }) => {
        assertMayQuery(peer);
        asked.push('data');
      },
      onControl: (operation) => {
        asked.push(operation);
        return Promise.resolve({ body: {} });
      },
    },
  );
  const port = await server.listen();
  try {
    for (const [name, bytes] of PEER_ATTACKS) {
      const before =
        server.counters.corruptFrames + server.counters.refusedHandshakes + server.handshakes.expiredCount;
      await provoke(port, bytes);
      const after =
        server.counters.corruptFrames + server.counters.refusedHandshakes + server.handshakes.expiredCount;
      check.ok(after > before, name);
    }
    check.equal(asked, []);
    check.is(({} as { x?: number }).x, undefined);
    check.is(server.connections.size, 0);
    check.is(server.handshakes.openCount, 0);
  } finally {
    await server.close();
  }
});

test.run();
