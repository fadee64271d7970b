/** What `foreshard top` shows, of what has been read: pure. */

import type { ClusterSeen } from '../../engines/redis-cluster/load/cluster-seen.ts';
import type { PublishedForecast } from '../../host/records/forecast-record.ts';
import type { NodeRate } from './activity.ts';

export interface TopNode {
  readonly nodeId: number;
  readonly partitionCount: number;
  /** Null: it does not answer. */
  readonly queriesPerSecond: number | null;
  readonly cpuShare: number | null;
  /** By the forecast, of what it owns now; null without a forecast of the hour to come. */
  readonly nextHourPerSecond: number | null;
  /** Of its capacity in queries, where that is known: now, and in the hour to come. */
  readonly utilisation: number | null;
  readonly nextHourUtilisation: number | null;
  /** Outside its comfort zone, now or in the hour to come. */
  readonly isStressed: boolean;
}

export interface TopPartition {
  readonly partitionId: number;
  readonly nodeId: number;
  readonly queriesPerSecond: number | null;
  readonly nextHourPerSecond: number | null;
  /** Where the latest proposal would have it. */
  readonly proposedNodeId: number | null;
}

export interface TopView {
  readonly atMs: number;
  /** Null where nobody measures it. */
  readonly queriesPerSecond: number | null;
  /** Beside a Redis Cluster: who sees its load, or why nobody does. Null where our own nodes are asked. */
  readonly seenByAgent: string | null;
  readonly nextHourPerSecond: number | null;
  /** When the hour that was forecast last ends; null without a forecast. */
  readonly forecastUntilMs: number | null;
  readonly openMigrationCount: number;
  readonly nodes: readonly TopNode[];
  /** The hottest, now or in the hour to come, whichever is more. */
  readonly partitions: readonly TopPartition[];
}

export interface TopSources {
  readonly atMs: number;
  /** See TopView; with the queries a second that captured clients ask. */
  readonly seenByAgent: { readonly text: string; readonly queriesPerSecond: number | null } | null;
  readonly ownerOf: Int32Array | readonly number[];
  readonly nodeIds: readonly number[];
  readonly rates: ReadonlyMap<number, NodeRate | null>;
  readonly forecast: PublishedForecast | undefined;
  /** Partition -> node, by the latest proposal. */
  readonly proposed: ReadonlyMap<number, number>;
  readonly openMigrationCount: number;
  /** Queries a second that a node carries; null: not known. */
  readonly capacityOf: (nodeId: number) => number | null;
  /** Above this utilisation the node is stressed. */
  readonly utilisationHighOf: (nodeId: number) => number;
  readonly limit: number;
}

const HOUR_MS = 3_600_000;

export function topView(sources: TopSources): TopView {
  const { atMs, ownerOf, rates, forecast, limit } = sources;
  const partitions = Array.from(
    ownerOf,
    (nodeId, partitionId): TopPartition => ({
      partitionId,
      nodeId,
      queriesPerSecond: rates.get(nodeId)?.perSecondOf[partitionId] ?? null,
      nextHourPerSecond: forecast === undefined ? null : nextHourPerSecond(forecast, partitionId, atMs),
      proposedNodeId: sources.proposed.get(partitionId) ?? null,
    }),
  );
  const heat = (of: TopPartition): number => Math.max(of.queriesPerSecond ?? 0, of.nextHourPerSecond ?? 0);
  const nodes = sources.nodeIds.map((nodeId) =>
    nodeOf(
      nodeId,
      partitions.filter((of) => of.nodeId === nodeId),
      sources,
    ),
  );
  return {
    atMs,
    queriesPerSecond:
      sources.seenByAgent === null
        ? (sum(nodes.map((node) => node.queriesPerSecond)) ?? 0)
        : sources.seenByAgent.queriesPerSecond,
    seenByAgent: sources.seenByAgent?.text ?? null,
    nextHourPerSecond: sum(partitions.map((of) => of.nextHourPerSecond)),
    forecastUntilMs:
      forecast === undefined ? null : forecast.startMs + forecast.horizonSteps * forecast.stepMs,
    openMigrationCount: sources.openMigrationCount,
    nodes,
    partitions: [...partitions]
      .sort((a, b) => heat(b) - heat(a) || a.partitionId - b.partitionId)
      .slice(0, limit),
  };
}

/** The servers of a Redis Cluster are asked by the agent, not by this command: it knows what the agent has written down. */
export function seenText(seen: ClusterSeen | null): NonNullable<TopSources['seenByAgent']> {
  const none = { queriesPerSecond: null };
  if (seen === null) return { text: 'no agent has told yet what it sees of the Redis Cluster', ...none };
  const { processCount, queriesPerSecond } = seen.clients;
  if (processCount > 0)
    return {
      text: `as ${processCount} captured applications ask; nodes tell no load of their own`,
      queriesPerSecond,
    };
  const text =
    seen.slotStats === 'load'
      ? 'no application is captured; windows come from CLUSTER SLOT-STATS, `foreshard status` tells the load of each master'
      : 'no application is captured, and the servers tell no load by slot: captureCluster (docs/redis.md) tells it';
  return { text, ...none };
}

function nodeOf(nodeId: number, own: readonly TopPartition[], sources: TopSources): TopNode {
  const rate = sources.rates.get(nodeId) ?? null;
  const capacity = sources.capacityOf(nodeId);
  // What it serves of others' partitions, as a copy that takes reads, loads it as well.
  const queriesPerSecond = rate === null ? null : rate.perSecondOf.reduce((total, one) => total + one, 0);
  const nextHour = sum(own.map((of) => of.nextHourPerSecond));
  const share = (load: number | null): number | null =>
    load === null || capacity === null ? null : load / capacity;
  const [utilisation, nextHourUtilisation] = [share(queriesPerSecond), share(nextHour)];
  return {
    nodeId,
    partitionCount: own.length,
    queriesPerSecond,
    cpuShare: rate?.cpuShare ?? null,
    nextHourPerSecond: nextHour,
    utilisation,
    nextHourUtilisation,
    isStressed: Math.max(utilisation ?? 0, nextHourUtilisation ?? 0) > sources.utilisationHighOf(nodeId),
  };
}

/** Mean over the hour from now on of what is forecast; null unless all of the hour is. */
export function nextHourPerSecond(
  { startMs, stepMs, horizonSteps, queries }: PublishedForecast,
  partitionId: number,
  nowMs: number,
): number | null {
  const first = Math.floor((nowMs - startMs) / stepMs);
  const last = Math.ceil((nowMs + HOUR_MS - startMs) / stepMs) - 1;
  if (first < 0 || last >= horizonSteps) return null;
  let total = 0;
  for (let step = first; step <= last; step++) {
    const stepStartMs = startMs + step * stepMs;
    const overlapMs = Math.min(stepStartMs + stepMs, nowMs + HOUR_MS) - Math.max(stepStartMs, nowMs);
    total += (queries[partitionId * horizonSteps + step] as number) * (overlapMs / stepMs);
  }
  return (1000 * total) / HOUR_MS;
}

/** Null where nothing of it is known. */
function sum(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((total, value) => total + value, 0);
}
