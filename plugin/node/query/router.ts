import type { Clock } from '../../../src/base/clock.ts';
import { keySlot } from '../../../src/routing/key-slot.ts';
import { isCopyReader, NO_NODE, type RoutingTable } from '../../../src/routing/routing-table.ts';
import { COMMANDS } from '../../commands/table.ts';
import type { QueryNodeHooks } from '../../hooks.ts';
import type { RpcClient } from '../../rpc/client.ts';
import {
  type DataReplyReader,
  type DataRequestBatch,
  STATUS_BEHIND,
  STATUS_NOT_OWNER,
  STATUS_UNAVAILABLE,
} from '../../rpc/data.ts';
import { corrupt } from '../../rpc/frames.ts';
import { type CopyReadLimits, CopyReads } from './copy-reads.ts';
import { LineageLosses } from './lineage-losses.ts';
import { PartitionHolds } from './partition-holds.ts';
import type { ClientConnection } from './query-client.ts';
import { QueryCompletion } from './query-completion.ts';
import type { QueryCounters } from './query-counters.ts';
import type { PartSink, PendingPool, PendingQuery, Probe } from './query-pending.ts';
import { RequestWriter } from './request-writer.ts';
import { RequestsInFlight } from './requests-in-flight.ts';
import { type StorageLink, StorageLinks, takesQueries } from './storage-links.ts';

/** Requests that are on their way or held, over all clients; beyond it clients are read no further. */
const IN_FLIGHT_BYTES_MAX = 32 * 1024 * 1024;
/** Times retryMs. A fenced source may rightly hold requests for as long as a hand-over takes, so this is longer. */
const STALL_FACTOR = 2;

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
  /** Monotonic time of the event-loop turn: read once a socket read or a frame of replies, not once a query. */
  nowMs: number;

  readonly completion: QueryCompletion;
  readonly copyReads: CopyReads;
  readonly losses = new LineageLosses();

  readonly #options: RouterOptions;
  readonly #pool: PendingPool;
  readonly #hooks: QueryNodeHooks;
  readonly #counters: QueryCounters;
  readonly #holds: PartitionHolds;
  #table: RoutingTable;
  #order = 0;
  readonly #inFlight: RequestsInFlight;
  readonly #writer = new RequestWriter();
  /** f64[partition]: the highest lsn seen; a copy must have applied as much. */
  readonly #lsnSeen: Float64Array;

  constructor(table: RoutingTable, options: RouterOptions) {
    this.#table = table;
    this.#options = options;
    this.#pool = options.pool;
    this.#hooks = options.hooks;
    this.#counters = options.counters;
    this.nowMs = options.clock.monotonicMs();
    const { partitionCount } = table;
    this.#inFlight = new RequestsInFlight(partitionCount);
    this.#lsnSeen = new Float64Array(partitionCount);
    this.completion = new QueryCompletion({
      pool: options.pool,
      counters: options.counters,
      hooks: options.hooks,
      onHookFault: options.onHookFault,
      partitionCount,
      nowMs: () => this.nowMs,
      wallMs: () => options.clock.nowMs(),
    });
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
    return this.completion.inFlightBytes < IN_FLIGHT_BYTES_MAX;
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
    const taker = isParked ? null : link;
    return this.#writer.begin(pending, taker, this.#lsnSeen[partitionId], argumentCount, argumentBytes);
  }

  #close(pending: PendingQuery, batch: DataRequestBatch): void {
    this.#writer.end(pending, batch);
    this.completion.inFlightBytes += pending.requestEnd - pending.requestStart;
    if (pending.nodeId >= 0) {
      this.#inFlight.sent(pending, this.links.at(pending.nodeId) as StorageLink, this.nowMs);
      this.#holds.onSent(pending.partitionId);
    } else if (pending.isAtCopy) this.#sendToCopy(pending);
    else this.#hold(pending);
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
    this.completion.complete(pending, reader.payload, reader.replyStart, reader.replyEnd, false);
  }

  /**
   * A copy may answer only if nothing of ours could overtake or contradict: no write of the partition on its way, and
   * nothing of this client either (its later queries on the partition wait for the copy's answer, see copyPartition).
   */
  #goesToCopy(pending: PendingQuery, partitionId: number): boolean {
    const { client } = pending;
    if (client === null || client.inFlightCount > 1 || this.#inFlight.writesOf(partitionId) > 0) return false;
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

  /** Sends what was encoded before, to the owner by the present map. */
  #resend(pending: PendingQuery, link: StorageLink): void {
    pending.nodeId = link.nodeId;
    pending.sentEpoch = this.#table.epochOf[pending.partitionId];
    this.#writer.resend(pending, link);
    this.#inFlight.sent(pending, link, this.nowMs);
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
      this.#inFlight.answered(pending, link);
      const { partitionId } = pending;
      const { status } = reader;
      if (status === STATUS_NOT_OWNER || status === STATUS_BEHIND) this.#onRefused(pending);
      else {
        this.#holds.onTaken(partitionId, pending.sentEpoch);
        if (reader.lsn > this.#lsnSeen[partitionId]) this.#lsnSeen[partitionId] = reader.lsn;
        if (this.copyReads.openCount > 0) this.copyReads.onOwnerReply(pending, reader);
        this.completion.complete(
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
    this.completion.answerError(pending, text);
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
    const { partitionId } = pending;
    const owner = this.#table.ownerOf[partitionId];
    let text = `TRYAGAIN partition ${partitionId} is changing its owner; try again`;
    if (owner === NO_NODE) text = `CLUSTERDOWN partition ${partitionId} has no owner in the map`;
    else if (this.links.at(owner)?.rpc.isConnected !== true)
      text = `CLUSTERDOWN partition ${partitionId} is on storage node ${owner}, which is not reachable`;
    this.completion.answerUnavailable(pending, text);
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
      if (this.#inFlight.of(partitionId) > 0) this.#holds.open(partitionId);
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
      this.#inFlight.answered(pending, link);
      if (pending.isWrite) this.completion.answerUnknown(pending, link.nodeId);
      else this.#hold(pending);
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
