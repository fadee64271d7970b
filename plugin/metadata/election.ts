/**
 * Leadership for a store without leases of its own: the leader writes heartbeats, and a candidate that sees none for the
 * time to live, by its own monotonic clock, takes over. Clocks only decide who acts; safety is the fence in every commit.
 */
import type { Clock } from '../../src/base/clock.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Candidacy, Leadership, MetadataEntry, MetadataStore } from '../../src/ports/metadata-store.ts';

export interface CampaignOptions extends Candidacy {
  readonly store: MetadataStore;
  readonly clock: Clock;
  /** Of the store: ends the campaign as well. `signal` ends it alone: leadership that was won goes on until it is resigned, lost, or this aborts. */
  readonly closing: AbortSignal;
}

/** Three chances to write a heartbeat before others may take over. */
const HEARTBEATS_PER_TTL = 3;
/** Candidates look often, so that a resignation hands over at once; capped for long times to live. */
const CANDIDATE_POLL_MS_MAX = 50;

/** @throws ForeshardError FORESHARD_UNAVAILABLE when `signal` or `closing` aborts before the election is won. */
export async function campaignByHeartbeat(options: CampaignOptions): Promise<Leadership> {
  const { store, clock, election, ttlMs } = options;
  const signal = AbortSignal.any([options.signal, options.closing]);
  const seen = { revision: 0, sinceMs: clock.monotonicMs() };
  while (!signal.aborted) {
    const holder = await store.get(election);
    if (!holder) {
      const won = await tryToWin(options);
      if (won) return won;
      continue;
    }
    if (seen.revision !== holder.revision) {
      seen.revision = holder.revision;
      seen.sinceMs = clock.monotonicMs();
    } else if (clock.monotonicMs() - seen.sinceMs >= ttlMs) {
      await removeHolder(store, holder);
      continue;
    }
    await clock.sleep(Math.min(CANDIDATE_POLL_MS_MAX, ttlMs / 4), signal);
  }
  throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', `the campaign for ${election} was ended`);
}

function heartbeat(options: CampaignOptions, beat: number): Uint8Array {
  return new TextEncoder().encode(
    // The time is for people, and for commands that want to know at once whether anybody is there: nothing rests on it.
    JSON.stringify({
      candidate: options.candidate,
      ttlMs: options.ttlMs,
      beat,
      atMs: options.clock.nowMs(),
    }),
  );
}

/** Deleting first gives the next leader a key of its own creation, whose revision is its term. */
async function removeHolder(store: MetadataStore, holder: MetadataEntry): Promise<void> {
  await commitOrUnknown(store, {
    conditions: [{ key: holder.key, revisionIs: holder.revision }],
    writes: [{ kind: 'delete', key: holder.key }],
  });
}

async function tryToWin(options: CampaignOptions): Promise<Leadership | null> {
  const { store, election } = options;
  const result = await commitOrUnknown(store, {
    conditions: [{ key: election, revisionIs: 0 }],
    writes: [{ kind: 'put', key: election, value: heartbeat(options, 0) }],
  });
  return result ? lead(options, result) : null;
}

/** The new revision if it certainly committed. An unknown outcome that did commit only leaves a leader who never beats. */
async function commitOrUnknown(
  store: MetadataStore,
  transaction: Parameters<MetadataStore['commit']>[0],
): Promise<number | null> {
  try {
    const result = await store.commit(transaction);
    return result.isCommitted ? result.revision : null;
  } catch (error) {
    if (error instanceof ForeshardError && error.code === 'FORESHARD_UNKNOWN_OUTCOME') return null;
    throw error;
  }
}

function lead(options: CampaignOptions, term: number): Leadership {
  const { store, clock, election, ttlMs } = options;
  const ending = new AbortController();
  const signal = AbortSignal.any([ending.signal, options.closing]);
  const fence = { key: election, createRevisionIs: term } as const;
  let lastBeatMs = clock.monotonicMs();
  // Once lost, lost for good: whoever has seen "not held" stands for election again, and must not find itself in office.
  const isExpired = (): boolean => {
    if (clock.monotonicMs() - lastBeatMs >= ttlMs) ending.abort();
    return signal.aborted;
  };

  async function beat(): Promise<void> {
    for (let count = 1; !signal.aborted; count++) {
      await clock.sleep(ttlMs / HEARTBEATS_PER_TTL, signal);
      if (signal.aborted) return;
      const sentMs = clock.monotonicMs();
      try {
        const result = await store.commit({
          conditions: [fence],
          writes: [{ kind: 'put', key: election, value: heartbeat(options, count) }],
        });
        if (!result.isCommitted || isExpired()) return;
        lastBeatMs = sentMs;
      } catch {
        // Not written, or not known: the time to live decides.
      }
      if (isExpired()) return;
    }
  }

  const lost = beat().finally(() => ending.abort());
  return {
    fence,
    lost,
    isHeld: () => !isExpired(),
    async resign() {
      ending.abort();
      await lost;
      if (options.closing.aborted) return;
      await commitOrUnknown(store, { conditions: [fence], writes: [{ kind: 'delete', key: election }] });
    },
  };
}
