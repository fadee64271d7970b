import { assert } from '../base/assert.ts';
import { ForeshardError } from '../base/errors.ts';
import { asPartitionId, type PartitionId } from './ids.ts';

/** Hash slots of Redis Cluster: CRC16(key or its {tag}) mod 16384. */
export const SLOT_COUNT = 16384;
export const PARTITION_COUNT_MIN = 16;
export const PARTITION_COUNT_DEFAULT = 256;

/** Who owns what. Immutable: a change makes a new map. */
export interface PartitionMap {
  readonly partitionCount: number;
  /** i32[partition], the owning storage node. */
  readonly ownerOf: Int32Array;
  /** u32[partition], the epoch of that ownership. */
  readonly epochOf: Uint32Array;
}

/** @throws ForeshardError FORESHARD_CONFIG unless a power of two in 16..16384. */
export function assertPartitionCount(partitionCount: number): void {
  const isPowerOfTwo = Number.isInteger(partitionCount) && (partitionCount & (partitionCount - 1)) === 0;
  if (!isPowerOfTwo || partitionCount < PARTITION_COUNT_MIN || partitionCount > SLOT_COUNT)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `partitionCount must be a power of two in ${PARTITION_COUNT_MIN}..${SLOT_COUNT}, got ${partitionCount}`,
    );
}

/** Partitions are equal contiguous slot ranges, so the partition is the slot's leading bits. */
export function slotShift(partitionCount: number): number {
  assertPartitionCount(partitionCount);
  return 14 - Math.log2(partitionCount);
}

export function partitionOfSlot(slot: number, partitionCount: number): PartitionId {
  assert(slot >= 0 && slot < SLOT_COUNT, 'a slot is in 0..16383');
  return asPartitionId(slot >> slotShift(partitionCount));
}

/** The first map: contiguous runs of partitions, as `redis-cli --cluster create` deals out slots. Epochs start at 1. */
export function contiguousMap(partitionCount: number, nodeCount: number): PartitionMap {
  assertPartitionCount(partitionCount);
  assert(nodeCount >= 1, 'a map needs a node');
  const ownerOf = new Int32Array(partitionCount);
  for (let p = 0; p < partitionCount; p++) ownerOf[p] = Math.floor((p * nodeCount) / partitionCount);
  return { partitionCount, ownerOf, epochOf: new Uint32Array(partitionCount).fill(1) };
}
