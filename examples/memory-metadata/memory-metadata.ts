import { keepAnnounced } from '../../plugin/metadata/announcement.ts';
import { campaignByHeartbeat } from '../../plugin/metadata/election.ts';
import { assertWithinLimits } from '../../plugin/metadata/transaction-limits.ts';
import type { Clock } from '../../src/base/clock.ts';
import {
  type CommitResult,
  conditionHolds,
  type MetadataEntry,
  type MetadataStore,
  type MetadataTransaction,
} from '../../src/ports/metadata-store.ts';

interface Watcher {
  readonly prefix: string;
  readonly onHint: () => void;
}

/** Of whoever wrote the key last: nobody else may keep it or take it back. Every beat makes a new one. */
interface Lease {
  readonly holder: object;
}

/**
 * The smallest metadata store that keeps what the port promises: in memory, for clients in one process. One thread makes every
 * transaction at once, which is all that linearizable means here; a store of several processes has to earn it.
 */
export class MemoryMetadata {
  readonly #clock: Clock;
  readonly #entries = new Map<string, MetadataEntry>();
  readonly #leases = new Map<string, Lease>();
  readonly #watchers = new Set<Watcher>();
  #revision = 0;
  /** What a watch from an earlier revision is told of. A deletion leaves no entry, so the keys themselves do not say it. */
  #changes: { readonly key: string; readonly revision: number }[] = [];
  #forgottenRevision = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A client. What it announces lives until it is closed, as that of a process until it dies. */
  connect(): MetadataStore {
    const closed = new AbortController();
    const closing = closed.signal;
    const clock = this.#clock;
    const store: MetadataStore = {
      get: async (key) => this.#entries.get(key),
      list: async (prefix) => this.#list(prefix),
      commit: async (transaction) => this.#commit(transaction),
      watch: (prefix, onHint, { afterRevision = this.#revision } = {}) => {
        const unwatch = this.#watch({ prefix, onHint }, afterRevision);
        closing.addEventListener('abort', unwatch);
        return unwatch;
      },
      announce: async ({ key, value, ttlMs }) => {
        const holder = {};
        const isOurs = (): boolean => this.#leases.get(key)?.holder === holder;
        const take = (): void => {
          this.#commit({ conditions: [], writes: [{ kind: 'put', key, value }] });
          this.#keep(key, holder, ttlMs);
        };
        take();
        return keepAnnounced({
          clock,
          ttlMs,
          closing,
          beat: async () => {
            if (isOurs()) this.#keep(key, holder, ttlMs);
            else if (!this.#entries.has(key)) take();
          },
          remove: async () => {
            if (isOurs()) this.#commit({ conditions: [], writes: [{ kind: 'delete', key }] });
          },
        });
      },
      campaign: (options) =>
        campaignByHeartbeat({
          ...options,
          signal: AbortSignal.any([options.signal, closing]),
          store,
          clock,
          closing,
        }),
      close: async () => closed.abort(),
    };
    return store;
  }

  /** As a compaction of etcd: who watches from before is told that anything may have changed. */
  compact(): void {
    this.#forgottenRevision = this.#revision;
    this.#changes = [];
  }

  #list(prefix: string): { entries: readonly MetadataEntry[]; revision: number } {
    const entries = [...this.#entries.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    return { entries, revision: this.#revision };
  }

  #commit(transaction: MetadataTransaction): CommitResult {
    assertWithinLimits(transaction);
    const failed = transaction.conditions.find(
      (condition) => !conditionHolds(condition, this.#entries.get(condition.key)),
    );
    if (failed !== undefined) return { isCommitted: false, failed };
    const revision = ++this.#revision;
    for (const write of transaction.writes) {
      const { key } = write;
      const createRevision = this.#entries.get(key)?.createRevision ?? revision;
      // A copy: what the caller does to its bytes afterwards is no write.
      if (write.kind === 'put')
        this.#entries.set(key, { key, value: write.value.slice(), revision, createRevision });
      else this.#entries.delete(key);
      this.#leases.delete(key);
      this.#changes.push({ key, revision });
      for (const watcher of [...this.#watchers]) if (key.startsWith(watcher.prefix)) this.#hint(watcher);
    }
    return { isCommitted: true, revision };
  }

  #watch(watcher: Watcher, afterRevision: number): () => void {
    this.#watchers.add(watcher);
    const isMissed =
      afterRevision < this.#forgottenRevision ||
      this.#changes.some(({ key, revision }) => revision > afterRevision && key.startsWith(watcher.prefix));
    if (isMissed) this.#hint(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Later, so that nobody is called from within a transaction of its own. */
  #hint(watcher: Watcher): void {
    queueMicrotask(() => {
      if (this.#watchers.has(watcher)) watcher.onHint();
    });
  }

  #keep(key: string, holder: object, ttlMs: number): void {
    const lease = { holder };
    this.#leases.set(key, lease);
    void this.#clock.sleep(ttlMs).then(() => {
      if (this.#leases.get(key) === lease)
        this.#commit({ conditions: [], writes: [{ kind: 'delete', key }] });
    });
  }
}
