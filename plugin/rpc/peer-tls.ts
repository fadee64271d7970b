import { readFileSync, statSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  createServer,
  type SecureContextOptions,
  TLSSocket,
} from 'node:tls';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { SecuritySettings } from '../../src/settings.ts';
import type { RpcAddress } from './client.ts';
import { HANDSHAKE_TIMEOUT_MS, type PeerIdentity } from './connection.ts';
import { assertIsOf, identityIn, peerUri } from './peer-certificate.ts';

export interface PeerTlsFiles {
  /** PEM of the one authority whose certificates count. Two in one file while it is being replaced. */
  readonly authorityFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

interface Loaded {
  readonly stamp: string;
  readonly options: SecureContextOptions;
}

/**
 * TLS 1.3 between nodes, both ends with a certificate that names cluster, role and node. The files are looked at before every
 * connection: new ones count from then on, without a restart; what cannot be read leaves the former in use, with a warning.
 */
export class PeerTls {
  readonly #files: PeerTlsFiles;
  readonly #logger: Logger;
  #loaded: Loaded;
  #warnedOf = '';

  /** @throws ForeshardError FORESHARD_CONFIG naming the file. */
  constructor(files: PeerTlsFiles, logger: Logger) {
    this.#files = files;
    this.#logger = logger;
    this.#loaded = this.#load(this.#stamp());
  }

  /** A listener whose connections come by `onSecure`. Who is there is known then, and to be checked at the hello. */
  createServer(onSecure: (socket: Socket) => void): Server {
    const server = createServer(
      {
        ...this.#material().options,
        requestCert: true,
        // Looked at in `assertPeer`, so that the peer is told why.
        rejectUnauthorized: false,
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      },
      onSecure,
    );
    let stamp = this.#loaded.stamp;
    server.prependListener('connection', () => {
      const loaded = this.#material();
      if (loaded.stamp !== stamp) server.setSecureContext(loaded.options);
      stamp = loaded.stamp;
    });
    return server;
  }

  /** @param expected who must be there; null takes any storage node of the cluster. */
  connect({ host, port }: RpcAddress, expected: { clusterId: string; nodeId: number | null }): TLSSocket {
    const options: ConnectionOptions = {
      host,
      port,
      ...this.#material().options,
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

  #material(): Loaded {
    try {
      const stamp = this.#stamp();
      if (stamp !== this.#loaded.stamp) {
        this.#loaded = this.#load(stamp);
        this.#logger.info(
          { certificate: this.#files.certificateFile },
          'the certificate between nodes was renewed',
        );
      }
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#warnedOf)
        this.#logger.warn({ reason: message }, 'the former certificate stays in use');
      this.#warnedOf = message;
    }
    return this.#loaded;
  }

  /** Changes when any of the files does. */
  #stamp(): string {
    return this.#eachFile((file) => {
      const { mtimeMs, size, ino } = statSync(file);
      return `${mtimeMs}/${size}/${ino}`;
    }).join(' ');
  }

  #load(stamp: string): Loaded {
    const [ca, cert, key] = this.#eachFile((file) => readFileSync(file));
    const { keyFile } = this.#files;
    const mode = statSync(keyFile).mode & 0o777;
    if ((mode & 0o077) !== 0)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `security.peerKeyFile: ${keyFile} can be read by others (mode ${mode.toString(8)}): chmod 600 it`,
      );
    const options = { ca, cert, key, minVersion: 'TLSv1.3' } as const;
    try {
      createSecureContext(options);
      return { stamp, options };
    } catch (cause) {
      const { certificateFile } = this.#files;
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `security.peerCertificateFile: ${certificateFile}, its key and its authority are no PEM files that fit each other: ${(cause as Error).message}`,
        { cause },
      );
    }
  }

  #eachFile<T>(use: (file: string) => T): [T, T, T] {
    const { authorityFile, certificateFile, keyFile } = this.#files;
    const named = (setting: string, file: string): T => {
      try {
        return use(file);
      } catch (cause) {
        throw new ForeshardError(
          'FORESHARD_CONFIG',
          'fix-config',
          `security.${setting}: cannot read ${file}: ${(cause as Error).message}`,
          { cause },
        );
      }
    };
    return [
      named('peerAuthorityFile', authorityFile),
      named('peerCertificateFile', certificateFile),
      named('peerKeyFile', keyFile),
    ];
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
