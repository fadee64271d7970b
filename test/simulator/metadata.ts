import { campaignByHeartbeat } from '../../plugin/metadata/election.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import type {
  CommitResult,
  MetadataEntry,
  MetadataStore,
  MetadataTransaction,
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

const unreachable = (): ForeshardError =>
  new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the metadata store is out of reach');

/** The one true store, and handles on it that lose requests and answers. */
export class SimMetadata {
  readonly entries = new Map<string, MetadataEntry>();
  /** No process reaches it. */
  isDown = false;
  /** NOSPACE: reads are answered, commits certainly refused. */
  isFull = false;
  readonly #world: MetadataWorld;
  #revision = 0;
  readonly #lists = new Map<string, { revision: number; entries: readonly MetadataEntry[] }>();

  constructor(world: MetadataWorld) {
    this.#world = world;
  }

  commitNow({ conditions, writes }: MetadataTransaction): CommitResult {
    for (const condition of conditions) {
      const entry = this.entries.get(condition.key);
      const holds =
        'revisionIs' in condition
          ? (entry?.revision ?? 0) === condition.revisionIs
          : (entry?.createRevision ?? 0) === condition.createRevisionIs;
      if (!holds) return { isCommitted: false, failed: condition };
    }
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
    }
    return { isCommitted: true, revision };
  }

  handleOf(life: Life): MetadataStore {
    const closing = new AbortController().signal;
    const store: MetadataStore = {
      get: (key) => this.#ask(life, () => this.entries.get(key)),
      list: (prefix) => this.#ask(life, () => this.#list(prefix)),
      commit: (transaction) => this.#commit(life, transaction),
      watch: () => () => {},
      campaign: (options) => campaignByHeartbeat({ ...options, store, clock: life.clock, closing }),
      close: async () => {},
    };
    return store;
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
