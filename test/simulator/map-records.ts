/** The records of the simulated cluster's map: the real codec, asked once for the same bytes. */
import { recordCodec } from '../../plugin/metadata/record-codec.ts';
import type { RecordCodec, StoreState } from '../../src/migration/records/records.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { RecordReader } from './storage-node.ts';

export const CLUSTER = 'sim';

/** A record that is written is decoded by the real codec once in so many times, else it is taken as it was. */
const DECODED_EVERY = 16;

/** Validating a record takes longer than the event that needs it, and ten processes read each. */
export function memoizingCodec(): RecordCodec {
  const codec = recordCodec(CLUSTER);
  const records = new WeakMap<Uint8Array, PartitionRecord>();
  const states = new WeakMap<Uint8Array, StoreState>();
  let encodedCount = 0;
  return {
    ...codec,
    encodePartition(record) {
      const bytes = codec.encodePartition(record);
      if (++encodedCount % DECODED_EVERY !== 0) records.set(bytes, record);
      return bytes;
    },
    decodePartition: (partitionId, bytes) =>
      onceFor(records, bytes, () => codec.decodePartition(partitionId, bytes)),
    decodeStoreState: (bytes) => onceFor(states, bytes, () => codec.decodeStoreState(bytes)),
  };
}

function onceFor<T>(known: WeakMap<Uint8Array, T>, bytes: Uint8Array, decode: () => T): T {
  let value = known.get(bytes);
  if (value === undefined) {
    value = decode();
    known.set(bytes, value);
  }
  return value;
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

/** A write to the metadata store, for people. */
export function describeChange(codec: RecordCodec, key: string, value: Uint8Array | null): string {
  const { mapPrefix, cluster } = codec.keys;
  const name = key.slice(cluster.length - 'cluster'.length);
  if (value === null) return `${name} deleted`;
  if (!key.startsWith(mapPrefix)) return `${name} ${Buffer.from(value).toString()}`;
  const { ownerNodeId, epoch, migration } = codec.decodePartition(partitionOfKey(codec, key), value);
  const owner = `${name} node ${ownerNodeId} at epoch ${epoch}`;
  if (migration === null) return owner;
  const { migrationId, kind, phase, sourceNodeId, targetNodeId, readWeight, reason } = migration;
  return `${owner}, ${kind ?? 'move'} ${migrationId} ${sourceNodeId} -> ${targetNodeId} ${phase} ${readWeight}: ${reason}`;
}
