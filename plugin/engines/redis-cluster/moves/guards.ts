import type { Shard } from '../topology/shards.ts';
import type { ClusterTopology } from '../topology/topology.ts';
import type { SlotMoveRecord } from './move-record.ts';

/** What INFO, CLIENT LIST and the like have told of the two sides of a move. */
export interface SidesState {
  readonly sizeBytes: number;
  /** 0: no limit. */
  readonly targetMemoryMax: number;
  readonly targetMemoryUsed: number;
  readonly targetReplicaCount: number;
  /** Connections in READONLY mode at replicas of either side. */
  readonly replicaReaderCount: number;
  /** Whether replicas answer nil for moved keys, as those of Redis 7.0 do (redis#11312); Valkey 8 redirects. */
  readonly isReplicaBlindToAsk: boolean;
}

/** What arrives takes more memory than where it was: other allocations, buffers of its replicas. */
const MEMORY_RESERVE_FACTOR = 1.3;

/** Why nothing at all may be moved now; null when it may. */
export function clusterRefusal(
  topology: ClusterTopology,
  records: readonly SlotMoveRecord[],
  shards: readonly Shard[],
): string | null {
  const [trouble] = topology.troubles;
  if (trouble !== undefined) return trouble;
  const ours = records.map((record) => withShardMembers(record, shards));
  const contested = topology.contestedSlots.find((slot) => !ours.some((record) => isWithin(record, slot)));
  if (contested !== undefined) return `slot ${contested} is claimed by two masters`;
  const foreign = topology.openSlots.find((open) => !ours.some((record) => isNamedBy(record, open)));
  if (foreign === undefined) return null;
  return (
    `slot ${foreign.slot} is ${foreign.kind} at node ${foreign.nodeId}, and no move of ours says so: ` +
    'wait until whoever opened it is done, or close it with redis-cli --cluster fix'
  );
}

/**
 * Every server of a shard stands for each other one: Valkey 8 names the replica that has taken over in what is open, at both sides
 * (valkey#445), before the record of the move can. A member that leads another shard by now does not; what the record itself names always does.
 */
export function withShardMembers(record: SlotMoveRecord, shards: readonly Shard[]): SlotMoveRecord {
  const membersWith = (id: string): readonly string[] => {
    const shard =
      shards.find(({ masterId }) => masterId === id) ??
      shards.find(({ memberIds }) => memberIds.includes(id));
    const isElsewhere = (member: string): boolean =>
      shards.some((other) => other !== shard && other.masterId === member);
    return [id, ...(shard?.memberIds ?? []).filter((member) => !isElsewhere(member))];
  };
  const withMembers = (ids: readonly string[]): readonly string[] => [...new Set(ids.flatMap(membersWith))];
  return { ...record, sourceIds: withMembers(record.sourceIds), targetIds: withMembers(record.targetIds) };
}

const isWithin = ({ firstSlot, lastSlot }: SlotMoveRecord, slot: number): boolean =>
  firstSlot <= slot && slot <= lastSlot;

export function isNamedBy(
  record: SlotMoveRecord,
  { slot, kind, nodeId, peerId }: ClusterTopology['openSlots'][number],
): boolean {
  if (!isWithin(record, slot)) return false;
  const { sourceIds, targetIds } = record;
  const [from, to] = kind === 'migrating' ? [nodeId, peerId] : [peerId, nodeId];
  return sourceIds.includes(from) && targetIds.includes(to);
}

/** Why this move may not begin; null when it may. What is open already is gone on with. */
export function moveRefusal(
  sides: SidesState,
  { replicasMin, replicaReads }: { readonly replicasMin: number; readonly replicaReads: 'refuse' | 'warn' },
): string | null {
  const { targetMemoryMax, targetMemoryUsed, sizeBytes } = sides;
  const needed = sizeBytes * MEMORY_RESERVE_FACTOR;
  if (targetMemoryMax > 0 && targetMemoryUsed + needed > targetMemoryMax)
    return `the target has ${targetMemoryMax - targetMemoryUsed} bytes of maxmemory left, ${Math.ceil(needed)} are needed`;
  if (sides.targetReplicaCount < replicasMin)
    return `the target has ${sides.targetReplicaCount} replicas, redis.slotMove.replicasMin is ${replicasMin}`;
  if (replicaReads === 'refuse' && hasBlindReaders(sides))
    return (
      `${sides.replicaReaderCount} clients read from replicas, which this server lets see moved keys as missing ` +
      '(redis#11312): let them read from masters, or set redis.replicaReads to "warn"'
    );
  return null;
}

export const hasBlindReaders = ({ replicaReaderCount, isReplicaBlindToAsk }: SidesState): boolean =>
  isReplicaBlindToAsk && replicaReaderCount > 0;
