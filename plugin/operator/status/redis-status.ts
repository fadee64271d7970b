/** What `foreshard status` tells of a Redis Cluster: what its agent has seen. */
import type { ClusterSeen, SeenMaster } from '../../engines/redis-cluster/load/cluster-seen.ts';
import type { CoordinatorStatus } from '../../metadata/coordinator-status.ts';
import { asSecond, asTime, counted, durationText } from '../units-text.ts';

/** An agent that has not looked for so many of its intervals is in trouble. */
const MISSED_LOOKS_MAX = 3;

export function redisAlarms(seen: ClusterSeen | null, nowMs: number): string[] {
  if (seen === null) return [];
  const alarms = seen.troubles.map((trouble) => `Redis Cluster: ${trouble}: no slot is moved`);
  alarms.push(...(seen.warnings ?? []).map((warning) => `Redis Cluster: ${warning}`));
  if (nowMs - seen.atMs > MISSED_LOOKS_MAX * seen.intervalMs)
    alarms.push(`no agent has looked at the Redis Cluster since ${asTime(seen.atMs)}`);
  return alarms;
}

/** A look may take a moment, and clocks of two machines differ. */
const LOOK_SLACK_MS = 2_000;

/** Whoever has just started an agent sees nothing of the masters, then nothing of their rates: why, and until when. */
export function redisWaits(
  seen: ClusterSeen | null,
  {
    coordinator: { state, electedAtMs },
    lookIntervalMs,
  }: { readonly coordinator: CoordinatorStatus; readonly lookIntervalMs: number },
): string[] {
  if (state !== 'leading') return [];
  const every = `the agent looks every ${durationText(lookIntervalMs)} (redis.lookIntervalMs)`;
  if (seen === null || (electedAtMs !== null && seen.atMs < electedAtMs)) {
    const until =
      electedAtMs === null ? '' : `, by ${asSecond(electedAtMs + lookIntervalMs + LOOK_SLACK_MS)}`;
    return [`masters are shown when the agent has looked at them${until}: ${every}`];
  }
  const answering = seen.masters.filter(({ memoryUsed }) => memoryUsed !== null);
  if (answering.length === 0 || answering.some(({ rates }) => rates !== null)) return [];
  return [
    `what masters do in a second is known from the second look on, by ${asSecond(seen.atMs + seen.intervalMs + LOOK_SLACK_MS)}: ${every}`,
  ];
}

export function redisLines({ agent, mode, atMs, masters, slotStats, clients }: ClusterSeen): string[] {
  return [
    `agent ${agent}, mode ${mode}, seen at ${asTime(atMs)}:`,
    ...[...masters].sort((a, b) => rankOf(a) - rankOf(b)).map(masterLine),
    loadLine(clients, slotStats),
  ];
}

/** By number; those that have none yet last, as the cluster names them. */
const rankOf = ({ nodeId }: SeenMaster): number => nodeId ?? Number.MAX_SAFE_INTEGER;

function masterLine({ nodeId, address, slotCount, replicaCount, rates, ...held }: SeenMaster): string {
  const facts = [`master ${nodeId === null ? 'without a number' : `node ${nodeId}`}: ${address}`];
  facts.push(counted(slotCount, 'slot'), counted(replicaCount, 'replica'));
  if (held.memoryUsed === null) return [...facts, 'does not answer'].join(', ');
  if (rates !== null)
    facts.push(
      `${Math.round(rates.commands)} commands/s`,
      `${(rates.cpuSeconds * 100).toFixed(0)} % of a processor`,
      `${megabytes(rates.inputBytes)} MB/s in`,
      `${megabytes(rates.outputBytes)} MB/s out`,
    );
  const limit = held.memoryMax ? ` of ${megabytes(held.memoryMax)}` : '';
  facts.push(`${megabytes(held.memoryUsed)}${limit} MB of memory`, counted(held.keyCount ?? 0, 'key'));
  return facts.join(', ');
}

const SLOT_STATS_MEANING: Readonly<Record<ClusterSeen['slotStats'], string>> = {
  load: 'load by slot comes from the servers (CLUSTER SLOT-STATS)',
  keys: 'the servers tell keys by slot alone (Valkey: cluster-slot-stats-enabled yes): captureCluster (docs/redis.md) tells load by slot, too',
  none: 'the servers do not tell load by slot: captureCluster (docs/redis.md) tells it',
  unused: 'load by slot comes from captured clients alone',
};

function loadLine(
  { processCount, queriesPerSecond, p99Us }: ClusterSeen['clients'],
  slotStats: ClusterSeen['slotStats'],
): string {
  if (processCount === 0) return `no captured client; ${SLOT_STATS_MEANING[slotStats]}`;
  const latency = p99Us === null ? '' : `, p99 ${(p99Us / 1000).toFixed(1)} ms`;
  return `${counted(processCount, 'captured application')}, ${Math.round(queriesPerSecond)} queries/s${latency}; ${SLOT_STATS_MEANING[slotStats]}`;
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
