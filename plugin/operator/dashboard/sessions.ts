import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../../src/base/clock.ts';

/** read: look. operate: approve, pause, cancel and the like as well. */
export type DashboardRight = 'read' | 'operate';

export interface Session {
  readonly right: DashboardRight;
  /** Sent along by the page with whatever changes something: another site's page does not know it. */
  readonly csrfToken: string;
  readonly expiresAtMs: number;
}

/** A working day. */
const SESSION_MS = 12 * 3_600_000;
const SESSIONS_MAX = 64;
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
const newToken = (): string => randomBytes(18).toString('base64url');

/** Who may look, and who may operate: a token is exchanged for a session, which lives in this process alone. */
export class Sessions {
  readonly #tokens: readonly { readonly hash: Buffer; readonly right: DashboardRight }[];
  readonly #clock: Clock;
  readonly #sessions = new Map<string, Session>();

  /** @param tokens at least 128 bits each; only their hashes are kept. */
  constructor(tokens: readonly { readonly token: string; readonly right: DashboardRight }[], clock: Clock) {
    this.#tokens = tokens.map(({ token, right }) => ({ hash: digest(token), right }));
    this.#clock = clock;
  }

  /** Guesses are not counted: 128 bits are not guessed, and whoever could close the door would lock the operator out. @returns null for a wrong token. */
  open(token: string): { readonly id: string; readonly session: Session } | null {
    const nowMs = this.#clock.nowMs();
    const hash = digest(token);
    const found = this.#tokens.find((known) => timingSafeEqual(known.hash, hash));
    if (found === undefined) return null;
    this.#forgetOld(nowMs);
    const id = newToken();
    const session = { right: found.right, csrfToken: newToken(), expiresAtMs: nowMs + SESSION_MS };
    this.#sessions.set(id, session);
    return { id, session };
  }

  find(id: string | undefined): Session | null {
    const session = id === undefined ? undefined : this.#sessions.get(id);
    return session !== undefined && session.expiresAtMs > this.#clock.nowMs() ? session : null;
  }

  close(id: string | undefined): void {
    if (id !== undefined) this.#sessions.delete(id);
  }

  #forgetOld(nowMs: number): void {
    for (const [id, { expiresAtMs }] of this.#sessions) if (expiresAtMs <= nowMs) this.#sessions.delete(id);
    // The oldest first: maps keep their order.
    for (const id of this.#sessions.keys()) {
      if (this.#sessions.size < SESSIONS_MAX) break;
      this.#sessions.delete(id);
    }
  }
}
