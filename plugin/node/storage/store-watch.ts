import type { Clock } from '../../../src/base/clock.ts';
import type { StoreState } from '../../../src/migration/records/records.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { readStoreState } from '../../metadata/cluster-map.ts';
import type { HealthReason } from '../health.ts';

/** A hint says when to look again; this is for hints that never came. */
const LOOK_MS = 1_000;
/** A few of these missed: the metadata store is out of reach. */
const METADATA_AGE_MS_MAX = 5_000;

export interface StoreWatchComponents {
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  /** Another node owns what this one owned: an operator took this process for dead. Told at every look that finds it so. */
  readonly onRetired: () => void;
}

/** What the metadata store says of a node's own store, and since when it could not be read. */
export class StoreWatch {
  readonly #clusterId: string;
  readonly #storeId: string;
  readonly #components: StoreWatchComponents;
  readonly #timer: NodeJS.Timeout;
  readonly #unwatch: () => void;
  #state: StoreState = 'active';
  #readMs: number;

  constructor(
    { clusterId, storeId }: { readonly clusterId: string; readonly storeId: string },
    components: StoreWatchComponents,
  ) {
    this.#clusterId = clusterId;
    this.#storeId = storeId;
    this.#components = components;
    this.#readMs = components.clock.monotonicMs();
    this.#unwatch = components.metadata.watch(clusterKeys(clusterId).store(storeId), () => void this.#look());
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
    void this.#look();
  }

  get state(): StoreState {
    return this.#state;
  }

  /** How long ago the metadata store was read last, where that is worth a word. */
  problems(): HealthReason[] {
    const agoMs = this.#components.clock.monotonicMs() - this.#readMs;
    if (agoMs <= METADATA_AGE_MS_MAX) return [];
    return [
      {
        code: 'metadata-unreachable',
        isBlocking: false,
        text: `the metadata store could not be read for ${Math.round(agoMs / 1000)} s; what is owned is served`,
      },
    ];
  }

  close(): void {
    this.#unwatch();
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { metadata, clock, onRetired } = this.#components;
    try {
      this.#state = (await readStoreState(metadata, this.#clusterId, this.#storeId)) ?? 'active';
      this.#readMs = clock.monotonicMs();
    } catch {
      return; // looked at again in a moment
    }
    if (this.#state === 'retired') onRetired();
  }
}
