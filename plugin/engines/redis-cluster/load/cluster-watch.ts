import type { Clock } from '../../../../src/base/clock.ts';
import type { Logger } from '../../../../src/base/logger.ts';
import type { MetadataCondition, MetadataStore } from '../../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../../src/settings.ts';
import { readClientView } from '../../../redis/pulse-record.ts';
import type { MapMirror } from '../moves/map-mirror.ts';
import { clusterSeenKey } from '../moves/move-record.ts';
import type { ClusterView } from '../topology/cluster-view.ts';
import { numberShards } from '../topology/shards.ts';
import { type ClusterSeen, encodeClusterSeen, seenMasters, seenWarnings } from './cluster-seen.ts';
import type { CommandStats } from './command-stats.ts';
import type { MasterWatch } from './master-watch.ts';
import type { SlotLoadFeed } from './slot-load-feed.ts';

export interface ClusterWatchComponents {
  readonly view: Pick<ClusterView, 'topology'>;
  readonly masters: MasterWatch;
  readonly feed: Pick<SlotLoadFeed, 'poll' | 'pause'>;
  /** Of CPU alone, where captured clients tell of the rest. */
  readonly cpuFeed: Pick<SlotLoadFeed, 'poll' | 'pause'>;
  /** What commands cost, where servers do not tell CPU by slot. */
  readonly commandStats: Pick<CommandStats, 'look'>;
  readonly mirror: Pick<MapMirror, 'shards'>;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The leader's; null while this process does not lead. */
  readonly fence: () => MetadataCondition | null;
  readonly agentName: string;
}

/**
 * Looks at the cluster every few seconds while this agent leads: what its masters do, by INFO, and by slot where nothing else
 * tells. All of it is read; nothing is changed in the cluster.
 */
export class ClusterWatch {
  readonly #settings: Settings;
  readonly #components: ClusterWatchComponents;

  constructor(settings: Settings, components: ClusterWatchComponents) {
    this.#settings = settings;
    this.#components = components;
  }

  /** @throws ForeshardError when cluster or metadata store cannot be reached. */
  async look(): Promise<void> {
    const { view, masters, mirror, metadata, clock, logger, fence, agentName } = this.#components;
    const { cluster, plugin, redis } = this.#settings;
    const held = fence();
    if (held === null) return this.#pause();
    const topology = await view.topology();
    const watched = await masters.look(topology);
    const clients = await readClientView(metadata, {
      clusterName: cluster.name,
      nowMs: clock.nowMs(),
      logger,
    });
    const hasCapturedClients = clients.processes.length > 0;
    const slotStats = await this.#feed(topology, watched, { hasCapturedClients, fence: held });
    const seen = encodeClusterSeen({
      v: 1,
      atMs: clock.nowMs(),
      agent: agentName,
      mode: plugin.mode,
      intervalMs: redis.lookIntervalMs,
      masters: seenMasters(topology, watched, numberShards(await mirror.shards(), topology)),
      troubles: topology.troubles,
      warnings: redis.slotMove.settle === 'auto' ? seenWarnings(topology, watched) : [],
      slotStats,
      clients: {
        processCount: clients.processes.length,
        queriesPerSecond: clients.queriesPerSecond,
        p99Us: clients.p99Us,
      },
    });
    const key = clusterSeenKey(cluster.name);
    await metadata.commit({ conditions: [held], writes: [{ kind: 'put', key, value: seen }] });
  }

  async #pause(): Promise<void> {
    await this.#components.feed.pause();
    await this.#components.cpuFeed.pause();
  }

  /** Captured clients tell more than servers do, and the same load must not be counted twice. */
  async #feed(
    topology: Parameters<SlotLoadFeed['poll']>[0],
    watched: Parameters<SlotLoadFeed['poll']>[1],
    {
      hasCapturedClients,
      fence,
    }: { readonly hasCapturedClients: boolean; readonly fence: MetadataCondition },
  ): Promise<ClusterSeen['slotStats']> {
    const { feed, cpuFeed } = this.#components;
    const isUsed = this.#settings.redis.slotStats === 'auto' && !hasCapturedClients;
    if (isUsed) {
      await cpuFeed.pause();
      return feed.poll(topology, watched);
    }
    await feed.pause();
    // What a query cost, only the server knows.
    const isAsked = this.#settings.redis.slotStats === 'auto';
    const support = isAsked ? await cpuFeed.poll(topology, watched) : 'none';
    if (!isAsked) await cpuFeed.pause();
    // Not by slot: then what a command costs on average.
    if (support !== 'load') await this.#components.commandStats.look([...watched.keys()], fence);
    return 'unused';
  }
}
