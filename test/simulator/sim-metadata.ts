import { campaignByHeartbeat } from '../../plugin/metadata/election.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import type {
  CommitResult,
  MetadataEntry,
  MetadataStore,
  MetadataTransaction,
} from '../../src/ports/metadata-store.ts';
import type { Life, SimClock } from './sim-clock.ts';
import type { Faults } from './sim-network.ts';

export interface MetadataWorld {
  readonly clock: SimClock;
  readonly random: Random;
  readonly faults: () => Faults;
  /** Told of every put before it is made: invariants of the map are checked here. */
  readonly onPut: (key: string, before: MetadataEntry | undefined, value: Uint8Array) => void;
}

const TIMEOUT_MS = 60;

/** The one true store, and handles on it that lose answers. */
export class SimMetadata {
  readonly entries = new Map<string, MetadataEntry>();
  readonly #world: MetadataWorld;
  #revision = 0;

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
      if (write.kind === 'delete') this.entries.delete(write.key);
      else {
        this.#world.onPut(write.key, before, write.value);
        const createRevision = before?.createRevision ?? revision;
        this.entries.set(write.key, { key: write.key, value: write.value, revision, createRevision });
      }
    }
    return { isCommitted: true, revision };
  }

  handleOf(life: Life): MetadataStore {
    const { clock, random, faults } = this.#world;
    const roundTrip = async <T>(action: () => T): Promise<T> => {
      await clock.sleep(0.2 + random.nextFloat());
      if (random.nextFloat() < faults().metadataDownRate) {
        await clock.sleep(TIMEOUT_MS);
        throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the metadata store is out of reach');
      }
      const result = action();
      await clock.sleep(0.2 + random.nextFloat());
      return result;
    };
    const commit = async (transaction: MetadataTransaction): Promise<CommitResult> => {
      if (random.nextFloat() >= faults().unknownRate) return roundTrip(() => this.commitNow(transaction));
      const fate = random.nextBelow(3);
      if (fate === 0) clock.after(random.nextFloat() * TIMEOUT_MS, () => void this.commitNow(transaction));
      if (fate === 1)
        clock.after(TIMEOUT_MS + random.nextFloat() * 400, () => void this.commitNow(transaction));
      await clock.sleep(TIMEOUT_MS);
      throw new ForeshardError('FORESHARD_UNKNOWN_OUTCOME', 're-read', 'the commit was not answered');
    };
    const store: MetadataStore = {
      get: (key) => life.whileAlive(roundTrip(() => this.entries.get(key))),
      list: (prefix) =>
        life.whileAlive(
          roundTrip(() => ({
            entries: [...this.entries.values()]
              .filter(({ key }) => key.startsWith(prefix))
              .sort((a, b) => (a.key < b.key ? -1 : 1)),
            revision: this.#revision,
          })),
        ),
      commit: (transaction) => life.whileAlive(commit(transaction)),
      watch: () => () => {},
      campaign: (options) =>
        campaignByHeartbeat({
          ...options,
          store,
          clock: life.clock(clock),
          closing: new AbortController().signal,
        }),
      close: async () => {},
    };
    return store;
  }
}
