import type { LoadLook } from '../../../../src/affinity/relief/stress-watch.ts';
import type { Clock } from '../../../../src/base/clock.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../../../src/model/load-profile.ts';
import { SLOT_COUNT } from '../../../../src/model/partition-map.ts';
import { type FedWindow, FedWindows } from '../../../host/analysis/fed-windows.ts';
import type { ProfilePublisher } from '../../../host/analysis/profile-publisher.ts';
import type { RedisNodes } from '../server/redis-node.ts';
import type { ClusterTopology } from '../topology/topology.ts';
import type { WatchedMaster } from './master-watch.ts';
import { type SlotLoads, SlotStats, type SlotStatsSupport } from './slot-stats.ts';

export interface SlotLoadFeedComponents {
  readonly nodes: RedisNodes;
  readonly clock: Clock;
  readonly publisher: Pick<ProfilePublisher, 'publish'>;
  /** Under which its windows stand beside those of captured applications; drawn anew by each process. */
  readonly feedId: number;
  /**
   * What stands beside its windows as captured: operations, or where its windows tell of CPU alone, beside captured queries, the
   * milliseconds that were measured.
   */
  readonly counts: 'operations' | 'milliseconds';
  /** Told what slots were asked since the last poll. */
  readonly onLook?: (look: SlotLook) => void;
}

/** As LoadLook, of masters by the ids that they have in the cluster. */
export interface SlotLook extends Pick<LoadLook, 'atMs' | 'durationMs' | 'perSecond'> {
  /** Those that have counted all the time. */
  readonly masterIds: readonly string[];
}

const QUERIES = dimensionIndex('queries');
const CPU = dimensionIndex('cpuSeconds');

/**
 * Load by partition as the servers tell it (CLUSTER SLOT-STATS), for a cluster none of whose clients are captured. Servers do
 * not count operations by slot: those that INFO tells of a master are shared out by CPU time.
 *
 * Whoever leads feeds, and windows of several leaders add up, so what happened while another led is left to that one.
 */
export class SlotLoadFeed {
  readonly #grid: { readonly windowMs: number; readonly partitionCount: number };
  readonly #components: SlotLoadFeedComponents;
  #stats = new SlotStats();
  /** Commands since its start, by master, and the run that they are of. */
  #commandsBefore = new Map<string, { readonly runId: string; readonly commands: number }>();
  readonly #windows: FedWindows;
  #pollMs: number | null = null;

  constructor(
    grid: { readonly windowMs: number; readonly partitionCount: number },
    components: SlotLoadFeedComponents,
  ) {
    this.#grid = grid;
    this.#components = components;
    this.#windows = new FedWindows(grid, components);
  }

  /**
   * Counting begins anew at the next poll: in between somebody else has told of the load. What was counted is published.
   *
   * @throws ForeshardError FORESHARD_UNAVAILABLE of the metadata store: the next pause or poll tries again.
   */
  async pause(): Promise<void> {
    this.#stats = new SlotStats();
    this.#commandsBefore = new Map();
    this.#pollMs = null;
    await this.#windows.publishAll();
  }

  /**
   * What has been asked since the last poll goes into the window that is open now, which is published now and then.
   *
   * @throws ForeshardError FORESHARD_UNAVAILABLE of a master or of the metadata store; what was counted is told with the next.
   */
  async poll(
    topology: ClusterTopology,
    watched: ReadonlyMap<string, WatchedMaster>,
  ): Promise<SlotStatsSupport> {
    const { nodes, clock, counts } = this.#components;
    const answering = topology.masters.filter(({ nodeId }) => watched.has(nodeId));
    const loads = await this.#stats.poll(
      new Map(answering.map(({ nodeId }) => [nodeId, nodes.node(nodeId)])),
    );
    const before = this.#commandsBefore;
    const operations = this.#operationsOf(watched);
    if (loads.support !== 'load') return loads.support;
    // Counted before anything is written: the servers do not tell it twice.
    const window = this.#windows.open();
    const nowMs = clock.monotonicMs();
    const asked = { values: new Float64Array(window.values.length) };
    const queryCount = this.#add(asked, loads, { topology, operations });
    for (let i = 0; i < asked.values.length; i++) window.values[i]! += asked.values[i] as number;
    const durationMs = this.#pollMs === null ? 0 : nowMs - this.#pollMs;
    if (durationMs > 0)
      this.#components.onLook?.({
        ...{ atMs: nowMs, durationMs },
        perSecond: asked.values.map((own) => (1000 * own) / durationMs),
        masterIds: answering
          .map(({ nodeId }) => nodeId)
          .filter((id) => before.get(id)?.runId === watched.get(id)?.counters.runId),
      });
    window.count += counts === 'operations' ? queryCount : nowMs - (this.#pollMs ?? nowMs);
    this.#pollMs = nowMs;
    await this.#windows.publishDue();
    return loads.support;
  }

  /** Commands of each master since the last poll; 0 at the first one, and after a restart. */
  #operationsOf(watched: ReadonlyMap<string, WatchedMaster>): ReadonlyMap<string, number> {
    const operations = new Map<string, number>();
    const now = new Map<string, { readonly runId: string; readonly commands: number }>();
    for (const [nodeId, { counters }] of watched) {
      const { runId, commands } = counters;
      const before = this.#commandsBefore.get(nodeId);
      operations.set(nodeId, before?.runId === runId ? Math.max(0, commands - before.commands) : 0);
      now.set(nodeId, { runId, commands });
    }
    this.#commandsBefore = now;
    return operations;
  }

  /** @returns how many operations went in. */
  #add(
    window: Pick<FedWindow, 'values'>,
    loads: SlotLoads,
    {
      topology,
      operations,
    }: { readonly topology: ClusterTopology; readonly operations: ReadonlyMap<string, number> },
  ): number {
    const { partitionCount } = this.#grid;
    let queryCount = 0;
    const cpuOf = new Float64Array(topology.masters.length);
    const ownerOf = (slot: number): number => topology.ownerOf[slot] as number;
    const cpuAt = (slot: number): number => loads.values[slot * LOAD_DIMENSION_COUNT + CPU] as number;
    for (let slot = 0; slot < SLOT_COUNT; slot++) if (ownerOf(slot) >= 0) cpuOf[ownerOf(slot)] += cpuAt(slot);
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const base = Math.floor((slot * partitionCount) / SLOT_COUNT) * LOAD_DIMENSION_COUNT;
      for (let d = 0; d < LOAD_DIMENSION_COUNT; d++)
        window.values[base + d] += loads.values[slot * LOAD_DIMENSION_COUNT + d] as number;
      const owner = ownerOf(slot);
      const share = owner < 0 || cpuOf[owner] === 0 ? 0 : cpuAt(slot) / (cpuOf[owner] as number);
      const queries = share * (operations.get(topology.masters[owner]?.nodeId ?? '') ?? 0);
      window.values[base + QUERIES] += queries;
      queryCount += queries;
    }
    return queryCount;
  }
}
