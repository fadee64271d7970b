import type { Logger } from '../../base/logger.ts';
import type { PartitionRecord } from '../../model/migration.ts';
import type { MetadataStore } from '../../ports/metadata-store.ts';
import { DecodeCache } from './decode-cache.ts';
import { isOpen, type OpenRecord } from './record-changes.ts';
import type { RecordCodec } from './records.ts';

export interface ReadMap {
  /** [partition]; null where the record is missing or not valid. */
  readonly records: (PartitionRecord | null)[];
  /** [partition], metadata revision of each record. */
  readonly revisions: readonly number[];
  readonly open: readonly { readonly record: OpenRecord; readonly revision: number }[];
}

/** Reads the whole map, linearizably. */
export class RecordReader {
  readonly #metadata: MetadataStore;
  readonly #codec: RecordCodec;
  readonly #cache: DecodeCache<PartitionRecord>;

  constructor(metadata: MetadataStore, codec: RecordCodec, logger: Logger) {
    this.#metadata = metadata;
    this.#codec = codec;
    this.#cache = new DecodeCache(
      ({ key, value }) => codec.decodePartition(this.#partitionOf(key), value),
      (key, error) =>
        logger.error({ partitionId: this.#partitionOf(key), error }, 'a bad record: partition quarantined'),
    );
  }

  async read(): Promise<ReadMap> {
    const { entries } = await this.#metadata.list(this.#codec.keys.mapPrefix);
    const decoded = this.#cache.all(entries);
    const records: (PartitionRecord | null)[] = [];
    const revisions: number[] = [];
    const open: { record: OpenRecord; revision: number }[] = [];
    for (const [i, { key, revision }] of entries.entries()) {
      const partitionId = this.#partitionOf(key);
      const record = decoded[i] as PartitionRecord | null;
      records[partitionId] = record;
      revisions[partitionId] = revision;
      if (isOpen(record)) open.push({ record, revision });
    }
    return { records, revisions, open };
  }

  #partitionOf(key: string): number {
    return Number(key.slice(this.#codec.keys.mapPrefix.length));
  }
}
