import { type AffinityCounts, OTHER, packAffinityCounts } from '../model/affinity-matrix.ts';
import { LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import { TemplateTable } from './patterns/template-table.ts';
import type { WordTree } from './patterns/word-tree.ts';

/** What one query, or many, are to a partition. */
export interface PartitionLoad {
  readonly partitionId: number;
  readonly queries: number;
  readonly cpuSeconds: number;
  readonly readBytes: number;
  readonly writeBytes: number;
}

export interface OpenWindowSettings {
  /** Name of the query node, put before client numbers. */
  readonly source: string;
  readonly partitionCount: number;
  readonly templatesMax: number;
  readonly clientsMax: number;
  readonly entriesMax: number;
}

/**
 * One window while it is being counted: loads by partition, and who asked what of which partition.
 *
 * It numbers its own templates and clients: those that come later never find a table full of the past.
 */
export class OpenWindow {
  readonly index: number;
  /** f64[partition][dimension]. */
  readonly values: Float64Array;
  recordCount = 0;
  droppedCount = 0;
  lateCount = 0;
  readonly #settings: OpenWindowSettings;
  readonly #templates: TemplateTable;
  readonly #clientNames = [OTHER];
  readonly #clientOf = new Map<number, number>();
  readonly #entries = new Map<number, number>();

  /** @param words what are values in one window are values in the next: shared by all of them. */
  constructor(index: number, settings: OpenWindowSettings, words: WordTree) {
    this.index = index;
    this.#settings = settings;
    this.values = new Float64Array(settings.partitionCount * LOAD_DIMENSION_COUNT);
    this.#templates = new TemplateTable(settings.templatesMax, words);
  }

  addLoad({ partitionId, queries, cpuSeconds, readBytes, writeBytes }: PartitionLoad): void {
    const { values } = this;
    // In the order of LOAD_DIMENSIONS.
    const base = partitionId * LOAD_DIMENSION_COUNT;
    values[base] = (values[base] as number) + queries;
    values[base + 1] = (values[base + 1] as number) + cpuSeconds;
    values[base + 2] = (values[base + 2] as number) + readBytes;
    values[base + 3] = (values[base + 3] as number) + writeBytes;
    this.recordCount += queries;
  }

  /** @param weight how many queries this one of a sample stands for. */
  addPattern(
    query: {
      readonly command: string;
      readonly keyPrefix: string;
      readonly partitionId: number;
      readonly clientId: number;
    },
    weight: number,
  ): void {
    const { partitionCount, clientsMax, entriesMax } = this.#settings;
    const template = this.#templates.numberOf(query.command, query.keyPrefix);
    const client = this.#clientNumber(query.clientId);
    // 1,024 templates x 16,384 partitions x 257 clients are far below 2^53: one number is the key.
    const base = (template * partitionCount + query.partitionId) * (clientsMax + 1);
    const entries = this.#entries;
    const known = entries.get(base + client);
    if (known !== undefined || entries.size < entriesMax) entries.set(base + client, (known ?? 0) + weight);
    // Without its client an entry is one of at most templates x partitions; beyond twice the limit even that is dropped.
    else if (entries.has(base) || entries.size < 2 * entriesMax)
      entries.set(base, (entries.get(base) ?? 0) + weight);
  }

  affinity(): AffinityCounts {
    const { partitionCount, clientsMax } = this.#settings;
    const entries = [...this.#entries].map(([key, count]) => {
      const client = key % (clientsMax + 1);
      const pair = (key - client) / (clientsMax + 1);
      return {
        template: Math.floor(pair / partitionCount),
        partition: pair % partitionCount,
        client,
        count,
      };
    });
    const names = { templates: this.#templates.names, clients: this.#clientNames };
    return packAffinityCounts(entries, { partitionCount, ...names });
  }

  #clientNumber(clientId: number): number {
    const known = this.#clientOf.get(clientId);
    if (known !== undefined) return known;
    if (this.#clientNames.length > this.#settings.clientsMax) return 0;
    const number = this.#clientNames.push(`${this.#settings.source}/${clientId}`) - 1;
    this.#clientOf.set(clientId, number);
    return number;
  }
}
