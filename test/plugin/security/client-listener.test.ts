/** Clients over TLS, with users and tokens: what they get, and what strangers get. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  type CertificateAndKey,
  makeAuthority,
  signClient,
  signPeer,
  signServer,
} from '../../../plugin/operator/certs/development-authority.ts';
import { parseRights } from '../../../plugin/security/client-access.ts';
import { ClientTls } from '../../../plugin/security/client-tls.ts';
import { ClientUsers, newToken, tokenDigest, userLine } from '../../../plugin/security/client-users.ts';
import { DEFAULT_HANDSHAKE_LIMITS } from '../../../plugin/security/handshake-gate.ts';
import { eventually, type FakeCluster, startFakeCluster } from '../../support/fake-cluster.ts';
import { KeptLog } from '../../support/kept-log.ts';
import { hasRedisServer } from '../../support/redis.ts';
import { requireOrSkip } from '../../support/require.ts';
import { encodeCommand, RespClient } from '../../support/resp-client.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const TERM = { fromMs: Date.now(), days: 1 };
const NAMES = ['localhost', '127.0.0.1'];
const [reader, writer, ops] = [newToken(), newToken(), newToken()];

const line = (user: string, rights: string, token: string, prefixes: readonly string[] = []): string =>
  userLine({ user, rights: parseRights(rights) as number, prefixes, digest: tokenDigest(token) });
const USERS = [
  line('web', 'read', reader),
  line('shop', 'read,write', writer, ['cart:']),
  line('ops', 'admin', ops),
];

interface World {
  readonly cluster: FakeCluster;
  readonly log: KeptLog;
  readonly folder: string;
  readonly authority: CertificateAndKey;
  readonly port: number;
  write(name: string, text: string): string;
}

const withWorld = (
  options: {
    isTls?: boolean;
    isCertificateAsked?: boolean;
    perAddress?: number;
    openMsMax?: number;
    wrongGuessMs?: number;
  },
  use: (world: World) => Promise<void>,
): Promise<void> =>
  withTemporaryFolder(async (folder) => {
    const write = (name: string, text: string): string => {
      const file = join(folder, name);
      writeFileSync(file, text, { mode: 0o600 });
      return file;
    };
    const authority = await makeAuthority(TERM);
    const log = new KeptLog();
    const server = await signServer(authority, NAMES, TERM);
    const authorityFile = write('authority.pem', authority.certificate);
    const files = {
      certificate: write('server.pem', server.certificate),
      key: write('server.key', server.key),
      authority: options.isCertificateAsked === true ? authorityFile : null,
    };
    const cluster = await startFakeCluster({
      logger: log,
      guards: {
        users: new ClientUsers(write('users', USERS.join('\n')), log),
        clientTls: options.isTls === true ? new ClientTls(files, log) : null,
        handshakeLimits: {
          ...DEFAULT_HANDSHAKE_LIMITS,
          openPerAddressMax: options.perAddress ?? DEFAULT_HANDSHAKE_LIMITS.openPerAddressMax,
          openMsMax: options.openMsMax ?? DEFAULT_HANDSHAKE_LIMITS.openMsMax,
          wrongGuessMs: options.wrongGuessMs ?? 1,
        },
      },
    });
    try {
      await use({ cluster, log, folder, authority, port: cluster.query.port, write });
    } finally {
      await cluster.close();
    }
  });

const test = suite('the listener of clients');

test('a token is all that AUTH and HELLO need; each may do what its line says', () =>
  withWorld({}, async ({ cluster, log, port }) => {
    const client = await RespClient.connect(port);
    check.is(await client.errorOf('GET', 'cart:1'), 'NOAUTH Authentication required.');
    check.match(String(await client.errorOf('AUTH', newToken())), /^WRONGPASS/);
    check.match(String(await client.errorOf('AUTH', 'web', writer)), /^WRONGPASS/);
    check.match(String(await client.errorOf('AUTH', 'default', '')), /^WRONGPASS/, 'there is no password');
    check.instance(await client.call('HELLO', '3', 'AUTH', 'default', ops), Map, 'as who has a token alone');
    check.match(String(await client.call('CLIENT', 'INFO')), /user=ops/);
    check.is(cluster.query.counters.authenticationFailures, 3);
    check.is(await client.call('AUTH', reader), 'OK');
    check.is(await client.call('GET', 'cart:1'), null);
    check.is(
      await client.errorOf('SET', 'cart:1', 'v'),
      "NOPERM this user has no permissions to run the 'set' command",
    );
    check.instance(await client.call('HELLO', '3', 'AUTH', 'shop', writer), Map);
    check.is(await client.call('SET', 'cart:1', 'v'), 'OK');
    check.match(String(await client.errorOf('SET', 'other', 'v')), /^NOPERM .*one of the keys/);
    check.match(String(await client.errorOf('CONFIG', 'GET', '*')), /^NOPERM/);
    check.match(String(await client.call('CLIENT', 'INFO')), /user=shop/);
    check.is(cluster.query.counters.permissionRefusals, 3);
    client.close();
    check.match(log.text, /a client gave a wrong password or token/);
    for (const token of [reader, writer, ops]) check.not.match(log.text, token);
  }));

test('a token that is taken out of the file ends its connections; other rights hold from the next command on', () =>
  withWorld({}, async ({ port, write, log }) => {
    const [gone, changed] = [await RespClient.connect(port), await RespClient.connect(port)];
    await gone.call('AUTH', ops);
    await changed.call('AUTH', reader);
    check.match(String(await changed.errorOf('SET', 'k', 'v')), /^NOPERM/);
    write('users', line('web', 'read,write', reader));
    await gone.closed;
    check.is(await changed.call('SET', 'k', 'v'), 'OK');
    check.match(log.text, /its token holds no longer/);
    changed.close();
  }));

test('guesses are slow, on new connections too, and of who is in already', () =>
  withWorld({ perAddress: 2, wrongGuessMs: 150 }, async ({ cluster, port }) => {
    const beganMs = performance.now();
    const guess = async (): Promise<void> => {
      const client = await RespClient.connect(port);
      const answer = client.errorOf('AUTH', newToken()).catch(() => null);
      // As a guesser would who has seen how soon the right one is answered.
      await Promise.race([answer, delay(20)]);
      client.close();
    };
    await Promise.all(Array.from({ length: 6 }, guess));
    const known = await RespClient.connect(port);
    check.is(await known.call('AUTH', reader), 'OK');
    check.ok(performance.now() - beganMs >= 3 * 140, 'two at a time, 150 ms each');
    check.is(cluster.query.counters.authenticationFailures, 6);
    const againMs = performance.now();
    const refusals = Promise.all([known.errorOf('AUTH', 'a'), known.errorOf('AUTH', 'b')]);
    check.match(String(await refusals), /WRONGPASS.*WRONGPASS/);
    check.ok(performance.now() - againMs >= 2 * 140, 'also of who is in, one after the other');
    known.close();
  }));

test('who shows the right token is answered at once, beside somebody of the same address who guesses', () =>
  withWorld({ wrongGuessMs: 60_000 }, async ({ cluster, port }) => {
    const guesser = await RespClient.connect(port);
    guesser.errorOf('AUTH', newToken()).catch(() => {});
    await eventually(() => cluster.query.counters.authenticationFailures === 1, 'a wrong guess');
    const known = await RespClient.connect(port);
    check.is(await known.call('AUTH', reader), 'OK');
    check.is(await known.call('GET', 'k'), null);
    known.close();
    guesser.close();
  }));

test('a whole pool that connects at once is served, eight at a time', () =>
  withWorld({}, async ({ cluster, port }) => {
    const clients = await Promise.all(Array.from({ length: 60 }, () => RespClient.connect(port)));
    check.ok(cluster.query.handshakes.openCount <= 8);
    const replies = await Promise.all(clients.map((client) => client.call('AUTH', reader)));
    check.is(
      replies.every((reply) => reply === 'OK'),
      true,
    );
    for (const client of clients) client.close();
    check.is(cluster.query.handshakes.refusedCount, 0);
  }));

test('who does not authenticate in time is cut off, also in the middle of a TLS handshake', () =>
  withWorld({ isTls: true, openMsMax: 60 }, async ({ cluster, port, authority, log }) => {
    const silent = connect(port, '127.0.0.1');
    const secure = connectTls({ port, host: '127.0.0.1', ca: authority.certificate });
    secure.on('error', () => {});
    await Promise.all(
      [silent, secure].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
    );
    await eventually(() => cluster.query.handshakes.openCount === 0, 'both places are free again');
    check.is(cluster.query.handshakes.expiredCount, 2);
    check.match(log.text, /did not show in time who it is/);
  }));

test('TLS 1.2 and 1.3 are spoken, nothing older, nothing in plain', () =>
  withWorld({ isTls: true }, async ({ cluster, port, authority }) => {
    const answerBy = (maxVersion: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): Promise<string> =>
      new Promise((resolve) => {
        const socket: TLSSocket = connectTls(
          {
            port,
            host: '127.0.0.1',
            ca: authority.certificate,
            minVersion: 'TLSv1',
            maxVersion,
            ciphers: 'DEFAULT@SECLEVEL=0',
          },
          () => socket.write(encodeCommand(['AUTH', reader])),
        );
        socket.once('data', (chunk) => {
          resolve(`${socket.getProtocol()} ${String(chunk).trim()}`);
          socket.destroy();
        });
        socket.once('error', ({ message }) => resolve(message));
        socket.once('close', () => resolve('closed'));
      });
    check.is(await answerBy('TLSv1.2'), 'TLSv1.2 +OK');
    check.is(await answerBy('TLSv1.3'), 'TLSv1.3 +OK');
    check.match(await answerBy('TLSv1.1'), /protocol version|unsupported/i);
    const plain = connect(port, '127.0.0.1', () => plain.write(encodeCommand(['AUTH', reader])));
    let answer = '';
    plain.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    plain.on('error', () => {});
    await new Promise((resolve) => plain.once('close', resolve));
    check.not.match(answer, /OK/);
    await eventually(() => cluster.query.handshakes.openCount === 0, 'all places are free again');
  }));

test('where an authority of clients is set, a certificate of it is asked for beside AUTH', () =>
  withWorld({ isTls: true, isCertificateAsked: true }, async ({ port, authority }) => {
    const stranger = await makeAuthority(TERM);
    const ask = (shown: CertificateAndKey | null): Promise<string> =>
      new Promise((resolve) => {
        const socket = connectTls({
          port,
          host: '127.0.0.1',
          ca: authority.certificate,
          ...(shown === null ? {} : { cert: shown.certificate, key: shown.key }),
        });
        socket.write(encodeCommand(['PING']));
        socket.once('data', (chunk) => {
          resolve(String(chunk).trim());
          socket.destroy();
        });
        socket.once('error', ({ message }) => resolve(message));
        socket.once('close', () => resolve('closed'));
      });
    check.is(await ask(await signClient(authority, 'app', TERM)), '-NOAUTH Authentication required.');
    check.not.match(await ask(null), /NOAUTH/);
    check.not.match(await ask(await signClient(stranger, 'app', TERM)), /NOAUTH/);
    const expired = { fromMs: TERM.fromMs - 10 * 86_400_000, days: 1 };
    check.not.match(await ask(await signClient(authority, 'app', expired)), /NOAUTH/);
  }));

test('a new certificate counts for the next connection, without a restart', () =>
  withWorld({ isTls: true }, async ({ port, authority, write }) => {
    const serialOf = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connectTls({ port, host: '127.0.0.1', ca: authority.certificate }, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.once('error', reject);
      });
    const before = await serialOf();
    check.is(await serialOf(), before);
    const next = await signServer(authority, NAMES, TERM);
    write('server.key', next.key);
    write('server.pem', next.certificate);
    check.is.not(await serialOf(), before);
    write('server.pem', 'nothing');
    check.is.not(await serialOf(), before, 'what cannot be read leaves the former in use');
  }));

test('a certificate for clients is no certificate of a node, nor the other way round', async () => {
  const authority = await makeAuthority(TERM);
  const { X509Certificate } = await import('node:crypto');
  const { identityIn } = await import('../../../plugin/rpc/peer-certificate.ts');
  const namesOf = ({ certificate }: CertificateAndKey): string | undefined =>
    new X509Certificate(certificate).subjectAltName;
  check.is(identityIn(namesOf(await signServer(authority, NAMES, TERM))), null);
  check.is(identityIn(namesOf(await signClient(authority, 'app', TERM))), null);
  const peer = await signPeer(authority, { clusterId: 'main', role: 'storage', nodeId: 0 }, TERM);
  check.is(new X509Certificate(peer.certificate).checkIP('127.0.0.1'), undefined);
});

test('ioredis and node-redis work with a user, a token and TLS', () =>
  withWorld({ isTls: true }, async ({ port, authority }) => {
    const tls = { ca: authority.certificate };
    const io = new Redis({
      host: '127.0.0.1',
      port,
      username: 'shop',
      password: writer,
      tls,
      lazyConnect: true,
    });
    await io.connect();
    check.is(await io.set('cart:io', 'v'), 'OK');
    check.is(await io.get('cart:io'), 'v');
    io.disconnect();
    const node = createClient({
      socket: { host: '127.0.0.1', port, tls: true, ca: authority.certificate, reconnectStrategy: false },
      username: 'shop',
      password: writer,
    });
    node.on('error', () => {});
    await node.connect();
    check.is(await node.set('cart:node', 'v'), 'OK');
    check.is(await node.get('cart:node'), 'v');
    node.destroy();
  }));

if (requireOrSkip('redis', hasRedisServer()))
  test('redis-cli works with a token in its environment, over TLS', () =>
    withWorld({ isTls: true }, async ({ port, folder }) => {
      const run = (...words: string[]): Promise<string> =>
        new Promise((resolve) =>
          execFile(
            'redis-cli',
            ['-p', String(port), '--tls', '--cacert', join(folder, 'authority.pem'), ...words],
            { env: { ...process.env, REDISCLI_AUTH: reader } },
            (_error, stdout, stderr) => resolve(stdout + stderr),
          ),
        );
      check.match(await run('GET', 'k'), /^\n?$/);
      check.match(await run('SET', 'k', 'v'), /NOPERM/);
    }));

test.run();
