import type { MetadataStore, Unwatch } from '../../../src/ports/metadata-store.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { listDrainingStores } from '../../metadata/store-records.ts';

/**
 * So often a plan is made while a node is being drained. A plan moves at most `affinity.movesMax` partitions, what was moved
 * lately rests, and the hourly plan would leave an operator waiting; a plan takes seconds at most.
 */
const LOOK_MS = 30_000;

export interface DrainWatchOptions {
  readonly metadata: MetadataStore;
  readonly clusterName: string;
  /** Whether this process plans, and by itself: a replay says when. */
  readonly isPlanning: () => boolean;
  /** Makes a plan now. Never throws. */
  readonly plan: () => Promise<void>;
}

/** Has plans made when an operator begins or ends a drain, and again and again until nothing is drained any more. */
export class DrainWatch {
  readonly #options: DrainWatchOptions;
  readonly #unwatch: Unwatch;
  readonly #timer: NodeJS.Timeout;
  #known = '';
  #isLooking = false;
  #isWanted = false;

  constructor(options: DrainWatchOptions) {
    this.#options = options;
    const { metadata, clusterName } = options;
    this.#unwatch = metadata.watch(
      clusterKeys(clusterName).storePrefix,
      () => void this.#look({ isHint: true }),
    );
    this.#timer = setInterval(() => void this.#look({ isHint: false }), LOOK_MS);
  }

  close(): void {
    this.#unwatch();
    clearInterval(this.#timer);
  }

  /** Never throws. */
  async #look({ isHint }: { readonly isHint: boolean }): Promise<void> {
    this.#isWanted = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { metadata, clusterName, isPlanning, plan } = this.#options;
    try {
      while (this.#isWanted) {
        this.#isWanted = false;
        if (!isPlanning()) continue;
        const draining = [...(await listDrainingStores(metadata, clusterName))].sort().join(' ');
        const isNews = draining !== this.#known;
        this.#known = draining;
        if (isNews || (!isHint && draining !== '')) await plan();
      }
    } catch {
      // Out of reach: looked at again in a moment.
    } finally {
      this.#isLooking = false;
    }
  }
}
