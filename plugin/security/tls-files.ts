import { createSecureContext, type SecureContextOptions, type SecureVersion, type Server } from 'node:tls';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import { readNamedFile, readPrivateFile, stampOf } from './private-file.ts';

/** A PEM file and the setting that names it, for messages. */
export interface NamedFile {
  readonly setting: string;
  readonly path: string;
}

export interface TlsFilesOptions {
  /** Whose certificates count; null where none are asked for. */
  readonly authority: NamedFile | null;
  readonly certificate: NamedFile;
  /** Others must not be able to read it. */
  readonly key: NamedFile;
  readonly minVersion: SecureVersion;
  /** Completes "the certificate …": whose it is. */
  readonly of: string;
}

export interface LoadedTls {
  readonly stamp: string;
  readonly options: SecureContextOptions;
}

/**
 * A certificate, its key and an authority in files that are looked at before every connection: new ones count from then on,
 * without a restart; what cannot be read leaves the former in use, with a warning.
 */
export class TlsFiles {
  readonly #options: TlsFilesOptions;
  readonly #logger: Logger;
  #loaded: LoadedTls;
  #warnedOf = '';

  /** @throws ForeshardError FORESHARD_CONFIG naming setting and file. */
  constructor(options: TlsFilesOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.#loaded = this.#load(this.#stamp());
  }

  current(): LoadedTls {
    try {
      const stamp = this.#stamp();
      if (stamp !== this.#loaded.stamp) {
        this.#loaded = this.#load(stamp);
        this.#warnedOf = '';
        const { certificate, of } = this.#options;
        this.#logger.info({ certificate: certificate.path }, `the certificate ${of} was renewed`);
      }
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#warnedOf)
        this.#logger.warn({ reason: message }, 'the former certificate stays in use');
      this.#warnedOf = message;
    }
    return this.#loaded;
  }

  /** From here on every new connection of `server` gets what the files hold then. */
  keepRenewed(server: Server): void {
    let { stamp } = this.#loaded;
    server.prependListener('connection', () => {
      const loaded = this.current();
      if (loaded.stamp !== stamp) server.setSecureContext(loaded.options);
      stamp = loaded.stamp;
    });
  }

  /** Changes when any of the files does. */
  #stamp(): string {
    const { authority, certificate, key } = this.#options;
    return [authority, certificate, key]
      .map((file) => (file === null ? '' : stampOf(file.setting, file.path)))
      .join(' ');
  }

  #load(stamp: string): LoadedTls {
    const { authority, certificate, key, minVersion } = this.#options;
    const options: SecureContextOptions = {
      ...(authority === null ? {} : { ca: readNamedFile(authority.setting, authority.path) }),
      cert: readNamedFile(certificate.setting, certificate.path),
      key: readPrivateFile(key.setting, key.path),
      minVersion,
    };
    try {
      createSecureContext(options);
      return { stamp, options };
    } catch (cause) {
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `${certificate.setting}: ${certificate.path}, its key and its authority are no PEM files that fit each other: ${(cause as Error).message}`,
        { cause },
      );
    }
  }
}
