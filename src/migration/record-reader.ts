import type { Logger } from '../base/logger.ts';
import type { PartitionRecord } from '../model/migration.ts';
import type { MetadataEntry, MetadataStore } from '../ports/metadata-store.ts';
import { isOpen, type OpenRecord } from './record-changes.ts';
import type { RecordCodec } from './records.ts';

export interface ReadMap {
  /** [partition]; null where the record is missing or not valid. */
  readonly records: (PartitionRecord | null)[];
  /** [partition], metadata revision of each record. */
  readonly revisions: readonly number[];
  readonly open: readonly { readonly record: OpenRecord; readonly revision: number }[];
}

/** Reads the whole map, linearizably; decodes a record once a revision, since most do not change between readings. */
export class RecordReader {
  readonly #metadata: MetadataStore;
  readonly #codec: RecordCodec;
  readonly #logger: Logger;
  readonly #decoded = new Map<string, { revision: number; record: PartitionRecord | null }>();

  constructor(metadata: MetadataStore, codec: RecordCodec, logger: Logger) {
    this.#metadata = metadata;
    this.#codec = codec;
    this.#logger = logger;
  }

  async read(): Promise<ReadMap> {
    const { mapPrefix } = this.#codec.keys;
    const { entries } = await this.#metadata.list(mapPrefix);
    const records: (PartitionRecord | null)[] = [];
    const revisions: number[] = [];
    const open: { record: OpenRecord; revision: number }[] = [];
    for (const entry of entries) {
      const partitionId = Number(entry.key.slice(mapPrefix.length));
      const record = this.#decode(partitionId, entry);
      records[partitionId] = record;
      revisions[partitionId] = entry.revision;
      if (isOpen(record)) open.push({ record, revision: entry.revision });
    }
    return { records, revisions, open };
  }

  #decode(partitionId: number, entry: MetadataEntry): PartitionRecord | null {
    const known = this.#decoded.get(entry.key);
    if (known?.revision === entry.revision) return known.record;
    let record: PartitionRecord | null = null;
    try {
      record = this.#codec.decodePartition(partitionId, entry.value);
    } catch (error) {
      this.#logger.error(
        { partitionId, error: error instanceof Error ? error.message : String(error) },
        'a bad record: partition quarantined',
      );
    }
    this.#decoded.set(entry.key, { revision: entry.revision, record });
    return record;
  }
}
