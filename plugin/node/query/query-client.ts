import type { Socket } from 'node:net';
import { RequestParser } from '../../resp/parser.ts';
import type { ClientAccess } from '../../security/client-access.ts';
import type { PendingPool, PendingQuery } from './query-pending.ts';

/** Commands of one client that may be on their way; then reading waits. Enough for any pipeline that gains by its depth. */
const IN_FLIGHT_MAX = 256;
const IN_FLIGHT_RESUME = IN_FLIGHT_MAX / 2;
/** Above this much output, unsent or waiting for an earlier reply, a client is read no further. */
const OUTPUT_BYTES_BACKPRESSURE = 8 * 1024 * 1024;
/** So much a client gets in one turn of what the query node answers itself: such replies may be long, and cost more than they weigh. */
export const OWN_BYTES_PER_TURN = 256 * 1024;
/** Replies are admitted by estimates. Where those were far too low, a client with so much waiting holds up the storage links. */
export const OUTPUT_BYTES_HOLD_UP = 32 * 1024 * 1024;
/** A client that lets so much pile up is not reading its replies: it is disconnected, as Redis does by its own limit. */
export const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;
/** Replies up to this are copied together into one write; a larger one goes out as it came. */
const COALESCE_BYTES_MAX = 64 * 1024;

/** What a connection needs of the node it belongs to. */
export interface ClientHost {
  readonly pool: PendingPool;
  /** Input has come, or has room again: parse and dispatch. */
  onInput(client: ClientConnection): void;
  /** Replies have become ready: call `flush` at the end of this event-loop turn. */
  onOutput(client: ClientConnection): void;
  /** More than OUTPUT_BYTES_HOLD_UP has not been taken by the client; told again and again until `onDrained`. */
  onBacklog(client: ClientConnection): void;
  /** All that was written to the client has left. */
  onDrained(client: ClientConnection): void;
  /** It has shown who it is. */
  onAccess(client: ClientConnection): void;
  onClosed(client: ClientConnection): void;
}

/** Scratch space shared by all clients of a node for putting small replies together. */
export class OutputSlab {
  static readonly #BYTES = 256 * 1024;
  #slab = Buffer.allocUnsafeSlow(OutputSlab.#BYTES);
  #used = 0;

  /** `bytes` <= COALESCE_BYTES_MAX, to be filled and written at once; never handed out again. */
  take(bytes: number): Buffer {
    if (this.#used + bytes > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(OutputSlab.#BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += bytes;
    return this.#slab.subarray(start, this.#used);
  }
}

/** One client: its protocol state, and the queue that gives it its replies in the order of its requests. */
export class ClientConnection {
  readonly id: number;
  readonly socket: Socket;
  readonly parser: RequestParser;
  readonly address: string;
  readonly createdMs: number;

  isResp3 = false;
  name = '';
  libraryName = '';
  libraryVersion = '';
  lastCommand = '';
  lastActiveMs: number;
  /** Nothing more is read; the connection ends once everything before is answered. */
  isEnding = false;
  isClosed = false;
  /** FIN has come: what is left in the parser is all there will be. */
  hasInputEnded = false;
  /** Reading waits for replies, output or memory. */
  isStalled = false;
  /** The partition of the one read that is at a copy, -1 for none: its next query there has to wait. */
  copyPartition = -1;
  /** SHA-256 of the token it has shown, to see whether that still holds; null without one. */
  tokenDigest: Buffer | null = null;
  inFlightCount = 0;
  /** It gets nothing and is read no further for now: it has guessed wrongly. */
  isMuted = false;
  /** What the replies of its queries count for; kept by PendingPool.reckon. */
  replyBytes = 0;
  isOutputPending = false;
  /** Ready, and to be written at the end of this turn. */
  #readyBytes = 0;
  /** Of replies that were known at once, since the last write. */
  #ownBytes = 0;

  readonly #host: ClientHost;
  readonly #slab: OutputSlab;
  #access: ClientAccess | null = null;
  #head: PendingQuery | null = null;
  #tail: PendingQuery | null = null;
  readonly #pieces: Buffer[] = [];
  readonly #pieceStarts: number[] = [];
  readonly #pieceEnds: number[] = [];

  constructor(
    id: number,
    socket: Socket,
    host: ClientHost,
    options: {
      readonly valueBytesMax: number;
      /** Null where the client has to authenticate first. */
      readonly access: ClientAccess | null;
      readonly nowMs: number;
      readonly slab: OutputSlab;
    },
  ) {
    this.id = id;
    this.socket = socket;
    this.#host = host;
    this.#slab = options.slab;
    this.parser = new RequestParser(options.valueBytesMax);
    this.#access = options.access;
    this.parser.isAuthenticated = options.access !== null;
    this.createdMs = options.nowMs;
    this.lastActiveMs = options.nowMs;
    this.address = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      if (this.isEnding) return;
      this.parser.feed(chunk);
      if (!this.isStalled) host.onInput(this);
    });
    socket.on('drain', () => {
      host.onDrained(this);
      host.onOutput(this);
    });
    // A client that has sent FIN still gets the replies to what it sent before, also to what waits in the parser.
    socket.on('end', () => {
      this.hasInputEnded = true;
      if (!this.isStalled) host.onInput(this);
    });
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.isClosed = true;
      this.isEnding = true;
      host.onClosed(this);
    });
  }

  /** What the client may do; null before it has authenticated. */
  get access(): ClientAccess | null {
    return this.#access;
  }

  set access(access: ClientAccess | null) {
    this.#access = access;
    this.parser.isAuthenticated = access !== null;
    if (access !== null) this.#host.onAccess(this);
  }

  /** Room for one more query; otherwise reading has to wait. */
  get canAccept(): boolean {
    return this.inFlightCount < IN_FLIGHT_MAX && this.#hasOutputRoom && !this.isMuted;
  }

  get canResume(): boolean {
    return this.inFlightCount <= IN_FLIGHT_RESUME && this.#hasOutputRoom && !this.isMuted;
  }

  get #hasOutputRoom(): boolean {
    return (
      this.#ownBytes < OWN_BYTES_PER_TURN &&
      this.socket.writableLength + this.#readyBytes + this.replyBytes < OUTPUT_BYTES_BACKPRESSURE
    );
  }

  stall(): void {
    this.isStalled = true;
    this.socket.pause();
  }

  resume(): void {
    this.isStalled = false;
    this.socket.resume();
  }

  /** A query whose reply is still to come takes its place in the queue. */
  enqueue(pending: PendingQuery): void {
    pending.client = this;
    this.inFlightCount++;
    if (this.#tail === null) this.#head = pending;
    else this.#tail.next = pending;
    this.#tail = pending;
  }

  /** A reply that is known at once. */
  reply(bytes: Buffer, start = 0, end = bytes.length): void {
    this.#ownBytes += end - start;
    if (this.#head === null) {
      this.#append(bytes, start, end);
      return;
    }
    const pending = this.#host.pool.acquire();
    this.enqueue(pending);
    this.answer(pending, bytes, start, end);
  }

  /** Gives a query its reply, and hands over all replies that are next in order. */
  answer(pending: PendingQuery, reply: Buffer, start: number, end: number): void {
    pending.settle(reply, start, end);
    if (pending === this.#head) this.#release();
    else {
      this.#host.pool.reckon(pending, end - start);
      if (this.replyBytes > OUTPUT_BYTES_HOLD_UP) this.#checkBacklog();
    }
  }

  #release(): void {
    let head = this.#head;
    while (head?.isDone === true) {
      this.#append(head.reply, head.replyStart, head.replyEnd);
      this.inFlightCount--;
      const { next } = head;
      this.#host.pool.release(head);
      head = next;
    }
    this.#head = head;
    if (head === null) this.#tail = null;
  }

  #append(bytes: Buffer, start: number, end: number): void {
    if (this.isClosed) return;
    this.#pieces.push(bytes);
    this.#pieceStarts.push(start);
    this.#pieceEnds.push(end);
    this.#readyBytes += end - start;
    if (!this.isOutputPending) {
      this.isOutputPending = true;
      this.#host.onOutput(this);
    }
  }

  /** Writes everything that is ready, unless it is muted. */
  flush(): void {
    if (this.isMuted) return;
    this.isOutputPending = false;
    this.#readyBytes = 0;
    this.#ownBytes = 0;
    const count = this.#pieces.length;
    if (count > 0 && !this.isClosed) {
      if (count === 1) this.socket.write(this.#pieces[0].subarray(this.#pieceStarts[0], this.#pieceEnds[0]));
      else this.#writePieces(count);
      this.#pieces.length = 0;
      this.#pieceStarts.length = 0;
      this.#pieceEnds.length = 0;
      this.#checkBacklog();
    }
    if (this.isEnding && this.#head === null && !this.isClosed) this.socket.end();
  }

  #checkBacklog(): void {
    const unsentBytes = this.socket.writableLength;
    if (unsentBytes + this.replyBytes > OUTPUT_BYTES_MAX) this.socket.destroy();
    // Only what the client does not take: replies that wait for earlier ones need the links to be read.
    else if (unsentBytes > OUTPUT_BYTES_HOLD_UP) this.#host.onBacklog(this);
  }

  /** Small neighbours are copied together, large ones written as they are, all in one system call where it takes them. */
  #writePieces(count: number): void {
    this.socket.cork();
    let first = 0;
    while (first < count) {
      let bytes = this.#pieceEnds[first] - this.#pieceStarts[first];
      let last = first + 1;
      while (last < count && bytes + this.#pieceEnds[last] - this.#pieceStarts[last] <= COALESCE_BYTES_MAX) {
        bytes += this.#pieceEnds[last] - this.#pieceStarts[last];
        last++;
      }
      if (last === first + 1)
        this.socket.write(this.#pieces[first].subarray(this.#pieceStarts[first], this.#pieceEnds[first]));
      else {
        const together = this.#slab.take(bytes);
        let offset = 0;
        for (let i = first; i < last; i++)
          offset += this.#copyPiece(
            together,
            offset,
            this.#pieces[i],
            this.#pieceStarts[i],
            this.#pieceEnds[i],
          );
        this.socket.write(together);
      }
      first = last;
    }
    this.socket.uncork();
  }

  #copyPiece(target: Buffer, offset: number, piece: Buffer, start: number, end: number): number {
    if (end - start > 64) target.set(piece.subarray(start, end), offset);
    else for (let i = start, j = offset; i < end; i++, j++) target[j] = piece[i];
    return end - start;
  }

  /** QUIT, a protocol error, or the last request before the client's FIN: answer what came before, then end. */
  endAfterReplies(): void {
    if (this.isEnding) return;
    this.isEnding = true;
    this.#host.onOutput(this);
  }
}
