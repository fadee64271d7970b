import type { Clock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import type { Logger } from '../../../../src/base/logger.ts';
import type { ClusterState } from '../../../../src/controller.ts';
import { asNodeId } from '../../../../src/model/ids.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../../src/model/load-profile.ts';
import type { NodeUtilisation } from '../../../../src/model/node-utilisation.ts';
import { SLOT_COUNT } from '../../../../src/model/partition-map.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../../src/settings.ts';
import { nodeCapacity } from '../../../host/analysis/node-capacity.ts';
import { ClusterMapReader } from '../../../metadata/cluster-map.ts';
import { readDecisions } from '../../../metadata/decisions.ts';
import type { MapMirror } from '../moves/map-mirror.ts';
import { decodeSlotMove, slotMovesPrefix } from '../moves/move-record.ts';
import type { NodeCounters } from '../server/node-info.ts';
import type { ClusterView } from '../topology/cluster-view.ts';
import { NOBODY, partitionOwners } from '../topology/partition-owners.ts';
import { numberShards, type Shard } from '../topology/shards.ts';
import type { ClusterTopology } from '../topology/topology.ts';
import type { MasterWatch } from './master-watch.ts';

export interface RedisObserverComponents {
  readonly view: ClusterView;
  readonly masters: MasterWatch;
  readonly mirror: Pick<MapMirror, 'shards'>;
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Sees a Redis Cluster as a cycle needs it: who owns which partition, what each master holds and does. */
export class RedisObserver {
  readonly #settings: Settings;
  readonly #components: RedisObserverComponents;
  readonly #reader: ClusterMapReader;

  constructor(settings: Settings, components: RedisObserverComponents) {
    this.#settings = settings;
    this.#components = components;
    this.#reader = new ClusterMapReader(components.metadata, settings.cluster.name);
  }

  /** @throws ForeshardError FORESHARD_UNAVAILABLE when no node answers. */
  async observe(profile: LoadProfile): Promise<ClusterState> {
    const { view, mirror, metadata, clock, logger } = this.#components;
    const { partitionCount } = this.#settings.cluster;
    const topology = await view.topology();
    const shards = numberShards(await mirror.shards(), topology);
    const { ownerOf, splitPartitions } = partitionOwners(topology, shards, partitionCount);
    if (ownerOf.includes(NOBODY))
      throw new ForeshardError(
        'FORESHARD_UNAVAILABLE',
        'retry',
        'the Redis Cluster has slots without an owner',
      );
    const counters = await this.#look(topology);
    const { residingPartitions, epochOf } = await this.#residing(clock.nowMs());
    const openMigrations = new Map(await this.#openMoves());
    const decisions = await readDecisions(metadata, this.#settings.cluster.name, clock.nowMs());
    if (topology.troubles.length > 0)
      logger.warn({ troubles: topology.troubles }, 'nothing can be moved now');
    const silent = new Set(
      shards.filter(({ masterId }) => !counters.has(masterId)).map(({ nodeId }) => nodeId),
    );
    const restingPartitions = new Set([...residingPartitions, ...openMigrations.keys()]);
    // What people have decided is planned around: an approved move counts as done, what was rejected stays.
    for (const { partitionId, targetNodeId } of decisions.approvals) {
      restingPartitions.add(partitionId);
      if (!openMigrations.has(partitionId)) openMigrations.set(partitionId, targetNodeId);
    }
    for (const { partitionId } of decisions.rejections) restingPartitions.add(partitionId);
    for (let partition = 0; partition < partitionCount; partition++)
      if (silent.has(ownerOf[partition] as number)) restingPartitions.add(partition);
    if (splitPartitions.size > 0)
      logger.debug(
        { splitPartitions: [...splitPartitions] },
        'partitions with several owners count as the largest’s',
      );
    return {
      map: { partitionCount, ownerOf, epochOf },
      nodes: shards.map((shard) => this.#utilisation(shard, counters, profile)),
      partitionBytes: await this.#partitionBytes(topology, counters),
      restingPartitions,
      openMigrations,
      silentNodes: [...silent].map((nodeId) => ({ nodeId, sinceMs: clock.nowMs() })),
    };
  }

  async #look(topology: ClusterTopology): Promise<ReadonlyMap<string, NodeCounters>> {
    const { masters, logger } = this.#components;
    const watched = await masters.look(topology);
    const rates = topology.masters.map(({ nodeId, host, port }) => [
      `${host}:${port}`,
      watched.get(nodeId)?.rates ?? null,
    ]);
    logger.info({ rates: Object.fromEntries(rates) }, 'masters, a second since the last look');
    return new Map([...watched].map(([nodeId, { counters }]) => [nodeId, counters]));
  }

  #utilisation(
    { nodeId, masterId }: Shard,
    counters: ReadonlyMap<string, NodeCounters>,
    profile: LoadProfile,
  ): NodeUtilisation {
    const found = counters.get(masterId);
    return {
      nodeId: asNodeId(nodeId),
      isAlive: found !== undefined,
      capacity: nodeCapacity(this.#settings, profile),
      background: new Float64Array(LOAD_DIMENSION_COUNT),
      dataBytes: found?.memoryUsed ?? 0,
      dataBytesMax:
        found !== undefined && found.memoryMax > 0 ? found.memoryMax : this.#settings.node.dataBytesMax,
      bandwidthBytesPerSecond: this.#settings.migration.copyBytesPerSecond,
    };
  }

  /** f64[partition]: a master's memory, shared out by keys. Bytes of a slot are told by newer servers only. */
  async #partitionBytes(
    topology: ClusterTopology,
    counters: ReadonlyMap<string, NodeCounters>,
  ): Promise<Float64Array> {
    const { view } = this.#components;
    const { partitionCount } = this.#settings.cluster;
    const bytes = new Float64Array(partitionCount);
    await Promise.all(
      topology.masters.map(async ({ nodeId }, index) => {
        const node = counters.get(nodeId);
        if (node === undefined || node.keyCount === 0) return;
        const slots = slotsOf(topology, index);
        const keys = await view.keyCounts(nodeId, slots);
        slots.forEach((slot, at) => {
          const partition = Math.floor((slot * partitionCount) / SLOT_COUNT);
          bytes[partition] += ((keys[at] as number) / node.keyCount) * node.memoryUsed;
        });
      }),
    );
    return bytes;
  }

  /** Partitions that have moved so lately that they stay. */
  async #residing(nowMs: number): Promise<{ residingPartitions: number[]; epochOf: Uint32Array }> {
    try {
      const { records, map } = await this.#reader.load();
      const { residenceMs } = this.#settings.migration;
      const residingPartitions = records.flatMap((record) =>
        record !== null && record.ownedSinceMs > 0 && nowMs - record.ownedSinceMs < residenceMs
          ? [record.partitionId as number]
          : [],
      );
      return { residingPartitions, epochOf: map.epochOf };
    } catch (error) {
      if (!(error instanceof ForeshardError) || error.code !== 'FORESHARD_NOT_READY') throw error;
      return { residingPartitions: [], epochOf: new Uint32Array(this.#settings.cluster.partitionCount) };
    }
  }

  async #openMoves(): Promise<ReadonlyMap<number, number>> {
    const { metadata } = this.#components;
    const { entries } = await metadata.list(slotMovesPrefix(this.#settings.cluster.name));
    return new Map(
      entries.map(({ key, value }) => {
        const { partitionId, targetNodeId } = decodeSlotMove(key, value);
        return [partitionId, targetNodeId];
      }),
    );
  }
}

const slotsOf = (topology: ClusterTopology, master: number): number[] =>
  Array.from({ length: SLOT_COUNT }, (_, slot) => slot).filter((slot) => topology.ownerOf[slot] === master);
