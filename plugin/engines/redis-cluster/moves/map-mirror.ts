import type { ClusterKeys } from '../../../../src/migration/records/records.ts';
import { asEpoch, asNodeId } from '../../../../src/model/ids.ts';
import type {
  MetadataCondition,
  MetadataStore,
  MetadataWrite,
} from '../../../../src/ports/metadata-store.ts';
import { ClusterMapReader } from '../../../metadata/cluster-map.ts';
import { bootstrapCluster } from '../../../metadata/form-cluster.ts';
import { recordCodec } from '../../../metadata/record-codec.ts';
import { NOBODY, partitionOwners } from '../topology/partition-owners.ts';
import { decodeShards, encodeShards, numberShards, type Shard } from '../topology/shards.ts';
import type { ClusterTopology } from '../topology/topology.ts';
import { shardsKey } from './move-record.ts';

/** A condition and a write each: stays below the operations of a transaction. */
const BATCH = 60;

/**
 * Redis decides who owns a slot; the map in the metadata store is its mirror, for all that reads maps: the command line,
 * captured clients, the memory of plans. It may be late, never first.
 */
export class MapMirror {
  readonly #metadata: MetadataStore;
  readonly #clusterName: string;
  readonly #partitionCount: number;
  readonly #reader: ClusterMapReader;

  constructor(
    metadata: MetadataStore,
    options: { readonly clusterName: string; readonly partitionCount: number },
  ) {
    this.#metadata = metadata;
    this.#clusterName = options.clusterName;
    this.#partitionCount = options.partitionCount;
    this.#reader = new ClusterMapReader(metadata, options.clusterName);
  }

  /** The shards as last numbered. */
  async shards(): Promise<readonly Shard[]> {
    const key = shardsKey(this.#clusterName);
    const entry = await this.#metadata.get(key);
    return entry === undefined ? [] : decodeShards(key, entry.value);
  }

  /** Numbers new masters and writes down changed owners. Only for the leader, whose fence it carries. */
  async update(
    topology: ClusterTopology,
    { fence, nowMs }: { readonly fence: MetadataCondition; readonly nowMs: number },
  ): Promise<readonly Shard[]> {
    const key = shardsKey(this.#clusterName);
    const entry = await this.#metadata.get(key);
    const known = entry === undefined ? [] : decodeShards(key, entry.value);
    const shards = numberShards(known, topology);
    if (JSON.stringify(shards) !== JSON.stringify(known))
      await this.#metadata.commit({
        conditions: [fence, { key, revisionIs: entry?.revision ?? 0 }],
        writes: [{ kind: 'put', key, value: encodeShards(shards) }],
      });
    await bootstrapCluster(this.#metadata, this.#clusterName, {
      partitionCount: this.#partitionCount,
      nodes: shards.map(({ nodeId, memberIds }) => ({ nodeId, storeId: memberIds[0] as string })),
    });
    await this.#writeOwners(partitionOwners(topology, shards, this.#partitionCount).ownerOf, {
      shards,
      fence,
      nowMs,
    });
    return shards;
  }

  async #writeOwners(
    ownerOf: Int32Array,
    {
      shards,
      fence,
      nowMs,
    }: { readonly shards: readonly Shard[]; readonly fence: MetadataCondition; readonly nowMs: number },
  ): Promise<void> {
    const codec = recordCodec(this.#clusterName);
    const { records, revisions } = await this.#reader.load();
    const changes: { condition: MetadataCondition; write: MetadataWrite }[] = [];
    for (const record of records) {
      if (record === null) continue;
      const { partitionId } = record;
      const owner = ownerOf[partitionId] as number;
      if (owner === NOBODY || owner === record.ownerNodeId) continue;
      const key: ReturnType<ClusterKeys['map']> = codec.keys.map(partitionId);
      changes.push({
        condition: { key, revisionIs: revisions[partitionId] as number },
        write: {
          kind: 'put',
          key,
          value: codec.encodePartition({
            ...record,
            ownerNodeId: asNodeId(owner),
            ownerStoreId: shards.find(({ nodeId }) => nodeId === owner)?.memberIds[0] ?? record.ownerStoreId,
            epoch: asEpoch(record.epoch + 1),
            // The first map is contiguous, and Redis's own may be another: that is no move.
            ownedSinceMs: record.epoch === 1 && record.ownedSinceMs === 0 ? 0 : nowMs,
          }),
        },
      });
    }
    for (let at = 0; at < changes.length; at += BATCH) {
      const batch = changes.slice(at, at + BATCH);
      await this.#metadata.commit({
        conditions: [fence, ...batch.map(({ condition }) => condition)],
        writes: batch.map(({ write }) => write),
      });
    }
  }
}
