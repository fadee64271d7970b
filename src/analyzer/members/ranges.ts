import type { PartitionRange } from './member.ts';

/**
 * Partitions predicted or fitted at a time: what the members' scratch memory grows with. A multiple of every tile.
 */
export const CHUNK_PARTITIONS = 128;

/** Kernels that work on several series at once take them by eights. */
export const TILE_PARTITIONS = 8;

/** All partitions in so many ranges of nearly the same size, cut at multiples of a tile. */
export function rangesOf(partitionCount: number, rangeCount: number): PartitionRange[] {
  const tiles = Math.ceil(partitionCount / TILE_PARTITIONS);
  const cut = (index: number): number =>
    Math.min(partitionCount, Math.floor((index * tiles) / rangeCount) * TILE_PARTITIONS);
  return Array.from({ length: rangeCount }, (_, index) => ({
    first: cut(index),
    count: cut(index + 1) - cut(index),
  }));
}
