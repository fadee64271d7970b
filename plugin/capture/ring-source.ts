import { QUERY_OUTCOMES, type QueryRecord } from '../../src/model/query-log.ts';
import type { DrainResult, LogSource } from '../../src/ports/log-source.ts';
import { COMMANDS } from '../commands/table.ts';
import {
  DROPPED_INDEX,
  HEAD_INDEX,
  HEADER_BYTES,
  KEY_HASH_OFFSET,
  KEY_OFFSET,
  type RingMemory,
  SLOT_BYTES,
  TAIL_INDEX,
} from './ring.ts';

/** Slots are given back to the producer in groups of this many, so that a long drain does not starve it. */
const RELEASE_INTERVAL_MASK = 1023;

interface RecordedCommand {
  readonly name: string;
  readonly isWrite: boolean;
}

/** Of one record, what load is made of; numbers instead of an object, since it is called for every query. */
export type OnLoad = (
  timeMs: number,
  partitionId: number,
  commandIndex: number,
  latencyUs: number,
  requestBytes: number,
  replyBytes: number,
) => void;

/** The reading side of a capture ring, in the analysis thread: decodes slots to query records. */
export class RingSource implements LogSource {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  readonly #bytes: Buffer;
  readonly #slotMask: number;
  #tail: number;
  #droppedSeen: number;
  readonly #commands: readonly RecordedCommand[];

  /** @param commands by their codes in the ring; those of this package's own node by default. */
  constructor(memory: RingMemory, commands: readonly RecordedCommand[] = COMMANDS) {
    this.#commands = commands;
    this.#header = new Int32Array(memory.buffer, 0, HEADER_BYTES / 4);
    this.#words = new Int32Array(memory.buffer, HEADER_BYTES);
    this.#times = new Float64Array(memory.buffer, HEADER_BYTES);
    this.#bytes = Buffer.from(memory.buffer, HEADER_BYTES);
    this.#slotMask = memory.slotCount - 1;
    this.#tail = Atomics.load(this.#header, TAIL_INDEX);
    this.#droppedSeen = 0;
  }

  drain(onRecord: (record: QueryRecord) => void): DrainResult {
    return this.#walk((slot) => onRecord(this.#decode(slot)));
  }

  /**
   * For whoever needs all records for sums and only some as records: to decode one takes longer than to add it up.
   *
   * @param readers.isSampled asked of each record, in order; those are handed over whole.
   */
  drainSampled(readers: {
    readonly onLoad: OnLoad;
    readonly isSampled: () => boolean;
    readonly onSample: (record: QueryRecord) => void;
  }): DrainResult {
    const { onLoad, isSampled, onSample } = readers;
    const words = this.#words;
    return this.#walk((slot) => {
      const word = slot << 4;
      onLoad(
        this.#times[slot << 3] as number,
        (words[word + 6] as number) & 0xffff,
        (words[word + 7] as number) & 0xff,
        words[word + 3] as number,
        words[word + 4] as number,
        words[word + 5] as number,
      );
      if (isSampled()) onSample(this.#decode(slot));
    });
  }

  #walk(visit: (slot: number) => void): DrainResult {
    // Up to the head as it is now: a busy producer must not keep the thread here for ever.
    const head = Atomics.load(this.#header, HEAD_INDEX);
    let recordCount = 0;
    while (this.#tail !== head) {
      visit(this.#tail & this.#slotMask);
      recordCount++;
      this.#tail = (this.#tail + 1) | 0;
      if ((this.#tail & RELEASE_INTERVAL_MASK) === 0) Atomics.store(this.#header, TAIL_INDEX, this.#tail);
    }
    Atomics.store(this.#header, TAIL_INDEX, this.#tail);
    const dropped = Atomics.load(this.#header, DROPPED_INDEX);
    const droppedCount = (dropped - this.#droppedSeen) >>> 0;
    this.#droppedSeen = dropped;
    return { recordCount, droppedCount };
  }

  #decode(slot: number): QueryRecord {
    const words = this.#words;
    const word = slot << 4;
    const place = words[word + 6] as number;
    const kind = words[word + 7] as number;
    const command = this.#commands[kind & 0xff];
    const keyStart = slot * SLOT_BYTES + KEY_OFFSET;
    return {
      timeMs: this.#times[slot << 3] as number,
      command: command === undefined ? 'UNKNOWN' : command.name,
      keyPrefix: this.#bytes.toString('latin1', keyStart, keyStart + (kind >>> 16)),
      keyHash: (words[word + KEY_HASH_OFFSET / 4] as number) >>> 0,
      partitionId: place & 0xffff,
      nodeId: place >>> 16,
      clientId: words[word + 2] as number,
      latencyUs: words[word + 3] as number,
      requestBytes: words[word + 4] as number,
      replyBytes: words[word + 5] as number,
      isWrite: command?.isWrite === true,
      outcome: QUERY_OUTCOMES[(kind >>> 8) & 0xff] ?? 'error',
    };
  }
}
