import { ForeshardError } from '../../../../src/base/errors.ts';
import { type NodeView, type OpenSlot, parseClusterNodes, SLOT_COUNT } from '../server/cluster-nodes.ts';
import type { RedisAddress } from '../server/redis-connection.ts';
import { type RedisNode, textOf } from '../server/redis-node.ts';

export interface MasterNode {
  readonly nodeId: string;
  readonly host: string;
  readonly port: number;
  readonly configEpoch: number;
  readonly replicaIds: readonly string[];
  readonly slotCount: number;
}

/** The cluster as its masters tell it, each of itself. */
export interface ClusterTopology {
  /** By node id. */
  readonly masters: readonly MasterNode[];
  readonly addresses: ReadonlyMap<string, RedisAddress>;
  /** i16[slot]: index in masters, -1 where no master claims it. */
  readonly ownerOf: Int16Array;
  readonly openSlots: readonly (OpenSlot & { readonly nodeId: string })[];
  /** Slots that two masters claim: for a moment after one has been handed over, or for longer after a split of the network. */
  readonly contestedSlots: readonly number[];
  /** Why nothing may be moved now, one sentence each: a node that is down, a failover, slots without an owner. */
  readonly troubles: readonly string[];
}

/**
 * Puts together what every master says of itself: of its own slots it knows best, of open ones it alone knows.
 *
 * @param views CLUSTER NODES of every master that answered, by its id.
 * @param first the view by which the masters were found.
 */
export function topologyOf(
  first: readonly NodeView[],
  views: ReadonlyMap<string, readonly NodeView[]>,
): ClusterTopology {
  const found = first
    .filter(({ role, isJoining }) => role === 'master' && !isJoining)
    .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const troubles: string[] = [];
  const ownerOf = new Int16Array(SLOT_COUNT).fill(-1);
  const openSlots: (OpenSlot & { nodeId: string })[] = [];
  const contestedSlots: number[] = [];
  const masters = found.flatMap((master): MasterNode[] => {
    const self = views.get(master.nodeId)?.find(({ isMyself }) => isMyself);
    const isFormer = self === undefined && master.slots.length === 0;
    if (isFormer) return [];
    return [
      {
        nodeId: master.nodeId,
        host: master.host,
        port: master.port,
        configEpoch: (self ?? master).configEpoch,
        replicaIds: first.filter(({ masterId }) => masterId === master.nodeId).map(({ nodeId }) => nodeId),
        slotCount: (self ?? master).slots.reduce((sum, [from, to]) => sum + to - from + 1, 0),
      },
    ];
  });
  masters.forEach(({ nodeId, host, port, configEpoch }, index) => {
    const self = views.get(nodeId)?.find(({ isMyself }) => isMyself);
    if (self === undefined) troubles.push(`master ${host}:${port} (${nodeId}) does not answer`);
    else if (self.role !== 'master')
      troubles.push(`node ${host}:${port} (${nodeId}) is a replica now: a failover runs`);
    const slots = self?.slots ?? found.find((master) => master.nodeId === nodeId)?.slots ?? [];
    for (const [from, to] of slots)
      for (let slot = from; slot <= to; slot++) {
        const other = masters[ownerOf[slot] as number];
        if (other !== undefined) contestedSlots.push(slot);
        if ((other?.configEpoch ?? -1) < configEpoch) ownerOf[slot] = index;
      }
    for (const open of self?.openSlots ?? []) openSlots.push({ ...open, nodeId });
  });
  const unowned = ownerOf.filter((owner) => owner === -1).length;
  if (unowned > 0) troubles.push(`${unowned} slots belong to no master`);
  troubles.push(...unhealthy(views.size > 0 ? [...views.values()].flat() : first));
  return {
    masters,
    addresses: new Map(first.map(({ nodeId, host, port }) => [nodeId, { host, port }])),
    ownerOf,
    openSlots,
    contestedSlots,
    troubles,
  };
}

/** Nodes that somebody takes to be down. One that is for good has to be taken out by CLUSTER FORGET. */
function unhealthy(views: readonly NodeView[]): string[] {
  const worst = new Map<string, string>();
  for (const { nodeId, host, port, health } of views) {
    if (health === 'ok' || worst.get(nodeId)?.endsWith('FAIL') === true) continue;
    const state = health === 'fail' ? 'FAIL' : 'PFAIL (not confirmed)';
    worst.set(nodeId, `node ${host}:${port} (${nodeId}) is in state ${state}`);
  }
  return [...worst.values()];
}

/** Where to ask: the seeds of the config file, and what was found later. */
export interface TopologySources {
  readonly seeds: readonly RedisAddress[];
  readonly connect: (address: RedisAddress) => RedisNode;
  /** Told before the masters are asked. */
  readonly onAddresses: (addresses: ReadonlyMap<string, RedisAddress>) => void;
  readonly node: (nodeId: string) => RedisNode;
}

/** @throws ForeshardError FORESHARD_UNAVAILABLE when no seed answers; FORESHARD_CONFIG when it is no cluster. */
export async function readTopology(sources: TopologySources): Promise<ClusterTopology> {
  const first = await firstView(sources);
  sources.onAddresses(new Map(first.map(({ nodeId, host, port }) => [nodeId, { host, port }])));
  const masters = first.filter(({ role, isJoining }) => role === 'master' && !isJoining);
  const views = new Map<string, readonly NodeView[]>();
  await Promise.all(
    masters.map(async ({ nodeId, host }) => {
      const view = await viewOf(sources.node(nodeId), host).catch(() => null);
      if (view !== null) views.set(nodeId, view);
    }),
  );
  return topologyOf(first, views);
}

async function firstView({ seeds, connect }: TopologySources): Promise<readonly NodeView[]> {
  const failures: string[] = [];
  const alone: string[] = [];
  for (const seed of seeds) {
    const node = connect(seed);
    try {
      return await viewOf(node, seed.host);
    } catch (error) {
      const { message } = error as Error;
      if (message.includes('cluster support disabled')) alone.push(`${seed.host}:${seed.port}`);
      failures.push(message);
    } finally {
      node.close();
    }
  }
  const isNoCluster = alone.length > 0;
  throw new ForeshardError(
    isNoCluster ? 'FORESHARD_CONFIG' : 'FORESHARD_UNAVAILABLE',
    isNoCluster ? 'fix-config' : 'retry',
    isNoCluster
      ? `redis.nodes: ${alone.join(', ')} ${alone.length === 1 ? 'is' : 'are'} not part of a cluster: start with cluster-enabled yes`
      : `no node of the Redis Cluster answers: ${failures.join('; ')}`,
  );
}

async function viewOf(node: RedisNode, host: string): Promise<readonly NodeView[]> {
  const [reply] = await node.pipeline([['CLUSTER', 'NODES']]);
  return parseClusterNodes(textOf(reply), host);
}
