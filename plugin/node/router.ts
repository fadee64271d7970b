import type { Clock } from '../../src/base/clock.ts';
import { keySlot } from '../../src/routing/key-slot.ts';
import { isCopyReader, NO_NODE, type RoutingTable } from '../../src/routing/routing-table.ts';
import { COMMANDS } from '../commands/table.ts';
import type { QueryNodeHooks } from '../host/hooks.ts';
import type { RpcClient } from '../rpc/client.ts';
import {
  type DataReplyReader,
  DataRequestBatch,
  REQUEST_FLAG_RESP3,
  REQUEST_HEADER_BYTES,
  STATUS_BEHIND,
  STATUS_NOT_OWNER,
  STATUS_UNAVAILABLE,
} from '../rpc/data.ts';
import { corrupt } from '../rpc/frames.ts';
import { type CopyReadLimits, CopyReads } from './copy-reads.ts';
import { LineageLosses } from './lineage-losses.ts';
import { NodeLatencies } from './node-latency.ts';
import { PartitionHolds } from './partition-holds.ts';
import type { ClientConnection } from './query-client.ts';
import type { QueryCounters } from './query-counters.ts';
import type { PartSink, PendingPool, PendingQuery, Probe } from './query-pending.ts';
import { ReplyEstimate } from './reply-estimate.ts';
import { type StorageLink, StorageLinks, takesQueries } from './storage-links.ts';

/** Requests that are on their way or held, over all clients; beyond it clients are read no further. */
const IN_FLIGHT_BYTES_MAX = 32 * 1024 * 1024;
/** Times retryMs. A fenced source may rightly hold requests for as long as a hand-over takes, so this is longer. */
const STALL_FACTOR = 2;

const MINUS = 45;
const OUTCOME_OK = 0;
const OUTCOME_ERROR = 1;
const OUTCOME_REDIRECTED = 2;
const OUTCOME_UNAVAILABLE = 3;

export interface RouterOptions {
  readonly pool: PendingPool;
  readonly counters: QueryCounters;
  readonly clock: Clock;
  readonly hooks: QueryNodeHooks;
  readonly onHookFault: (hook: string, error: unknown) => void;
  readonly retryMs: number;
  readonly copyReads: CopyReadLimits;
  /** Everybody who is connected. */
  readonly clientIds: () => Iterable<number>;
  /** The map looks out of date. */
  readonly requestRefresh: () => void;
  /** Something waits: `sweep` wants to be called every few milliseconds while `wantsSweep`. */
  readonly onHeld: () => void;
}

/** Sends every query to the owner of its partition and keeps the order of each partition through every change of owner. */
export class Router {
  readonly links = new StorageLinks();
  /** Bytes of requests that are not answered yet. */
  inFlightBytes = 0;
  /** Monotonic time of the event-loop turn: read once a socket read or a frame of replies, not once a query. */
  nowMs: number;

  readonly estimate: ReplyEstimate;
  readonly copyReads: CopyReads;
  readonly latencies: NodeLatencies;
  readonly losses = new LineageLosses();

  readonly #options: RouterOptions;
  readonly #pool: PendingPool;
  readonly #hooks: QueryNodeHooks;
  readonly #counters: QueryCounters;
  readonly #holds: PartitionHolds;
  #table: RoutingTable;
  #order = 0;
  readonly #inFlight: Int32Array;
  readonly #writesInFlight: Int32Array;
  /** f64[partition]: the highest lsn seen; a copy must have applied as much. */
  readonly #lsnSeen: Float64Array;
  /** Encodes what cannot be sent yet; its frames go nowhere. */
  readonly #parkingBatch = new DataRequestBatch(() => {});

  constructor(table: RoutingTable, options: RouterOptions) {
    this.#table = table;
    this.#options = options;
    this.#pool = options.pool;
    this.#hooks = options.hooks;
    this.#counters = options.counters;
    this.nowMs = options.clock.monotonicMs();
    const { partitionCount } = table;
    this.#inFlight = new Int32Array(partitionCount);
    this.estimate = new ReplyEstimate(partitionCount);
    this.#writesInFlight = new Int32Array(partitionCount);
    this.#lsnSeen = new Float64Array(partitionCount);
    this.latencies = new NodeLatencies(() => options.clock.nowMs());
    this.#holds = new PartitionHolds(partitionCount, {
      links: this.links,
      retryMs: options.retryMs,
      table: () => this.#table,
      nowMs: () => this.nowMs,
      inFlight: this.#inFlight,
      onHeld: options.onHeld,
      resend: (pending, link) => this.#resend(pending, link),
      tellsLoss: (pending) => this.#tellsLoss(pending),
      fail: (pending) => this.#fail(pending),
    });
    this.copyReads = new CopyReads(table, {
      pool: options.pool,
      counters: options.counters,
      limits: options.copyReads,
      nowMs: () => this.nowMs,
      wallMs: () => options.clock.nowMs(),
      linkOf: (nodeId) => this.links.at(nodeId),
      toOwner: (query) => this.#toOwner(query),
      complete: (query, reader, nodeId) => this.#completeFromCopy(query, reader, nodeId),
      onWaiting: options.onHeld,
      requestRefresh: options.requestRefresh,
    });
  }

  get table(): RoutingTable {
    return this.#table;
  }

  /** Partitions that are held now. */
  get heldCount(): number {
    return this.#holds.count;
  }

  /** Whether `sweep` has to be called again: partitions are held, or clients wait for copies. */
  get wantsSweep(): boolean {
    return this.#holds.count > 0 || this.copyReads.waitingCount > 0;
  }

  get canAccept(): boolean {
    return this.inFlightBytes < IN_FLIGHT_BYTES_MAX;
  }

  partitionOf(bytes: Uint8Array, start: number, end: number): number {
    return keySlot(bytes, start, end) >> this.#table.slotShift;
  }

  addLink(nodeId: number, rpc: RpcClient): StorageLink {
    return this.links.add(nodeId, rpc, this.#options.clock.monotonicMs());
  }

  // -- Sending -------------------------------------------------------------------------------------------------------

  /**
   * Sends a whole command, as it was parsed, to the partition of its first key. The caller has enqueued `pending` at its
   * client, or given it a sink.
   */
  sendParsed(
    pending: PendingQuery,
    partitionId: number,
    source: Buffer,
    starts: Int32Array,
    ends: Int32Array,
    argumentCount: number,
  ): void {
    let argumentBytes = 0;
    for (let i = 1; i < argumentCount; i++) argumentBytes += 4 + ends[i] - starts[i];
    pending.keyBytes = argumentCount > 1 ? ends[1] - starts[1] : 0;
    const batch = this.#open(pending, partitionId, argumentCount - 1, argumentBytes);
    for (let i = 1; i < argumentCount; i++) batch.argument(source, starts[i], ends[i]);
    this.#close(pending, batch);
  }

  /** Sends a part of a command: `pick` lists the arguments of `source` that belong to it. */
  sendPicked(
    pending: PendingQuery,
    partitionId: number,
    source: Buffer,
    starts: Int32Array,
    ends: Int32Array,
    pick: readonly number[],
  ): void {
    let argumentBytes = 0;
    for (const i of pick) argumentBytes += 4 + ends[i] - starts[i];
    pending.keyBytes = pick.length > 0 ? ends[pick[0]] - starts[pick[0]] : 0;
    const batch = this.#open(pending, partitionId, pick.length, argumentBytes);
    for (const i of pick) batch.argument(source, starts[i], ends[i]);
    this.#close(pending, batch);
  }

  /** Sends a request of our own making, which has no key: SCANPART, KEYCOUNT. */
  sendOwn(pending: PendingQuery, partitionId: number, words: readonly Buffer[]): void {
    let argumentBytes = 0;
    for (const word of words) argumentBytes += 4 + word.length;
    const batch = this.#open(pending, partitionId, words.length, argumentBytes);
    for (const word of words) batch.argument(word, 0, word.length);
    this.#close(pending, batch);
  }

  /** Decides where a new query goes, and begins its request there; or in the parking batch, if it has to wait. */
  #open(
    pending: PendingQuery,
    partitionId: number,
    argumentCount: number,
    argumentBytes: number,
  ): DataRequestBatch {
    pending.partitionId = partitionId;
    pending.order = this.#order++;
    pending.receivedMs = this.nowMs;
    pending.isWrite = COMMANDS[pending.commandIndex].isWrite;
    const table = this.#table;
    const nodeId = table.ownerOf[partitionId];
    if (table.readTargetOf[partitionId] !== NO_NODE && !pending.isWrite)
      pending.isAtCopy = this.#goesToCopy(pending, partitionId);
    const link = this.links.at(nodeId);
    const isParked =
      pending.isAtCopy ||
      this.#holds.isHeld(partitionId) ||
      !takesQueries(link) ||
      (!this.losses.isEmpty && this.losses.concerns(partitionId, pending.clientId));
    pending.nodeId = isParked ? -1 : nodeId;
    pending.sentEpoch = table.epochOf[partitionId];
    const flags = pending.isResp3 ? REQUEST_FLAG_RESP3 : 0;
    const batch = isParked ? this.#parkingBatch : (link as StorageLink).rpc.requests;
    batch.begin(
      pending.id,
      partitionId,
      pending.commandIndex,
      flags,
      pending.sentEpoch,
      this.#lsnSeen[partitionId],
      argumentCount,
      argumentBytes,
    );
    return batch;
  }

  #close(pending: PendingQuery, batch: DataRequestBatch): void {
    pending.request = batch.buffer;
    pending.requestStart = batch.requestStart;
    pending.requestEnd = batch.length;
    this.inFlightBytes += pending.requestEnd - pending.requestStart;
    batch.end();
    if (pending.nodeId >= 0) {
      this.#countSent(pending, this.links.at(pending.nodeId) as StorageLink);
      this.#holds.onSent(pending.partitionId);
    } else {
      batch.takeFrames();
      if (pending.isAtCopy) this.#sendToCopy(pending);
      else this.#hold(pending);
    }
  }

  #sendToCopy(pending: PendingQuery): void {
    const { partitionId } = pending;
    (pending.client as ClientConnection).copyPartition = partitionId;
    const link = this.links.at(this.#table.readTargetOf[partitionId]) as StorageLink;
    this.copyReads.send(pending, link, this.#lsnSeen[partitionId]);
  }

  /** A query that its copy has not answered, or not in time. */
  #toOwner(pending: PendingQuery): void {
    pending.isAtCopy = false;
    if (this.#tellsLoss(pending)) return;
    const owner = this.links.at(this.#table.ownerOf[pending.partitionId]);
    if (!this.#holds.isHeld(pending.partitionId) && takesQueries(owner)) this.#resend(pending, owner);
    else this.#hold(pending);
  }

  #completeFromCopy(pending: PendingQuery, reader: DataReplyReader, nodeId: number): void {
    pending.nodeId = nodeId;
    const { partitionId } = pending;
    if (reader.lsn > this.#lsnSeen[partitionId]) this.#lsnSeen[partitionId] = reader.lsn;
    this.#complete(pending, reader.payload, reader.replyStart, reader.replyEnd, false);
  }

  /**
   * A copy may answer only if nothing of ours could overtake or contradict: no write of the partition on its way, and
   * nothing of this client either (its later queries on the partition wait for the copy's answer, see copyPartition).
   */
  #goesToCopy(pending: PendingQuery, partitionId: number): boolean {
    const { client } = pending;
    if (client === null || client.inFlightCount > 1 || this.#writesInFlight[partitionId] > 0) return false;
    const weight = this.#table.readWeightOf[partitionId];
    if (weight === 0 || this.#holds.isHeld(partitionId)) return false;
    if (!this.copyReads.mayAsk(client, partitionId)) return false;
    if (!takesQueries(this.links.at(this.#table.readTargetOf[partitionId]))) return false;
    const hook = this.#hooks.onRoute;
    if (hook === null) return isCopyReader(client.id, partitionId, weight);
    try {
      return hook(partitionId, client.id);
    } catch (error) {
      this.#options.onHookFault('onRoute', error);
      return false;
    }
  }

  #countSent(pending: PendingQuery, link: StorageLink): void {
    if (link.inFlightCount++ === 0) link.lastAnswerMs = this.nowMs;
    this.#inFlight[pending.partitionId]++;
    if (pending.isWrite) this.#writesInFlight[pending.partitionId]++;
  }

  #countAnswered(pending: PendingQuery, link: StorageLink): void {
    link.inFlightCount--;
    this.#inFlight[pending.partitionId]--;
    if (pending.isWrite) this.#writesInFlight[pending.partitionId]--;
  }

  /** Sends what was encoded before, to the owner by the present map. */
  #resend(pending: PendingQuery, link: StorageLink): void {
    const { partitionId } = pending;
    const batch = link.rpc.requests;
    pending.nodeId = link.nodeId;
    pending.sentEpoch = this.#table.epochOf[partitionId];
    const flags = pending.isResp3 ? REQUEST_FLAG_RESP3 : 0;
    batch.resend(pending.request, pending.requestStart, pending.requestEnd, flags, pending.sentEpoch, 0);
    this.#countSent(pending, link);
  }

  // -- Replies -------------------------------------------------------------------------------------------------------

  /** @throws ForeshardError FORESHARD_CORRUPT for a reply to nothing: the connection must be closed. */
  onReplies(link: StorageLink, reader: DataReplyReader): void {
    this.nowMs = this.#options.clock.monotonicMs();
    link.lastAnswerMs = this.nowMs;
    while (reader.next()) {
      const pending = this.#pool.byId(reader.requestId);
      if (pending === undefined || pending.nodeId !== link.nodeId)
        throw corrupt(
          `storage node ${link.nodeId} answers request ${reader.requestId}, which it was not sent`,
        );
      if (pending.probe !== null) {
        this.#endProbe(pending, link).onReply(reader);
        continue;
      }
      this.#countAnswered(pending, link);
      const { partitionId } = pending;
      const { status } = reader;
      if (status === STATUS_NOT_OWNER || status === STATUS_BEHIND) this.#onRefused(pending);
      else {
        this.#holds.onTaken(partitionId, pending.sentEpoch);
        if (reader.lsn > this.#lsnSeen[partitionId]) this.#lsnSeen[partitionId] = reader.lsn;
        if (this.copyReads.openCount > 0) this.copyReads.onOwnerReply(pending, reader);
        this.#complete(
          pending,
          reader.payload,
          reader.replyStart,
          reader.replyEnd,
          status === STATUS_UNAVAILABLE,
        );
      }
      this.#holds.tryOpen(partitionId);
    }
  }

  #endProbe(pending: PendingQuery, link: StorageLink): Probe {
    const probe = pending.probe as Probe;
    link.inFlightCount--;
    this.#pool.release(pending);
    return probe;
  }

  #onRefused(pending: PendingQuery): void {
    this.#counters.redirects++;
    pending.isRedirected = true;
    this.#holds.onUnproven(pending.partitionId);
    this.#options.requestRefresh();
    this.#hold(pending, pending.sentEpoch);
  }

  /** Gives a query its reply: to its client's queue, or to the command it is a part of. */
  #complete(pending: PendingQuery, reply: Buffer, start: number, end: number, isUnavailable: boolean): void {
    const requestBytes = pending.requestEnd - pending.requestStart;
    this.inFlightBytes -= requestBytes;
    const isError = reply[start] === MINUS;
    if (isError) this.#counters.errors++;
    if (pending.nodeId >= 0)
      this.latencies.answered(pending.nodeId, pending.isWrite, pending.receivedMs, this.nowMs);
    if (this.#hooks.onQueryCompleted !== null)
      this.#callCompleted(pending, requestBytes, end - start, isError, isUnavailable);
    if (!isError) this.estimate.learn(pending.partitionId, pending.commandIndex, requestBytes, end - start);
    // The request is only needed for sending again; its slab should not outlive the wait for earlier replies.
    pending.request = reply;
    if (pending.sink === null) (pending.client as ClientConnection).answer(pending, reply, start, end);
    else {
      pending.settle(reply, start, end);
      pending.sink.onPart(pending);
      this.#pool.release(pending);
    }
  }

  #callCompleted(
    pending: PendingQuery,
    requestBytes: number,
    replyBytes: number,
    isError: boolean,
    isUnavailable: boolean,
  ): void {
    let outcome = OUTCOME_OK;
    if (isUnavailable) outcome = OUTCOME_UNAVAILABLE;
    else if (isError) outcome = OUTCOME_ERROR;
    else if (pending.isRedirected) outcome = OUTCOME_REDIRECTED;
    try {
      this.#hooks.onQueryCompleted?.(
        pending.commandIndex,
        pending.partitionId,
        pending.nodeId,
        pending.clientId,
        pending.request,
        pending.requestStart + REQUEST_HEADER_BYTES + 4,
        pending.keyBytes,
        // An integer: a fraction would be boxed, one allocation a query.
        ((this.nowMs - pending.receivedMs) * 1000) | 0,
        requestBytes,
        replyBytes,
        outcome,
      );
    } catch (error) {
      this.#options.onHookFault('onQueryCompleted', error);
    }
  }

  // -- What has to wait, or cannot be done ---------------------------------------------------------------------------

  #hold(pending: PendingQuery, rejectedEpoch = -1): void {
    if (this.#tellsLoss(pending) || this.#failsFast(pending)) return;
    this.#counters.held++;
    this.#holds.add(pending, rejectedEpoch);
  }

  /** A client that may have seen what a takeover has given up hears of it before anything else of the partition. */
  #tellsLoss(pending: PendingQuery): boolean {
    if (this.losses.isEmpty) return false;
    const text = this.losses.tell(pending.partitionId, pending.clientId);
    if (text === null) return false;
    this.#answerError(pending, text);
    return true;
  }

  /** A node that has been away for longer than a query may wait is not waited for. */
  #failsFast(pending: PendingQuery): boolean {
    const owner = this.#table.ownerOf[pending.partitionId];
    const downSinceMs = this.links.at(owner)?.downSinceMs ?? Number.NaN;
    if (!(this.nowMs - downSinceMs > this.#options.retryMs)) return false;
    this.#fail(pending);
    return true;
  }

  #fail(pending: PendingQuery): void {
    this.#counters.unavailable++;
    const { partitionId } = pending;
    const owner = this.#table.ownerOf[partitionId];
    let text = `TRYAGAIN partition ${partitionId} is changing its owner; try again`;
    if (owner === NO_NODE) text = `CLUSTERDOWN partition ${partitionId} has no owner in the map`;
    else if (this.links.at(owner)?.rpc.isConnected !== true)
      text = `CLUSTERDOWN partition ${partitionId} is on storage node ${owner}, which is not reachable`;
    this.#answerError(pending, text);
  }

  #answerError(pending: PendingQuery, text: string): void {
    const reply = Buffer.from(`-${text}\r\n`);
    this.#complete(pending, reply, 0, reply.length, true);
  }

  /** Gives up what has waited too long, opens what can be opened. */
  sweep(): void {
    this.nowMs = this.#options.clock.monotonicMs();
    this.copyReads.sweep();
    this.#holds.sweep();
  }

  // -- Changes -------------------------------------------------------------------------------------------------------

  /** A newer map. Partitions with another owner drain first if anything is on its way to the old one. */
  setTable(table: RoutingTable, changed: readonly number[]): void {
    const before = this.#table;
    this.#table = table;
    this.nowMs = this.#options.clock.monotonicMs();
    this.copyReads.setTable(table);
    for (const partitionId of changed) {
      if (table.lineageEpochOf[partitionId] > before.epochOf[partitionId])
        this.#takenOver(partitionId, before.ownerOf[partitionId]);
      if (table.epochOf[partitionId] !== before.epochOf[partitionId]) this.#holds.onUnproven(partitionId);
      if (this.#inFlight[partitionId] > 0) this.#holds.open(partitionId);
      this.#holds.tryOpen(partitionId);
    }
  }

  /** An operator has given an owner up. What it may still answer, if its process was not dead after all, counts no more. */
  #takenOver(partitionId: number, lostNodeId: number): void {
    const cutLsn = this.#table.lineageLsnOf[partitionId];
    const seenLsn = this.#lsnSeen[partitionId];
    if (seenLsn > cutLsn) {
      this.#counters.lineagesLost++;
      this.losses.cut(partitionId, { cutLsn, seenLsn, clientIds: this.#options.clientIds() });
      this.#lsnSeen[partitionId] = cutLsn;
    }
    const link = this.links.at(lostNodeId);
    if (link !== undefined && link.inFlightCount > 0)
      link.rpc.reset(new Error(`partition ${partitionId} was taken over from storage node ${lostNodeId}`));
  }

  onLinkUp(link: StorageLink): void {
    this.nowMs = this.#options.clock.monotonicMs();
    link.downSinceMs = Number.NaN;
    link.lastAnswerMs = this.nowMs;
    this.#holds.onNodeUp(link.nodeId);
  }

  /** Reads that were on their way are sent again; of writes nobody knows, and it would be wrong to guess. */
  onLinkDown(link: StorageLink): void {
    this.nowMs = this.#options.clock.monotonicMs();
    if (Number.isNaN(link.downSinceMs)) link.downSinceMs = this.nowMs;
    if (link.inFlightCount === 0) return;
    const lost = [...this.#pool.inUse()].filter(
      (pending) => pending.nodeId === link.nodeId && !pending.isDone,
    );
    for (const pending of lost) {
      if (pending.probe !== null) {
        this.#endProbe(pending, link).onLost();
        continue;
      }
      this.#countAnswered(pending, link);
      if (pending.isWrite) {
        this.#counters.unknownOutcomes++;
        this.#answerError(
          pending,
          `UNKNOWNOUTCOME the connection to storage node ${link.nodeId} was lost after ${COMMANDS[pending.commandIndex].name} was sent: it may or may not have been done; read before you repeat it`,
        );
      } else this.#hold(pending);
    }
    for (const pending of lost) this.#holds.tryOpen(pending.partitionId);
  }

  resumeReading(): void {
    this.links.resumeReading(this.#options.clock.monotonicMs());
  }

  resetStalledLinks(): void {
    this.links.resetStalled(this.#options.clock.monotonicMs(), STALL_FACTOR * this.#options.retryMs);
  }

  /** Queries of a command with parts go through here one by one; the sink answers its client itself. */
  newPart(sink: PartSink, partIndex: number, commandIndex: number, client: ClientConnection): PendingQuery {
    const part = this.#pool.acquire();
    part.sink = sink;
    part.partIndex = partIndex;
    part.commandIndex = commandIndex;
    part.clientId = client.id;
    part.isResp3 = client.isResp3;
    return part;
  }
}
