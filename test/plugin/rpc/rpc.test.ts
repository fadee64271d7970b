import { connect, type Socket } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RpcClient, type RpcClientHandlers } from '../../../plugin/rpc/client.ts';
import type { PeerIdentity } from '../../../plugin/rpc/connection.ts';
import { DataReplyReader, DataRequestReader, STATUS_OK } from '../../../plugin/rpc/data.ts';
import {
  encodeFrame,
  FRAME_CONTROL_REQUEST,
  FRAME_DATA_REQUEST,
  FRAME_HELLO,
} from '../../../plugin/rpc/frames.ts';
import { encodeHello } from '../../../plugin/rpc/hello.ts';
import { RpcServer, type RpcServerHandlers } from '../../../plugin/rpc/server.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('plugin/rpc');
const storage: PeerIdentity = { clusterId: 'c1', nodeId: 3, role: 'storage' };
const query: PeerIdentity = { clusterId: 'c1', nodeId: 0, role: 'query' };
const cleanups: (() => Promise<void>)[] = [];

test.after.each(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startServer(handlers: RpcServerHandlers, port = 0): Promise<RpcServer> {
  const server = new RpcServer({ identity: storage, port }, handlers);
  await server.listen();
  cleanups.push(() => server.close());
  return server;
}

function newClient(port: number, handlers: RpcClientHandlers = {}, identity = query): RpcClient {
  const client = new RpcClient(
    { identity, peerNodeId: 3, address: () => ({ host: '127.0.0.1', port }) },
    handlers,
  );
  cleanups.push(() => client.close());
  return client;
}

async function failureOf(promise: Promise<unknown>): Promise<ForeshardError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, ForeshardError);
    return error as ForeshardError;
  }
  throw new Error('expected a failure');
}

const waitFor = async (claim: () => boolean, what: string): Promise<void> => {
  for (let i = 0; i < 500 && !claim(); i++) await new Promise((resolve) => setTimeout(resolve, 4));
  assert.is(claim(), true, what);
};

test('control requests are answered by what the server says, bulk and errors included', async () => {
  const server = await startServer({
    onControl: async (operation, body, connection) => {
      if (operation === 'refuse') throw new ForeshardError('FORESHARD_BEHIND', 'wait', 'not now');
      return { body: { operation, ...body, from: connection.peer?.role }, bulk: Buffer.from('bulk') };
    },
  });
  const client = newClient(server.port);
  const reply = await client.control('status', { partitionId: 9 });
  assert.equal(reply.body, { operation: 'status', partitionId: 9, from: 'query' });
  assert.is(Buffer.from(reply.bulk as Uint8Array).toString(), 'bulk');
  const error = await failureOf(client.control('refuse'));
  assert.is(error.code, 'FORESHARD_BEHIND');
  assert.is(error.remedy, 'wait');
});

test('many data requests of one turn arrive in one frame and in order, and their replies too', async () => {
  const reader = new DataRequestReader();
  let frameCount = 0;
  const server = await startServer({
    onData(connection, payload) {
      frameCount++;
      reader.open(payload);
      while (reader.next()) {
        connection.replies.begin(reader.requestId, STATUS_OK, reader.epoch, reader.minLsn + 1);
        connection.replies.bulk(payload, reader.starts[1], reader.ends[1]);
        connection.replies.end();
      }
    },
  });
  const replies = new DataReplyReader();
  const seen: string[] = [];
  const client = newClient(server.port, {
    onDataReply(payload) {
      replies.open(payload);
      while (replies.next())
        seen.push(
          `${replies.requestId} ${replies.epoch} ${replies.lsn} ${payload.toString('latin1', replies.replyStart, replies.replyEnd)}`,
        );
    },
  });
  client.start();
  await waitFor(() => client.isConnected, 'connected');
  const bytes = Buffer.from('keyvalue');
  for (let id = 0; id < 1000; id++) {
    client.requests.begin(id, 5, 12, 0, 7, 2 ** 40, 2, 16);
    client.requests.argument(bytes, 0, 3);
    client.requests.argument(bytes, 3, 8);
    client.requests.end();
  }
  await waitFor(() => seen.length === 1000, 'all replies');
  assert.is(seen[0], `0 7 ${2 ** 40 + 1} $5\r\nvalue\r\n`);
  assert.equal(
    seen.map((line) => Number(line.split(' ')[0])),
    Array.from({ length: 1000 }, (_, i) => i),
  );
  assert.is(frameCount <= 2, true, `${frameCount} frames`);
});

test('a value larger than a slab travels whole, between small ones', async () => {
  const reader = new DataRequestReader();
  const sizes: number[] = [];
  const server = await startServer({
    onData(connection, payload) {
      reader.open(payload);
      while (reader.next()) {
        sizes.push(reader.ends[0] - reader.starts[0]);
        connection.replies.begin(reader.requestId, STATUS_OK, 1, 1);
        connection.replies.bulk(payload, reader.starts[0], reader.ends[0]);
        connection.replies.end();
      }
    },
  });
  const replies = new DataReplyReader();
  const replySizes: number[] = [];
  const client = newClient(server.port, {
    onDataReply(payload) {
      replies.open(payload);
      while (replies.next()) replySizes.push(replies.replyEnd - replies.replyStart);
    },
  });
  client.start();
  await waitFor(() => client.isConnected, 'connected');
  const wanted = [10, 65_536, 3, 5_000_000, 70_000, 65_480, 1];
  for (const [id, size] of wanted.entries()) {
    client.requests.begin(id, 0, 0, 0, 1, 0, 1, 4 + size);
    client.requests.argument(Buffer.alloc(size, 'v'), 0, size);
    client.requests.end();
  }
  await waitFor(() => replySizes.length === wanted.length, 'all replies');
  assert.equal(sizes, wanted);
  assert.equal(
    replySizes,
    wanted.map((size) => size + String(size).length + 5),
  );
});

test('a peer that does not read is given no more than it may have waiting, and is served on once it reads', async () => {
  const large = Buffer.alloc(1024 * 1024, 'v');
  let made = 0;
  let drained = 0;
  const server = await startServer({
    onData: (connection) => {
      while (!connection.isCongested) {
        connection.replies.begin(made++, STATUS_OK, 1, 1);
        connection.replies.bulk(large, 0, large.length);
        connection.replies.end();
      }
    },
    onDrained: () => {
      drained++;
    },
  });
  const sizes: number[] = [];
  const reader = new DataReplyReader();
  const client = newClient(server.port, {
    onDataReply: (payload) => {
      reader.open(payload);
      while (reader.next()) sizes.push(reader.replyEnd - reader.replyStart);
    },
  });
  client.start();
  await waitFor(() => client.isConnected, 'connected');
  client.pauseReading();
  client.requests.begin(1, 0, 0, 0, 1, 0, 0, 0);
  client.requests.end();
  await waitFor(() => made > 0, 'asked');
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.ok(made <= 9, `${made} replies of 1 MiB wait`);
  assert.is(sizes.length, 0);
  client.resumeReading();
  await waitFor(() => drained > 0 && sizes.length === made, 'all has arrived');
  assert.is(client.isConnected, true);
});

test('a congested peer that takes nothing for too long is cut off', async () => {
  const large = Buffer.alloc(16 * 1024, 'v');
  const server = new RpcServer(
    { identity: storage, port: 0, sendStallMs: 40 },
    {
      onData: (connection) => {
        for (let i = 0; i < 2_000; i++) {
          connection.replies.begin(i, STATUS_OK, 1, 1);
          connection.replies.bulk(large, 0, large.length);
          connection.replies.end();
        }
      },
    },
  );
  await server.listen();
  cleanups.push(() => server.close());
  const client = newClient(server.port);
  client.start();
  await waitFor(() => client.isConnected, 'connected');
  client.pauseReading();
  client.requests.begin(1, 0, 0, 0, 1, 0, 0, 0);
  client.requests.end();
  await waitFor(() => server.connections.size === 0, 'cut off');
});

test('of the control requests that one peer has open only so many are taken', async () => {
  let open = 0;
  let finish = (): void => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const server = await startServer({
    onControl: async () => {
      open++;
      await finished;
      return { body: {} };
    },
  });
  const client = newClient(server.port);
  const asked = Array.from({ length: 300 }, () => client.control('replicate.status'));
  const refused = await Promise.all(asked.slice(256).map(failureOf));
  assert.is(open, 256);
  assert.ok(
    refused.every(({ code, message }) => code === 'FORESHARD_LIMIT' && /more than 256/.test(message)),
  );
  finish();
  assert.is((await Promise.all(asked.slice(0, 256))).length, 256);
});

test('a peer that says nothing, or does not end what it says, is cut off; one that is idle says that it is there', async () => {
  const quietLimits = { lookMs: 10, idleLooksMax: 40, headerLooksMax: 10, payloadLooksMax: 20 };
  const server = new RpcServer({ identity: storage, port: 0, quietLimits }, {});
  const port = await server.listen();
  cleanups.push(() => server.close());
  const idle = new RpcClient({ identity: query, address: () => ({ host: '127.0.0.1', port }), pingMs: 20 });
  cleanups.push(() => idle.close());
  idle.start();
  await waitFor(() => idle.isConnected, 'connected');
  const hello = encodeFrame(encodeHello(query), { type: FRAME_HELLO });
  const frame = encodeFrame(Buffer.alloc(5_000), { type: FRAME_DATA_REQUEST });
  /** Says hello, then a byte of `slowly` every 5 ms. @returns how long that was borne, ms. */
  const borneMs = (slowly: Buffer): Promise<number> =>
    new Promise((resolve) => {
      const beganMs = performance.now();
      let at = 0;
      const socket: Socket = connect(port, '127.0.0.1', () => socket.write(hello));
      const timer = setInterval(() => {
        if (at < slowly.length && socket.writable) socket.write(slowly.subarray(at, ++at));
      }, 5);
      socket.on('error', () => {});
      socket.resume().once('close', () => {
        clearInterval(timer);
        resolve(performance.now() - beganMs);
      });
    });
  const times = await Promise.all([borneMs(Buffer.alloc(0)), borneMs(frame.subarray(0, 9)), borneMs(frame)]);
  assert.ok(
    times.every((ms) => ms > 80),
    times.join(),
  );
  assert.ok(idle.isConnected, 'who has nothing to say stays');
  await waitFor(() => server.connections.size === 1, 'the others are forgotten');
});

test('nobody there is UNAVAILABLE after its time, and a late answer an unknown outcome', async () => {
  const nowhere = newClient(1);
  assert.is((await failureOf(nowhere.control('x', {}, { timeoutMs: 60 }))).code, 'FORESHARD_UNAVAILABLE');
  const server = await startServer({ onControl: () => new Promise(() => {}) });
  const slow = newClient(server.port);
  assert.is((await failureOf(slow.control('x', {}, { timeoutMs: 60 }))).code, 'FORESHARD_UNKNOWN_OUTCOME');
});

test('a connection lost with a request open is an unknown outcome; the next request reconnects by itself', async () => {
  let isFirst = true;
  const server = await startServer({
    async onControl(_operation, _body, connection) {
      if (isFirst) {
        isFirst = false;
        connection.close();
      }
      return { body: { ok: true } };
    },
  });
  const client = newClient(server.port);
  assert.is((await failureOf(client.control('x'))).code, 'FORESHARD_UNKNOWN_OUTCOME');
  assert.equal((await client.control('x')).body, { ok: true });
});

test('a peer of another cluster, or another node than expected, is refused with the reason', async () => {
  const server = await startServer({ onControl: async () => ({ body: {} }) });
  const stranger = newClient(server.port, {}, { ...query, clusterId: 'other' });
  assert.match(
    (await failureOf(stranger.control('x', {}, { timeoutMs: 100 }))).message,
    'belongs to cluster',
  );
  assert.is(server.counters.refusedHandshakes > 0, true);
  const misled = new RpcClient({
    identity: query,
    peerNodeId: 8,
    address: () => ({ host: '127.0.0.1', port: server.port }),
  });
  cleanups.push(() => misled.close());
  assert.match((await failureOf(misled.control('x', {}, { timeoutMs: 100 }))).message, 'expected node 8');
});

async function sendRaw(port: number, bytes: Buffer): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1', () => {
      socket.write(bytes);
      // A cut stream is one that the peer gives up; the server need not close it first.
      setTimeout(() => socket.end(), 15);
    });
    socket.resume();
    socket.on('error', () => {});
    socket.once('close', () => resolve());
  });
}

test('corrupt frames close their connection and are counted; other connections go on', async () => {
  const reader = new DataRequestReader();
  const server = await startServer({
    onControl: async () => ({ body: {} }),
    onData(_connection, payload) {
      reader.open(payload);
      while (reader.next());
    },
  });
  const healthy = newClient(server.port);
  await healthy.control('x');
  const hello = encodeFrame(encodeHello(query), { type: FRAME_HELLO });
  const request = Buffer.alloc(28 + 4 + 3);
  request.writeUInt32LE(7, 12);
  request.writeUInt16LE(1, 24);
  request.writeUInt32LE(3, 28);
  const data = encodeFrame(request, { type: FRAME_DATA_REQUEST });
  await sendRaw(server.port, Buffer.concat([hello, data]));
  assert.is(server.counters.corruptFrames, 0, 'the unharmed stream is fine');

  const lie = Buffer.from(request);
  lie.writeUInt32LE(4_000_000_000, 28);
  const broken: Buffer[] = [
    Buffer.concat([hello, encodeFrame(lie, { type: FRAME_DATA_REQUEST })]),
    Buffer.concat([hello, encodeFrame(request.subarray(0, 30), { type: FRAME_DATA_REQUEST })]),
    Buffer.concat([hello, encodeFrame(Buffer.from([9, 0, 0, 0, 1]), { type: FRAME_CONTROL_REQUEST })]),
    Buffer.concat([hello, hello]),
    data,
  ];
  const random = seededRandom(testSeed('rpc'));
  for (let i = 0; i < 30; i++) {
    const flipped = Buffer.concat([hello, data]);
    const bit = random.nextBelow(flipped.length * 8);
    flipped[bit >> 3] ^= 1 << (bit & 7);
    broken.push(flipped);
  }
  await Promise.all(broken.map((bytes) => sendRaw(server.port, bytes)));
  await waitFor(() => server.counters.corruptFrames === broken.length, 'every broken stream is counted');
  const cut = Buffer.concat([hello, data]);
  for (let length = 1; length < cut.length; length += 7) await sendRaw(server.port, cut.subarray(0, length));
  await healthy.control('x');
  await waitFor(() => server.connections.size === 1, 'only the healthy connection is left');
});

test.run();
