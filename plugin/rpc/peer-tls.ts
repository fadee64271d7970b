import type { Server, Socket } from 'node:net';
import { type ConnectionOptions, connect, createServer, TLSSocket } from 'node:tls';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { SecuritySettings } from '../../src/settings.ts';
import { TlsFiles } from '../security/tls-files.ts';
import type { RpcAddress } from './client.ts';
import { HANDSHAKE_TIMEOUT_MS, type PeerIdentity } from './connection.ts';
import { assertIsOf, identityIn, peerUri } from './peer-certificate.ts';

export interface PeerTlsFiles {
  /** PEM of the one authority whose certificates count. Two in one file while it is being replaced. */
  readonly authorityFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** TLS 1.3 between nodes, both ends with a certificate that names cluster, role and node. */
export class PeerTls {
  readonly #files: TlsFiles;

  /** @throws ForeshardError FORESHARD_CONFIG naming the file. */
  constructor({ authorityFile, certificateFile, keyFile }: PeerTlsFiles, logger: Logger) {
    this.#files = new TlsFiles(
      {
        authority: { setting: 'security.peerAuthorityFile', path: authorityFile },
        certificate: { setting: 'security.peerCertificateFile', path: certificateFile },
        key: { setting: 'security.peerKeyFile', path: keyFile },
        minVersion: 'TLSv1.3',
        of: 'between nodes',
      },
      logger,
    );
  }

  /** For connections that are handed to it by `emit('connection')`; they come by `onSecure`. Who is there is known then, and to be checked at the hello. */
  createServer(onSecure: (socket: Socket) => void): Server {
    const server = createServer(
      {
        ...this.#files.current().options,
        requestCert: true,
        // Looked at in `assertPeer`, so that the peer is told why.
        rejectUnauthorized: false,
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      },
      onSecure,
    );
    this.#files.keepRenewed(server);
    return server;
  }

  /** @param expected who must be there; null takes any storage node of the cluster. */
  connect({ host, port }: RpcAddress, expected: { clusterId: string; nodeId: number | null }): TLSSocket {
    const options: ConnectionOptions = {
      host,
      port,
      ...this.#files.current().options,
      rejectUnauthorized: true,
      checkServerIdentity: (_host, { subjectaltname }) => {
        const found = identityIn(subjectaltname);
        const nodeId = expected.nodeId ?? found?.nodeId ?? -1;
        const wanted = peerUri({ clusterId: expected.clusterId, role: 'storage', nodeId });
        if (found !== null && peerUri(found) === wanted) return undefined;
        return new Error(`the certificate there is not ${wanted}`);
      },
    };
    return connect(options);
  }

  /** At the hello. @throws ForeshardError FORESHARD_CONFIG unless the peer has shown a certificate of the authority for who it says it is. */
  assertPeer(socket: Socket, peer: PeerIdentity): void {
    if (!(socket instanceof TLSSocket)) throw refused('the peer does not speak TLS');
    if (!socket.authorized)
      throw refused(
        `the certificate of the peer is not accepted: ${String(socket.authorizationError ?? 'none was shown')}`,
      );
    assertIsOf(identityIn(socket.getPeerX509Certificate()?.subjectAltName), peer);
  }
}

/** What the settings say about TLS between nodes: null if nothing. @throws ForeshardError FORESHARD_CONFIG naming the file. */
export function peerTlsOf(
  { peerAuthorityFile, peerCertificateFile, peerKeyFile }: SecuritySettings,
  logger: Logger,
): PeerTls | null {
  if (peerAuthorityFile === null || peerCertificateFile === null || peerKeyFile === null) return null;
  return new PeerTls(
    { authorityFile: peerAuthorityFile, certificateFile: peerCertificateFile, keyFile: peerKeyFile },
    logger,
  );
}

const refused = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', message);
