import { assert } from '../../../src/base/assert.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { ClusterState, SilentNode } from '../../../src/controller.ts';
import { quarantineOf } from '../../../src/migration/queue/quarantine.ts';
import { asNodeId } from '../../../src/model/ids.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../../src/model/load-profile.ts';
import type { NodeUtilisation } from '../../../src/model/node-utilisation.ts';
import type { NodeStatistics, StorageEngine } from '../../../src/ports/storage-engine.ts';
import type { Settings } from '../../../src/settings.ts';
import { type ClusterMapReader, type LoadedMap, NO_OWNER } from '../../metadata/cluster-map.ts';
import type { Decisions } from '../../metadata/decisions.ts';
import type { Member } from '../../metadata/members.ts';
import { nodeCapacity } from './node-capacity.ts';

/** Who belongs to the cluster, and what of it an operator wants empty. */
export interface Membership {
  readonly members: readonly Member[];
  readonly drainingStoreIds: ReadonlySet<string>;
}

interface ExpectedNode {
  readonly nodeId: number;
  readonly member: Member | null;
  /** False for a node that was removed. */
  readonly isThere: boolean;
}

/** Sees the cluster as a cycle needs it: the map in effect, the nodes, sizes, and which partitions have to stay. */
export class ClusterObserver {
  readonly #settings: Settings;
  readonly #mapReader: Pick<ClusterMapReader, 'load'>;
  readonly #engine: Pick<StorageEngine, 'nodeStatistics'>;
  readonly #membership: () => Promise<Membership>;
  readonly #decisions: () => Promise<Decisions>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Node -> when it was first found silent. */
  readonly #silentSinceMs = new Map<number, number>();

  constructor(
    settings: Settings,
    components: {
      readonly mapReader: Pick<ClusterMapReader, 'load'>;
      readonly engine: Pick<StorageEngine, 'nodeStatistics'>;
      readonly membership: () => Promise<Membership>;
      readonly decisions: () => Promise<Decisions>;
      /** The machine's, by which migrations are stamped; not a replay's. */
      readonly clock: Clock;
      readonly logger: Logger;
    },
  ) {
    this.#settings = settings;
    this.#mapReader = components.mapReader;
    this.#engine = components.engine;
    this.#membership = components.membership;
    this.#decisions = components.decisions;
    this.#clock = components.clock;
    this.#logger = components.logger;
  }

  /** @throws ForeshardError FORESHARD_UNAVAILABLE when no storage node answers. */
  async observe(profile: LoadProfile): Promise<ClusterState> {
    const [{ map, records, quarantined }, decisions, { members, drainingStoreIds }] = await Promise.all([
      this.#mapReader.load(),
      this.#decisions(),
      this.#membership(),
    ]);
    const nodes = this.#nodesOf(records, members);
    const statistics = await Promise.all(
      nodes.map(({ nodeId, isThere }) => (isThere ? this.#askNode(nodeId) : null)),
    );
    if (statistics.every((node) => node === null))
      throw new ForeshardError(
        'FORESHARD_UNAVAILABLE',
        'retry',
        'no storage node answers: nothing can be planned',
      );
    const silentNodes = this.#silentNodes(
      statistics.map((node, nodeId) => (nodes[nodeId]?.isThere ? node : 'absent')),
    );
    const ownerOf = map.ownerOf.slice();
    const restingPartitions = new Set<number>();
    const openMigrations = new Map<number, number>();
    const nowMs = this.#clock.nowMs();
    for (let p = 0; p < map.partitionCount; p++) {
      const record = records[p];
      if (record?.migration) openMigrations.set(p, record.migration.targetNodeId);
      const isFresh =
        record != null &&
        record.ownedSinceMs > 0 &&
        nowMs - record.ownedSinceMs < this.#settings.migration.residenceMs;
      // A node that does not answer can hand nothing over: ownership moves only with the source's consent.
      const isOwnerSilent = statistics[ownerOf[p] as number] === null;
      const isQuarantined = quarantineOf(record, nowMs) !== undefined;
      if (record?.migration || isFresh || isOwnerSilent || isQuarantined) restingPartitions.add(p);
    }
    for (const { partitionId } of quarantined) {
      // Its owner is not known; a plan has to put its load somewhere, and must not touch it.
      assert(ownerOf[partitionId] === NO_OWNER, 'a quarantined partition has no owner');
      ownerOf[partitionId] = 0;
      restingPartitions.add(partitionId);
    }
    // What people have decided is planned around: an approved move counts as done, what was rejected stays.
    for (const { partitionId, targetNodeId } of decisions.approvals) {
      restingPartitions.add(partitionId);
      if (!openMigrations.has(partitionId)) openMigrations.set(partitionId, targetNodeId);
    }
    for (const { partitionId } of decisions.rejections) restingPartitions.add(partitionId);
    const partitionBytes = new Float64Array(map.partitionCount);
    for (const node of statistics)
      node?.partitionBytes.forEach((bytes, p) => {
        partitionBytes[p] += bytes;
      });
    return {
      map: { ...map, ownerOf },
      nodes: statistics.map((node, nodeId) => {
        const isDraining = node !== null && drainingStoreIds.has(node.storeId);
        const member = nodes[nodeId]?.member ?? null;
        return this.#utilisation(node, { nodeId, isDraining, member, profile });
      }),
      partitionBytes,
      restingPartitions,
      openMigrations,
      silentNodes,
    };
  }

  /** A node that answers again is forgotten: its next silence is a new one. */
  #silentNodes(statistics: readonly (NodeStatistics | 'absent' | null)[]): SilentNode[] {
    return statistics.flatMap((node, nodeId) => {
      if (node !== null) {
        this.#silentSinceMs.delete(nodeId);
        return [];
      }
      const sinceMs = this.#silentSinceMs.get(nodeId) ?? this.#clock.nowMs();
      this.#silentSinceMs.set(nodeId, sinceMs);
      return [{ nodeId, sinceMs }];
    });
  }

  async #askNode(nodeId: number): Promise<NodeStatistics | null> {
    try {
      return await this.#engine.nodeStatistics(asNodeId(nodeId));
    } catch (error) {
      this.#logger.warn({ storageNode: nodeId, fault: (error as Error).message }, 'a storage node is silent');
      return null;
    }
  }

  /**
   * Ids count from 0 to the highest that is set, has joined or is named by the map. One in between that neither has joined nor
   * owns anything was removed.
   */
  #nodesOf(records: LoadedMap['records'], members: readonly Member[]): ExpectedNode[] {
    const { storageNodeCount } = this.#settings.cluster;
    const named = new Set(
      records.flatMap((record) =>
        record === null
          ? []
          : [record.ownerNodeId, ...(record.migration === null ? [] : [record.migration.targetNodeId])],
      ),
    );
    const memberOf = new Map(
      members.filter(({ role }) => role === 'storage').map((member) => [member.nodeId, member]),
    );
    const nodeCount = Math.max(storageNodeCount, ...[...named, ...memberOf.keys()].map((id) => id + 1));
    return Array.from({ length: nodeCount }, (_, nodeId) => ({
      nodeId,
      member: memberOf.get(nodeId) ?? null,
      isThere: memberOf.size === 0 || memberOf.has(nodeId) || named.has(asNodeId(nodeId)),
    }));
  }

  #utilisation(
    node: NodeStatistics | null,
    {
      nodeId,
      isDraining,
      member,
      profile,
    }: {
      readonly nodeId: number;
      readonly isDraining: boolean;
      readonly member: Member | null;
      readonly profile: LoadProfile;
    },
  ): NodeUtilisation {
    return {
      nodeId: asNodeId(nodeId),
      // A node that takes no writes (full disk, failed store) cannot be a target either.
      isAlive: node?.isWritable === true && !isDraining,
      isDraining,
      ...(member?.zone !== undefined && { zone: member.zone }),
      capacity: nodeCapacity(this.#settings, profile, member?.capacity),
      // All that a storage node does is for its partitions; what else the machine does is not measured.
      background: new Float64Array(LOAD_DIMENSION_COUNT),
      dataBytes: node?.dataBytes ?? 0,
      dataBytesMax: this.#settings.node.dataBytesMax,
      bandwidthBytesPerSecond: this.#settings.migration.copyBytesPerSecond,
    };
  }
}
