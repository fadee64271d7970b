import { COMMANDS } from '../../commands/table.ts';
import type { QueryNodeHooks } from '../../hooks.ts';
import { REQUEST_HEADER_BYTES } from '../../rpc/data.ts';
import { NodeLatencies } from './node-latency.ts';
import type { ClientConnection } from './query-client.ts';
import type { QueryCounters } from './query-counters.ts';
import type { PendingPool, PendingQuery } from './query-pending.ts';
import { ReplyEstimate } from './reply-estimate.ts';

const MINUS = 45;
const OUTCOME_OK = 0;
const OUTCOME_ERROR = 1;
const OUTCOME_REDIRECTED = 2;
const OUTCOME_UNAVAILABLE = 3;

export interface CompletionOptions {
  readonly pool: PendingPool;
  readonly counters: QueryCounters;
  readonly hooks: QueryNodeHooks;
  readonly onHookFault: (hook: string, error: unknown) => void;
  readonly partitionCount: number;
  /** Monotonic time of the event-loop turn. */
  readonly nowMs: () => number;
  readonly wallMs: () => number;
}

/** The end of every query: its reply goes to whoever asked, and all who learn from queries are told. */
export class QueryCompletion {
  /** Bytes of requests that are not answered yet. */
  inFlightBytes = 0;
  readonly estimate: ReplyEstimate;
  readonly latencies: NodeLatencies;
  readonly #options: CompletionOptions;
  readonly #pool: PendingPool;
  readonly #counters: QueryCounters;
  readonly #hooks: QueryNodeHooks;

  constructor(options: CompletionOptions) {
    this.#options = options;
    this.#pool = options.pool;
    this.#counters = options.counters;
    this.#hooks = options.hooks;
    this.estimate = new ReplyEstimate(options.partitionCount);
    this.latencies = new NodeLatencies(options.wallMs);
  }

  /** Gives a query its reply: to its client's queue, or to the command it is a part of. */
  complete(pending: PendingQuery, reply: Buffer, start: number, end: number, isUnavailable: boolean): void {
    const requestBytes = pending.requestEnd - pending.requestStart;
    this.inFlightBytes -= requestBytes;
    const isError = reply[start] === MINUS;
    if (isError) this.#counters.errors++;
    const nowMs = this.#options.nowMs();
    if (pending.nodeId >= 0)
      this.latencies.answered(pending.nodeId, pending.isWrite, pending.receivedMs, nowMs);
    if (this.#hooks.onQueryCompleted !== null)
      this.#callCompleted(pending, nowMs, requestBytes, end - start, isError, isUnavailable);
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
    nowMs: number,
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
        ((nowMs - pending.receivedMs) * 1000) | 0,
        requestBytes,
        replyBytes,
        outcome,
      );
    } catch (error) {
      this.#options.onHookFault('onQueryCompleted', error);
    }
  }

  answerError(pending: PendingQuery, text: string): void {
    const reply = Buffer.from(`-${text}\r\n`);
    this.complete(pending, reply, 0, reply.length, true);
  }

  /** It was certainly not done. @param why in the words of Redis Cluster: TRYAGAIN, CLUSTERDOWN. */
  answerUnavailable(pending: PendingQuery, why: string): void {
    this.#counters.unavailable++;
    this.answerError(pending, why);
  }

  /** A write whose connection was lost: nobody knows, and it would be wrong to guess. */
  answerUnknown(pending: PendingQuery, nodeId: number): void {
    this.#counters.unknownOutcomes++;
    const { name } = COMMANDS[pending.commandIndex];
    this.answerError(
      pending,
      `UNKNOWNOUTCOME the connection to storage node ${nodeId} was lost after ${name} was sent: it may or may not have been done; read before you repeat it`,
    );
  }
}
