import { type PartitionMap, SLOT_COUNT } from '../../../../src/model/partition-map.ts';
import type { Shard } from './shards.ts';
import type { ClusterTopology } from './topology.ts';

/** Owner of a partition none of whose slots has one. */
export const NOBODY = -1;

export interface PartitionOwners {
  /** i32[partition]: the shard that owns most of its slots. */
  readonly ownerOf: Int32Array;
  /** Partitions whose slots have several owners, such as those on the borders of a cluster that was cut without us. */
  readonly splitPartitions: ReadonlySet<number>;
}

/** Partitions are equal ranges of slots; Redis knows slots only. */
export function partitionOwners(
  topology: ClusterTopology,
  shards: readonly Shard[],
  partitionCount: PartitionMap['partitionCount'],
): PartitionOwners {
  const shardOf = topology.masters.map(
    ({ nodeId }) => shards.find(({ masterId }) => masterId === nodeId)?.nodeId ?? NOBODY,
  );
  const width = SLOT_COUNT / partitionCount;
  const splitPartitions = new Set<number>();
  const ownerOf = Int32Array.from({ length: partitionCount }, (_, partition) => {
    const counts = new Map<number, number>();
    for (let slot = partition * width; slot < (partition + 1) * width; slot++) {
      const owner = shardOf[topology.ownerOf[slot] as number] ?? NOBODY;
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
    if (counts.size > 1) splitPartitions.add(partition);
    return [...counts].sort(([a, of], [b, to]) => to - of || a - b)[0]?.[0] ?? NOBODY;
  });
  return { ownerOf, splitPartitions };
}

/** The slots of a partition. */
export function slotRangeOf(
  partitionId: number,
  partitionCount: number,
): { readonly firstSlot: number; readonly lastSlot: number } {
  const width = SLOT_COUNT / partitionCount;
  return { firstSlot: partitionId * width, lastSlot: (partitionId + 1) * width - 1 };
}
