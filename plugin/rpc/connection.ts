import type { Socket } from 'node:net';
import { FrameDecoder, type FrameLimits, HANDSHAKE_LIMITS, type OnFrame } from './frames.ts';
import type { ReadingProgress } from './quiet-watch.ts';

/** Above this much unsent data a connection is congested: give it no more until it has drained. */
export const BACKPRESSURE_BYTES = 8 * 1024 * 1024;
/** A congested peer that takes not one byte for so long is as good as gone: its connection is closed. */
const SEND_STALL_MS_MAX = 10_000;
/**
 * The last resort against a fault of our own: nobody gives a congested connection more data replies, so what can pile up is
 * the limit above and one largest frame; requests are admitted by less than this, control replies by their count.
 */
const UNSENT_BYTES_MAX = 64 * 1024 * 1024;
export const HANDSHAKE_TIMEOUT_MS = 5_000;
/** A control request that asks nothing: it says that the peer is there. */
export const PING_OPERATION = 'ping';
// Dead peers without a FIN are found by the kernel; loopback never needs it, other networks do.
const KEEP_ALIVE_DELAY_MS = 30_000;

export const PEER_ROLES = ['query', 'storage', 'coordinator', 'operator'] as const;
export type PeerRole = (typeof PEER_ROLES)[number];

/** Who is at an end of a connection. */
export interface PeerIdentity {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly role: PeerRole;
}

export interface RpcCounters {
  /** Frames that failed a checksum, a limit or a schema; each closed its connection. */
  corruptFrames: number;
  refusedHandshakes: number;
  framesReceived: number;
  bytesReceived: number;
  bytesSent: number;
}

export const newRpcCounters = (): RpcCounters => ({
  corruptFrames: 0,
  refusedHandshakes: 0,
  framesReceived: 0,
  bytesReceived: 0,
  bytesSent: 0,
});

export interface FramedSocketHandlers {
  readonly onFrame: OnFrame;
  /** Once, whatever ended it; `reason` is undefined after an orderly end. */
  readonly onClosed: (reason: Error | undefined) => void;
  readonly onDrained?: () => void;
}

/** A socket that speaks frames: decodes, counts, closes on the first thing that is wrong. Both ends use it. */
export class FramedSocket {
  readonly socket: Socket;
  readonly #decoder: FrameDecoder;
  readonly #counters: RpcCounters;
  readonly #sendStallMs: number;
  #closeReason: Error | undefined;
  #chunkCount = 0;
  #frameCount = 0;

  constructor(
    socket: Socket,
    counters: RpcCounters,
    handlers: FramedSocketHandlers,
    options: { readonly sendStallMs?: number | undefined } = {},
  ) {
    this.socket = socket;
    this.#counters = counters;
    this.#sendStallMs = options.sendStallMs ?? SEND_STALL_MS_MAX;
    this.#decoder = new FrameDecoder(HANDSHAKE_LIMITS, (type, flags, correlation, payload) => {
      counters.framesReceived++;
      this.#frameCount++;
      handlers.onFrame(type, flags, correlation, payload);
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
    socket.on('data', (chunk: Buffer) => this.#onChunk(chunk));
    socket.on('error', (error) => {
      this.#closeReason ??= error;
    });
    // Set only while congested; the socket looks by itself whether the kernel has taken anything since the last time.
    socket.on('timeout', () =>
      this.close(
        new Error(
          `${socket.writableLength} bytes wait to be sent, and the peer has taken none for ${this.#sendStallMs} ms`,
        ),
      ),
    );
    socket.on('drain', () => {
      socket.setTimeout(0);
      handlers.onDrained?.();
    });
    socket.once('close', () => {
      this.#decoder.stop();
      handlers.onClosed(this.#closeReason);
    });
  }

  set limits(limits: FrameLimits) {
    this.#decoder.limits = limits;
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  get isCongested(): boolean {
    return this.socket.writableLength > BACKPRESSURE_BYTES;
  }

  /** How far reading is; null while it is held up by ourselves. */
  get progress(): ReadingProgress | null {
    if (this.socket.isPaused()) return null;
    return { chunkCount: this.#chunkCount, frameCount: this.#frameCount, stage: this.#decoder.stage };
  }

  #onChunk(chunk: Buffer): void {
    this.#chunkCount++;
    this.#counters.bytesReceived += chunk.length;
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      // Whatever a peer's bytes provoke ends at its connection; the stream has lost its place anyway.
      this.#counters.corruptFrames++;
      this.close(error as Error);
    }
  }

  /** Writes all frames in one system call where the kernel takes them. */
  writeFrames(frames: readonly Uint8Array[]): void {
    if (!this.isOpen || frames.length === 0) return;
    if (frames.length > 1) this.socket.cork();
    for (const frame of frames) {
      this.#counters.bytesSent += frame.length;
      this.socket.write(frame);
    }
    if (frames.length > 1) this.socket.uncork();
    if (!this.isCongested) return;
    if (this.socket.writableLength > UNSENT_BYTES_MAX)
      this.close(new Error(`${this.socket.writableLength} bytes wait to be sent`));
    else if (this.socket.timeout === undefined || this.socket.timeout === 0)
      this.socket.setTimeout(this.#sendStallMs);
  }

  /** Sends what is queued, then ends: for a last word to the peer. */
  end(): void {
    this.#decoder.stop();
    this.socket.end();
  }

  close(reason?: Error): void {
    this.#closeReason ??= reason;
    this.#decoder.stop();
    this.socket.destroy();
  }
}
