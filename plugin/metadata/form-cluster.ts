import { z } from 'zod';
import { ForeshardError } from '../../src/base/errors.ts';
import type { RecordCodec } from '../../src/migration/records/records.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../src/model/ids.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import { assertPartitionCount, contiguousMap } from '../../src/model/partition-map.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { decodeJson, encodeJson } from './json-values.ts';
import { recordCodec } from './record-codec.ts';

/** A condition and a write each: stays below the 128 operations of a transaction. */
const BOOTSTRAP_BATCH = 60;

const cluster = z.object({ v: z.literal(1), partitionCount: z.number().int().nonnegative() });

/** @throws ForeshardError FORESHARD_CORRUPT. */
export function decodePartitionCount(bytes: Uint8Array): number {
  const { partitionCount } = decodeJson(cluster, 'cluster record', bytes);
  assertPartitionCount(partitionCount);
  return partitionCount;
}

/**
 * Forms a cluster: contiguous runs of partitions, as Redis Cluster begins. May be run by several processes at once and
 * again after a crash; a cluster that exists is left alone.
 *
 * @param nodes every storage node with the id of its store; nodeIds dense from 0.
 * @throws ForeshardError FORESHARD_CONFIG when the cluster exists with another partition count.
 */
export async function bootstrapCluster(
  store: MetadataStore,
  clusterName: string,
  options: { partitionCount: number; nodes: readonly { nodeId: number; storeId: string }[] },
): Promise<void> {
  const { partitionCount } = options;
  assertPartitionCount(partitionCount);
  const codec = recordCodec(clusterName);
  const existing = await store.get(codec.keys.cluster);
  if (existing) return assertSamePartitionCount(existing.value, partitionCount);

  const nodes = [...options.nodes].sort((a, b) => a.nodeId - b.nodeId);
  if (nodes.length === 0 || nodes.some((node, index) => node.nodeId !== index))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      'storage nodes must be numbered from 0 without gaps',
    );
  const first = contiguousMap(partitionCount, nodes.length);
  for (let missing = await missingPartitions(store, codec, partitionCount); missing.length > 0; ) {
    const batch = missing.slice(0, BOOTSTRAP_BATCH);
    // Whoever loses a race for a key finds it present in the next round.
    await store.commit({
      conditions: batch.map((p) => ({ key: codec.keys.map(p), revisionIs: 0 })),
      writes: batch.map((p) => {
        const owner = first.ownerOf[p] as number;
        const record: PartitionRecord = {
          partitionId: asPartitionId(p),
          ownerNodeId: asNodeId(owner),
          ownerStoreId: (nodes[owner] as { storeId: string }).storeId,
          epoch: asEpoch(1),
          ownedSinceMs: 0,
          migrationSeq: 0,
          migration: null,
        };
        return { kind: 'put', key: codec.keys.map(p), value: codec.encodePartition(record) };
      }),
    });
    missing = await missingPartitions(store, codec, partitionCount);
  }
  await store.commit({
    conditions: [{ key: codec.keys.cluster, revisionIs: 0 }],
    writes: [
      { kind: 'put', key: codec.keys.cluster, value: encodeJson({ v: 1, partitionCount }) },
      ...nodes.map((node) => ({
        kind: 'put' as const,
        key: codec.keys.store(node.storeId),
        value: encodeJson({ state: 'active' }),
      })),
    ],
  });
}

async function missingPartitions(
  store: MetadataStore,
  codec: RecordCodec,
  partitionCount: number,
): Promise<number[]> {
  const { entries } = await store.list(codec.keys.mapPrefix);
  const present = new Set(entries.map((entry) => entry.key));
  return Array.from({ length: partitionCount }, (_, p) => p).filter((p) => !present.has(codec.keys.map(p)));
}

/**
 * @throws ForeshardError FORESHARD_CONFIG when the cluster exists with another partition count, FORESHARD_UNAVAILABLE of the store.
 */
export async function assertFormedWith(
  store: Pick<MetadataStore, 'get'>,
  clusterName: string,
  partitionCount: number,
): Promise<void> {
  const existing = await store.get(recordCodec(clusterName).keys.cluster);
  if (existing) assertSamePartitionCount(existing.value, partitionCount);
}

function assertSamePartitionCount(bytes: Uint8Array, partitionCount: number): void {
  const found = decodePartitionCount(bytes);
  if (found !== partitionCount)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `cluster.partitionCount: the cluster was formed with ${found} partitions, the settings say ${partitionCount}: set it to ${found}`,
    );
}
