import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { RedisConnection } from '../../../../../plugin/engines/redis-cluster/server/redis-connection.ts';
import {
  RedisRefusal,
  type RedisReply,
} from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { ForeshardError } from '../../../../../src/base/errors.ts';
import { REDIS_DEFAULTS, type RedisSettings } from '../../../../../src/redis-settings.ts';
import { makeEtcdCertificates } from '../../../../support/etcd-certificates.ts';
import { withTemporaryFolder } from '../../../../support/temporary-folder.ts';

const test = suite('redis-cluster: a connection');

/** A server that is handed what it is sent, and answers as it likes. */
async function against<Result>(
  onData: (socket: Socket, text: string) => void,
  use: (connection: RedisConnection, server: { readonly sockets: Set<Socket> }) => Promise<Result>,
  settings: Partial<RedisSettings> = {},
): Promise<Result> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => onData(socket, chunk.toString('latin1')));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connection = new RedisConnection({ host: '127.0.0.1', port }, { ...REDIS_DEFAULTS, ...settings });
  try {
    return await use(connection, { sockets });
  } finally {
    connection.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

const texts = (replies: readonly RedisReply[]): readonly string[] => replies.map(String);

/** @returns the code and message of what it fails with. */
async function failureOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    return error instanceof ForeshardError ? `${error.code}: ${error.message}` : String(error);
  }
}

test('pipelines that are sent together get their own replies, in order', async () => {
  await against(
    (socket) => socket.write('+one\r\n:2\r\n-ERR three\r\n'),
    async (connection) => {
      const first = connection.pipeline([['A'], ['B']]);
      const [refusal] = await connection.pipeline([['C']]);
      check.equal(texts(await first), ['one', '2']);
      check.instance(refusal, RedisRefusal);
      check.is((refusal as RedisRefusal).code, 'ERR');
    },
  );
});

test('a connection that breaks fails what waits, once, and the next commands connect anew', async () => {
  let asked = 0;
  await against(
    (socket) => (++asked === 1 ? socket.end('+half\r\n') : socket.write('+OK\r\n')),
    async (connection) => {
      check.match(
        await failureOf(connection.pipeline([['A'], ['B']])),
        /^FORESHARD_UNAVAILABLE: redis-server .* the connection was closed/,
      );
      check.equal(texts(await connection.pipeline([['C']])), ['OK']);
    },
  );
});

test('a server that is silent is given up after commandTimeoutMs; an idle connection is not', async () => {
  await against(
    (socket, text) => void (text.includes('PING') && socket.write('+PONG\r\n')),
    async (connection, { sockets }) => {
      await connection.pipeline([['PING']]);
      await new Promise((resolve) => setTimeout(resolve, 120));
      check.equal(texts(await connection.pipeline([['PING']])), ['PONG']);
      check.is(sockets.size, 1, 'on the same connection');
      check.match(await failureOf(connection.pipeline([['HANG']])), /nothing came in time/);
    },
    { commandTimeoutMs: 50 },
  );
});

test('who is not let in is told what the server says, and no password', async () => {
  const sent: string[] = [];
  await against(
    (socket, text) => {
      sent.push(text);
      socket.write('-WRONGPASS invalid username-password pair\r\n');
    },
    async (connection) => {
      const failure = await failureOf(connection.pipeline([['GET', 'a']]));
      check.match(failure, /^FORESHARD_UNAVAILABLE: .*WRONGPASS/);
      check.not.match(failure, /secret/);
      check.equal(sent, ['*3\r\n$4\r\nAUTH\r\n$4\r\nanna\r\n$6\r\nsecret\r\n'], 'nothing but that was sent');
    },
    { username: 'anna', password: 'secret' },
  );
});

test('a closed port, and bytes that are no replies, are failures of the server', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const nobody = new RedisConnection({ host: '127.0.0.1', port }, REDIS_DEFAULTS);
  check.match(await failureOf(nobody.pipeline([['PING']])), /FORESHARD_UNAVAILABLE.*ECONNREFUSED/);
  await against(
    (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
    async (connection) => {
      check.match(await failureOf(connection.pipeline([['PING']])), /no reply begins with byte 72/);
    },
  );
});

test('a server whose certificate nobody vouches for gets no password, and an address is not told as a name', () =>
  withTemporaryFolder(async (folder) => {
    const { certificateFile, keyFile } = (await makeEtcdCertificates(folder)).server;
    let received = '';
    const server = createTlsServer(
      { cert: readFileSync(certificateFile), key: readFileSync(keyFile) },
      (socket) => {
        socket.on('error', () => undefined);
        socket.on('data', (chunk) => {
          received += chunk.toString('latin1');
        });
      },
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const warnings: string[] = [];
    const onWarning = (warning: Error & { readonly code?: string }): void => {
      warnings.push(warning.code ?? warning.message);
    };
    process.on('warning', onWarning);
    const { port } = server.address() as AddressInfo;
    const settings = { ...REDIS_DEFAULTS, isTls: true, password: 'secret' };
    const connection = new RedisConnection({ host: '127.0.0.1', port }, settings);
    try {
      check.match(await failureOf(connection.pipeline([['PING']])), /FORESHARD_UNAVAILABLE.*certificate/);
      check.is(received, '');
      check.not(warnings.includes('DEP0123'), 'names alone are told by SNI');
    } finally {
      process.off('warning', onWarning);
      connection.close();
      server.close();
    }
  }));

test.run();
