import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { COMMANDS, isArityRight } from '../../commands/table.ts';
import {
  type DataReplyBatch,
  DataRequestReader,
  migrationMark,
  STATUS_BEHIND,
  STATUS_NOT_OWNER,
  STATUS_OK,
  STATUS_UNAVAILABLE,
} from '../../rpc/data.ts';
import { CommandContext, CommandError } from './commands/command-context.ts';
import { buildDispatch, type Dispatch } from './commands/dispatch.ts';
import { CopyWaits } from './copy-waits.ts';
import { FenceQueue } from './fence-queue.ts';
import type { LmdbPartitionStore } from './lmdb-partition-store.ts';
import type { PartitionState } from './partition-state.ts';
import type { RequestCosts } from './request-costs.ts';
import type { SpaceGuard } from './space-guard.ts';

/** Where a request came from and its reply goes: one connection. */
export interface ReplyChannel {
  readonly replies: DataReplyBatch;
  readonly isOpen: boolean;
  /** So much of `replies`, sent or not, has not left yet that requests of this channel wait; then call `resume`. */
  readonly isCongested: boolean;
  /** Sends what was written to `replies`. */
  flush(): void;
}

export interface GroupCommitOptions {
  readonly store: LmdbPartitionStore;
  readonly spaceGuard: SpaceGuard;
  readonly clock: Clock;
  readonly valueBytesMax: number;
  readonly costs: RequestCosts;
}

export interface GroupCommitCounters {
  requests: number;
  groups: number;
  commits: number;
  refusedNotOwner: number;
  /** Reads at a copy that was behind, or not to be read; and those that it caught up for. */
  refusedBehind: number;
  copyReadsWaited: number;
  refusedDiskFull: number;
  refusedStoreFailed: number;
  held: number;
}

/** Told the partition. 'swallow' never answers; a delay answers as if nothing had been. */
export type CopyReadFault = (
  partitionId: number,
) => 'answer' | 'fail' | 'swallow' | { readonly delayMs: number };

interface Arrival {
  readonly channel: ReplyChannel;
  readonly payload: Buffer;
}

/**
 * Runs data requests in groups. All that arrive in one event-loop turn run in order of arrival; if one of them writes,
 * they run inside one write transaction, and no reply of the group leaves before that is on the disk.
 *
 * Requests are small and replies may be large, so a channel whose replies do not leave as fast as they are made is run no
 * further, in the middle of a frame if need be. What it still has to run keeps its place, before all that comes later.
 *
 * Who may answer is decided here, inside the transaction that does the write: a check made at arrival could pass, a fence
 * be written, and the write land behind it. `updateMeta` cannot come in between, since both run on this one thread.
 */
export class GroupCommit {
  readonly counters: GroupCommitCounters = {
    requests: 0,
    groups: 0,
    commits: 0,
    refusedNotOwner: 0,
    refusedBehind: 0,
    copyReadsWaited: 0,
    refusedDiskFull: 0,
    refusedStoreFailed: 0,
    held: 0,
  };
  /** Told of each partition a group wrote to, after the group is durable and before its replies leave. */
  onWriteCommitted: ((partitionId: number, lsn: number) => void) | null = null;
  /** By partition, since the start: whoever reads them twice knows the load now. */
  readonly costs: RequestCosts;
  readonly #store: LmdbPartitionStore;
  readonly #spaceGuard: SpaceGuard;
  readonly #clock: Clock;
  readonly #context: CommandContext;
  readonly #dispatch: Dispatch;
  readonly #reader = new DataRequestReader();
  /** Failpoint, for tests: what a read at a copy does before it is looked at; null does nothing. */
  copyReadFault: CopyReadFault | null = null;
  readonly #fenceQueue = new FenceQueue<ReplyChannel>();
  readonly #copyWaits = new CopyWaits<ReplyChannel>();
  #copyWaitTimer: NodeJS.Timeout | null = null;
  /** Requests that have met `copyReadFault`. */
  readonly #delayed = new WeakSet<Buffer>();
  /** What has not been run: arrivals of this turn, and those of congested channels; oldest first. */
  #arrivals: Arrival[] = [];
  #isScheduled = false;
  #isClosed = false;

  constructor(options: GroupCommitOptions) {
    const { store } = options;
    this.#store = store;
    this.costs = options.costs;
    this.#spaceGuard = options.spaceGuard;
    this.#clock = options.clock;
    this.#dispatch = buildDispatch((partitionId) => store.rangeOf(partitionId));
    this.#context = new CommandContext({
      table: store.environment.data,
      writer: store.writer,
      valueBytesMax: options.valueBytesMax,
      partitionOfSlot: (slot) => store.partitionOfSlot(slot),
    });
    store.onMetaChanged = (state) => this.#release(state);
  }

  /**
   * Takes one frame of requests. The payload must stay as it is until the turn has ended.
   *
   * @throws ForeshardError FORESHARD_CORRUPT when the frame is malformed: nothing of it has been run.
   */
  receive(channel: ReplyChannel, payload: Buffer): void {
    this.#assertWellFormed(payload);
    this.#spaceGuard.expect(payload.length);
    this.#arrivals.push({ channel, payload });
    this.#schedule();
  }

  /** Runs what has arrived, and takes no more. Held requests are given up with their connections. */
  close(): void {
    this.#runGroup();
    this.#isClosed = true;
    if (this.#copyWaitTimer !== null) clearTimeout(this.#copyWaitTimer);
  }

  /** A channel has drained or closed: goes on with what waits for it. */
  resume(): void {
    if (this.#arrivals.length > 0) this.#schedule();
  }

  /** Requests held because their partition is fenced. */
  get heldCount(): number {
    return this.#fenceQueue.count;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    setImmediate(() => this.#runGroup());
  }

  #assertWellFormed(payload: Buffer): void {
    const reader = this.#reader;
    reader.open(payload);
    while (reader.next()) {
      const isKnown =
        reader.partitionId < this.#store.states.length &&
        reader.commandIndex < COMMANDS.length &&
        this.#dispatch.handlers[reader.commandIndex] !== null &&
        isArityRight(COMMANDS[reader.commandIndex], reader.argumentCount);
      if (!isKnown)
        throw new ForeshardError(
          'FORESHARD_CORRUPT',
          'report',
          `a data request for command ${reader.commandIndex} of partition ${reader.partitionId} with ${reader.argumentCount} arguments`,
        );
    }
  }

  #hasWrite(arrivals: readonly Arrival[]): boolean {
    const reader = this.#reader;
    for (const { payload } of arrivals) {
      reader.open(payload);
      while (reader.next()) if (this.#dispatch.isWrite[reader.commandIndex] === 1) return true;
    }
    return false;
  }

  #runGroup(): void {
    this.#isScheduled = false;
    if (this.#isClosed) return;
    const arrivals: Arrival[] = [];
    const waiting: Arrival[] = [];
    for (const arrival of this.#arrivals)
      (arrival.channel.isOpen && arrival.channel.isCongested ? waiting : arrivals).push(arrival);
    this.#arrivals = waiting;
    if (arrivals.length === 0) return;
    this.counters.groups++;
    this.#context.nowMs = this.#clock.nowMs();
    if (this.#hasWrite(arrivals) && this.#store.environment.failure === null)
      this.#runInTransaction(arrivals);
    else this.#runAll(arrivals, { isWritable: false });
    this.#fenceQueue.keepGroup();
    this.#copyWaits.keepGroup();
    for (const { channel } of arrivals) channel.flush();
    // Where the kernel took all at once, nobody will tell us that it has drained.
    if (this.#arrivals.some(({ channel }) => !channel.isCongested)) this.#schedule();
  }

  #runInTransaction(arrivals: readonly Arrival[]): void {
    const waitingCount = this.#arrivals.length;
    try {
      const { touched } = this.#store.transact(() => this.#runAll(arrivals, { isWritable: true }));
      this.counters.commits++;
      if (this.onWriteCommitted)
        for (const state of touched) this.onWriteCommitted(state.partitionId, state.lsn);
    } catch (error) {
      if (!(error instanceof ForeshardError)) throw error;
      // Nothing of the group was kept: what was written and what was read of it is answered anew, writes by an error.
      for (const { channel } of arrivals) channel.replies.takeFrames();
      this.#fenceQueue.dropGroup();
      this.#copyWaits.dropGroup();
      this.#arrivals.length = waitingCount;
      this.#runAll(arrivals, { isWritable: false });
    }
  }

  /** Puts back what a channel that becomes congested meanwhile has left. */
  #runAll(arrivals: readonly Arrival[], options: { isWritable: boolean }): void {
    const reader = this.#reader;
    for (const { channel, payload } of arrivals) {
      if (!channel.isOpen) continue;
      reader.open(payload);
      let start = 0;
      while (!channel.isCongested && reader.next()) {
        this.#answer(channel, payload, start, options.isWritable);
        start = reader.offset;
      }
      if (start < payload.length) this.#arrivals.push({ channel, payload: payload.subarray(start) });
    }
  }

  #answer(channel: ReplyChannel, payload: Buffer, start: number, isWritable: boolean): void {
    const reader = this.#reader;
    const state = this.#store.states[reader.partitionId];
    this.counters.requests++;
    if (state.epoch === reader.epoch) {
      if (state.role === 'OWNER') {
        this.#execute(channel.replies, state, isWritable);
        return;
      }
      if (state.role === 'FENCED') {
        this.#hold(channel, payload, start, state);
        return;
      }
    }
    if (!reader.isCopyRead) this.#refuse(channel.replies, state, STATUS_NOT_OWNER);
    else if (this.copyReadFault !== null && this.#meetFault(this.copyReadFault, channel, payload, start))
      return;
    else if (!this.#isReadableCopy(state)) this.#refuse(channel.replies, state, STATUS_BEHIND);
    else if (state.lsn >= reader.minLsn) this.#execute(channel.replies, state, false);
    else if (!this.#waitForCopy(channel, payload.subarray(start, reader.offset)))
      this.#refuse(channel.replies, state, STATUS_BEHIND);
  }

  /** The copy decides, not the router: only it knows whose copy it is, and what it has applied. */
  #isReadableCopy(state: PartitionState): boolean {
    const reader = this.#reader;
    return (
      state.isServingCopyReads &&
      (state.role === 'STAGING' || state.role === 'FOLLOWER') &&
      state.epoch === reader.epoch &&
      migrationMark(state.migrationId) === reader.migrationMark &&
      this.#dispatch.isWrite[reader.commandIndex] === 0
    );
  }

  #waitForCopy(channel: ReplyChannel, request: Uint8Array): boolean {
    const { partitionId, minLsn } = this.#reader;
    if (!this.#copyWaits.wait({ channel, partitionId, minLsn }, request)) return false;
    this.#copyWaitTimer ??= setTimeout(() => this.#lookAtCopyWaits(), 1);
    return true;
  }

  #lookAtCopyWaits(): void {
    this.#copyWaitTimer = null;
    const { ready, late } = this.#copyWaits.look(
      ({ partitionId, minLsn }) => (this.#store.states[partitionId] as PartitionState).lsn >= minLsn,
    );
    this.counters.copyReadsWaited += ready.length;
    for (const { channel, request } of ready) this.#arrivals.push({ channel, payload: request });
    if (ready.length > 0) this.#schedule();
    for (const { channel, request, partitionId } of late) {
      if (!channel.isOpen) continue;
      this.#reader.open(request);
      this.#reader.next();
      this.#refuse(channel.replies, this.#store.states[partitionId] as PartitionState, STATUS_BEHIND);
      channel.flush();
    }
    if (this.#copyWaits.count > 0) this.#copyWaitTimer = setTimeout(() => this.#lookAtCopyWaits(), 1);
  }

  /** @returns whether the read has been dealt with. */
  #meetFault(fault: CopyReadFault, channel: ReplyChannel, payload: Buffer, start: number): boolean {
    if (this.#delayed.has(payload)) return false;
    const { partitionId } = this.#reader;
    const action = fault(partitionId);
    if (action === 'answer') return false;
    if (action === 'fail')
      this.#error(channel.replies, this.#store.states[partitionId] as PartitionState, 'ERR a failpoint');
    else if (action !== 'swallow') {
      const request = Buffer.from(payload.subarray(start, this.#reader.offset));
      this.#delayed.add(request);
      setTimeout(() => {
        this.#arrivals.push({ channel, payload: request });
        this.#schedule();
      }, action.delayMs);
    }
    return true;
  }

  #execute(replies: DataReplyBatch, state: PartitionState, isWritable: boolean): void {
    const reader = this.#reader;
    const { commandIndex } = reader;
    const isWrite = this.#dispatch.isWrite[commandIndex] === 1;
    if (isWrite && !isWritable) {
      this.#refuseFailed(replies, state);
      return;
    }
    const fault = this.#dispatch.isGrowing[commandIndex] === 1 ? this.#spaceGuard.fault() : null;
    if (fault !== null) {
      this.counters.refusedDiskFull++;
      this.#error(replies, state, `OOM command not allowed when the disk is full: ${fault}`);
      return;
    }
    const context = this.#context;
    context.bytes = reader.payload;
    context.starts = reader.starts;
    context.ends = reader.ends;
    context.argumentCount = reader.argumentCount;
    context.isResp3 = reader.isResp3;
    context.state = state;
    context.reply = replies;
    const bytesBefore = replies.untakenBytes;
    const startedMs = this.costs.begin(reader.partitionId, isWrite);
    replies.begin(reader.requestId, STATUS_OK, state.epoch, state.lsn);
    try {
      (this.#dispatch.handlers[commandIndex] as (context: CommandContext) => void)(context);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      replies.rewind();
      replies.error(error.message);
    }
    if (isWrite) replies.setLsn(state.lsn);
    replies.end();
    const { argumentCount, starts, ends } = reader;
    const requestBytes =
      argumentCount === 0 ? 0 : (ends[argumentCount - 1] as number) - (starts[0] as number);
    this.costs.end(reader.partitionId, startedMs, requestBytes + replies.untakenBytes - bytesBefore);
  }

  #hold(channel: ReplyChannel, payload: Buffer, start: number, state: PartitionState): void {
    if (this.#fenceQueue.hold(state.partitionId, channel, payload.subarray(start, this.#reader.offset))) {
      this.counters.held++;
      return;
    }
    this.#error(
      channel.replies,
      state,
      'TRYAGAIN the partition is being handed over and too many requests wait for it',
    );
  }

  /** The role of a partition has changed: what it held is decided anew, before anything that came later. */
  #release(state: PartitionState): void {
    if (state.role === 'FENCED') return;
    const released = this.#fenceQueue.release(state.partitionId);
    if (released.length === 0) return;
    this.#arrivals.unshift(...released.map(({ channel, request }) => ({ channel, payload: request })));
    this.#schedule();
  }

  #refuse(replies: DataReplyBatch, state: PartitionState, status: number): void {
    if (status === STATUS_NOT_OWNER) this.counters.refusedNotOwner++;
    else this.counters.refusedBehind++;
    replies.begin(this.#reader.requestId, status, state.epoch, state.lsn);
    replies.end();
  }

  #refuseFailed(replies: DataReplyBatch, state: PartitionState): void {
    this.counters.refusedStoreFailed++;
    const why = this.#store.environment.failure?.message ?? 'the store is closed';
    this.#error(
      replies,
      state,
      `MISCONF the store takes no writes until it is restarted, a commit failed: ${why}`,
    );
  }

  #error(replies: DataReplyBatch, state: PartitionState, message: string): void {
    replies.begin(this.#reader.requestId, STATUS_UNAVAILABLE, state.epoch, state.lsn);
    replies.error(message);
    replies.end();
  }
}
