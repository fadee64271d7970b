import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type ClientAccess, FULL_ACCESS } from './client-access.ts';
import type { ClientUsers } from './client-users.ts';

/** What a client has shown, and what it may do by that. */
export interface Shown {
  readonly access: ClientAccess;
  /** Null of the password. */
  readonly tokenDigest: Buffer | null;
}

/** Who clients may be: `default` by the one password, the users of the users file by a token, or everybody. */
export class Authentication {
  readonly #password: Buffer | null;
  readonly #users: ClientUsers | null;
  /** Both sides of a comparison are hashed under it first, so that neither content nor length shows in the time it takes. */
  readonly #compareKey = randomBytes(32);

  constructor(options: { readonly password: string | null; readonly users: ClientUsers | null }) {
    this.#password = options.password === null ? null : this.#digest(Buffer.from(options.password));
    this.#users = options.users;
  }

  get isRequired(): boolean {
    return this.#password !== null || this.#users !== null;
  }

  /** What a connection may do before it has said anything; null: authenticate. */
  get initial(): ClientAccess | null {
    return this.isRequired ? null : FULL_ACCESS;
  }

  /**
   * @param user null where only `given` was sent: the password, or a token of whatever user. `default` says no more than null:
   * with `HELLO` a client has to name somebody, and one that was given a token alone names this.
   */
  check(user: string | null, given: Buffer): Shown | null {
    const named = user === FULL_ACCESS.user ? null : user;
    if (named === null) {
      const isRight =
        this.#password === null ? !this.isRequired : timingSafeEqual(this.#digest(given), this.#password);
      if (isRight) return { access: FULL_ACCESS, tokenDigest: null };
    }
    const found = this.#users?.find(named, given) ?? null;
    return found === null ? null : { access: found.access, tokenDigest: found.digest };
  }

  /**
   * Looks whether tokens have changed. @returns what those say now who have shown one (null: it holds no longer); null when
   * nothing has changed.
   */
  refresh(): ((tokenDigest: Buffer) => ClientAccess | null) | null {
    const users = this.#users;
    return users?.refresh() ? (digest) => users.accessOf(digest) : null;
  }

  #digest(bytes: Buffer): Buffer {
    return createHmac('sha256', this.#compareKey).update(bytes).digest();
  }
}
