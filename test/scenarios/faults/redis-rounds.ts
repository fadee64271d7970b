/** What rounds of faults on a Redis Cluster have in common: servers, an agent, moves that are ordered, keys. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LocalRedisCluster } from '../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { MoveRecords } from '../../../plugin/engines/redis-cluster/moves/move-records.ts';
import { parseClusterNodes } from '../../../plugin/engines/redis-cluster/server/cluster-nodes.ts';
import { parseInfo } from '../../../plugin/engines/redis-cluster/server/node-info.ts';
import { textOf } from '../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { ControlledProcess } from '../../../plugin/node/local/controlled-process.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { SLOT_COUNT } from '../../../src/model/partition-map.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { keySlot } from '../../../src/routing/key-slot.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';

const NAME = 'redis-faults';
export const PARTITION_COUNT = 64;
const SLOTS_PER_PARTITION = SLOT_COUNT / PARTITION_COUNT;
/** A move of a partition takes half a second or more with so many: long enough to be hit. */
const FILLER_PER_SLOT = 8;
const TAGS_PER_PARTITION = 2;
export const WRITES_PER_SECOND = 600;
const LEASE_TTL_MS = 1_500;
/** A restarted master takes no writes for 2 s, and the agent waits longer after each look in vain. */
export const MOVE_MS_MAX = 60_000;

export const PLANS = ['ask', 'copy-first'] as const;
export type Plan = (typeof PLANS)[number];

export interface Move {
  readonly partitionId: number;
  /** Shards. */
  readonly source: number;
  readonly target: number;
}

export interface Rounds {
  readonly servers: LocalRedisCluster;
  readonly metadata: MetadataStore;
  readonly folder: string;
  /** By partition, the shard that owns it. */
  readonly owners: number[];
  /** By shard, the index of the server that is its master. */
  readonly masters: number[];
  plan: Plan;
  agent: ControlledProcess;
}

/** As an agent writes a move down before it opens the first slot: whoever leads goes on with it. */
export async function order(playing: Rounds, { partitionId, source, target }: Move): Promise<void> {
  const { servers, masters } = playing;
  const [sourceIndex, targetIndex] = [masters[source] as number, masters[target] as number];
  const [sourceId, targetId] = [sourceIndex, targetIndex].map((index) => servers.nodeIds[index]) as [
    string,
    string,
  ];
  const info = parseInfo(textOf(await servers.command(sourceIndex, 'INFO', 'server')));
  await recordsOf(playing).begin(
    {
      v: 1,
      partitionId,
      sourceNodeId: source,
      targetNodeId: target,
      firstSlot: partitionId * SLOTS_PER_PARTITION,
      lastSlot: (partitionId + 1) * SLOTS_PER_PARTITION - 1,
      targetIds: [targetId],
      sourceIds: [sourceId],
      sourceRunIds: { [sourceId]: info.get('run_id') as string },
      isSourcePromoted: false,
      sizeBytes: 1,
      reason: 'a round of faults',
      cancelledFor: null,
    },
    { approved: null, rejectionRevision: 0 },
    { key: '/foreshard/no-such-key', revisionIs: 0 },
  );
}

export const recordsOf = ({ metadata }: Rounds): MoveRecords =>
  new MoveRecords(
    { cluster: { ...DEFAULT_SETTINGS.cluster, name: NAME } },
    { metadata, clock: systemClock(), logger: silentLogger },
  );

export async function changePlan(playing: Rounds, plan: Plan): Promise<void> {
  await playing.agent.stop();
  playing.plan = plan;
  playing.agent = startAgent(playing.folder, playing.servers, plan);
  await playing.agent.ready;
}

/** Slots that source or target say are on their way: only the target does while they are copied. */
export async function openSlotCount({ servers, masters }: Rounds, { source, target }: Move): Promise<number> {
  const views = await Promise.all(
    [source, target].map(async (shard) =>
      parseClusterNodes(textOf(await servers.command(masters[shard] as number, 'CLUSTER', 'NODES')), ''),
    ),
  );
  const open = views.map((view) => view.find(({ isMyself }) => isMyself)?.openSlots.length ?? 0);
  return Math.max(...open);
}

export async function isAgreed(
  { servers, masters }: Rounds,
  { partitionId, target }: Move,
): Promise<boolean> {
  const slot = partitionId * SLOTS_PER_PARTITION;
  const told = await Promise.all(
    servers.nodeIds.map(async (_, index) => {
      const text = textOf(await servers.command(index, 'CLUSTER', 'NODES'));
      const owner = parseClusterNodes(text, '').find(({ slots }) =>
        slots.some(([first, last]) => first <= slot && slot + SLOTS_PER_PARTITION - 1 <= last),
      );
      return owner?.nodeId === servers.nodeIds[masters[target] as number] && !/\[\d+-/.test(text);
    }),
  );
  return told.every(Boolean);
}

export function startAgent(folder: string, servers: LocalRedisCluster, plan: Plan): ControlledProcess {
  const file = join(folder, 'foreshard.config.json');
  writeFileSync(
    file,
    JSON.stringify({
      // No load is published, so that nothing is planned: moves are ordered here.
      cluster: { name: NAME, partitionCount: PARTITION_COUNT, nodeCapacity: { queries: 1 } },
      plugin: { mode: 'auto' },
      node: { logLevel: 'error' },
      metadata: { path: 'metadata' },
      controller: { leaseTtlMs: LEASE_TTL_MS },
      redis: { nodes: servers.ports.map((port) => `127.0.0.1:${port}`), slotMove: { plan } },
    }),
  );
  return new ControlledProcess('the agent', ['agent', '--config', file], { folder });
}

export function ownersOf(masters: number): number[] {
  // Servers have thirds of the slots at first: partitions on a border come from two, which a move puts right.
  return Array.from({ length: PARTITION_COUNT }, (_, p) =>
    Math.floor(((p + 0.5) * masters) / PARTITION_COUNT),
  );
}

/** Of a key, or of a tag. */
export const partitionOfKey = (key: string): number => Math.floor(slotOf(key) / SLOTS_PER_PARTITION);

export const slotsOf = (partitionId: number): readonly number[] =>
  Array.from({ length: SLOTS_PER_PARTITION }, (_, i) => partitionId * SLOTS_PER_PARTITION + i);

const slotOf = (key: string): number => {
  const bytes = Buffer.from(key);
  return keySlot(bytes, 0, bytes.length);
};

/** Of slots all over the cluster. */
export function tags(): readonly string[] {
  const found = Array.from({ length: PARTITION_COUNT }, (): string[] => []);
  for (let i = 0; found.some((tagsOf) => tagsOf.length < TAGS_PER_PARTITION); i++) {
    const tagsOf = found[Math.floor(slotOf(`t${i}`) / SLOTS_PER_PARTITION)] as string[];
    if (tagsOf.length < TAGS_PER_PARTITION) tagsOf.push(`t${i}`);
  }
  return found.flat();
}

export async function fill(servers: LocalRedisCluster, masters: number): Promise<void> {
  const commands: string[][][] = Array.from({ length: masters }, () => []);
  for (let i = 0; i < SLOT_COUNT * FILLER_PER_SLOT; i++) {
    const key = `filler:${i}`;
    const owner = Math.min(masters - 1, Math.floor((slotOf(key) * masters) / SLOT_COUNT));
    (commands[owner] as string[][]).push(['SET', key, 'x'.repeat(100)]);
  }
  for (const [index, own] of commands.entries())
    for (let at = 0; at < own.length; at += 1_000) await servers.pipeline(index, own.slice(at, at + 1_000));
}
