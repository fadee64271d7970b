/** Reading the map. A record that fails validation quarantines its partition, never the process that read it. */
import { ForeshardError } from '../../src/base/errors.ts';
import type { RecordCodec, StoreState } from '../../src/migration/records/records.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { PartitionMap } from '../../src/model/partition-map.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { decodePartitionCount } from './form-cluster.ts';
import { recordCodec } from './record-codec.ts';

/** Owner of a partition whose record cannot be read. */
export const NO_OWNER = -1;

export interface LoadedMap {
  readonly map: PartitionMap;
  /** [partition]; null where the record is missing or not valid: its owner in `map` is NO_OWNER, its epoch 0. */
  readonly records: readonly (PartitionRecord | null)[];
  /** [partition], metadata revision of the record; 0 where it is missing. */
  readonly revisions: readonly number[];
  readonly quarantined: readonly { readonly partitionId: number; readonly why: string }[];
  /** Store revision at which all of this was read. */
  readonly revision: number;
}

interface CachedRecord {
  readonly revision: number;
  readonly record: PartitionRecord | null;
  readonly why: string;
}

/** Reads the map, linearizably; remembers decoded records by their revision, since most do not change between reads. */
export class ClusterMapReader {
  readonly #store: MetadataStore;
  readonly #codec: RecordCodec;
  readonly #cached = new Map<string, CachedRecord>();
  #partitionCount = 0;

  constructor(store: MetadataStore, clusterName: string) {
    this.#store = store;
    this.#codec = recordCodec(clusterName);
  }

  /** @throws ForeshardError FORESHARD_NOT_READY until the cluster has been formed. */
  async load(): Promise<LoadedMap> {
    const partitionCount = await this.#loadPartitionCount();
    const { entries, revision } = await this.#store.list(this.#codec.keys.mapPrefix);
    const found = new Map(entries.map((entry) => [entry.key, entry]));
    const map = {
      partitionCount,
      ownerOf: new Int32Array(partitionCount).fill(NO_OWNER),
      epochOf: new Uint32Array(partitionCount),
    };
    const records: (PartitionRecord | null)[] = [];
    const revisions: number[] = [];
    const quarantined: { partitionId: number; why: string }[] = [];
    for (let p = 0; p < partitionCount; p++) {
      const key = this.#codec.keys.map(p);
      const entry = found.get(key);
      const { record, why } = entry
        ? this.#decode(p, key, entry.revision, entry.value)
        : { record: null, why: 'the record is missing' };
      records.push(record);
      revisions.push(entry?.revision ?? 0);
      if (record) {
        map.ownerOf[p] = record.ownerNodeId;
        map.epochOf[p] = record.epoch;
      } else quarantined.push({ partitionId: p, why });
    }
    return { map, records, revisions, quarantined, revision };
  }

  /** One record, linearizably. @throws ForeshardError FORESHARD_CORRUPT when it does not validate. */
  async readPartition(partitionId: number): Promise<PartitionRecord | undefined> {
    const key = this.#codec.keys.map(partitionId);
    const entry = await this.#store.get(key);
    if (!entry) return undefined;
    const { record, why } = this.#decode(partitionId, key, entry.revision, entry.value);
    if (record === null) throw new ForeshardError('FORESHARD_CORRUPT', 'report', why);
    return record;
  }

  #decode(partitionId: number, key: string, revision: number, bytes: Uint8Array): CachedRecord {
    const cached = this.#cached.get(key);
    if (cached?.revision === revision) return cached;
    let fresh: CachedRecord;
    try {
      fresh = { revision, record: this.#codec.decodePartition(partitionId, bytes), why: '' };
    } catch (error) {
      if (!(error instanceof ForeshardError)) throw error;
      fresh = { revision, record: null, why: error.message };
    }
    this.#cached.set(key, fresh);
    return fresh;
  }

  async #loadPartitionCount(): Promise<number> {
    if (this.#partitionCount === 0)
      // never changes once formed
      this.#partitionCount = await readPartitionCount(this.#store, this.#codec.keys.cluster);
    return this.#partitionCount;
  }
}

/** @param key of the cluster's record. @throws ForeshardError FORESHARD_NOT_READY until the cluster has been formed. */
export async function readPartitionCount(store: Pick<MetadataStore, 'get'>, key: string): Promise<number> {
  const entry = await store.get(key);
  if (entry) return decodePartitionCount(entry.value);
  throw new ForeshardError(
    'FORESHARD_NOT_READY',
    'wait',
    'the cluster has not been formed yet: `foreshard status` says for whom it waits',
  );
}

/** Reads the map once. */
export const loadMap = (store: MetadataStore, clusterName: string): Promise<LoadedMap> =>
  new ClusterMapReader(store, clusterName).load();

/** @returns undefined for a store that was never registered. */
export async function readStoreState(
  store: MetadataStore,
  clusterName: string,
  storeIdentity: string,
): Promise<StoreState | undefined> {
  const codec = recordCodec(clusterName);
  const entry = await store.get(codec.keys.store(storeIdentity));
  return entry && codec.decodeStoreState(entry.value);
}
