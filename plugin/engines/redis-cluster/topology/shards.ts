import { decodeRecord, encodeRecord } from '../../../host/records/json-record.ts';
import type { ClusterTopology, MasterNode } from './topology.ts';

/**
 * A master with its replicas: what the planner calls a node. Its number stays the same when a replica takes over, since
 * forecasts and plans speak of places for load, not of processes.
 */
export interface Shard {
  readonly nodeId: number;
  /** The master now. */
  readonly masterId: string;
  /** Every server that has been part of it, the latest last. */
  readonly memberIds: readonly string[];
}

/** Who has been part of a shard is forgotten after so many others. */
const MEMBERS_MAX = 64;

/**
 * Numbers the masters: by the shard that they lead already, then by that which they belonged to, else anew, in the order of their first
 * slot. A replica that serves another master now, as Redis lets spare ones do (replica migration), belongs to its shard alone.
 */
export function numberShards(known: readonly Shard[], topology: ClusterTopology): readonly Shard[] {
  const shards = new Map(known.map((shard) => [shard.nodeId, shard]));
  const taken = new Set<number>();
  const firstSlot = (master: MasterNode): number => {
    const index = topology.masters.indexOf(master);
    const slot = topology.ownerOf.indexOf(index);
    return slot === -1 ? Number.POSITIVE_INFINITY : slot;
  };
  const masters = [...topology.masters].sort((a, b) => firstSlot(a) - firstSlot(b));
  const masterOf = new Map(
    masters.flatMap(({ nodeId, replicaIds }) => [nodeId, ...replicaIds].map((id) => [id, nodeId] as const)),
  );
  const isStillOf = (master: MasterNode, id: string): boolean =>
    (masterOf.get(id) ?? master.nodeId) === master.nodeId;
  const leads = (shard: Shard, master: MasterNode): boolean => shard.masterId === master.nodeId;
  const lists = (shard: Shard, master: MasterNode): boolean => shard.memberIds.includes(master.nodeId);
  let newcomers = masters;
  for (const isOf of [leads, lists])
    newcomers = newcomers.filter((master) => {
      const former = known.find((shard) => isOf(shard, master) && !taken.has(shard.nodeId));
      if (former === undefined) return true;
      taken.add(former.nodeId);
      const memberIds = former.memberIds.filter((id) => isStillOf(master, id));
      shards.set(former.nodeId, withMembers(former.nodeId, master, memberIds));
      return false;
    });
  let next = Math.max(-1, ...known.map(({ nodeId }) => nodeId)) + 1;
  for (const master of newcomers) shards.set(next, withMembers(next++, master, []));
  return [...shards.values()].sort((a, b) => a.nodeId - b.nodeId);
}

function withMembers(nodeId: number, master: MasterNode, former: readonly string[]): Shard {
  const now = [...master.replicaIds, master.nodeId];
  const memberIds = [...former.filter((id) => !now.includes(id)), ...now].slice(-MEMBERS_MAX);
  return { nodeId, masterId: master.nodeId, memberIds };
}

interface ShardsRecord {
  readonly v: 1;
  readonly shards: readonly Shard[];
}

export const encodeShards = (shards: readonly Shard[]): Uint8Array =>
  encodeRecord({ v: 1, shards } satisfies ShardsRecord);

/** @throws ForeshardError FORESHARD_CORRUPT. */
export const decodeShards = (key: string, bytes: Uint8Array): readonly Shard[] =>
  decodeRecord(key, bytes, (record: ShardsRecord) => record.v === 1 && Array.isArray(record.shards)).shards;
