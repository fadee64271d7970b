import type { RoutingTable } from '../../../src/routing/routing-table.ts';
import { NO_NODE } from '../../../src/routing/routing-table.ts';
import { type DataReplyReader, STATUS_BEHIND, STATUS_NOT_OWNER, STATUS_UNAVAILABLE } from '../../rpc/data.ts';
import type { ClientConnection } from './query-client.ts';
import type { QueryCounters } from './query-counters.ts';
import type { PendingPool, PendingQuery, Probe } from './query-pending.ts';
import { ReadMeter } from './read-meter.ts';
import { ShadowReads } from './shadow-reads.ts';
import type { StorageLink } from './storage-links.ts';

/** After so many unanswered reads in a row a copy is left alone for a while, without waiting for the coordinator's word. */
const LATE_IN_A_ROW_MAX = 3;
const SKIP_MS = 1_000;
/** Requests at copies that are not answered; beyond it reads go to their owners. */
const PROBES_MAX = 4_096;

export interface CopyReadLimits {
  /** Share of reads that are mirrored to the copy and compared, 0..1. */
  readonly shadowShare: number;
  /** Whether a key's hash may stand in evidence. */
  readonly isKeyHashKept: boolean;
  /** A read that a copy has not answered by then goes to the owner. */
  readonly lateMs: number;
  /** A copy is read only if the owner has answered a query not older than this: how stale it can be to who wrote elsewhere. */
  readonly stalenessMs: number;
}

export const DEFAULT_COPY_READ_LIMITS: CopyReadLimits = {
  shadowShare: 0,
  isKeyHashKept: false,
  lateMs: 100, // twenty times what a copy waits for its log, and a group of commits to a slow disk
  stalenessMs: 1_000,
};

export interface CopyReadsOptions {
  readonly pool: PendingPool;
  readonly counters: QueryCounters;
  readonly limits: CopyReadLimits;
  readonly nowMs: () => number;
  readonly wallMs: () => number;
  readonly linkOf: (nodeId: number) => StorageLink | undefined;
  /** Sends a query that a copy did not answer to the owner, or holds it. */
  readonly toOwner: (query: PendingQuery) => void;
  readonly complete: (query: PendingQuery, reader: DataReplyReader, nodeId: number) => void;
  /** A read is at a copy: `sweep` wants to be called every few milliseconds until `waitingCount` is 0. */
  readonly onWaiting: () => void;
  readonly requestRefresh: () => void;
}

/**
 * Reads at the copies of open migrations: which may go there, what becomes of them, and how they fare. A client's read
 * at a copy keeps its place in the client's queue while a probe of its own asks the copy; whatever the copy does (refuse,
 * die, say nothing), the query goes to the owner, and the client sees no error.
 */
export class CopyReads {
  /** Partitions with a copy that can be read: 0 is all that the query path pays for. */
  openCount = 0;
  readonly #options: CopyReadsOptions;
  readonly #meters: (ReadMeter | null)[];
  readonly #waiting = new Set<CopyRead>();
  readonly #shadows: ShadowReads;
  #table: RoutingTable;

  constructor(table: RoutingTable, options: CopyReadsOptions) {
    this.#options = options;
    this.#meters = new Array<ReadMeter | null>(table.partitionCount).fill(null);
    this.#shadows = new ShadowReads(options);
    this.#table = table;
    this.setTable(table);
  }

  /** Reads whose client waits for a copy. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  *meters(): Generator<ReadMeter> {
    if (this.openCount === 0) return;
    for (const meter of this.#meters) if (meter !== null) yield meter;
  }

  setTable(table: RoutingTable): void {
    this.#table = table;
    this.openCount = 0;
    for (let p = 0; p < table.partitionCount; p++) {
      const migrationId = table.readMigrationOf[p];
      if (migrationId === 0) {
        if (this.#meters[p] !== null) this.#meters[p] = null;
        continue;
      }
      this.openCount++;
      let meter = this.#meters[p];
      if (meter?.migrationId !== migrationId) {
        meter = new ReadMeter(p, migrationId, this.#options.wallMs());
        this.#meters[p] = meter;
      }
      meter.readWeight = table.readWeightOf[p];
    }
  }

  /**
   * Whether a copy can be asked without its answer being older than anything the client may know. What this query node has
   * seen is below the request's minLsn; what the client has seen through another node, or wrote through one, is older than
   * its connection to this one: so the owner must have answered a query that came after that. And not long ago, so that
   * clients of several nodes at once read nothing older than `stalenessMs`.
   */
  mayAsk(client: ClientConnection, partitionId: number): boolean {
    const meter = this.#meters[partitionId];
    const nowMs = this.#options.nowMs();
    return (
      meter !== null &&
      meter.ownerSeenMs >= client.createdMs &&
      meter.ownerSeenMs >= nowMs - this.#options.limits.stalenessMs &&
      meter.skipUntilMs <= nowMs &&
      this.#waiting.size < PROBES_MAX
    );
  }

  /** Asks the copy for a query that is encoded and parked. */
  send(query: PendingQuery, link: StorageLink, minLsn: number): void {
    const { pool, counters, onWaiting, nowMs } = this.#options;
    const meter = this.#meters[query.partitionId] as ReadMeter;
    const probe = pool.acquire();
    const read = new CopyRead(this, { query, meter, sentMs: nowMs(), nodeId: link.nodeId });
    probe.probe = read;
    probe.partitionId = query.partitionId;
    probe.nodeId = link.nodeId;
    if (link.inFlightCount++ === 0) link.lastAnswerMs = nowMs();
    link.rpc.requests.sendToCopy(query.request, query.requestStart, query.requestEnd, {
      requestId: probe.id,
      isResp3: query.isResp3,
      epoch: query.sentEpoch,
      minLsn,
      migrationId: meter.migrationId,
    });
    counters.copyReads++;
    this.#waiting.add(read);
    if (this.#waiting.size === 1) onWaiting();
  }

  /** An owner has answered: measured, and perhaps asked of the copy again. Called while there are open copies only. */
  onOwnerReply(query: PendingQuery, reader: DataReplyReader): void {
    const meter = this.#meters[query.partitionId];
    if (meter === null) return;
    if (query.receivedMs > meter.ownerSeenMs) meter.ownerSeenMs = query.receivedMs;
    // Compared are reads of the kind that goes to copies, and only those that were not there already.
    if (query.isWrite || query.client === null || query.wasAtCopy) return;
    if (reader.status === STATUS_UNAVAILABLE) meter.source.failed();
    else {
      meter.source.answered(this.#options.nowMs() - query.receivedMs);
      const target = this.#options.linkOf(this.#table.readTargetOf[query.partitionId]);
      if (target !== undefined && meter.skipUntilMs <= this.#options.nowMs())
        this.#shadows.consider(query, reader, meter, target);
    }
  }

  /** Gives up copies that have not answered in time. */
  sweep(): void {
    const deadlineMs = this.#options.nowMs() - this.#options.limits.lateMs;
    for (const read of this.#waiting) {
      if (read.sentMs > deadlineMs) return;
      this.#options.counters.copyReadsLate++;
      const { meter } = read;
      if (++meter.lateInARow >= LATE_IN_A_ROW_MAX) meter.skipUntilMs = this.#options.nowMs() + SKIP_MS;
      this.#giveUp(read);
    }
  }

  onReply(read: CopyRead, reader: DataReplyReader): void {
    const { query, meter } = read;
    if (query === null) return; // too late: the owner has been asked
    const { counters, nowMs, complete, requestRefresh } = this.#options;
    const { status } = reader;
    meter.lateInARow = 0;
    if (status === STATUS_BEHIND || status === STATUS_NOT_OWNER) {
      counters.copyReadsBehind++;
      meter.behind();
      if (status === STATUS_NOT_OWNER) requestRefresh();
      this.#toOwner(read, query);
    } else if (status === STATUS_UNAVAILABLE) this.#giveUp(read);
    else {
      meter.target.answered(nowMs() - query.receivedMs);
      this.#settle(read, query);
      complete(query, reader, read.nodeId);
    }
  }

  onLost(read: CopyRead): void {
    if (read.query !== null) this.#giveUp(read);
  }

  #giveUp(read: CopyRead): void {
    read.meter.target.failed();
    this.#toOwner(read, read.query as PendingQuery);
  }

  #toOwner(read: CopyRead, query: PendingQuery): void {
    this.#settle(read, query);
    query.wasAtCopy = true;
    this.#options.toOwner(query);
  }

  /** The client waits for this copy no more. */
  #settle(read: CopyRead, query: PendingQuery): void {
    this.#waiting.delete(read);
    read.query = null;
    (query.client as ClientConnection).copyPartition = NO_PARTITION;
  }
}

const NO_PARTITION = NO_NODE;

/** One client's read at a copy. */
class CopyRead implements Probe {
  /** Null once the client is answered, or its query has gone to the owner. */
  query: PendingQuery | null;
  readonly meter: ReadMeter;
  readonly sentMs: number;
  readonly nodeId: number;
  readonly #reads: CopyReads;

  constructor(
    reads: CopyReads,
    asked: {
      readonly query: PendingQuery;
      readonly meter: ReadMeter;
      readonly sentMs: number;
      readonly nodeId: number;
    },
  ) {
    this.#reads = reads;
    this.query = asked.query;
    this.meter = asked.meter;
    this.sentMs = asked.sentMs;
    this.nodeId = asked.nodeId;
  }

  onReply(reader: DataReplyReader): void {
    this.#reads.onReply(this, reader);
  }

  onLost(): void {
    this.#reads.onLost(this);
  }
}
