import type { Clock } from '../../src/base/clock.ts';
import type { Announcement } from '../../src/ports/metadata-store.ts';

/** Three chances to be heard of before the time to live is over. */
const BEATS_PER_TTL = 3;

const END_MS_MAX = 1_000;

export interface KeptOptions {
  readonly clock: Clock;
  readonly ttlMs: number;
  /** Of the store: the beats end, the key is left to its time to live. */
  readonly closing: AbortSignal;
  /** Makes the key live on, and writes it again where it was lost. What it throws is tried again at the next beat. */
  readonly beat: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** Beats for as long as the announcement stands. */
export function keepAnnounced({ clock, ttlMs, closing, beat, remove }: KeptOptions): Announcement {
  const ending = new AbortController();
  const signal = AbortSignal.any([ending.signal, closing]);
  async function beatOn(): Promise<void> {
    for (;;) {
      await clock.sleep(ttlMs / BEATS_PER_TTL, signal);
      if (signal.aborted) return;
      try {
        await beat();
      } catch {
        // Out of reach: whoever looks for the key may miss it for a while, as for any process that is cut off.
      }
    }
  }
  const ended = beatOn();
  return {
    async end() {
      if (signal.aborted) return;
      ending.abort();
      // A beat that is under way while the store is out of reach would hold up the end of the process.
      await Promise.race([ended, clock.sleep(END_MS_MAX)]);
      if (closing.aborted) return;
      await remove().catch(() => {});
    },
  };
}
