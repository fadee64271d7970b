import type { Socket } from 'node:net';
import { ForeshardError } from '../../src/base/errors.ts';
import { type Logger, silentLogger } from '../../src/base/logger.ts';
import type { ControlReply } from '../hooks.ts';
import { GuardedListener } from '../security/guarded-listener.ts';
import type { HandshakeGate, HandshakeLimits, HandshakePlace } from '../security/handshake-gate.ts';
import {
  BACKPRESSURE_BYTES,
  FramedSocket,
  newRpcCounters,
  type PeerIdentity,
  PING_OPERATION,
  type RpcCounters,
} from './connection.ts';
import { decodeControlPayload, encodeControlPayload, encodeMessage, errorToMessage } from './control.ts';
import { DataReplyBatch } from './data.ts';
import {
  corrupt,
  encodeFrame,
  FRAME_CONTROL_REPLY,
  FRAME_CONTROL_REQUEST,
  FRAME_DATA_REQUEST,
  FRAME_FLAG_ERROR,
  FRAME_HELLO,
  HELLO_BYTES_MAX,
  SERVER_LIMITS,
} from './frames.ts';
import { encodeHello, parseHello } from './hello.ts';
import type { PeerTls } from './peer-tls.ts';
import { DEFAULT_QUIET_LIMITS, type QuietLimits, QuietWatch } from './quiet-watch.ts';

/** Control requests one connection may have open; the next gets an error. */
const CONTROL_IN_FLIGHT_MAX = 256;

export interface RpcServerOptions {
  readonly identity: PeerIdentity;
  readonly host?: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly logger?: Logger;
  /** Without it connections are neither encrypted nor authenticated. */
  readonly tls?: PeerTls | null;
  /** How long a congested peer may take nothing before its connection is closed. */
  readonly sendStallMs?: number;
  /** Of connections that have not said hello yet. */
  readonly handshakeLimits?: HandshakeLimits;
  /** Of those that have. */
  readonly quietLimits?: QuietLimits;
}

export interface RpcServerHandlers {
  /** A frame of data requests; read it with a DataRequestReader, answer through `connection.replies`. May throw ForeshardError: closes. */
  readonly onData?: (connection: RpcServerConnection, payload: Buffer) => void;
  readonly onControl?: (
    operation: string,
    body: Record<string, unknown>,
    connection: RpcServerConnection,
  ) => Promise<ControlReply>;
  readonly onConnected?: (connection: RpcServerConnection) => void;
  /** Everything that waited to be sent has been: `isCongested` is false again. */
  readonly onDrained?: (connection: RpcServerConnection) => void;
  readonly onClosed?: (connection: RpcServerConnection) => void;
}

/** Accepts peers, checks who they are, hands over their data frames and answers their control requests. */
export class RpcServer {
  readonly counters: RpcCounters = newRpcCounters();
  readonly connections = new Set<RpcServerConnection>();
  readonly #options: RpcServerOptions;
  readonly #handlers: RpcServerHandlers;
  readonly #logger: Logger;
  readonly #listener: GuardedListener;
  #watch: NodeJS.Timeout | null = null;

  constructor(options: RpcServerOptions, handlers: RpcServerHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#logger = options.logger ?? silentLogger;
    const { tls, handshakeLimits } = options;
    this.#listener = new GuardedListener((socket, place) => this.#accept(socket, place), {
      logger: this.#logger,
      ...(tls ? { tls: (onSecure) => tls.createServer(onSecure) } : {}),
      ...(handshakeLimits === undefined ? {} : { limits: handshakeLimits }),
    });
  }

  /** What strangers have run into: see HandshakeGate. */
  get handshakes(): HandshakeGate {
    return this.#listener.gate;
  }

  /** @returns the port. @throws ForeshardError FORESHARD_UNAVAILABLE when the address cannot be had. */
  listen(): Promise<number> {
    const { lookMs } = this.#options.quietLimits ?? DEFAULT_QUIET_LIMITS;
    this.#watch ??= setInterval(() => {
      for (const connection of this.connections) connection.endIfQuiet();
    }, lookMs).unref();
    return this.#listener.listen(this.#options.host ?? '127.0.0.1', this.#options.port);
  }

  get port(): number {
    return this.#listener.port;
  }

  async close(): Promise<void> {
    const closed = this.#listener.close();
    if (this.#watch !== null) clearInterval(this.#watch);
    for (const connection of this.connections) connection.close();
    await closed;
  }

  #accept(socket: Socket, place: HandshakePlace): void {
    const { tls = null } = this.#options;
    const connection = new RpcServerConnection(socket, this.counters, {
      identity: this.#options.identity,
      handlers: this.#handlers,
      logger: this.#logger,
      tls,
      sendStallMs: this.#options.sendStallMs,
      quietLimits: this.#options.quietLimits ?? DEFAULT_QUIET_LIMITS,
      onHandshakeEnded: () => place.leave(),
      onClosed: () => this.connections.delete(connection),
    });
    this.connections.add(connection);
  }
}

interface ConnectionOwner {
  readonly identity: PeerIdentity;
  readonly handlers: RpcServerHandlers;
  readonly logger: Logger;
  readonly tls: PeerTls | null;
  readonly sendStallMs: number | undefined;
  readonly quietLimits: QuietLimits;
  readonly onHandshakeEnded: () => void;
  readonly onClosed: () => void;
}

/** One peer, as the server sees it. */
export class RpcServerConnection {
  /** Where data replies go; what is written within one event-loop turn leaves in one write. */
  readonly replies: DataReplyBatch;
  readonly #framed: FramedSocket;
  readonly #owner: ConnectionOwner;
  readonly #counters: RpcCounters;
  readonly #quietWatch: QuietWatch;
  #peer: PeerIdentity | null = null;
  #isHandshakeOver = false;
  #controlsInFlight = 0;

  constructor(socket: Socket, counters: RpcCounters, owner: ConnectionOwner) {
    this.#owner = owner;
    this.#counters = counters;
    this.#quietWatch = new QuietWatch(owner.quietLimits);
    this.replies = new DataReplyBatch(() => setImmediate(() => this.flush()));
    this.#framed = new FramedSocket(
      socket,
      counters,
      {
        onFrame: (type, _flags, correlation, payload) => this.#onFrame(type, correlation, payload),
        onClosed: (reason) => this.#onClosed(reason),
        onDrained: () => {
          this.#framed.socket.resume();
          owner.handlers.onDrained?.(this);
        },
      },
      { sendStallMs: owner.sendStallMs },
    );
  }

  /** Who said hello; null before. */
  get peer(): PeerIdentity | null {
    return this.#peer;
  }

  get isOpen(): boolean {
    return this.#framed.isOpen;
  }

  /** So many replies wait to be sent that no more should be made for now. */
  get isCongested(): boolean {
    return this.#framed.socket.writableLength + this.replies.untakenBytes > BACKPRESSURE_BYTES;
  }

  /** Sends the replies written so far; otherwise they leave at the end of the event-loop turn. */
  flush(): void {
    this.#framed.writeFrames(this.replies.takeFrames());
    // A peer that asks but does not read is not asked for more; reading goes on once it has caught up.
    if (this.#framed.isCongested) this.#framed.socket.pause();
  }

  close(reason?: Error): void {
    this.#framed.close(reason);
  }

  /** Of a peer that has said hello; before, the gate has its own time. */
  endIfQuiet(): void {
    const { progress } = this.#framed;
    if (this.#peer === null || progress === null) return;
    const why = this.#quietWatch.look(progress);
    if (why !== null) this.close(new Error(why));
  }

  #onFrame(type: number, correlation: number, payload: Buffer): void {
    if (type === FRAME_HELLO) this.#onHello(payload);
    else if (type === FRAME_DATA_REQUEST) {
      if (this.#owner.handlers.onData === undefined) throw corrupt('this node takes no data requests');
      this.#owner.handlers.onData(this, payload);
    } else if (type === FRAME_CONTROL_REQUEST) this.#onControl(correlation, payload);
  }

  #onHello(payload: Buffer): void {
    const { identity, tls } = this.#owner;
    try {
      const peer = parseHello(payload);
      if (peer.clusterId !== identity.clusterId)
        throw new ForeshardError(
          'FORESHARD_CONFIG',
          'fix-config',
          `this node belongs to cluster ${identity.clusterId}, the peer to ${peer.clusterId}`,
        );
      tls?.assertPeer(this.#framed.socket, peer);
      this.#peer = peer;
    } catch (error) {
      this.#counters.refusedHandshakes++;
      const message = encodeMessage(errorToMessage(error), HELLO_BYTES_MAX);
      this.#framed.writeFrames([encodeFrame(message, { type: FRAME_HELLO, flags: FRAME_FLAG_ERROR })]);
      this.#framed.end();
      return;
    }
    this.#endHandshake();
    this.#framed.limits = SERVER_LIMITS;
    this.#framed.writeFrames([encodeFrame(encodeHello(identity), { type: FRAME_HELLO })]);
    this.#owner.handlers.onConnected?.(this);
  }

  #onControl(correlation: number, payload: Buffer): void {
    const { message } = decodeControlPayload(payload);
    const { operation, body } = message;
    if (typeof operation !== 'string') throw corrupt('a control request without an operation');
    if (typeof body !== 'object' || body === null || Array.isArray(body))
      throw corrupt('a control request whose body is not a map');
    if (this.#controlsInFlight >= CONTROL_IN_FLIGHT_MAX) {
      const error = new ForeshardError(
        'FORESHARD_LIMIT',
        'wait',
        `more than ${CONTROL_IN_FLIGHT_MAX} control requests open`,
      );
      this.#reply(correlation, errorToMessage(error), { isError: true });
      return;
    }
    if (operation === PING_OPERATION) {
      this.#reply(correlation, {}, {});
      return;
    }
    this.#controlsInFlight++;
    void this.#answer(correlation, operation, body as Record<string, unknown>);
  }

  async #answer(correlation: number, operation: string, body: Record<string, unknown>): Promise<void> {
    try {
      const { onControl } = this.#owner.handlers;
      if (onControl === undefined)
        throw new ForeshardError('FORESHARD_UNAVAILABLE', 'fix-config', `this node answers no ${operation}`);
      const reply = await onControl(operation, body, this);
      this.#reply(correlation, reply.body, reply.bulk === undefined ? {} : { bulk: reply.bulk });
    } catch (error) {
      if (!(error instanceof ForeshardError))
        this.#owner.logger.error(
          { operation, error: String((error as Error)?.stack ?? error) },
          'a control request failed',
        );
      this.#reply(correlation, errorToMessage(error), { isError: true });
    } finally {
      this.#controlsInFlight--;
    }
  }

  #reply(
    correlation: number,
    message: Record<string, unknown>,
    options: { isError?: boolean; bulk?: Uint8Array },
  ): void {
    const payload = encodeControlPayload(message, options.bulk);
    const flags = options.isError === true ? FRAME_FLAG_ERROR : 0;
    this.#framed.writeFrames([encodeFrame(payload, { type: FRAME_CONTROL_REPLY, flags, correlation })]);
  }

  #endHandshake(): void {
    if (this.#isHandshakeOver) return;
    this.#isHandshakeOver = true;
    this.#owner.onHandshakeEnded();
  }

  #onClosed(reason: Error | undefined): void {
    this.#endHandshake();
    if (reason !== undefined)
      this.#owner.logger.warn(
        { peer: this.#peer?.nodeId ?? null, reason: reason.message },
        'a peer connection ended',
      );
    this.#owner.onClosed();
    if (this.#peer !== null) this.#owner.handlers.onClosed?.(this);
  }
}
