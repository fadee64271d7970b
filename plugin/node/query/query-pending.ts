import type { DataReplyReader } from '../../rpc/data.ts';
import type { ClientConnection } from './query-client.ts';

/** Who waits for one partition's part of a command that went to several. */
export interface PartSink {
  /** The reply is bytes replyStart..replyEnd of `part.reply`; the part is recycled when this returns. */
  onPart(part: PendingQuery): void;
}

/** Who wants to know what became of a request that is in no client's queue. Told once, after it was recycled. */
export interface Probe {
  onReply(reader: DataReplyReader): void;
  /** The connection was lost before an answer came. */
  onLost(): void;
}

const NOTHING = Buffer.alloc(0);

/**
 * One query on its way, or one partition's part of one. Recycled, so that a query costs no allocation; every field has one
 * type for life, so that the compiler keeps one shape.
 */
export class PendingQuery {
  /** The requestId on the wire, and the index into the pool; never changes. */
  readonly id: number;
  /** Null for a part, which answers to its sink instead. */
  client: ClientConnection | null = null;
  sink: PartSink | null = null;
  /** Set on requests of the query node's own, which belong to no client: their answer goes there and nowhere else. */
  probe: Probe | null = null;
  /** Which part of its sink. */
  partIndex = 0;
  /** The next in its client's queue of replies, or in the pool. */
  next: PendingQuery | null = null;

  commandIndex = 0;
  partitionId = 0;
  /** Where it was sent; -1 while it is held. */
  nodeId = -1;
  clientId = 0;
  isWrite = false;
  /** It waits for a copy's answer; its own request has not been sent. */
  isAtCopy = false;
  wasAtCopy = false;
  isRedirected = false;
  isResp3 = false;
  /** Ascending in the order in which clients' requests were read: what a hold restores. */
  order = 0;
  receivedMs = 0;
  /** Epoch by which it was sent last. */
  sentEpoch = 0;

  /** The encoded request, for sending again and for the key: bytes requestStart..requestEnd. */
  request: Buffer = NOTHING;
  requestStart = 0;
  requestEnd = 0;
  keyBytes = 0;

  isDone = false;
  reply: Buffer = NOTHING;
  replyStart = 0;
  replyEnd = 0;
  /** What its reply counts for: an estimate while it is on its way, 0 if that is small; then its size. See PendingPool.reckon. */
  reckonedBytes = 0;

  constructor(id: number) {
    this.id = id;
  }

  /** The answer, in RESP; shares memory with whatever it came in. */
  settle(reply: Buffer, replyStart: number, replyEnd: number): void {
    this.reply = reply;
    this.replyStart = replyStart;
    this.replyEnd = replyEnd;
    this.isDone = true;
  }

  clear(): void {
    this.client = null;
    this.sink = null;
    this.next = null;
    this.nodeId = -1;
    this.isAtCopy = false;
    this.wasAtCopy = false;
    this.probe = null;
    this.isRedirected = false;
    this.isDone = false;
    this.request = NOTHING;
    this.requestStart = 0;
    this.requestEnd = 0;
    this.keyBytes = 0;
    this.reply = NOTHING;
  }
}

/** All pending queries of a query node, by id. */
export class PendingPool {
  readonly #byId: PendingQuery[] = [];
  readonly #isInUse: boolean[] = [];
  #free: PendingQuery | null = null;
  /** Of all queries that are out: replies on their way if they are large, and replies that wait for earlier ones. */
  replyBytes = 0;

  /** Says how much the reply of a query counts for from now on, for its client and for the node. */
  reckon(pending: PendingQuery, bytes: number): void {
    const difference = bytes - pending.reckonedBytes;
    if (difference === 0) return;
    pending.reckonedBytes = bytes;
    this.replyBytes += difference;
    if (pending.client !== null) pending.client.replyBytes += difference;
  }

  acquire(): PendingQuery {
    let pending = this.#free;
    if (pending === null) {
      pending = new PendingQuery(this.#byId.length);
      this.#byId.push(pending);
    } else {
      this.#free = pending.next;
      pending.next = null;
    }
    this.#isInUse[pending.id] = true;
    return pending;
  }

  release(pending: PendingQuery): void {
    this.reckon(pending, 0);
    pending.clear();
    this.#isInUse[pending.id] = false;
    pending.next = this.#free;
    this.#free = pending;
  }

  /** @returns undefined for an id that is not out. */
  byId(id: number): PendingQuery | undefined {
    return this.#isInUse[id] === true ? this.#byId[id] : undefined;
  }

  /** Everything that is out, for the rare moments when a connection is lost. */
  *inUse(): Generator<PendingQuery> {
    for (const pending of this.#byId) if (this.#isInUse[pending.id] === true) yield pending;
  }
}
