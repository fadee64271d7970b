import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ForeshardError } from '../../src/base/errors.ts';
import {
  advanceRoutingTable,
  buildRoutingTable,
  NO_NODE,
  type RoutingTable,
} from '../../src/routing/routing-table.ts';
import { clusterKeys } from '../metadata/cluster-keys.ts';
import { ClusterMapReader } from '../metadata/cluster-map.ts';
import { bootstrapCluster } from '../metadata/form-cluster.ts';
import { listMembers } from '../metadata/members.ts';
import { listNodes } from '../metadata/node-registrations.ts';
import { type RpcAddress, RpcClient } from '../rpc/client.ts';
import { DataReplyReader } from '../rpc/data.ts';
import { Authentication } from '../security/authentication.ts';
import { GuardedListener } from '../security/guarded-listener.ts';
import type { HandshakeGate, HandshakePlace } from '../security/handshake-gate.ts';
import { SpacedWarnings } from '../security/spaced-warnings.ts';
import { DEFAULT_COPY_READ_LIMITS } from './copy-reads.ts';
import type { HealthReason } from './health.ts';
import {
  assertNotClosing,
  type QueryNodeComponents,
  type QueryNodeOptions,
  type RunningNode,
} from './node-options.ts';
import { ClientConnection, OutputSlab } from './query-client.ts';
import { newQueryCounters, type QueryCounters } from './query-counters.ts';
import { Dispatcher } from './query-dispatch.ts';
import { describeNode } from './query-info.ts';
import { PendingPool } from './query-pending.ts';
import { ReadReporter } from './read-reporter.ts';
import { Registration } from './registration.ts';
import { ConnectionCommands, errorReply } from './resp/connection-commands.ts';
import { Router, type StorageLink } from './router.ts';

/** How often holds are looked at while there are any; retries and deadlines are no finer than this. */
const SWEEP_MS = 5;
const STALL_CHECK_MS = 250;
/** A watch is only a hint and may be lost, so the map and who is where are read anew this often whatever happens. */
const REFRESH_MS = 1_000;
/** A few of these missed: the metadata store is out of reach. */
const MAP_AGE_MS_MAX = 5_000;
/** Hints come in bursts, one a phase change: reads of the map are this far apart. */
const REFRESH_PAUSE_MS = 2;
const FORMING_POLL_MS = 25;
const FORMING_TIMEOUT_MS = 60_000;
/** So often it is looked whether tokens have changed; a token that is gone ends its connections within this. */
const USERS_CHECK_MS = 1_000;
/** What is in flight when the node is told to end may take so long; a partition that is held may come back within it. */
const CLOSE_GRACE_MS = 3_000;
/** Who has all its replies and does not close its end is not waited for longer. */
const IDLE_GRACE_MS = 1_000;
/** For so long at a time a client with too many replies may hold up all others; then it is left to its own limit. */
const HOLD_UP_MS_MAX = 1_000;

export interface RunningQueryNode extends RunningNode {
  readonly counters: QueryCounters;
  /** The map by which queries are routed now. */
  readonly routingTable: () => RoutingTable;
  /** Frames from storage nodes that failed a check. */
  readonly corruptFrames: () => number;
  /** What strangers have run into. */
  readonly handshakes: HandshakeGate;
}

/**
 * Starts a query node: waits until the cluster has been formed (and forms it once all storage nodes are there), connects to
 * every storage node, and takes clients.
 */
export async function startQueryNode(
  options: QueryNodeOptions,
  components: QueryNodeComponents,
): Promise<RunningQueryNode> {
  const reader = new ClusterMapReader(components.metadata, options.clusterId);
  const table = await loadFirstTable(reader, options, components);
  const node = new QueryNode(options, components, reader, table);
  try {
    await node.start();
  } catch (error) {
    // Timers and connections of a node that does not serve would keep the process alive for ever.
    await node.close();
    throw error;
  }
  return node;
}

async function loadFirstTable(
  reader: ClusterMapReader,
  options: QueryNodeOptions,
  { metadata, clock, closing, logger }: QueryNodeComponents,
): Promise<RoutingTable> {
  const deadlineMs = clock.monotonicMs() + FORMING_TIMEOUT_MS;
  let isWaitTold = false;
  for (;;) {
    assertNotClosing(closing);
    try {
      const loaded = await reader.load();
      if (loaded.map.partitionCount !== options.partitionCount)
        throw new ForeshardError(
          'FORESHARD_CONFIG',
          'fix-config',
          `the cluster was formed with ${loaded.map.partitionCount} partitions, the settings say ${options.partitionCount}`,
        );
      return buildRoutingTable(loaded.records, loaded.map.partitionCount);
    } catch (error) {
      if (!(error instanceof ForeshardError) || error.code !== 'FORESHARD_NOT_READY') throw error;
    }
    const nodes = (await listNodes(metadata, options.clusterId)).filter(
      ({ role, nodeId }) => role === 'storage' && nodeId < options.storageNodeCount,
    );
    if (nodes.length >= options.storageNodeCount) {
      await bootstrapCluster(metadata, options.clusterId, { partitionCount: options.partitionCount, nodes });
      continue;
    }
    if (!isWaitTold)
      logger.info(
        { registered: nodes.length, timeoutMs: FORMING_TIMEOUT_MS },
        `waiting for ${options.storageNodeCount} storage nodes`,
      );
    isWaitTold = true;
    if (clock.monotonicMs() > deadlineMs)
      throw new ForeshardError(
        'FORESHARD_NOT_READY',
        'wait',
        `only ${nodes.length} of ${options.storageNodeCount} storage nodes have registered within ${FORMING_TIMEOUT_MS} ms: start the others (\`foreshard node --role storage\`, each with its own --node-id and --data-dir) and this node again, or set cluster.storageNodeCount`,
      );
    await delay(FORMING_POLL_MS);
  }
}

class QueryNode implements RunningQueryNode {
  readonly counters = newQueryCounters();
  readonly #options: QueryNodeOptions;
  readonly #components: QueryNodeComponents;
  readonly #mapReader: ClusterMapReader;
  readonly #pool = new PendingPool();
  readonly #router: Router;
  readonly #dispatcher: Dispatcher;
  readonly #listener: GuardedListener;
  readonly #authentication: Authentication;
  readonly #warnings: SpacedWarnings;
  /** Of clients that have not authenticated yet; afterwards a client may be idle for ever, as in Redis. */
  readonly #places = new Map<ClientConnection, HandshakePlace>();
  readonly #clients = new Map<number, ClientConnection>();
  readonly #slab = new OutputSlab();
  readonly #addresses = new Map<number, RpcAddress>();
  readonly #stalled = new Set<ClientConnection>();
  /** Clients for whose sake storage links are not read; null once their time is over, until they have drained. */
  readonly #holdUps = new Map<ClientConnection, NodeJS.Timeout | null>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #unwatch: (() => void)[] = [];
  readonly #reporter: ReadReporter;
  readonly #startedMs: number;
  #outputs: ClientConnection[] = [];
  #isOutputScheduled = false;
  #sweepTimer: NodeJS.Timeout | null = null;
  #nextClientId = 1;
  #isRefreshing = false;
  #isRefreshWanted = false;
  #mapReadMs: number;
  #areNodesRead = false;
  #areNodesWanted = false;
  #registration: Registration | null = null;
  #isClosed = false;

  constructor(
    options: QueryNodeOptions,
    components: QueryNodeComponents,
    reader: ClusterMapReader,
    table: RoutingTable,
  ) {
    this.#options = options;
    this.#components = components;
    this.#mapReader = reader;
    this.#startedMs = components.clock.monotonicMs();
    this.#mapReadMs = this.#startedMs;
    this.#router = new Router(table, {
      pool: this.#pool,
      counters: this.counters,
      clock: components.clock,
      hooks: components.hooks,
      onHookFault: components.onHookFault,
      retryMs: options.retryMs,
      clientIds: () => this.#clients.keys(),
      requestRefresh: () => void this.#refresh(),
      copyReads: { ...DEFAULT_COPY_READ_LIMITS, ...options.copyReads },
      onHeld: () => this.#scheduleSweep(),
    });
    this.#reporter = new ReadReporter({
      clusterId: options.clusterId,
      nodeId: options.nodeId,
      metadata: components.metadata,
      clock: components.clock,
      logger: components.logger,
      meters: () => this.#router.copyReads.meters(),
      latencies: this.#router.latencies,
      table: () => this.#router.table,
    });
    this.#authentication = new Authentication({ password: options.password, users: options.users ?? null });
    this.#warnings = new SpacedWarnings(components.logger);
    const connectionCommands = new ConnectionCommands({
      authentication: this.#authentication,
      onWrongPassword: (client) => this.#onWrongPassword(client),
      clients: () => this.#clients.values(),
      nowMs: () => this.#router.nowMs,
      describe: (sections) => this.#describe(sections),
      config: (pattern) => configValues(pattern),
    });
    this.#dispatcher = new Dispatcher({
      router: this.#router,
      pool: this.#pool,
      counters: this.counters,
      connectionCommands,
    });
    const { clientTls, handshakeLimits } = options;
    this.#listener = new GuardedListener((socket, place) => this.#accept(socket, place), {
      logger: components.logger,
      // A client which sends its requests and then FIN still gets the replies.
      allowHalfOpen: true,
      ...(clientTls ? { tls: (onSecure) => clientTls.createServer(onSecure) } : {}),
      ...(handshakeLimits === undefined ? {} : { limits: handshakeLimits }),
    });
  }

  get host(): string {
    return this.#options.host;
  }

  get port(): number {
    return this.#listener.port;
  }

  get handshakes(): HandshakeGate {
    return this.#listener.gate;
  }

  problems(): readonly HealthReason[] {
    const reasons: HealthReason[] = [];
    const agoMs = this.#components.clock.monotonicMs() - this.#mapReadMs;
    if (agoMs > MAP_AGE_MS_MAX)
      reasons.push({
        code: 'metadata-unreachable',
        isBlocking: false,
        text: `the map could not be read for ${Math.round(agoMs / 1000)} s; queries go by the last one`,
      });
    const lost = this.#router.table.ownerOf.filter((owner) => owner === NO_NODE).length;
    if (lost > 0)
      reasons.push({
        code: 'partitions-without-owner',
        isBlocking: false,
        text: `${lost} partitions have no valid record in the map`,
      });
    return reasons;
  }

  routingTable(): RoutingTable {
    return this.#router.table;
  }

  corruptFrames(): number {
    let count = 0;
    for (const link of this.#router.links.values()) count += link.rpc.counters.corruptFrames;
    return count;
  }

  async start(): Promise<void> {
    const { metadata } = this.#components;
    const keys = clusterKeys(this.#options.clusterId);
    this.#unwatch.push(
      metadata.watch(keys.mapPrefix, () => void this.#refresh()),
      metadata.watch(keys.nodePrefix, () => void this.#refreshNodes()),
      metadata.watch(keys.memberPrefix, () => void this.#refreshNodes()),
    );
    await this.#refreshNodes();
    await this.#refresh();
    this.#timers.push(
      setInterval(() => {
        void this.#refresh();
        void this.#refreshNodes();
      }, REFRESH_MS),
      setInterval(() => {
        this.#router.resetStalledLinks();
        // Replies to clients that have gone wake nobody who waits for their memory.
        this.#resumeStalled();
      }, STALL_CHECK_MS),
      setInterval(() => this.#refreshUsers(), USERS_CHECK_MS),
    );
    await this.#listener.listen(this.#options.host, this.#options.port);
    this.#registration = await Registration.announce(
      this.#options,
      { role: 'query', listens: this, storeId: '', nowMs: this.#components.clock.nowMs() },
      metadata,
    );
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const unwatch of this.#unwatch) unwatch();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#reporter.close();
    const closed = this.#listener.close();
    for (const client of this.#clients.values()) client.endAfterReplies();
    const cut = (isDue: (client: ClientConnection) => boolean): void => {
      for (const client of this.#clients.values()) if (isDue(client)) client.socket.destroy();
    };
    const idle = setTimeout(() => cut(({ inFlightCount }) => inFlightCount === 0), IDLE_GRACE_MS);
    const grace = setTimeout(() => cut(() => true), CLOSE_GRACE_MS);
    await closed;
    clearTimeout(idle);
    clearTimeout(grace);
    if (this.#sweepTimer !== null) clearTimeout(this.#sweepTimer);
    await Promise.all([...this.#router.links.values()].map((link) => link.rpc.close()));
    const { clock, logger } = this.#components;
    await this.#registration?.withdraw(clock.nowMs(), logger);
  }

  // -- Clients -------------------------------------------------------------------------------------------------------

  #accept(socket: Socket, place: HandshakePlace): void {
    this.counters.connectionsReceived++;
    if (this.#isClosed || this.#clients.size >= this.#options.clientConnectionsMax) {
      this.counters.connectionsRefused++;
      socket.on('error', () => socket.destroy());
      socket.end(errorReply('ERR max number of clients reached'));
      return;
    }
    const { initial } = this.#authentication;
    const client = new ClientConnection(this.#nextClientId++, socket, this, {
      valueBytesMax: this.#options.valueBytesMax,
      access: initial,
      nowMs: this.#components.clock.monotonicMs(),
      slab: this.#slab,
    });
    this.#clients.set(client.id, client);
    this.counters.connectedClients = this.#clients.size;
    if (initial === null) this.#places.set(client, place);
    else place.leave();
  }

  onAccess(client: ClientConnection): void {
    this.#places.get(client)?.leave();
    this.#places.delete(client);
  }

  #onWrongPassword(client: ClientConnection): void {
    this.counters.authenticationFailures++;
    // The user is not told: many a client sends its password in that place.
    this.#warnings.warn({ client: client.address }, 'a client gave a wrong password or token');
  }

  /** Whoever is connected by a token that is gone is cut off; what its rights are now holds from the next command on. */
  #refreshUsers(): void {
    const accessOf = this.#authentication.refresh();
    if (accessOf === null) return;
    for (const client of [...this.#clients.values()]) {
      if (client.tokenDigest === null) continue;
      const access = accessOf(client.tokenDigest);
      if (access !== null) client.access = access;
      else {
        this.#warnings.warn(
          { client: client.address, user: client.access?.user },
          'a client was cut off: its token holds no longer',
        );
        client.socket.destroy();
      }
    }
  }

  get pool(): PendingPool {
    return this.#pool;
  }

  onInput(client: ClientConnection): void {
    this.#router.nowMs = this.#components.clock.monotonicMs();
    if (this.#dispatcher.run(client)) return;
    client.stall();
    this.#stalled.add(client);
  }

  onOutput(client: ClientConnection): void {
    this.#outputs.push(client);
    if (this.#isOutputScheduled) return;
    this.#isOutputScheduled = true;
    setImmediate(() => this.#flushOutputs());
  }

  onBacklog(client: ClientConnection): void {
    if (this.#holdUps.has(client) || client.isClosed) return;
    const timer = setTimeout(() => {
      this.#holdUps.set(client, null);
      this.#resumeLinks();
    }, HOLD_UP_MS_MAX);
    this.#holdUps.set(client, timer);
    if (!this.#router.isReadingPaused) this.#router.pauseReading();
  }

  onDrained(client: ClientConnection): void {
    const timer = this.#holdUps.get(client);
    if (timer === undefined) return;
    this.#holdUps.delete(client);
    if (timer === null) return;
    clearTimeout(timer);
    this.#resumeLinks();
  }

  #resumeLinks(): void {
    for (const timer of this.#holdUps.values()) if (timer !== null) return;
    this.#router.resumeReading();
  }

  onClosed(client: ClientConnection): void {
    this.onDrained(client);
    this.#clients.delete(client.id);
    this.#places.delete(client);
    this.#stalled.delete(client);
    this.#dispatcher.forget(client);
    this.#router.losses.forget(client.id);
    this.counters.connectedClients = this.#clients.size;
  }

  /** Once an event-loop turn: everything that became ready goes out, one write a client; then stalled clients go on. */
  #flushOutputs(): void {
    this.#isOutputScheduled = false;
    const outputs = this.#outputs;
    this.#outputs = [];
    for (const client of outputs) client.flush();
    if (this.#stalled.size > 0) this.#resumeStalled();
  }

  #resumeStalled(): void {
    if (!this.#router.canAccept) return;
    for (const client of [...this.#stalled]) {
      if (!client.canResume) continue;
      this.#router.nowMs = this.#components.clock.monotonicMs();
      const { inFlightCount } = client;
      const isDone = this.#dispatcher.run(client);
      if (!isDone && client.inFlightCount === inFlightCount) continue;
      // Who has had a turn goes to the end of the line, so that long pipelines share what room there is.
      this.#stalled.delete(client);
      if (isDone) client.resume();
      else this.#stalled.add(client);
    }
  }

  #describe(sections: readonly string[]): string {
    return describeNode(sections, {
      counters: this.counters,
      corruptFrames: this.corruptFrames(),
      uptimeMs: this.#components.clock.monotonicMs() - this.#startedMs,
      port: this.port,
      strangers: this.#listener.gate,
      router: this.#router,
    });
  }

  // -- Storage nodes and the map -------------------------------------------------------------------------------------

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
      const link = this.#router.links.get(nodeId) ?? this.#newLink(nodeId);
      link.rpc.start();
      if (hasMoved && !link.rpc.isConnected) link.rpc.reconnectNow();
    }
    for (const { nodeId, stoppedAtMs } of members) {
      const link = this.#router.links.get(nodeId);
      if (link !== undefined) link.isLeaving = stoppedAtMs !== undefined;
    }
  }

  /** Reads the map; calls that come meanwhile are one more read afterwards. */
  async #refresh(): Promise<void> {
    this.#isRefreshWanted = true;
    if (this.#isRefreshing || this.#isClosed) return;
    this.#isRefreshing = true;
    try {
      while (this.#isRefreshWanted && !this.#isClosed) {
        this.#isRefreshWanted = false;
        this.counters.mapRefreshes++;
        const loaded = await this.#mapReader.load();
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

  #scheduleSweep(): void {
    if (this.#sweepTimer !== null || this.#isClosed) return;
    this.#sweepTimer = setTimeout(() => {
      this.#sweepTimer = null;
      this.#router.sweep();
      if (this.#router.wantsSweep) this.#scheduleSweep();
    }, SWEEP_MS);
  }
}

/** What redis-benchmark and client libraries ask for. Durability is what `appendonly yes` with `appendfsync always` promises. */
const CONFIG_VALUES: readonly (readonly [string, string])[] = [
  ['appendonly', 'yes'],
  ['appendfsync', 'always'],
  ['save', ''],
  ['databases', '1'],
  ['maxmemory', '0'],
  ['maxmemory-policy', 'noeviction'],
];

function configValues(pattern: string): readonly (readonly [string, string])[] {
  const source = pattern
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  let matcher: RegExp;
  try {
    matcher = new RegExp(`^${source}$`);
  } catch {
    return []; // an unclosed [class] matches nothing
  }
  return CONFIG_VALUES.filter(([name]) => matcher.test(name));
}
