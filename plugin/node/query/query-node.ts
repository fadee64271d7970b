import type { Socket } from 'node:net';
import { NO_NODE, type RoutingTable } from '../../../src/routing/routing-table.ts';
import { ClusterMapReader } from '../../metadata/cluster-map.ts';
import type { Reading } from '../../metrics/reading.ts';
import { Authentication } from '../../security/authentication.ts';
import { GuardedListener } from '../../security/guarded-listener.ts';
import {
  DEFAULT_HANDSHAKE_LIMITS,
  type HandshakeGate,
  type HandshakePlace,
} from '../../security/handshake-gate.ts';
import { SpacedWarnings } from '../../security/spaced-warnings.ts';
import type { HealthReason } from '../health.ts';
import type { QueryNodeComponents, QueryNodeOptions, RunningNode } from '../node-options.ts';
import { Registration } from '../registration.ts';
import { ClientTurns } from './client-turns.ts';
import { ClusterFollower } from './cluster-follower.ts';
import { configValues } from './config-values.ts';
import { ConnectionCommands } from './connection-commands.ts';
import { DEFAULT_COPY_READ_LIMITS } from './copy-reads.ts';
import { loadFirstTable } from './first-routing-table.ts';
import { ClientConnection, OutputSlab } from './query-client.ts';
import { newQueryCounters, type QueryCounters } from './query-counters.ts';
import { Dispatcher } from './query-dispatch.ts';
import { describeNode } from './query-info.ts';
import { queryNodeReadings } from './query-node-readings.ts';
import { PendingPool } from './query-pending.ts';
import { ReadReporter } from './read-reporter.ts';
import { errorReply } from './replies.ts';
import { Router } from './router.ts';

/** How often holds are looked at while there are any; retries and deadlines are no finer than this. */
const SWEEP_MS = 5;
const STALL_CHECK_MS = 250;
/** A few of these missed: the metadata store is out of reach. */
const MAP_AGE_MS_MAX = 5_000;
/** So often it is looked whether tokens have changed; a token that is gone ends its connections within this. */
const USERS_CHECK_MS = 1_000;
/** What is in flight when the node is told to end may take so long; a partition that is held may come back within it. */
const CLOSE_GRACE_MS = 3_000;
/** Who has all its replies and does not close its end is not waited for longer. */
const IDLE_GRACE_MS = 1_000;

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

class QueryNode implements RunningQueryNode {
  readonly counters = newQueryCounters();
  readonly #options: QueryNodeOptions;
  readonly #components: QueryNodeComponents;
  readonly #pool = new PendingPool();
  readonly #router: Router;
  readonly #turns: ClientTurns;
  readonly #follower: ClusterFollower;
  readonly #listener: GuardedListener;
  readonly #authentication: Authentication;
  readonly #warnings: SpacedWarnings;
  /** Of clients that have not authenticated yet; afterwards a client may be idle for ever, as in Redis. */
  readonly #places = new Map<ClientConnection, HandshakePlace>();
  readonly #clients = new Map<number, ClientConnection>();
  readonly #slab = new OutputSlab();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #reporter: ReadReporter;
  readonly #startedMs: number;
  #sweepTimer: NodeJS.Timeout | null = null;
  #nextClientId = 1;
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
    this.#startedMs = components.clock.monotonicMs();
    this.#router = new Router(table, {
      pool: this.#pool,
      counters: this.counters,
      clock: components.clock,
      hooks: components.hooks,
      onHookFault: components.onHookFault,
      retryMs: options.retryMs,
      clientIds: () => this.#clients.keys(),
      requestRefresh: () => this.#follower.refresh(),
      copyReads: { ...DEFAULT_COPY_READ_LIMITS, ...options.copyReads },
      onHeld: () => this.#scheduleSweep(),
    });
    this.#follower = new ClusterFollower(options, components, {
      reader,
      router: this.#router,
      counters: this.counters,
    });
    this.#reporter = new ReadReporter({
      clusterId: options.clusterId,
      nodeId: options.nodeId,
      metadata: components.metadata,
      clock: components.clock,
      logger: components.logger,
      meters: () => this.#router.copyReads.meters(),
      latencies: this.#router.completion.latencies,
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
    const dispatcher = new Dispatcher({
      router: this.#router,
      pool: this.#pool,
      counters: this.counters,
      connectionCommands,
    });
    this.#turns = new ClientTurns(this.#router, dispatcher, components.clock);
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
    const agoMs = this.#follower.mapAgeMs;
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

  readings(): readonly Reading[] {
    const links = [...this.#router.links.byId.values()];
    return queryNodeReadings({
      counters: this.counters,
      corruptFrames: this.corruptFrames(),
      strangersRefused: this.handshakes.refusedCount,
      storageNodes: {
        known: links.length,
        connected: links.filter((link) => link.rpc.isConnected).length,
      },
      partitionsHeld: this.#router.heldCount,
      latencies: this.#router.completion.latencies.all,
    });
  }

  routingTable(): RoutingTable {
    return this.#router.table;
  }

  corruptFrames(): number {
    let count = 0;
    for (const link of this.#router.links.byId.values()) count += link.rpc.counters.corruptFrames;
    return count;
  }

  async start(): Promise<void> {
    await this.#follower.start();
    this.#timers.push(
      setInterval(() => {
        this.#router.resetStalledLinks();
        this.#turns.resumeStalled();
      }, STALL_CHECK_MS),
      setInterval(() => this.#refreshUsers(), USERS_CHECK_MS),
    );
    await this.#listener.listen(this.#options.host, this.#options.port);
    this.#registration = await Registration.announce(
      this.#options,
      { role: 'query', listens: this, storeId: '', nowMs: this.#components.clock.nowMs() },
      this.#components.metadata,
    );
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#follower.stop();
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
    await this.#follower.disconnect();
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
    this.#places.get(client)?.keepForWrongGuess();
    this.#mute(client);
    // The user is not told: many a client sends its password in that place.
    this.#warnings.warn({ client: client.address }, 'a client gave a wrong password or token');
  }

  /** Also of a client that is in already: it could guess what would let it do more. */
  #mute(client: ClientConnection): void {
    const { wrongGuessMs } = this.#options.handshakeLimits ?? DEFAULT_HANDSHAKE_LIMITS;
    client.isMuted = true;
    setTimeout(() => {
      client.isMuted = false;
      this.onOutput(client);
    }, wrongGuessMs).unref();
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
    this.#turns.onInput(client);
  }

  onOutput(client: ClientConnection): void {
    this.#turns.onOutput(client);
  }

  onBacklog(client: ClientConnection): void {
    this.#turns.onBacklog(client);
  }

  onDrained(client: ClientConnection): void {
    this.#turns.onDrained(client);
  }

  onClosed(client: ClientConnection): void {
    this.#turns.onClosed(client);
    this.#clients.delete(client.id);
    this.#places.delete(client);
    this.#router.losses.forget(client.id);
    this.counters.connectedClients = this.#clients.size;
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

  #scheduleSweep(): void {
    if (this.#sweepTimer !== null || this.#isClosed) return;
    this.#sweepTimer = setTimeout(() => {
      this.#sweepTimer = null;
      this.#router.sweep();
      if (this.#router.wantsSweep) this.#scheduleSweep();
    }, SWEEP_MS);
  }
}
