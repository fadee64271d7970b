import type { Inconsistency } from './base/claims.ts';
import { isLoopback } from './base/loopback.ts';

/** Who is told of proposals and failures. */
export interface WebhookSettings {
  /** `https://…`, or `http://` on the loopback; null: nobody. */
  readonly url: string | null;
  /** A file that only its owner may read (mode 0600) whose first line is what deliveries are signed with. */
  readonly secretFile: string | null;
  /** Of one attempt. */
  readonly timeoutMs: number;
  /** 1 s, 2 s, 4 s … apart. */
  readonly attemptsMax: number;
}

export const WEBHOOK_DEFAULTS: WebhookSettings = {
  url: null,
  secretFile: null,
  timeoutMs: 5_000,
  attemptsMax: 8, // two minutes: a receiver that is restarted is back by then
};

export function webhookInconsistencies({ url, secretFile }: WebhookSettings): readonly Inconsistency[] {
  if (url === null) return [];
  const found: Inconsistency[] = [];
  if (!isSafeUrl(url))
    found.push({
      path: 'url',
      expected:
        'a URL without user and password: https://…, or http:// on the loopback, since what is sent is of the cluster',
    });
  if (secretFile === null)
    found.push({
      path: 'secretFile',
      expected: 'set as well: a receiver knows by the signature who it is told by',
    });
  return found;
}

function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname.replace(/^\[|\]$/g, '')));
}
