/** What `foreshard status` tells: everything that can be known from outside, each part also where others are missing. */
import { isOverdue } from '../../../src/migration/leftovers.ts';
import { isOpen } from '../../../src/migration/records/record-changes.ts';
import type { StoreState } from '../../../src/migration/records/records.ts';
import { asNodeId } from '../../../src/model/ids.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { NodeStatistics, StorageEngine } from '../../../src/ports/storage-engine.ts';
import type { Settings } from '../../../src/settings.ts';
import { type ClusterSeen, readClusterSeen } from '../../engines/redis-cluster/load/cluster-seen.ts';
import { readOpenSlotMoves } from '../../engines/redis-cluster/moves/move-record.ts';
import { decodeWindowQueries } from '../../host/analysis/profile-publisher.ts';
import { readForecast } from '../../host/records/forecast-record.ts';
import { decodeProposal } from '../../host/records/proposal-record.ts';
import { forecastPrefix, profilePrefix, proposalKey, reliefKey } from '../../host/records/record-keys.ts';
import { decodeRelief, type ReliefRecord } from '../../host/records/relief-record.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { type LoadedMap, loadMap } from '../../metadata/cluster-map.ts';
import {
  type CoordinatorStatus,
  coordinatorText,
  readCoordinator,
} from '../../metadata/coordinator-status.ts';
import { orNothing } from '../../metadata/json-values.ts';
import { listMembers, type Member } from '../../metadata/members.ts';
import { listNodes, type NodeRegistration } from '../../metadata/node-registrations.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { leftAlone, type Pauses, readPauses } from '../held-back.ts';
import { asTime, counted } from '../units-text.ts';
import { assertQueryNodeThere } from './answers-clients.ts';
import { redisAlarms, redisWaits } from './redis-status.ts';

export interface NodeStatus {
  readonly nodeId: number;
  readonly role: 'storage' | 'query';
  /** `stopped`: it has said so; `dead`: it has not, and does not answer. */
  readonly state: 'alive' | 'stopped' | 'dead';
  readonly storeState: StoreState | null;
  readonly storeId: string | null;
  readonly address: string;
  readonly version: string;
  readonly zone: string | null;
  readonly startedAtMs: number;
  readonly stoppedAtMs: number | null;
  /** Why it is taken to be dead. */
  readonly silence: string | null;
  /** Of a storage node, by the map. */
  readonly partitionCount: number;
  /** The highest of its partitions' epochs. */
  readonly epoch: number;
  /** Of the last whole window; null where none was published. */
  readonly queriesPerSecond: number | null;
  /** Of a storage node that answers. */
  readonly isWritable: boolean | null;
  readonly dataBytes: number | null;
  readonly freeBytes: number | null;
}

export interface ClusterStatus {
  readonly cluster: string;
  readonly atMs: number;
  readonly metadata: { readonly kind: string; readonly revision: number; readonly readMs: number };
  readonly coordinator: CoordinatorStatus;
  readonly partitionCount: number;
  readonly nodes: readonly NodeStatus[];
  readonly openMigrations: Readonly<Record<string, number>>;
  readonly pauses: Pauses;
  readonly plan: {
    readonly atMs: number;
    readonly moveCount: number;
    readonly refusal: string | null;
    readonly expiresAtMs: number;
  } | null;
  /** The last between two cycles; null where there was none. */
  readonly relief: ReliefRecord | null;
  /** By the config that this command was given: nodes may have another. */
  readonly mode: string;
  readonly cycleIntervalMs: number;
  readonly windowMs: number;
  /** When the first window begins that is forecast now; null before the first forecast. */
  readonly forecastFromMs: number | null;
  /** What the agent of a Redis Cluster has seen of it; null of an engine of our own. */
  readonly redis: ClusterSeen | null;
  /** What is not known yet, what it waits for, and until when. */
  readonly waits: readonly string[];
  /** What somebody has to look at. */
  readonly alarms: readonly string[];
}

export async function gatherStatus(
  metadata: MetadataStore,
  engine: Pick<StorageEngine, 'nodeStatistics'>,
  { settings, nowMs }: { readonly settings: Settings; readonly nowMs: number },
): Promise<ClusterStatus> {
  const { name } = settings.cluster;
  const startedMs = performance.now();
  const loaded = await loadMap(metadata, name);
  const readMs = performance.now() - startedMs;
  const [coordinator, pauses, nodes, plan, relief, overdueCount, forecast] = await Promise.all([
    readCoordinator(metadata, name, nowMs),
    readPauses(metadata, name),
    gatherNodes(metadata, engine, { settings, loaded, nowMs }),
    readPlan(metadata, name),
    readRelief(metadata, name),
    countOverdue(metadata, settings, nowMs),
    readForecast(metadata, forecastPrefix(name)).catch(() => undefined), // another version's: as if there were none
  ]);
  const openMigrations: Record<string, number> = {};
  for (const { migration } of loaded.records.filter(isOpen))
    openMigrations[migration.phase] = (openMigrations[migration.phase] ?? 0) + 1;
  const slotMoves = await readOpenSlotMoves(metadata, name);
  if (slotMoves.length > 0) openMigrations.COPY = (openMigrations.COPY ?? 0) + slotMoves.length;
  const isRedis = settings.redis.nodes.length > 0;
  const redis = isRedis ? await readClusterSeen(metadata, name) : null;
  const known = {
    isRedis,
    coordinator,
    nodes,
    plan,
    overdueCount,
    loaded,
    mode: settings.plugin.mode,
    nowMs,
  };
  return {
    cluster: name,
    atMs: nowMs,
    metadata: { kind: settings.metadata.kind, revision: loaded.revision, readMs },
    coordinator,
    partitionCount: loaded.map.partitionCount,
    nodes,
    openMigrations,
    pauses,
    plan,
    relief,
    mode: settings.plugin.mode,
    cycleIntervalMs: settings.controller.cycleIntervalMs,
    windowMs: settings.analyzer.windowMs,
    forecastFromMs: forecast?.startMs ?? null,
    redis,
    waits: isRedis ? redisWaits(redis, { coordinator, lookIntervalMs: settings.redis.lookIntervalMs }) : [],
    alarms: [...alarmsOf(known), ...(isRedis ? redisAlarms(redis, nowMs) : [])],
  };
}

async function gatherNodes(
  metadata: MetadataStore,
  engine: Pick<StorageEngine, 'nodeStatistics'>,
  seen: { readonly settings: Settings; readonly loaded: LoadedMap; readonly nowMs: number },
): Promise<NodeStatus[]> {
  const { name } = seen.settings.cluster;
  const codec = recordCodec(name);
  const [members, registered, stores, queries] = await Promise.all([
    listMembers(metadata, name),
    listNodes(metadata, name),
    metadata.list(codec.keys.storePrefix),
    readQueries(metadata, seen),
  ]);
  const stateOf = new Map(
    stores.entries.flatMap(({ key, value }) =>
      orNothing(() => [key.slice(codec.keys.storePrefix.length), codec.decodeStoreState(value)] as const),
    ),
  );
  const isMember = new Set(members.map(({ nodeId }) => nodeId));
  // A node of a version that did not yet say that it belongs here is known by its registration.
  const all: Member[] = [...members, ...registered.filter(({ nodeId }) => !isMember.has(nodeId))];
  return Promise.all(
    all
      .sort((a, b) => a.nodeId - b.nodeId)
      .map(async (member) =>
        describeNode(member, await askNode(member, engine, registered), { ...seen, stateOf, queries }),
      ),
  );
}

type Answer = { readonly statistics: NodeStatistics | null } | { readonly silence: string };

async function askNode(
  member: Member,
  engine: Pick<StorageEngine, 'nodeStatistics'>,
  registered: readonly NodeRegistration[],
): Promise<Answer> {
  const { nodeId, role } = member;
  try {
    if (role === 'query') {
      await assertQueryNodeThere(
        member,
        registered.some((node) => node.nodeId === nodeId),
      );
      return { statistics: null };
    }
    return { statistics: await engine.nodeStatistics(asNodeId(nodeId)) };
  } catch (error) {
    return { silence: (error as Error).message };
  }
}

function describeNode(
  member: Member,
  answer: Answer,
  {
    loaded,
    stateOf,
    queries,
  }: {
    readonly loaded: LoadedMap;
    readonly stateOf: ReadonlyMap<string, StoreState>;
    readonly queries: ReadonlyMap<number, number> | null;
  },
): NodeStatus {
  const { nodeId, role, host, port, version, startedAtMs, stoppedAtMs, zone, storeId } = member;
  const owned = role === 'query' ? [] : loaded.records.filter((record) => record?.ownerNodeId === nodeId);
  const statistics = 'statistics' in answer ? answer.statistics : null;
  const isSilent = 'silence' in answer;
  return {
    nodeId,
    role,
    state: !isSilent ? 'alive' : stoppedAtMs === undefined ? 'dead' : 'stopped',
    storeState: stateOf.get(statistics?.storeId ?? storeId) ?? null,
    storeId: role === 'query' ? null : (statistics?.storeId ?? storeId),
    address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
    version,
    zone: zone ?? null,
    startedAtMs,
    stoppedAtMs: stoppedAtMs ?? null,
    silence: isSilent ? answer.silence : null,
    partitionCount: owned.length,
    epoch: owned.reduce((highest, record) => Math.max(highest, record?.epoch ?? 0), 0),
    queriesPerSecond: queries === null || role === 'query' ? null : (queries.get(nodeId) ?? 0),
    isWritable: statistics?.isWritable ?? null,
    dataBytes: statistics?.dataBytes ?? null,
    freeBytes: statistics?.freeBytes ?? null,
  };
}

/** Node -> queries a second in the last window that was published; null where there is none. */
async function readQueries(
  metadata: MetadataStore,
  {
    settings,
    loaded,
    nowMs,
  }: { readonly settings: Settings; readonly loaded: LoadedMap; readonly nowMs: number },
): Promise<Map<number, number> | null> {
  const { windowMs } = settings.analyzer;
  // The one that has just ended may not have been published by everybody.
  const lastMs = Math.floor(nowMs / windowMs) * windowMs - windowMs;
  for (const startMs of [lastMs, lastMs - windowMs]) {
    const { entries } = await metadata.list(`${profilePrefix(settings.cluster.name)}${startMs}/`);
    const chunks = entries.flatMap(({ key, value }) => orNothing(() => decodeWindowQueries(key, value)));
    if (chunks.length === 0) continue;
    const perNode = new Map<number, number>();
    for (const { partitionId, queries } of chunks.flat()) {
      const owner = loaded.map.ownerOf[partitionId];
      if (owner !== undefined) perNode.set(owner, (perNode.get(owner) ?? 0) + (1000 * queries) / windowMs);
    }
    return perNode;
  }
  return null;
}

async function readPlan(metadata: MetadataStore, clusterName: string): Promise<ClusterStatus['plan']> {
  const entry = await metadata.get(proposalKey(clusterName));
  const [proposal] = entry === undefined ? [] : orNothing(() => decodeProposal(entry.value));
  if (proposal === undefined) return null;
  const { atMs, moves, refusal, expiresAtMs } = proposal;
  return { atMs, moveCount: moves.length, refusal, expiresAtMs };
}

async function readRelief(metadata: MetadataStore, clusterName: string): Promise<ReliefRecord | null> {
  const key = reliefKey(clusterName);
  const entry = await metadata.get(key);
  return (entry && orNothing(() => decodeRelief(key, entry.value))[0]) ?? null;
}

async function countOverdue(metadata: MetadataStore, settings: Settings, nowMs: number): Promise<number> {
  const codec = recordCodec(settings.cluster.name);
  const { entries } = await metadata.list(clusterKeys(settings.cluster.name).cleanupPrefix);
  return entries
    .flatMap(({ value }) => orNothing(() => codec.decodeCleanup(value)))
    .filter((cleanup) => isOverdue(cleanup, settings.migration, nowMs)).length;
}

function alarmsOf(known: {
  readonly isRedis: boolean;
  readonly coordinator: CoordinatorStatus;
  readonly nodes: readonly NodeStatus[];
  readonly plan: ClusterStatus['plan'];
  readonly overdueCount: number;
  readonly loaded: LoadedMap;
  readonly mode: string;
  readonly nowMs: number;
}): string[] {
  const { isRedis, coordinator, nodes, plan, overdueCount, loaded, mode, nowMs } = known;
  const alarms: string[] = [];
  if (coordinator.state !== 'leading')
    alarms.push(
      `${coordinatorText(coordinator)}: nothing is planned or moved; start ${isRedis ? 'an agent' : 'a query node'}`,
    );
  for (const { nodeId, role, state, partitionCount, silence, isWritable, storeState } of nodes) {
    const owns = partitionCount === 0 ? '' : `, and owns ${counted(partitionCount, 'partition')}`;
    if (state === 'dead') alarms.push(`${role} node ${nodeId} does not answer${owns}: ${silence}`);
    if (state === 'stopped' && partitionCount > 0) alarms.push(`storage node ${nodeId} is stopped${owns}`);
    if (isWritable === false)
      alarms.push(`storage node ${nodeId} takes no writes: its disk is full or a commit failed, see its log`);
    if (storeState === 'retired' && state === 'alive')
      alarms.push(`storage node ${nodeId} runs on a retired store and serves nothing: stop it`);
  }
  const versions = new Set(nodes.filter(({ state }) => state === 'alive').map(({ version }) => version));
  if (versions.size > 1) alarms.push(`nodes run several versions: ${[...versions].sort().join(', ')}`);
  const invalid = loaded.quarantined.length;
  if (invalid > 0) alarms.push(`${counted(invalid, 'partition')} without a valid record (foreshard map)`);
  const stuck = leftAlone(loaded.records).filter(({ untilMs }) => untilMs === null).length;
  if (stuck > 0)
    alarms.push(`${counted(stuck, 'partition')} quarantined until cleared (foreshard quarantine)`);
  if (overdueCount > 0) alarms.push(`${counted(overdueCount, 'clean-up')} overdue (foreshard migrations)`);
  const cycleMs = plan === null ? 0 : plan.expiresAtMs - plan.atMs;
  if (mode !== 'observe' && plan !== null && nowMs > plan.expiresAtMs + cycleMs)
    alarms.push(`the last plan is of ${asTime(plan.atMs)}: later ones failed, or had too little history`);
  return alarms;
}
