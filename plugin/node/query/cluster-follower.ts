import { setTimeout as delay } from 'node:timers/promises';
import { advanceRoutingTable, buildRoutingTable } from '../../../src/routing/routing-table.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import type { ClusterMapReader } from '../../metadata/cluster-map.ts';
import { listMembers } from '../../metadata/members.ts';
import { listNodes } from '../../metadata/node-registrations.ts';
import { type RpcAddress, RpcClient } from '../../rpc/client.ts';
import { DataReplyReader } from '../../rpc/data.ts';
import type { QueryNodeComponents, QueryNodeOptions } from '../node-options.ts';
import type { QueryCounters } from './query-counters.ts';
import type { Router } from './router.ts';
import type { StorageLink } from './storage-links.ts';

/** A watch is only a hint and may be lost, so the map and who is where are read anew this often whatever happens. */
const REFRESH_MS = 1_000;
/** Hints come in bursts, one a phase change: reads of the map are this far apart. */
const REFRESH_PAUSE_MS = 2;

/** Keeps a router's map, and its connections to storage nodes, as the metadata store says. */
export class ClusterFollower {
  readonly #options: QueryNodeOptions;
  readonly #components: QueryNodeComponents;
  readonly #reader: ClusterMapReader;
  readonly #router: Router;
  readonly #counters: QueryCounters;
  readonly #addresses = new Map<number, RpcAddress>();
  readonly #unwatch: (() => void)[] = [];
  #timer: NodeJS.Timeout | null = null;
  #isRefreshing = false;
  #isRefreshWanted = false;
  #mapReadMs: number;
  #areNodesRead = false;
  #areNodesWanted = false;
  #isClosed = false;

  constructor(
    options: QueryNodeOptions,
    components: QueryNodeComponents,
    parts: { readonly reader: ClusterMapReader; readonly router: Router; readonly counters: QueryCounters },
  ) {
    this.#options = options;
    this.#components = components;
    this.#reader = parts.reader;
    this.#router = parts.router;
    this.#counters = parts.counters;
    this.#mapReadMs = components.clock.monotonicMs();
  }

  /** Since the map was read last. */
  get mapAgeMs(): number {
    return this.#components.clock.monotonicMs() - this.#mapReadMs;
  }

  async start(): Promise<void> {
    const { metadata } = this.#components;
    const keys = clusterKeys(this.#options.clusterId);
    this.#unwatch.push(
      metadata.watch(keys.mapPrefix, () => this.refresh()),
      metadata.watch(keys.nodePrefix, () => void this.#refreshNodes()),
      metadata.watch(keys.memberPrefix, () => void this.#refreshNodes()),
    );
    await this.#refreshNodes();
    await this.#refreshMap();
    this.#timer = setInterval(() => {
      this.refresh();
      void this.#refreshNodes();
    }, REFRESH_MS);
  }

  /** Reads nothing more; connections stay until `disconnect`. */
  stop(): void {
    this.#isClosed = true;
    for (const unwatch of this.#unwatch) unwatch();
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  async disconnect(): Promise<void> {
    await Promise.all([...this.#router.links.byId.values()].map((link) => link.rpc.close()));
  }

  /** The map looks out of date. */
  refresh(): void {
    void this.#refreshMap();
  }

  #newLink(nodeId: number): StorageLink {
    const replies = new DataReplyReader();
    const { clusterId } = this.#options;
    const rpc = new RpcClient(
      {
        identity: { clusterId, nodeId: this.#options.nodeId, role: 'query' },
        peerNodeId: nodeId,
        address: () => this.#addresses.get(nodeId) ?? null,
        logger: this.#components.logger,
        tls: this.#options.tls ?? null,
      },
      {
        onDataReply: (payload) => {
          replies.open(payload);
          this.#router.onReplies(link, replies);
        },
        onConnected: () => this.#router.onLinkUp(link),
        onDisconnected: () => this.#router.onLinkDown(link),
      },
    );
    const link = this.#router.addLink(nodeId, rpc);
    return link;
  }

  /** Reads who is where; calls that come meanwhile are one more read afterwards, so that the newest is what counts. */
  async #refreshNodes(): Promise<void> {
    this.#areNodesWanted = true;
    if (this.#areNodesRead || this.#isClosed) return;
    this.#areNodesRead = true;
    try {
      while (this.#areNodesWanted && !this.#isClosed) {
        this.#areNodesWanted = false;
        await this.#readNodes();
      }
    } catch (error) {
      this.#onMetadataError(error);
    } finally {
      this.#areNodesRead = false;
    }
  }

  async #readNodes(): Promise<void> {
    const { metadata } = this.#components;
    const { clusterId } = this.#options;
    const [nodes, members] = await Promise.all([
      listNodes(metadata, clusterId),
      listMembers(metadata, clusterId),
    ]);
    if (this.#isClosed) return;
    for (const { nodeId, role, host, port } of nodes) {
      if (role !== 'storage') continue;
      const known = this.#addresses.get(nodeId);
      const hasMoved = known?.host !== host || known?.port !== port;
      this.#addresses.set(nodeId, { host, port });
      const link = this.#router.links.at(nodeId) ?? this.#newLink(nodeId);
      link.rpc.start();
      if (hasMoved && !link.rpc.isConnected) link.rpc.reconnectNow();
    }
    for (const { nodeId, stoppedAtMs } of members) {
      const link = this.#router.links.at(nodeId);
      if (link !== undefined) link.isLeaving = stoppedAtMs !== undefined;
    }
  }

  /** Reads the map; calls that come meanwhile are one more read afterwards. */
  async #refreshMap(): Promise<void> {
    this.#isRefreshWanted = true;
    if (this.#isRefreshing || this.#isClosed) return;
    this.#isRefreshing = true;
    try {
      while (this.#isRefreshWanted && !this.#isClosed) {
        this.#isRefreshWanted = false;
        this.#counters.mapRefreshes++;
        const loaded = await this.#reader.load();
        this.#mapReadMs = this.#components.clock.monotonicMs();
        if (this.#isClosed) return;
        const next = buildRoutingTable(loaded.records, loaded.map.partitionCount);
        const { table, changed } = advanceRoutingTable(this.#router.table, next);
        this.#router.setTable(table, changed);
        await delay(REFRESH_PAUSE_MS);
      }
    } catch (error) {
      this.#onMetadataError(error);
    } finally {
      this.#isRefreshing = false;
    }
  }

  /** Without the metadata store nobody's ownership can change either: the last map stays right. */
  #onMetadataError(error: unknown): void {
    if (this.#isClosed) return;
    this.#components.logger.warn(
      { error: (error as Error).message },
      'cannot read the metadata store; routing by the last map',
    );
  }
}
