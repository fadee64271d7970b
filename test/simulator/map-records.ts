/** The records of the simulated cluster's map: the real codec, asked once for the same bytes. */
import { recordCodec } from '../../plugin/metadata/cluster-map.ts';
import type { RecordCodec } from '../../src/migration/records.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { RecordReader } from './storage-node.ts';

export const CLUSTER = 'sim';

/** Validating a record takes longer than the event that needs it, and ten processes read each. */
export function memoizingCodec(): RecordCodec {
  const codec = recordCodec(CLUSTER);
  const decoded = new WeakMap<Uint8Array, PartitionRecord>();
  return {
    ...codec,
    decodePartition(partitionId, bytes) {
      let record = decoded.get(bytes);
      if (!record) {
        record = codec.decodePartition(partitionId, bytes);
        decoded.set(bytes, record);
      }
      return record;
    },
  };
}

export const partitionOfKey = (codec: RecordCodec, key: string): number =>
  Number(key.slice(codec.keys.mapPrefix.length));

export function recordReader(store: MetadataStore, codec: RecordCodec): RecordReader {
  return {
    async readPartition(partitionId) {
      const entry = await store.get(codec.keys.map(partitionId));
      return entry && codec.decodePartition(partitionId, entry.value);
    },
    async readAll() {
      const { entries } = await store.list(codec.keys.mapPrefix);
      return entries.map(({ key, value }) => codec.decodePartition(partitionOfKey(codec, key), value));
    },
  };
}
