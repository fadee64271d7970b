/** What clients feel of a storage node, by the query nodes' counts: a pure judgement of whether copies hurt them. */
import type { NodeId } from '../../model/ids.ts';
import { latencyQuantileMs, latencyTotal } from '../reads/read-latency.ts';
import type { ThrottleSettings } from './throttle-settings.ts';

/** Latencies in the buckets of read-latency.ts, over all query nodes. */
export interface LatencyCounts {
  readonly reads: readonly number[];
  readonly writes: readonly number[];
}

/** Of one storage node. */
export interface NodeLatency {
  /** Since the query nodes began to count; only grow, unless one starts anew. */
  readonly total: LatencyCounts;
  /** Of the last minutes without a migration at the node: fade slowly. */
  readonly calm: LatencyCounts;
  /** Queries a second over the same time. */
  readonly calmPerSecond: number;
}

/** Who tells the coordinator what clients feel; the edge implements it from what query nodes publish. */
export interface ClientWatch {
  /** Null where no query node has told anything. Never throws. */
  latencyOf(nodeId: NodeId): Promise<NodeLatency | null>;
}

/** Fewer say nothing of a 99th percentile. */
export const LATENCIES_MIN = 100;

/** @returns what hurts, in a few words; null for nothing, or for too little to say. */
export function latencyDistress(
  node: string,
  now: LatencyCounts,
  calm: LatencyCounts,
  settings: Pick<ThrottleSettings, 'latencyRatioMax' | 'latencyMsMin'>,
): string | null {
  for (const kind of ['reads', 'writes'] as const) {
    if (latencyTotal(now[kind]) < LATENCIES_MIN || latencyTotal(calm[kind]) < LATENCIES_MIN) continue;
    const [nowMs, calmMs] = [latencyQuantileMs(now[kind], 0.99), latencyQuantileMs(calm[kind], 0.99)];
    if (nowMs > settings.latencyMsMin && nowMs > calmMs * settings.latencyRatioMax)
      return `p99 of ${kind} at the ${node} is ${nowMs.toFixed(1)} ms, ${calmMs.toFixed(1)} ms without migrations`;
  }
  return null;
}

/** What is new since `before`; null where a count has shrunk: somebody counts anew. */
export function countsSince(now: readonly number[], before: readonly number[]): readonly number[] | null {
  const since = now.map((count, i) => count - (before[i] ?? 0));
  return before.length > now.length || since.some((count) => count < 0) ? null : since;
}
