import type { QueryCounters } from './query-counters.ts';
import { REDIS_VERSION } from './replies.ts';
import type { Router } from './router.ts';

export interface NodeDescription {
  readonly counters: QueryCounters;
  readonly corruptFrames: number;
  readonly uptimeMs: number;
  readonly port: number;
  readonly router: Router;
  /** Strangers that were refused, or cut off because they did not authenticate in time. */
  readonly strangers: { readonly refusedCount: number; readonly expiredCount: number };
}

type Fields = Readonly<Record<string, string | number>>;

/** The text of INFO: the sections asked for, or all of them, named as in Redis where Redis has them. */
export function describeNode(sections: readonly string[], node: NodeDescription): string {
  const isAll =
    sections.length === 0 || sections.some((name) => ['all', 'default', 'everything'].includes(name));
  return Object.entries(describeSections(node))
    .filter(([name]) => isAll || sections.includes(name.toLowerCase()))
    .map(([name, fields]) => {
      const lines = Object.entries(fields).map(([field, value]) => `${field}:${value}\r\n`);
      return `# ${name}\r\n${lines.join('')}`;
    })
    .join('\r\n');
}

function describeSections(node: NodeDescription): Readonly<Record<string, Fields>> {
  const { counters, router } = node;
  const memory = process.memoryUsage();
  const links = [...router.links.byId.values()];
  const seconds = Math.floor(node.uptimeMs / 1000);
  return {
    Server: {
      redis_version: REDIS_VERSION,
      redis_mode: 'standalone',
      server_name: 'foreshard',
      process_id: process.pid,
      tcp_port: node.port,
      uptime_in_seconds: seconds,
      uptime_in_days: Math.floor(seconds / 86_400),
    },
    Clients: { connected_clients: counters.connectedClients, blocked_clients: 0 },
    Memory: { used_memory: memory.heapUsed + memory.external, used_memory_rss: memory.rss, maxmemory: 0 },
    Persistence: { loading: 0, aof_enabled: 1 },
    Stats: {
      total_connections_received: counters.connectionsReceived,
      total_commands_processed: counters.commands,
      rejected_connections: counters.connectionsRefused,
      total_error_replies: counters.errors,
    },
    Replication: { role: 'master', connected_slaves: 0 },
    Cluster: { cluster_enabled: 0 },
    Foreshard: {
      partitions: router.table.partitionCount,
      storage_nodes: links.length,
      storage_nodes_connected: links.filter((link) => link.rpc.isConnected).length,
      partitions_held: router.heldCount,
      queries_held: counters.held,
      redirects: counters.redirects,
      copy_reads: counters.copyReads,
      copy_reads_behind: counters.copyReadsBehind,
      copy_reads_late: counters.copyReadsLate,
      shadow_reads: counters.shadowReads,
      shadow_reads_unequal: counters.shadowReadsUnequal,
      queries_unavailable: counters.unavailable,
      unknown_outcomes: counters.unknownOutcomes,
      protocol_errors: counters.protocolErrors,
      auth_failures: counters.authenticationFailures,
      permission_refusals: counters.permissionRefusals,
      strangers_refused: node.strangers.refusedCount,
      strangers_expired: node.strangers.expiredCount,
      oversized_requests: counters.oversizedRequests,
      corrupt_frames: node.corruptFrames,
      map_refreshes: counters.mapRefreshes,
    },
  };
}
