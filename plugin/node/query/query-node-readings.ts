import { LATENCY_BUCKET_COUNT, latencyBucketEdgeMs } from '../../../src/migration/reads/read-latency.ts';
import { type Buckets, type Reading, reading } from '../../metrics/reading.ts';
import type { NodeLatencyMeter } from './node-latency.ts';
import type { QueryCounters } from './query-counters.ts';

/** Of the meters' buckets, four to a doubling, so many are one here. */
const BUCKETS_IN_ONE = 4;

export interface QueryNodeFacts {
  readonly counters: QueryCounters;
  readonly corruptFrames: number;
  readonly strangersRefused: number;
  readonly storageNodes: { readonly known: number; readonly connected: number };
  readonly partitionsHeld: number;
  readonly latencies: readonly NodeLatencyMeter[];
}

/** What the main thread of a query node tells. */
export function queryNodeReadings({ counters, storageNodes, latencies, ...node }: QueryNodeFacts): Reading[] {
  return [
    reading('foreshard_client_connections', counters.connectedClients),
    reading('foreshard_client_connections_received_total', counters.connectionsReceived),
    reading('foreshard_client_connections_refused_total', counters.connectionsRefused),
    reading('foreshard_commands_total', counters.commands),
    reading('foreshard_error_replies_total', counters.errors),
    ...refusals({
      protocol: counters.protocolErrors,
      authentication: counters.authenticationFailures,
      permission: counters.permissionRefusals,
      oversized: counters.oversizedRequests,
      stranger: node.strangersRefused,
    }),
    reading('foreshard_query_duration_seconds', durations(latencies, 'reads'), { kind: 'read' }),
    reading('foreshard_query_duration_seconds', durations(latencies, 'writes'), { kind: 'write' }),
    reading('foreshard_redirects_total', counters.redirects),
    reading('foreshard_queries_held_total', counters.held),
    reading('foreshard_queries_unavailable_total', counters.unavailable),
    reading('foreshard_unknown_outcomes_total', counters.unknownOutcomes),
    reading('foreshard_copy_reads_total', counters.copyReads),
    reading('foreshard_copy_reads_refused_total', counters.copyReadsBehind, { reason: 'behind' }),
    reading('foreshard_copy_reads_refused_total', counters.copyReadsLate, { reason: 'late' }),
    reading('foreshard_shadow_reads_total', counters.shadowReads),
    reading('foreshard_shadow_reads_unequal_total', counters.shadowReadsUnequal),
    reading('foreshard_corrupt_frames_total', node.corruptFrames),
    reading('foreshard_map_refreshes_total', counters.mapRefreshes),
    reading('foreshard_storage_nodes', storageNodes.known, { state: 'known' }),
    reading('foreshard_storage_nodes', storageNodes.connected, { state: 'connected' }),
    reading('foreshard_partitions_held', node.partitionsHeld),
  ];
}

const refusals = (counts: Readonly<Record<string, number>>): Reading[] =>
  Object.entries(counts).map(([reason, count]) => reading('foreshard_refusals_total', count, { reason }));

/** Of all storage nodes together: one histogram a node would be a thousand lines a node. */
function durations(latencies: readonly NodeLatencyMeter[], kind: 'reads' | 'writes'): Buckets {
  const counts = new Array<number>(LATENCY_BUCKET_COUNT / BUCKETS_IN_ONE).fill(0);
  for (const meter of latencies)
    meter[kind].forEach((count, bucket) => {
      counts[Math.floor(bucket / BUCKETS_IN_ONE)] += count;
    });
  const edges = counts
    .slice(1)
    .map((_, index) => latencyBucketEdgeMs((index + 1) * BUCKETS_IN_ONE - 1) / 1000);
  return { edges, counts, sum: null };
}
