import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Logger } from '../../src/base/logger.ts';
import type { SecuritySettings } from '../../src/settings.ts';
import { TlsFiles } from './tls-files.ts';

/** A client that has not finished its TLS handshake by then is cut off. */
const HANDSHAKE_MS_MAX = 5_000;

/**
 * TLS 1.2 or later for clients: Redis clients in use are too old for 1.3 alone. With an authority every client has to show
 * a certificate of it, beside AUTH and not instead of it: a certificate says which machine, a token which user.
 */
export class ClientTls {
  readonly #files: TlsFiles;
  readonly #isCertificateAsked: boolean;

  /** @throws ForeshardError FORESHARD_CONFIG naming setting and file. */
  constructor(
    files: { readonly certificate: string; readonly key: string; readonly authority: string | null },
    logger: Logger,
  ) {
    const { certificate, key, authority } = files;
    this.#isCertificateAsked = authority !== null;
    this.#files = new TlsFiles(
      {
        authority: authority === null ? null : { setting: 'security.clientAuthorityFile', path: authority },
        certificate: { setting: 'security.serverCertificateFile', path: certificate },
        key: { setting: 'security.serverKeyFile', path: key },
        minVersion: 'TLSv1.2',
        of: 'shown to clients',
      },
      logger,
    );
  }

  /** Give it connections by `emit('connection', socket)`; those that come through arrive at `onSecure`. */
  createServer(onSecure: (socket: TLSSocket) => void): Server {
    const server = createServer(
      {
        ...this.#files.current().options,
        requestCert: this.#isCertificateAsked,
        rejectUnauthorized: this.#isCertificateAsked,
        handshakeTimeout: HANDSHAKE_MS_MAX,
        allowHalfOpen: true,
      },
      onSecure,
    );
    this.#files.keepRenewed(server);
    return server;
  }
}

/** What the settings say about TLS with clients: null if nothing. @throws ForeshardError FORESHARD_CONFIG naming the file. */
export function clientTlsOf(
  { serverCertificateFile, serverKeyFile, clientAuthorityFile }: SecuritySettings,
  logger: Logger,
): ClientTls | null {
  if (serverCertificateFile === null || serverKeyFile === null) return null;
  return new ClientTls(
    { certificate: serverCertificateFile, key: serverKeyFile, authority: clientAuthorityFile },
    logger,
  );
}
