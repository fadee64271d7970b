import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  type CertificateAndKey,
  makeAuthority,
  signPeer,
} from '../../../plugin/operator/certs/development-authority.ts';
import { RpcClient } from '../../../plugin/rpc/client.ts';
import type { PeerIdentity } from '../../../plugin/rpc/connection.ts';
import { encodeFrame, FRAME_HELLO } from '../../../plugin/rpc/frames.ts';
import { encodeHello } from '../../../plugin/rpc/hello.ts';
import { type CertificateIdentity, identityIn, peerUri } from '../../../plugin/rpc/peer-certificate.ts';
import { PeerTls } from '../../../plugin/rpc/peer-tls.ts';
import { RpcServer } from '../../../plugin/rpc/server.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('TLS between nodes');

const CLUSTER = 'shop / eu';
const TERM = { fromMs: Date.now(), days: 1 };
const storage = (nodeId: number): CertificateIdentity => ({ clusterId: CLUSTER, role: 'storage', nodeId });
const query = (nodeId: number): CertificateIdentity => ({ clusterId: CLUSTER, role: 'query', nodeId });

let authority: CertificateAndKey;
let stranger: CertificateAndKey;
test.before(async () => {
  [authority, stranger] = await Promise.all([makeAuthority(TERM), makeAuthority(TERM)]);
});

interface World {
  readonly folder: string;
  readonly port: number;
  /** Files of one who was signed, by whom and for how long may be told. */
  tlsOf(identity: CertificateIdentity, by?: CertificateAndKey, term?: typeof TERM): Promise<PeerTls>;
  /** One control request as `identity`, with the certificate of `tls`. @returns who the server took it for. */
  ask(identity: PeerIdentity, tls: PeerTls | null): Promise<unknown>;
}

/** A storage node 3 that says who asks. */
const withServer = (use: (world: World) => Promise<void>): Promise<void> =>
  withTemporaryFolder(async (folder) => {
    let files = 0;
    const tlsOf: World['tlsOf'] = async (identity, by = authority, term = TERM) => {
      const signed = await signPeer(by, identity, term);
      const write = (name: string, text: string): string => {
        const file = join(folder, `${files++}-${name}`);
        writeFileSync(file, text, { mode: 0o600 });
        return file;
      };
      return new PeerTls(
        {
          authorityFile: write('ca.pem', authority.certificate),
          certificateFile: write('cert.pem', signed.certificate),
          keyFile: write('key.pem', signed.key),
        },
        silentLogger,
      );
    };
    const server = new RpcServer(
      { identity: { ...storage(3), role: 'storage' }, port: 0, tls: await tlsOf(storage(3)) },
      {
        onControl: async (_operation, _body, { peer }) => ({ body: { is: `${peer?.role} ${peer?.nodeId}` } }),
      },
    );
    const port = await server.listen();
    try {
      await use({
        folder,
        port,
        tlsOf,
        async ask(identity, tls) {
          const address = () => ({ host: '127.0.0.1', port });
          const client = new RpcClient({ identity, peerNodeId: 3, address, tls });
          try {
            return (await client.control('who', {}, { timeoutMs: 600 })).body.is;
          } finally {
            await client.close();
          }
        },
      });
    } finally {
      await server.close();
    }
  });

async function refusal(asking: Promise<unknown>): Promise<string> {
  try {
    return `answered ${String(await asking)}`;
  } catch (error) {
    check.instance(error, ForeshardError);
    return (error as Error).message;
  }
}

const as = ({ clusterId, nodeId }: CertificateIdentity, role: PeerIdentity['role']): PeerIdentity => ({
  clusterId,
  nodeId,
  role,
});

test('whoever shows the certificate of who it says it is, is answered', () =>
  withServer(async ({ ask, tlsOf }) => {
    check.is(await ask(as(query(10_000), 'query'), await tlsOf(query(10_000))), 'query 10000');
    check.is(await ask(as(query(10_000), 'coordinator'), await tlsOf(query(10_000))), 'coordinator 10000');
    check.is(await ask(as(storage(1), 'storage'), await tlsOf(storage(1))), 'storage 1');
  }));

test('another node, role or cluster than the certificate’s is refused, and told', () =>
  withServer(async ({ ask, tlsOf }) => {
    const mine = await tlsOf(storage(1));
    check.match(await refusal(ask(as(storage(2), 'storage'), mine)), /says it is node 2.*storage\/1/);
    check.match(await refusal(ask(as(storage(1), 'coordinator'), mine)), /role coordinator.*storage\/1/);
    const elsewhere = await tlsOf({ ...storage(1), clusterId: 'other' });
    check.match(await refusal(ask(as(storage(1), 'storage'), elsewhere)), /foreshard:\/\/other\/storage\/1/);
  }));

test('no certificate, a stranger’s, one that has run out: refused', () =>
  withServer(async ({ ask, tlsOf }) => {
    const identity = as(query(10_000), 'query');
    check.match(await refusal(ask(identity, null)), /not sent/);
    check.match(
      await refusal(ask(identity, await tlsOf(query(10_000), stranger))),
      /not accepted|not sent|outcome|lost/,
    );
    const old = { fromMs: TERM.fromMs - 10 * 86_400_000, days: 1 };
    check.match(
      await refusal(ask(identity, await tlsOf(query(10_000), authority, old))),
      /CERT_HAS_EXPIRED|expired/,
    );
  }));

test('a client does not talk to a server that shows another’s certificate', () =>
  withServer(async ({ port, tlsOf }) => {
    const client = new RpcClient({
      identity: as(query(10_000), 'query'),
      peerNodeId: 4,
      address: () => ({ host: '127.0.0.1', port }),
      tls: await tlsOf(query(10_000)),
    });
    check.match(
      await refusal(client.control('who', {}, { timeoutMs: 600 })),
      /certificate there is not foreshard:\/\/shop%20%2F%20eu\/storage\/4/,
    );
    await client.close();
  }));

test('a hello in plain text gets no answer', () =>
  withServer(async ({ port }) => {
    const socket = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.write(encodeFrame(encodeHello(as(query(10_000), 'query')), { type: FRAME_HELLO }));
    await new Promise((resolve) => socket.once('close', resolve));
    // At most an alert of TLS: nothing of ours.
    check.ok(Buffer.concat(chunks).length < 16, Buffer.concat(chunks).toString('hex'));
  }));

test('new files count for the next connection, bad ones leave the former in use', () =>
  withServer(async ({ ask, folder }) => {
    const paths = {
      authorityFile: join(folder, 'a.pem'),
      certificateFile: join(folder, 'c.pem'),
      keyFile: join(folder, 'k.pem'),
    };
    const put = ({ certificate, key }: CertificateAndKey): void => {
      writeFileSync(paths.certificateFile, certificate);
      writeFileSync(paths.keyFile, key, { mode: 0o600 });
    };
    writeFileSync(paths.authorityFile, authority.certificate);
    put(await signPeer(authority, query(10_000), TERM));
    const tls = new PeerTls(paths, silentLogger);
    check.is(await ask(as(query(10_000), 'query'), tls), 'query 10000');
    put(await signPeer(authority, query(10_001), TERM));
    check.is(await ask(as(query(10_001), 'query'), tls), 'query 10001');
    writeFileSync(paths.certificateFile, 'no certificate');
    check.is(await ask(as(query(10_001), 'query'), tls), 'query 10001');
  }));

test('files that are missing or do not fit are named', () =>
  withTemporaryFolder(async (folder) => {
    const paths = {
      authorityFile: join(folder, 'a.pem'),
      certificateFile: join(folder, 'c.pem'),
      keyFile: join(folder, 'k.pem'),
    };
    check.throws(() => new PeerTls(paths, silentLogger), /security\.peerAuthorityFile: cannot read .*a\.pem/);
    for (const file of Object.values(paths)) writeFileSync(file, 'x', { mode: 0o600 });
    check.throws(() => new PeerTls(paths, silentLogger), /no PEM files that fit each other/);
  }));

test('a certificate names exactly one node', () => {
  check.equal(identityIn(`DNS:x, URI:${peerUri(storage(3))}`), storage(3));
  for (const bad of [
    undefined,
    '',
    'DNS:storage-3',
    `URI:${peerUri(storage(3))}, URI:${peerUri(storage(4))}`,
    'URI:foreshard://c/storage/03',
    'URI:foreshard://c/storage/3/x',
    'URI:foreshard://c/admin/3',
    'URI:foreshard://%zz/storage/3',
    'URI:https://c/storage/3',
  ])
    check.is(identityIn(bad), null, String(bad));
});

test.run();
