import { connect } from 'node:net';
import { ForeshardError } from '../../src/base/errors.ts';
import { type Logger, silentLogger } from '../../src/base/logger.ts';
import type { ControlReply } from '../hooks.ts';
import {
  FramedSocket,
  HANDSHAKE_TIMEOUT_MS,
  newRpcCounters,
  type PeerIdentity,
  PING_OPERATION,
  type RpcCounters,
} from './connection.ts';
import { decodeControlPayload, decodeMessage, encodeControlPayload, errorFromMessage } from './control.ts';
import { DataRequestBatch } from './data.ts';
import {
  CLIENT_LIMITS,
  encodeFrame,
  FRAME_CONTROL_REPLY,
  FRAME_CONTROL_REQUEST,
  FRAME_DATA_REPLY,
  FRAME_FLAG_ERROR,
  FRAME_HELLO,
} from './frames.ts';
import { encodeHello, parseHello } from './hello.ts';
import type { PeerTls } from './peer-tls.ts';

// The first retry comes at once after a restart of the peer; later ones do not keep a machine busy that is down for long.
const RECONNECT_MS_MIN = 10;
const RECONNECT_MS_MAX = 500;
const CONTROL_TIMEOUT_MS = 5_000;
/** A connection on which nothing was sent for so long says that somebody is there: a third of what a server bears. */
const PING_MS = 20_000;
/** Control requests that wait for an answer or for a connection; the next is refused. */
const CONTROL_IN_FLIGHT_MAX = 1024;

export interface RpcAddress {
  readonly host: string;
  readonly port: number;
}

export interface RpcClientOptions {
  /** Who we are. */
  readonly identity: PeerIdentity;
  /** Asked before every attempt, since a node may come back elsewhere; null when it is not known where it is. */
  readonly address: () => RpcAddress | null;
  /** Refuses a peer that says it is somebody else. */
  readonly peerNodeId?: number;
  /** Without it the connection is neither encrypted nor authenticated. */
  readonly tls?: PeerTls | null;
  readonly logger?: Logger;
  readonly pingMs?: number;
}

export interface RpcClientHandlers {
  readonly onDataReply?: (payload: Buffer) => void;
  readonly onConnected?: () => void;
  /** After a connection that had been made is lost, or an attempt failed. Requests sent before are unanswered for good. */
  readonly onDisconnected?: (reason: Error) => void;
  readonly onDrained?: () => void;
}

interface OpenControl {
  readonly operation: string;
  readonly frame: Buffer;
  readonly resolve: (reply: ControlReply) => void;
  readonly reject: (error: ForeshardError) => void;
  readonly timer: NodeJS.Timeout;
  isSent: boolean;
}

/** A connection to one peer that comes back by itself: control requests, and batches of data requests. */
export class RpcClient {
  readonly counters: RpcCounters = newRpcCounters();
  /** Requests written within one event-loop turn leave in one write; only write while `isConnected`. */
  readonly requests: DataRequestBatch;
  readonly #options: RpcClientOptions;
  readonly #handlers: RpcClientHandlers;
  readonly #logger: Logger;
  readonly #controls = new Map<number, OpenControl>();
  #framed: FramedSocket | null = null;
  #isReady = false;
  #isClosed = false;
  #isStarted = false;
  #correlation = 0;
  #reconnectMs = RECONNECT_MS_MIN;
  #reconnectTimer: NodeJS.Timeout | null = null;
  #lastError: Error | null = null;
  #pingTimer: NodeJS.Timeout | null = null;
  #bytesAtPing = 0;

  constructor(options: RpcClientOptions, handlers: RpcClientHandlers = {}) {
    this.#options = options;
    this.#handlers = handlers;
    this.#logger = options.logger ?? silentLogger;
    this.requests = new DataRequestBatch(() => setImmediate(() => this.flush()));
  }

  /** True between a successful handshake and the loss of the connection. */
  get isConnected(): boolean {
    return this.#isReady;
  }

  /** True while more than the backpressure limit waits to be sent. */
  get isCongested(): boolean {
    return this.#framed?.isCongested ?? false;
  }

  /** Why there is no connection, as far as known. */
  get lastError(): Error | null {
    return this.#lastError;
  }

  /** Starts to connect, and to reconnect for as long as it is not closed. `control` does it by itself. */
  start(): void {
    if (this.#isStarted || this.#isClosed) return;
    this.#isStarted = true;
    this.#connect();
  }

  /** Tries again now instead of when the backoff says: the caller has learnt that the peer is back. */
  reconnectNow(): void {
    this.#reconnectMs = RECONNECT_MS_MIN;
    if (this.#reconnectTimer === null) return;
    clearTimeout(this.#reconnectTimer);
    this.#reconnectTimer = null;
    this.#connect();
  }

  /**
   * Sends one control request; waits for a connection first, within the same time.
   *
   * @throws ForeshardError FORESHARD_UNAVAILABLE when it was certainly not sent; FORESHARD_UNKNOWN_OUTCOME when it was, but
   * no answer came; or the peer's own error.
   */
  control(
    operation: string,
    body: Record<string, unknown> = {},
    options: { readonly timeoutMs?: number; readonly bulk?: Uint8Array } = {},
  ): Promise<ControlReply> {
    if (this.#isClosed) return Promise.reject(this.#unavailable(operation, 'the client is closed'));
    if (this.#controls.size >= CONTROL_IN_FLIGHT_MAX)
      return Promise.reject(
        new ForeshardError(
          'FORESHARD_LIMIT',
          'wait',
          `more than ${CONTROL_IN_FLIGHT_MAX} control requests open`,
        ),
      );
    this.start();
    return new Promise((resolve, reject) => {
      const correlation = this.#nextCorrelation();
      const payload = encodeControlPayload({ operation, body }, options.bulk);
      const timeoutMs = options.timeoutMs ?? CONTROL_TIMEOUT_MS;
      const timer = setTimeout(() => this.#expire(correlation, timeoutMs), timeoutMs);
      const frame = encodeFrame(payload, { type: FRAME_CONTROL_REQUEST, correlation });
      const open: OpenControl = { operation, frame, resolve, reject, timer, isSent: false };
      this.#controls.set(correlation, open);
      if (this.#isReady) this.#sendControl(open);
      else this.reconnectNow();
    });
  }

  /** Sends the data requests written so far; otherwise they leave at the end of the event-loop turn. */
  flush(): void {
    const frames = this.requests.takeFrames();
    if (this.#isReady) this.#framed?.writeFrames(frames);
  }

  /** Takes nothing from the peer, replies to control requests included, until `resumeReading`, or a new connection. */
  pauseReading(): void {
    this.#framed?.socket.pause();
  }

  resumeReading(): void {
    this.#framed?.socket.resume();
  }

  /** Gives up this connection and makes a new one: the peer is there, but no longer answers. */
  reset(reason: Error): void {
    this.#framed?.close(reason);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endPings();
    if (this.#reconnectTimer !== null) clearTimeout(this.#reconnectTimer);
    const socket = this.#framed?.socket;
    this.#failControls(new Error('the client was closed'));
    if (socket === undefined || socket.closed) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    this.#framed?.close();
    await closed;
  }

  #nextCorrelation(): number {
    do this.#correlation = (this.#correlation + 1) >>> 0;
    while (this.#correlation === 0 || this.#controls.has(this.#correlation));
    return this.#correlation;
  }

  #connect(): void {
    const address = this.#options.address();
    if (address === null) {
      this.#onLost(new Error('its address is not known'));
      return;
    }
    const { identity, peerNodeId = null, tls } = this.#options;
    const socket =
      tls?.connect(address, { clusterId: identity.clusterId, nodeId: peerNodeId }) ??
      connect({ host: address.host, port: address.port, noDelay: true });
    const framed = new FramedSocket(socket, this.counters, {
      onFrame: (type, flags, correlation, payload) => this.#onFrame(type, flags, correlation, payload),
      onClosed: (reason) => {
        if (this.#framed !== framed) return;
        clearTimeout(handshakeTimer);
        this.#framed = null;
        this.#onLost(reason ?? new Error('the peer closed the connection'));
      },
      onDrained: () => this.#handlers.onDrained?.(),
    });
    this.#framed = framed;
    const handshakeTimer = setTimeout(() => {
      if (!this.#isReady) framed.close(new Error('the peer did not answer the hello in time'));
    }, HANDSHAKE_TIMEOUT_MS);
    socket.once(tls ? 'secureConnect' : 'connect', () =>
      framed.writeFrames([encodeFrame(encodeHello(identity), { type: FRAME_HELLO })]),
    );
  }

  #onFrame(type: number, flags: number, correlation: number, payload: Buffer): void {
    if (type === FRAME_DATA_REPLY) this.#handlers.onDataReply?.(payload);
    else if (type === FRAME_CONTROL_REPLY) this.#onControlReply(flags, correlation, payload);
    else this.#onHello(flags, payload);
  }

  #onHello(flags: number, payload: Buffer): void {
    if ((flags & FRAME_FLAG_ERROR) !== 0) throw errorFromMessage(decodeMessage(payload));
    const peer = parseHello(payload);
    const { identity, peerNodeId } = this.#options;
    if (peer.clusterId !== identity.clusterId)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `the peer belongs to cluster ${peer.clusterId}`,
      );
    if (peerNodeId !== undefined && peer.nodeId !== peerNodeId)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'refresh-map',
        `expected node ${peerNodeId}, found node ${peer.nodeId}`,
      );
    const framed = this.#framed as FramedSocket;
    framed.limits = CLIENT_LIMITS;
    this.#isReady = true;
    this.#lastError = null;
    this.#reconnectMs = RECONNECT_MS_MIN;
    this.#beginPings();
    for (const open of this.#controls.values()) if (!open.isSent) this.#sendControl(open);
    this.#handlers.onConnected?.();
  }

  #beginPings(): void {
    this.#endPings();
    this.#bytesAtPing = this.counters.bytesSent;
    this.#pingTimer = setInterval(() => {
      const isQuiet = this.counters.bytesSent === this.#bytesAtPing;
      // One that is not answered is no news: who waits for something else finds out by that.
      if (isQuiet) this.control(PING_OPERATION).catch(() => undefined);
      this.#bytesAtPing = this.counters.bytesSent;
    }, this.#options.pingMs ?? PING_MS).unref();
  }

  #endPings(): void {
    if (this.#pingTimer !== null) clearInterval(this.#pingTimer);
    this.#pingTimer = null;
  }

  #sendControl(open: OpenControl): void {
    open.isSent = true;
    this.#framed?.writeFrames([open.frame]);
  }

  #onControlReply(flags: number, correlation: number, payload: Buffer): void {
    const open = this.#controls.get(correlation);
    if (open === undefined) return; // it has timed out meanwhile
    this.#controls.delete(correlation);
    clearTimeout(open.timer);
    const { message, bulk } = decodeControlPayload(payload);
    if ((flags & FRAME_FLAG_ERROR) !== 0) open.reject(errorFromMessage(message));
    else open.resolve(bulk.length > 0 ? { body: message, bulk } : { body: message });
  }

  #expire(correlation: number, timeoutMs: number): void {
    const open = this.#controls.get(correlation);
    if (open === undefined) return;
    this.#controls.delete(correlation);
    open.reject(
      open.isSent
        ? unknownOutcome(open.operation, `no answer within ${timeoutMs} ms`)
        : this.#unavailable(open.operation, `no connection within ${timeoutMs} ms`),
    );
  }

  #onLost(reason: Error): void {
    const wasReady = this.#isReady;
    this.#isReady = false;
    this.#endPings();
    this.#lastError = reason;
    this.requests.takeFrames();
    // Unsent requests keep waiting for the next connection within their own time.
    for (const [correlation, open] of this.#controls) {
      if (!open.isSent) continue;
      this.#controls.delete(correlation);
      clearTimeout(open.timer);
      open.reject(unknownOutcome(open.operation, `the connection was lost: ${reason.message}`));
    }
    if (this.#isClosed) return;
    if (wasReady)
      this.#logger.warn({ peer: this.#options.peerNodeId ?? null, reason: reason.message }, 'lost a peer');
    this.#reconnectTimer = setTimeout(() => {
      this.#reconnectTimer = null;
      this.#connect();
    }, this.#reconnectMs);
    this.#reconnectMs = Math.min(RECONNECT_MS_MAX, this.#reconnectMs * 2);
    this.#handlers.onDisconnected?.(reason);
  }

  #failControls(reason: Error): void {
    for (const open of this.#controls.values()) {
      clearTimeout(open.timer);
      open.reject(
        open.isSent
          ? unknownOutcome(open.operation, reason.message)
          : this.#unavailable(open.operation, reason.message),
      );
    }
    this.#controls.clear();
  }

  #unavailable(operation: string, why: string): ForeshardError {
    const cause = this.#lastError;
    const peer = this.#options.peerNodeId === undefined ? 'the peer' : `node ${this.#options.peerNodeId}`;
    const detail = cause === null ? '' : ` (${cause.message})`;
    return new ForeshardError(
      'FORESHARD_UNAVAILABLE',
      'retry',
      `${operation} was not sent to ${peer}: ${why}${detail}`,
    );
  }
}

function unknownOutcome(operation: string, why: string): ForeshardError {
  return new ForeshardError(
    'FORESHARD_UNKNOWN_OUTCOME',
    're-read',
    `${operation} may or may not have been done: ${why}`,
  );
}
