import type { PluginMode } from '../../../../src/controller.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { decodeRecord, encodeRecord } from '../../../host/records/json-record.ts';
import { orNothing } from '../../../metadata/json-values.ts';
import { NO_THIRD_MASTER, UNPROTECTED } from '../claims/settle-claims.ts';
import { clusterSeenKey } from '../moves/move-record.ts';
import type { NodeRates } from '../server/node-info.ts';
import type { Shard } from '../topology/shards.ts';
import type { ClusterTopology } from '../topology/topology.ts';
import type { WatchedMaster } from './master-watch.ts';
import type { SlotStatsSupport } from './slot-stats.ts';

export interface SeenMaster {
  /** Of its shard; null before it has been numbered. */
  readonly nodeId: number | null;
  readonly address: string;
  readonly slotCount: number;
  readonly replicaCount: number;
  /** All of it null where it does not answer. */
  readonly rates: NodeRates | null;
  readonly memoryUsed: number | null;
  /** 0: no limit. */
  readonly memoryMax: number | null;
  readonly keyCount: number | null;
}

/** `redis/seen` in the metadata store: the cluster as the leading agent has just seen it, for people to look at. */
export interface ClusterSeen {
  readonly v: 1;
  readonly atMs: number;
  readonly agent: string;
  readonly mode: PluginMode;
  /** After so long without another look, the agent is in trouble. */
  readonly intervalMs: number;
  readonly masters: readonly SeenMaster[];
  /** Why nothing may be moved now. */
  readonly troubles: readonly string[];
  /** What may go wrong with moves all the same; of agents of earlier versions undefined. */
  readonly warnings?: readonly string[];
  readonly slotStats: SlotStatsSupport | 'unused';
  readonly clients: {
    readonly processCount: number;
    readonly queriesPerSecond: number;
    readonly p99Us: number | null;
  };
}

/** A move between two masters of which there are no others cannot be made safe from what they doubt. */
export function seenWarnings(
  { masters }: Pick<ClusterTopology, 'masters'>,
  watched: ReadonlyMap<string, WatchedMaster>,
): readonly string[] {
  const isDoubtful = masters.some(({ nodeId }) => watched.get(nodeId)?.counters.isDoubter === true);
  return masters.length === 2 && isDoubtful ? [`${UNPROTECTED}: ${NO_THIRD_MASTER}`] : [];
}

export function seenMasters(
  { masters }: ClusterTopology,
  watched: ReadonlyMap<string, WatchedMaster>,
  shards: readonly Shard[],
): readonly SeenMaster[] {
  return masters.map(({ nodeId, host, port, slotCount, replicaIds }): SeenMaster => {
    const found = watched.get(nodeId);
    return {
      nodeId: shards.find(({ masterId }) => masterId === nodeId)?.nodeId ?? null,
      address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
      slotCount,
      replicaCount: replicaIds.length,
      rates: found?.rates ?? null,
      memoryUsed: found?.counters.memoryUsed ?? null,
      memoryMax: found?.counters.memoryMax ?? null,
      keyCount: found?.counters.keyCount ?? null,
    };
  });
}

export const encodeClusterSeen = (seen: ClusterSeen): Uint8Array => encodeRecord(seen);

/** @returns null before an agent has looked, or where one of another version did. */
export async function readClusterSeen(
  metadata: Pick<MetadataStore, 'get'>,
  clusterName: string,
): Promise<ClusterSeen | null> {
  const key = clusterSeenKey(clusterName);
  const entry = await metadata.get(key);
  if (entry === undefined) return null;
  const isKnown = (record: ClusterSeen): boolean => record.v === 1 && Array.isArray(record.masters);
  return orNothing(() => decodeRecord(key, entry.value, isKnown))[0] ?? null;
}
