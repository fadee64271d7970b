import { slotShift } from '../../src/model/partition-map.ts';
import { QUERY_OUTCOMES } from '../../src/model/query-log.ts';
import { keySlot } from '../../src/routing/key-slot.ts';
import type { RingProducer } from '../capture/ring.ts';
import { areSendable, isSendable } from './arguments.ts';
import { BurstClock } from './burst-clock.ts';
import { firstKeyOf, type RedisCommand } from './commands.ts';
import { KeyBytes } from './key-bytes.ts';
import type { RunSampler } from './run-sampler.ts';
import { sizeOfArguments, sizeOfReply } from './sizes.ts';

const OUTCOME_OK = QUERY_OUTCOMES.indexOf('ok');
const OUTCOME_ERROR = QUERY_OUTCOMES.indexOf('error');
const OUTCOME_UNAVAILABLE = QUERY_OUTCOMES.indexOf('unavailable');

/** A slot that the library has not told: it is computed. */
export const SLOT_UNKNOWN = -1;

/** Which storage node answered is not known here, and told by the slot's owner to whoever needs it. */
const NODE_UNKNOWN = 0;

/**
 * Errors by which a server says that it has done nothing and that the library is to ask again, elsewhere, later or in another
 * way: the query is recorded when it is answered.
 */
const ASK_AGAIN = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|NOSCRIPT|LOADING|MASTERDOWN) /;

type Arguments = readonly (string | Uint8Array)[];

/** Between the hooks of one client and the capture ring. No method throws, and none waits: the application must not notice. */
export class QueryTap {
  readonly #producer: RingProducer;
  readonly #sampler: Pick<RunSampler, 'isNext' | 'next'>;
  readonly #clientId: number;
  readonly #slotShift: number;
  readonly #onFault: (error: unknown) => void;
  readonly clock = new BurstClock();
  readonly #key = new KeyBytes();
  /** Commands without a key belong to no slot. */
  keylessCount = 0;
  /** False from the moment the client is let go, or something went wrong here: hooks that are still about only pass on. */
  isOpen = true;

  constructor(options: {
    readonly producer: RingProducer;
    readonly sampler: Pick<RunSampler, 'isNext' | 'next'>;
    readonly clientId: number;
    readonly partitionCount: number;
    readonly onFault: (error: unknown) => void;
  }) {
    this.#producer = options.producer;
    this.#sampler = options.sampler;
    this.#clientId = options.clientId;
    this.#slotShift = slotShift(options.partitionCount);
    this.#onFault = options.onFault;
  }

  /**
   * A server has answered. Positions instead of an object, since it is called for every query.
   *
   * @param knownSlot of its key, where the library has computed it; SLOT_UNKNOWN.
   * @param reply as the library decoded it.
   */
  answered(
    command: RedisCommand,
    args: Arguments,
    argsOffset: 0 | 1,
    startedUs: number,
    knownSlot: number,
    reply: unknown,
  ): void {
    if (!this.isOpen) return;
    try {
      const outcome = reply instanceof Error ? OUTCOME_ERROR : OUTCOME_OK;
      this.#record(command, args, argsOffset, startedUs, knownSlot, sizeOfReply(reply), outcome);
    } catch (error) {
      this.fault(error);
    }
  }

  /**
   * A server has refused, or none has answered. What the library refused to send, for an argument that is no text and no bytes, is
   * a mistake of the application: it says nothing of the cluster and is not recorded.
   */
  failed(
    command: RedisCommand,
    args: Arguments,
    argsOffset: 0 | 1,
    startedUs: number,
    knownSlot: number,
    error: unknown,
  ): void {
    if (!this.isOpen) return;
    try {
      const message = error instanceof Error ? error.message : '';
      if (!areSendable(args)) return;
      if (ASK_AGAIN.test(message)) return;
      // Servers begin their errors with a code in capitals (ERR, WRONGTYPE, OOM …); libraries do not.
      const outcome = /^[A-Z]+ /.test(message) ? OUTCOME_ERROR : OUTCOME_UNAVAILABLE;
      this.#record(command, args, argsOffset, startedUs, knownSlot, message.length, outcome);
    } catch (fault) {
      this.fault(fault);
    }
  }

  fault(error: unknown): void {
    this.isOpen = false;
    this.#onFault(error);
  }

  #record(
    command: RedisCommand,
    args: Arguments,
    argsOffset: 0 | 1,
    startedUs: number,
    knownSlot: number,
    replyBytes: number,
    outcome: number,
  ): void {
    const key = firstKeyOf(command, args, argsOffset);
    if (!isSendable(key)) {
      this.keylessCount++;
      return;
    }
    const held = this.#key;
    const isSampled = this.#sampler.isNext;
    if (isSampled || knownSlot === SLOT_UNKNOWN) held.take(key);
    const slot = knownSlot === SLOT_UNKNOWN ? keySlot(held.bytes, 0, held.length) : knownSlot;
    const isWritten = this.#producer.record(
      command.index,
      slot >> this.#slotShift,
      NODE_UNKNOWN,
      this.#clientId,
      held.bytes,
      0,
      // Whoever adds up load asks for no key.
      isSampled ? held.length : 0,
      (this.clock.nowUs() - startedUs) | 0,
      sizeOfArguments(args),
      replyBytes,
      outcome,
    );
    if (isWritten) this.#sampler.next();
  }
}
