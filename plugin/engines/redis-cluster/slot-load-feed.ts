import type { Clock } from '../../../src/base/clock.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../../../src/model/load-profile.ts';
import { SLOT_COUNT } from '../../../src/model/partition-map.ts';
import type { WindowLoad } from '../../host/profile-ledger.ts';
import type { ProfilePublisher } from '../../host/profile-publisher.ts';
import { PUBLISH_LATE_MS_MAX } from '../../redis/capture-recorder.ts';
import { type SlotLoads, SlotStats, type SlotStatsSupport } from '../../redis/slot-stats.ts';
import type { WatchedMaster } from './master-watch.ts';
import type { RedisNodes } from './redis-node.ts';
import type { ClusterTopology } from './topology.ts';

export interface SlotLoadFeedComponents {
  readonly nodes: RedisNodes;
  readonly clock: Clock;
  readonly publisher: Pick<ProfilePublisher, 'publish'>;
  /** Under which its windows stand beside those of captured applications; drawn anew by each process. */
  readonly feedId: number;
}

/** The open window is written this often: so much is lost of it when the agent is killed. */
const PUBLISH_INTERVAL_MS = 60_000;

interface FedWindow {
  readonly startMs: number;
  readonly values: Float64Array;
  queryCount: number;
  /** Whether it has more than was published of it. */
  hasNews: boolean;
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
  #publishedMs = Number.NEGATIVE_INFINITY;
  #window: FedWindow | null = null;
  /** Windows that are over and could not be published yet, oldest first. */
  #closed: FedWindow[] = [];

  constructor(
    grid: { readonly windowMs: number; readonly partitionCount: number },
    components: SlotLoadFeedComponents,
  ) {
    this.#grid = grid;
    this.#components = components;
  }

  /**
   * Counting begins anew at the next poll: in between somebody else has told of the load. What was counted is published.
   *
   * @throws ForeshardError FORESHARD_UNAVAILABLE of the metadata store: the next pause or poll tries again.
   */
  async pause(): Promise<void> {
    this.#stats = new SlotStats();
    this.#commandsBefore = new Map();
    await this.#publishClosed();
    if (this.#window?.hasNews === true) await this.#publish(this.#window);
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
    const { nodes } = this.#components;
    const answering = topology.masters.filter(({ nodeId }) => watched.has(nodeId));
    const loads = await this.#stats.poll(
      new Map(answering.map(({ nodeId }) => [nodeId, nodes.node(nodeId)])),
    );
    const operations = this.#operationsOf(watched);
    if (loads.support !== 'load') return loads.support;
    // Counted before anything is written: the servers do not tell it twice.
    const window = this.#windowOf(this.#components.clock.nowMs());
    this.#add(window, loads, { topology, operations });
    await this.#publishClosed();
    const nowMs = this.#components.clock.monotonicMs();
    if (nowMs - this.#publishedMs >= PUBLISH_INTERVAL_MS) {
      await this.#publish(window);
      this.#publishedMs = nowMs;
    }
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

  #windowOf(nowMs: number): FedWindow {
    const { windowMs, partitionCount } = this.#grid;
    const startMs = Math.floor(nowMs / windowMs) * windowMs;
    if (this.#window?.startMs === startMs) return this.#window;
    if (this.#window?.hasNews === true) this.#closed.push(this.#window);
    const values = new Float64Array(partitionCount * LOAD_DIMENSION_COUNT);
    this.#window = { startMs, values, queryCount: 0, hasNews: false };
    return this.#window;
  }

  #add(
    window: FedWindow,
    loads: SlotLoads,
    {
      topology,
      operations,
    }: { readonly topology: ClusterTopology; readonly operations: ReadonlyMap<string, number> },
  ): void {
    const { partitionCount } = this.#grid;
    window.hasNews = true;
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
      window.queryCount += queries;
    }
  }

  /** One that could not be published for too long is given up: its parts may have been added up by now, and it would count twice. */
  async #publishClosed(): Promise<void> {
    const oldestMs = this.#components.clock.nowMs() - PUBLISH_LATE_MS_MAX - this.#grid.windowMs;
    this.#closed = this.#closed.filter(({ startMs }) => startMs >= oldestMs);
    if (this.#window !== null && this.#window.startMs < oldestMs) this.#window = null;
    for (let window = this.#closed[0]; window !== undefined; window = this.#closed[0]) {
      await this.#publish(window);
      this.#closed.shift();
    }
  }

  async #publish(window: FedWindow): Promise<void> {
    const { publisher, feedId } = this.#components;
    const load: WindowLoad = {
      startMs: window.startMs,
      queryNodeId: feedId,
      values: window.values,
      capturedCount: Math.round(window.queryCount),
      droppedCount: 0,
    };
    window.hasNews = false;
    try {
      await publisher.publish([load]);
    } catch (error) {
      window.hasNews = true;
      throw error;
    }
  }
}
