import { keepAnnounced } from '../../plugin/metadata/announcement.ts';
import { campaignByHeartbeat } from '../../plugin/metadata/election.ts';
import { assertWithinLimits } from '../../plugin/metadata/transaction-limits.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import {
  type Announcement,
  type CommitResult,
  conditionHolds,
  type MetadataEntry,
  type MetadataStore,
  type MetadataTransaction,
} from '../../src/ports/metadata-store.ts';
import type { SimClock } from './clock.ts';
import type { Life } from './life.ts';
import type { SimNetwork } from './network.ts';
import type { Rates } from './scenario.ts';

export interface MetadataWorld {
  readonly clock: SimClock;
  readonly random: Random;
  readonly network: SimNetwork;
  readonly rates: () => Rates;
  /** Told of every change before it is made: invariants of the map are checked here. */
  readonly onChange: (key: string, before: MetadataEntry | undefined, value: Uint8Array | null) => void;
}

const TIMEOUT_MS = 60;
/** A commit whose answer was lost may still be made so much later. */
const LATE_COMMIT_MS_MAX = 400;
/** How many changes a watch may be behind. */
const CHANGES_MAX = 1_000;

const unreachable = (): ForeshardError =>
  new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the metadata store is out of reach');

interface SimWatcher {
  readonly prefix: string;
  readonly hint: () => void;
}

/** The one true store, and handles on it that lose requests and answers. */
export class SimMetadata {
  readonly entries = new Map<string, MetadataEntry>();
  /** No process reaches it. */
  isDown = false;
  /** NOSPACE: reads are answered, commits certainly refused. */
  isFull = false;
  readonly #world: MetadataWorld;
  #revision = 0;
  readonly #watchers = new Set<SimWatcher>();
  /** The newest, since the last compaction. */
  #changes: { readonly key: string; readonly revision: number }[] = [];
  #compactedRevision = 0;
  /** By key, who keeps it and until when. */
  readonly #leases = new Map<string, { readonly holder: object; readonly untilMs: number }>();
  readonly #lists = new Map<string, { revision: number; entries: readonly MetadataEntry[] }>();

  constructor(world: MetadataWorld) {
    this.#world = world;
  }

  get revision(): number {
    return this.#revision;
  }

  commitNow({ conditions, writes }: MetadataTransaction): CommitResult {
    const failed = conditions.find(
      (condition) => !conditionHolds(condition, this.entries.get(condition.key)),
    );
    if (failed) return { isCommitted: false, failed };
    const revision = ++this.#revision;
    for (const write of writes) {
      const before = this.entries.get(write.key);
      this.#world.onChange(write.key, before, write.kind === 'put' ? write.value : null);
      if (write.kind === 'delete') this.entries.delete(write.key);
      else {
        const createRevision = before?.createRevision ?? revision;
        this.entries.set(write.key, { key: write.key, value: write.value, revision, createRevision });
      }
      for (const prefix of this.#lists.keys()) if (write.key.startsWith(prefix)) this.#lists.delete(prefix);
      this.#leases.delete(write.key);
      this.#noteChange(write.key, revision);
    }
    return { isCommitted: true, revision };
  }

  handleOf(life: Life): MetadataStore {
    const closed = new AbortController();
    const closing = closed.signal;
    const unwatches = new Set<() => void>();
    const store: MetadataStore = {
      get: (key) => this.#ask(life, () => this.entries.get(key)),
      list: (prefix) => this.#ask(life, () => this.#list(prefix)),
      commit: (transaction) => this.#commit(life, transaction),
      watch: (prefix, onHint, { afterRevision } = {}) => {
        const unwatch = this.#watch(life, { prefix, onHint, afterRevision: afterRevision ?? this.#revision });
        unwatches.add(unwatch);
        return unwatch;
      },
      announce: (announced) => this.#announce(life, closing, announced),
      campaign: (options) =>
        campaignByHeartbeat({
          ...options,
          store,
          clock: life.clock,
          closing,
        }),
      async close() {
        closed.abort();
        for (const unwatch of unwatches) unwatch();
      },
    };
    return store;
  }

  /** What was changed up to now is forgotten: a watch from before is told that anything may have changed. */
  compact(): void {
    this.#compactedRevision = this.#revision;
    this.#changes = [];
  }

  #watch(
    life: Life,
    {
      prefix,
      onHint,
      afterRevision,
    }: Omit<SimWatcher, 'hint'> & { readonly onHint: () => void; readonly afterRevision: number },
  ): () => void {
    const hint = (): void => {
      // A hint that is lost is one that comes late: whoever watches looks now and then in any case.
      if (this.isDown || this.#isLost(life)) return;
      this.#world.clock.after(0.2 + this.#world.random.nextFloat(), () =>
        life.run(() => {
          if (this.#watchers.has(watcher)) onHint();
        }),
      );
    };
    const watcher: SimWatcher = { prefix, hint };
    this.#watchers.add(watcher);
    const isMissed =
      afterRevision < this.#compactedRevision ||
      this.#changes.some(({ key, revision }) => revision > afterRevision && key.startsWith(prefix));
    if (isMissed) hint();
    return () => void this.#watchers.delete(watcher);
  }

  #noteChange(key: string, revision: number): void {
    this.#changes.push({ key, revision });
    if (this.#changes.length > CHANGES_MAX)
      this.#compactedRevision = (this.#changes.shift() as { revision: number }).revision;
    for (const { prefix, hint } of [...this.#watchers]) if (key.startsWith(prefix)) hint();
  }

  /** By a lease of the store's own, as etcd has them. */
  async #announce(
    life: Life,
    closing: AbortSignal,
    { key, value, ttlMs }: Parameters<MetadataStore['announce']>[0],
  ): Promise<Announcement> {
    const { clock } = this.#world;
    const holder = {};
    const isOurs = (): boolean => this.#leases.get(key)?.holder === holder;
    const keep = (): void => {
      this.#leases.set(key, { holder, untilMs: clock.nowMs() + ttlMs });
      clock.after(ttlMs, () => this.#expire(key));
    };
    const take = (): void => {
      this.#commitUnlessFull({ conditions: [], writes: [{ kind: 'put', key, value }] });
      keep();
    };
    await this.#ask(life, take);
    return keepAnnounced({
      clock: life.clock,
      ttlMs,
      closing,
      beat: () =>
        this.#ask(life, () => {
          if (isOurs()) keep();
          else if (!this.entries.has(key)) take();
        }),
      remove: () =>
        this.#ask(life, () => {
          if (isOurs()) this.#commitUnlessFull({ conditions: [], writes: [{ kind: 'delete', key }] });
        }),
    });
  }

  #expire(key: string): void {
    const lease = this.#leases.get(key);
    if (lease && this.#world.clock.nowMs() >= lease.untilMs)
      this.commitNow({ conditions: [], writes: [{ kind: 'delete', key }] });
  }

  #list(prefix: string): { entries: readonly MetadataEntry[]; revision: number } {
    let entries = this.#lists.get(prefix)?.entries;
    if (!entries) {
      entries = [...this.entries.values()]
        .filter(({ key }) => key.startsWith(prefix))
        .sort((a, b) => (a.key < b.key ? -1 : 1));
      this.#lists.set(prefix, { revision: this.#revision, entries });
    }
    return { entries, revision: this.#revision };
  }

  /** A request that changes nothing: when it fails it is simply not answered. */
  #ask<T>(life: Life, action: () => T): Promise<T> {
    const { clock, random, rates } = this.#world;
    if (life.isOver) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      const isLost = this.#isLost(life) || random.nextFloat() < rates().metadataDown;
      const delayMs = 0.2 + random.nextFloat();
      const giveUp = (): void => life.run(() => reject(unreachable()));
      if (isLost) {
        clock.after(TIMEOUT_MS, giveUp);
        return;
      }
      clock.after(delayMs, () => {
        if (this.isDown) {
          clock.after(TIMEOUT_MS, giveUp);
          return;
        }
        let settle: () => void;
        try {
          const answer = action();
          settle = () => resolve(answer);
        } catch (error) {
          settle = () => reject(error);
        }
        clock.after(0.2 + random.nextFloat(), () => life.run(settle));
      });
    });
  }

  #commit(life: Life, transaction: MetadataTransaction): Promise<CommitResult> {
    try {
      assertWithinLimits(transaction);
    } catch (error) {
      return Promise.reject(error);
    }
    const { clock, random, network, rates } = this.#world;
    if (life.isOver) return new Promise(() => {});
    const isAnswerLost = network.isCut('m', life.name) || random.nextFloat() < rates().unknownCommit;
    if (!isAnswerLost) return this.#ask(life, () => this.#commitUnlessFull(transaction));
    return new Promise((_, reject) => {
      // At once, late, or never: whoever asked cannot tell.
      const fate = random.nextBelow(3);
      const delayMs = fate === 0 ? random.nextFloat() * TIMEOUT_MS : random.nextFloat() * LATE_COMMIT_MS_MAX;
      if (fate < 2 && !network.isCut(life.name, 'm'))
        clock.after(delayMs, () => {
          if (!this.isDown && !this.isFull) this.commitNow(transaction);
        });
      clock.after(TIMEOUT_MS, () =>
        life.run(() =>
          reject(new ForeshardError('FORESHARD_UNKNOWN_OUTCOME', 're-read', 'the commit was not answered')),
        ),
      );
    });
  }

  #commitUnlessFull(transaction: MetadataTransaction): CommitResult {
    if (!this.isFull) return this.commitNow(transaction);
    throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the metadata store has no space left');
  }

  #isLost(life: Life): boolean {
    const { network } = this.#world;
    return network.isCut(life.name, 'm') || network.isCut('m', life.name);
  }
}
