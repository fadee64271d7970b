import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { SecuritySettings } from '../../src/settings.ts';
import { type ClientAccess, parseRights, type Rights, rightsText } from './client-access.ts';
import { readPrivateFile, stampOf } from './private-file.ts';

/**
 * Tokens are 256 random bits, so one SHA-256 keeps them: nobody guesses what a hash of such a number was made of, and a slow
 * hash (scrypt) would only let strangers make a node compute. That holds for tokens of our own making alone, therefore
 * nothing else is ever compared: the hash of a password that a person chose, put into the file by hand, lets nobody in.
 */
const TOKEN_BYTES = 32;
const TOKEN_PREFIX = 'fsh_';
const TOKEN_PATTERN = /^fsh_[A-Za-z0-9_-]{43}$/;
const TOKEN_CHARACTERS = TOKEN_PREFIX.length + 43;

const USER_PATTERN = /^[A-Za-z0-9_.-]{1,64}$/;
/** Belongs to `security.password`. */
const PASSWORD_USER = 'default';
const LINES_MAX = 10_000;
const PREFIXES_MAX = 64;

/** One line of the users file: one token. A user may have several, as while one replaces another. */
export interface UserToken {
  readonly user: string;
  readonly rights: Rights;
  readonly prefixes: readonly string[];
  /** SHA-256 of the token. */
  readonly digest: Buffer;
}

export const newToken = (): string => TOKEN_PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');

export const tokenDigest = (token: string | Buffer): Buffer => createHash('sha256').update(token).digest();

/** As it stands in the users file. */
export function userLine({ user, rights, prefixes, digest }: UserToken): string {
  const words = prefixes.map((prefix) => `prefix=${prefix.replace(/[\s%#\p{Cc}]/gu, encodeURIComponent)}`);
  return [user, rightsText(rights), `sha256:${digest.toString('hex')}`, ...words].join(' ');
}

/** @throws ForeshardError FORESHARD_CONFIG: what is wrong with a name, before it is put into a line. */
export function assertUserName(user: string, where: string): void {
  if (!USER_PATTERN.test(user) || user === PASSWORD_USER)
    throw configError(
      `${where}: a user is 1 to 64 letters, digits, "_", "." or "-", and not "${PASSWORD_USER}", which belongs to security.passwordFile`,
    );
}

/**
 * Reads lines such as `app read,write sha256:HEX prefix=cart:`. Empty ones and those after `#` are for people.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming file and line; never what stands there, which may be a token put in by mistake.
 */
export function parseUsers(text: string, file: string): readonly UserToken[] {
  const lines = text.split(/\r?\n/);
  const tokens: UserToken[] = [];
  lines.forEach((line, index) => {
    const words = line
      .replace(/(^|\s)#.*$/, '')
      .split(/\s+/)
      .filter((word) => word !== '');
    if (words.length === 0) return;
    if (tokens.length === LINES_MAX) throw configError(`${file}: more than ${LINES_MAX} tokens`);
    tokens.push(parseLine(words, `${file}:${index + 1}`));
  });
  return tokens;
}

function parseLine(
  [user = '', rightsWord = '', hash = '', ...rest]: readonly string[],
  where: string,
): UserToken {
  assertUserName(user, where);
  const rights = parseRights(rightsWord);
  if (rights === null)
    throw configError(
      `${where}: after the user come its rights, such as "read,write": of read, write, admin`,
    );
  const hex = /^sha256:([0-9a-f]{64})$/.exec(hash)?.[1];
  if (hex === undefined)
    throw configError(
      `${where}: after the rights comes "sha256:" and 64 hex digits: \`foreshard token create\` prints the line`,
    );
  if (rest.length > PREFIXES_MAX) throw configError(`${where}: more than ${PREFIXES_MAX} prefixes`);
  const prefixes = rest.map((word) => {
    const encoded = /^prefix=(.+)$/.exec(word)?.[1];
    try {
      if (encoded !== undefined) return decodeURIComponent(encoded);
    } catch {
      // told below
    }
    throw configError(
      `${where}: after the hash come only words "prefix=TEXT", spaces and % in it as %20 and %25`,
    );
  });
  return { user, rights, prefixes, digest: Buffer.from(hex, 'hex') };
}

/** Enough of a digest to find it by: whoever tries tokens learns nothing from how long a look-up of their hash takes. */
const INDEX_BYTES = 8;
const indexOf = (digest: Buffer): string => digest.toString('latin1', 0, INDEX_BYTES);

interface KnownToken {
  readonly access: ClientAccess;
  readonly digest: Buffer;
}

/** The users file as it is now. What cannot be read leaves the former in use, with a warning. */
export class ClientUsers {
  readonly #file: string;
  readonly #logger: Logger;
  #stamp: string;
  #warnedOf = '';
  #tokens: ReadonlyMap<string, readonly KnownToken[]>;

  /** @throws ForeshardError FORESHARD_CONFIG naming the file, and the line. */
  constructor(file: string, logger: Logger) {
    this.#file = file;
    this.#logger = logger;
    this.#stamp = stampOf('security.usersFile', file);
    this.#tokens = this.#load();
  }

  /** Looks whether the file has changed. @returns true when other tokens hold than before: look at who is connected. */
  refresh(): boolean {
    try {
      const stamp = stampOf('security.usersFile', this.#file);
      if (stamp === this.#stamp) return false;
      this.#tokens = this.#load();
      this.#stamp = stamp;
      this.#warnedOf = '';
      this.#logger.info({ file: this.#file }, 'the users file was read anew');
      return true;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#warnedOf) this.#logger.warn({ reason: message }, 'the former users stay in use');
      this.#warnedOf = message;
      return false;
    }
  }

  /** @param user null where only the token was given. @returns null unless it is a token of that user. */
  find(
    user: string | null,
    given: Buffer,
  ): { readonly access: ClientAccess; readonly digest: Buffer } | null {
    if (given.length !== TOKEN_CHARACTERS || !TOKEN_PATTERN.test(given.toString('latin1'))) return null;
    const digest = tokenDigest(given);
    const access = this.accessOf(digest);
    return access !== null && (user === null || user === access.user) ? { access, digest } : null;
  }

  /** What the token of this digest may do now; null when it holds no longer. */
  accessOf(digest: Buffer): ClientAccess | null {
    for (const known of this.#tokens.get(indexOf(digest)) ?? [])
      if (timingSafeEqual(known.digest, digest)) return known.access;
    return null;
  }

  #load(): ReadonlyMap<string, readonly KnownToken[]> {
    const tokens = new Map<string, KnownToken[]>();
    const text = readPrivateFile('security.usersFile', this.#file).toString('utf8');
    for (const { user, rights, prefixes, digest } of parseUsers(text, this.#file)) {
      const access = { user, rights, prefixes: prefixes.map((prefix) => Buffer.from(prefix)) };
      const key = indexOf(digest);
      const same = tokens.get(key);
      if (same === undefined) tokens.set(key, [{ access, digest }]);
      else same.push({ access, digest });
    }
    return tokens;
  }
}

/** What the settings say about users: null if nothing. @throws ForeshardError FORESHARD_CONFIG naming the file. */
export const usersOf = ({ usersFile }: SecuritySettings, logger: Logger): ClientUsers | null =>
  usersFile === null ? null : new ClientUsers(usersFile, logger);

const configError = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', message);
