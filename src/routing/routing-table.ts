import type { NodeId } from '../model/ids.ts';
import type { PartitionRecord } from '../model/migration.ts';
import { slotShift } from '../model/partition-map.ts';

/** No node: nobody is known to own the partition, or no copy takes reads. */
export const NO_NODE = -1;

/** The read path of every query: what one look into typed arrays must tell. Immutable; a change makes a new table. */
export interface RoutingTable {
  readonly partitionCount: number;
  /** partition = slot >> slotShift. */
  readonly slotShift: number;
  /** i32[partition]; NO_NODE where the record is missing or invalid. */
  readonly ownerOf: Int32Array;
  /** u32[partition]; 0 where there is no record. */
  readonly epochOf: Uint32Array;
  /** i32[partition]: the copy that may answer reads; at weight 0 only mirrored ones. NO_NODE where there is none. */
  readonly readTargetOf: Int32Array;
  /** u32[partition]: the migration whose copy that is; 0 where there is none. */
  readonly readMigrationOf: Uint32Array;
  /** f32[partition], 0..1: share of reads for the copy. */
  readonly readWeightOf: Float32Array;
  /** u32[partition]: the epoch of the last takeover, 0 where there was none; f64[partition]: the lsn at which it cut. */
  readonly lineageEpochOf: Uint32Array;
  readonly lineageLsnOf: Float64Array;
  /** Storage nodes that a migration burdens: the answers of others show what is usual. */
  readonly busyNodes: ReadonlySet<NodeId>;
  /** With them those of a grace: what a move has brought is seen there. */
  readonly movedNodes: ReadonlySet<NodeId>;
}

// Before SHIFT the copy is not verified; from SWITCHED on it is the owner; after ABORT it is being dropped.
const PHASES_WITH_COPY_READS: ReadonlySet<string> = new Set(['SHIFT', 'FENCING', 'FENCED']);

/** @param records [partition]; null, or missing at the end, where a partition has no valid record. */
export function buildRoutingTable(
  records: readonly (PartitionRecord | null | undefined)[],
  partitionCount: number,
): RoutingTable {
  const busyNodes = new Set<NodeId>();
  const movedNodes = new Set<NodeId>();
  const table: RoutingTable = {
    partitionCount,
    busyNodes,
    movedNodes,
    slotShift: slotShift(partitionCount),
    ownerOf: new Int32Array(partitionCount).fill(NO_NODE),
    epochOf: new Uint32Array(partitionCount),
    readTargetOf: new Int32Array(partitionCount).fill(NO_NODE),
    readMigrationOf: new Uint32Array(partitionCount),
    readWeightOf: new Float32Array(partitionCount),
    lineageEpochOf: new Uint32Array(partitionCount),
    lineageLsnOf: new Float64Array(partitionCount),
  };
  for (let p = 0; p < partitionCount; p++) {
    const record = records[p];
    if (!record) continue;
    table.ownerOf[p] = record.ownerNodeId;
    table.epochOf[p] = record.epoch;
    const { migration, lineage } = record;
    table.lineageEpochOf[p] = lineage?.epoch ?? 0;
    table.lineageLsnOf[p] = lineage?.lsn ?? 0;
    // In GRACE the old owner follows the log, which is as good as nothing.
    if (migration !== null) movedNodes.add(migration.sourceNodeId).add(migration.targetNodeId);
    if (migration !== null && migration.phase !== 'GRACE')
      busyNodes.add(migration.sourceNodeId).add(migration.targetNodeId);
    if (migration === null || !PHASES_WITH_COPY_READS.has(migration.phase)) continue;
    table.readTargetOf[p] = migration.targetNodeId;
    table.readMigrationOf[p] = migration.migrationId;
    table.readWeightOf[p] = migration.readWeight;
  }
  return table;
}

/**
 * The table that takes over from `current`: epochs never go back, so a partition whose record is older than what is known
 * (a restored backup, a read that came late) or has become invalid keeps what it has.
 *
 * @returns the merged table, and the partitions whose owner or epoch changed.
 */
export function advanceRoutingTable(
  current: RoutingTable,
  next: RoutingTable,
): { readonly table: RoutingTable; readonly changed: readonly number[] } {
  const changed: number[] = [];
  for (let p = 0; p < next.partitionCount; p++) {
    if (next.epochOf[p] < current.epochOf[p]) {
      next.ownerOf[p] = current.ownerOf[p];
      next.epochOf[p] = current.epochOf[p];
      next.readTargetOf[p] = NO_NODE;
      next.readMigrationOf[p] = 0;
      next.readWeightOf[p] = 0;
      next.lineageEpochOf[p] = current.lineageEpochOf[p];
      next.lineageLsnOf[p] = current.lineageLsnOf[p];
    } else if (next.epochOf[p] !== current.epochOf[p] || next.ownerOf[p] !== current.ownerOf[p])
      changed.push(p);
  }
  return { table: next, changed };
}

/**
 * Whether a client's reads of a partition go to the copy: by a hash, so that one client does not flip-flop between two
 * nodes, and a larger weight only adds clients.
 */
export function isCopyReader(clientId: number, partitionId: number, readWeight: number): boolean {
  let hash = Math.imul(clientId, 0x9e3779b1) ^ Math.imul(partitionId + 1, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 4294967296 < readWeight;
}
