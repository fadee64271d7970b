import { QueryTypeCounts, type QueryTypeSettings } from '../../src/analyzer/patterns/query-types.ts';
import type { ProfileSegment } from '../../src/analyzer/profile.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { QueryTypesReport } from './control-messages.ts';
import { encodeQueryTypes, PUBLISHED_LIMITS } from './query-types-record.ts';

/** Keeps what one query node was asked, and publishes a summary of it in the metadata store, where the command line reads it. */
export class QueryTypesPublisher {
  readonly #settings: QueryTypeSettings;
  readonly #metadata: MetadataStore;
  readonly #key: string;
  #counts: QueryTypeCounts;

  constructor(
    settings: QueryTypeSettings,
    components: {
      readonly metadata: MetadataStore;
      /** Such as `/foreshard/v1/main/query-types/10000`. */
      readonly key: string;
    },
  ) {
    this.#settings = settings;
    this.#metadata = components.metadata;
    this.#key = components.key;
    this.#counts = new QueryTypeCounts(settings);
  }

  /** Begins anew: the clock was moved to another time. */
  reset(): void {
    this.#counts = new QueryTypeCounts(this.#settings);
  }

  add(segments: readonly ProfileSegment[]): void {
    for (const segment of segments) this.#counts.add(segment);
  }

  async publish(about: { readonly atMs: number; readonly droppedCount: number }): Promise<void> {
    const { windowMs, halfLifeWindows } = this.#settings;
    const summary = this.#counts.summary(PUBLISHED_LIMITS);
    const value = encodeQueryTypes(summary, { windowMs, halfLifeWindows, ...about });
    await this.#metadata.commit({ conditions: [], writes: [{ kind: 'put', key: this.#key, value }] });
  }

  /** @param ownerOf owner by partition, of the map in effect. */
  report(options: {
    readonly nowMs: number;
    readonly droppedCount: number;
    readonly ownerOf: ArrayLike<number>;
  }): QueryTypesReport {
    const { windowMs, halfLifeWindows } = this.#settings;
    const { nowMs, droppedCount, ownerOf } = options;
    const { types, ...sums } = this.#counts.summary(PUBLISHED_LIMITS);
    return {
      nowMs,
      windowMs,
      halfLifeWindows,
      droppedCount,
      ...sums,
      types: types.map((type) => ({
        ...type,
        storageNodes: [...this.#counts.nodesOf(type.template, ownerOf)].map(([nodeId, recentCount]) => ({
          nodeId,
          recentCount,
        })),
      })),
    };
  }
}
