import type { LoadLook, WatchedCluster } from '../../../../src/affinity/relief/stress-watch.ts';
import type { Clock } from '../../../../src/base/clock.ts';
import type { Logger } from '../../../../src/base/logger.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../../src/settings.ts';
import { capacityPerSecond } from '../../../host/analysis/node-capacity.ts';
import type { ProfileLedger } from '../../../host/analysis/profile-ledger.ts';
import type { ProfilePublisher } from '../../../host/analysis/profile-publisher.ts';
import { readClientView } from '../../../redis/pulse-record.ts';
import type { MapMirror } from '../moves/map-mirror.ts';
import type { ClusterView } from '../topology/cluster-view.ts';
import { NOBODY, partitionOwners } from '../topology/partition-owners.ts';
import { numberShards, type Shard } from '../topology/shards.ts';
import { CapturedLoad } from './captured-load.ts';
import type { SlotLook } from './slot-load-feed.ts';

export interface ReliefLooksComponents {
  readonly view: Pick<ClusterView, 'topology'>;
  readonly mirror: Pick<MapMirror, 'shards'>;
  readonly metadata: MetadataStore;
  readonly ledger: ProfileLedger;
  readonly publisher: Pick<ProfilePublisher, 'refresh'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Who watches for stress. */
  readonly take: (look: LoadLook) => void;
}

/** Looks at the load of a Redis Cluster for whoever watches it: what servers tell by slot, else what captured applications do. */
export class ReliefLooks {
  readonly #settings: Settings;
  readonly #components: ReliefLooksComponents;
  readonly #captured: CapturedLoad;
  #slotLook: SlotLook | null = null;
  #lastMs: number | null = null;

  constructor(settings: Settings, components: ReliefLooksComponents) {
    this.#settings = settings;
    this.#components = components;
    this.#captured = new CapturedLoad(components.ledger);
  }

  /** From the feed of this look. */
  noteSlots(look: SlotLook): void {
    this.#slotLook = look;
  }

  /** After the cluster was looked at. @throws ForeshardError when cluster or metadata store cannot be reached. */
  async look(): Promise<void> {
    const { plugin, controller } = this.#settings;
    const slots = this.#slotLook;
    this.#slotLook = null;
    if (plugin.mode === 'observe' || controller.reliefAfterMs === 0) return;
    const look = slots === null ? await this.#lookAtCaptured() : await this.#named(slots);
    if (look !== null) this.#components.take(look);
  }

  async cluster(): Promise<WatchedCluster> {
    const { ownerOf, shards } = await this.#owners();
    const nodeCount = shards.reduce((most, { nodeId }) => Math.max(most, nodeId + 1), 0);
    const capacityOf = Array.from({ length: nodeCount }, () => capacityPerSecond(this.#settings));
    return { ownerOf, capacityOf };
  }

  async #named({ masterIds, ...look }: SlotLook): Promise<LoadLook> {
    const { shards } = await this.#owners();
    const told = shards.filter(({ masterId }) => masterIds.includes(masterId));
    return { ...look, nodeIds: new Set(told.map(({ nodeId }) => nodeId)) };
  }

  async #lookAtCaptured(): Promise<LoadLook | null> {
    const { metadata, publisher, clock, logger } = this.#components;
    const nowMs = clock.nowMs();
    const clusterName = this.#settings.cluster.name;
    const { processes } = await readClientView(metadata, { clusterName, nowMs, logger });
    await publisher.refresh(nowMs);
    const perSecond = this.#captured.look(nowMs, processes);
    const atMs = clock.monotonicMs();
    const durationMs = this.#lastMs === null ? 0 : atMs - this.#lastMs;
    this.#lastMs = atMs;
    if (perSecond === null || durationMs === 0) return null;
    const { ownerOf } = await this.#owners();
    return { atMs, durationMs, perSecond, nodeIds: new Set([...ownerOf].filter((id) => id !== NOBODY)) };
  }

  async #owners(): Promise<{ readonly ownerOf: Int32Array; readonly shards: readonly Shard[] }> {
    const { view, mirror } = this.#components;
    const topology = await view.topology();
    const shards = numberShards(await mirror.shards(), topology);
    return { ...partitionOwners(topology, shards, this.#settings.cluster.partitionCount), shards };
  }
}
