import { assert } from '../../src/base/assert.ts';
import { KEY_PREFIX_BYTES } from '../../src/model/query-log.ts';
import type { OnQueryCompleted } from '../hooks.ts';
import { hashOfKey } from './key-hash.ts';

/**
 * The ring between the query path and the analysis thread: one producer, one consumer, shared memory, fixed slots.
 * The producer never waits: where the ring is full it counts a drop.
 *
 * Memory: a header of three cache lines (so that the two sides do not fight over one), then the slots.
 *
 *   byte   0  i32  head: records written, modulo 2^32; written by the producer
 *   byte  64  i32  tail: records read, modulo 2^32; written by the consumer
 *   byte 128  i32  dropped: modulo 2^32; written by the producer
 *   byte 192  slot 0, slot 1, …
 *
 * Slot, 64 bytes, one cache line:
 *
 *   byte  0  f64     time, milliseconds since 1970-01-01 UTC. Eight bytes: a 32-bit delta in µs wraps after 36 minutes,
 *                    and the slot has room to spare
 *   byte  8  i32     clientId
 *   byte 12  i32     latencyUs
 *   byte 16  i32     requestBytes
 *   byte 20  i32     replyBytes
 *   byte 24  i32     partitionId | nodeId << 16
 *   byte 28  i32     commandIndex | outcome << 8 | length of the key prefix << 16
 *   byte 32  u8[24]  key prefix
 *   byte 56  i32     hash of the key, 0 where it is not recorded
 */
export const HEADER_BYTES = 192;
export const SLOT_BYTES = 64;
export const HEAD_INDEX = 0;
export const TAIL_INDEX = 16;
export const DROPPED_INDEX = 32;
export const KEY_OFFSET = 32;
export const KEY_HASH_OFFSET = 56;

/** The clock is read once in this many records; `tick` reads it when there are fewer. 16 spread 40 ns to 2.5 a record. */
const CLOCK_INTERVAL_MASK = 15;
/** Records become visible to the consumer in groups of this many, or at `publish`: an atomic store costs some 10 ns. */
const PUBLISH_INTERVAL_MASK = 63;

/** What the two threads share; travels by `workerData`. */
export interface RingMemory {
  readonly buffer: SharedArrayBuffer;
  readonly slotCount: number;
}

/** @param slotCount a power of two, 256..2^22. */
export function createRingMemory(slotCount: number): RingMemory {
  assert(
    Number.isInteger(slotCount) && slotCount > PUBLISH_INTERVAL_MASK && (slotCount & (slotCount - 1)) === 0,
    'the slot count of a ring is a power of two and holds at least one group',
  );
  return { buffer: new SharedArrayBuffer(HEADER_BYTES + slotCount * SLOT_BYTES), slotCount };
}

/** The writing side. Its only user is the event loop of one query node. */
export class RingProducer {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  readonly #slotCount: number;
  readonly #slotMask: number;
  readonly #keyBytesMax: number;
  readonly #isKeyHashed: boolean;
  readonly #readClock: () => number;
  /** Counters run modulo 2^32 as int32, so that differences stay right for ever. */
  #head: number;
  /** The consumer's tail as last seen: looked up again only when the ring seems full. */
  #tailSeen: number;
  #dropped: number;
  #timeMs: number;
  #isClockVirtual = false;

  constructor(
    memory: RingMemory,
    options: {
      readonly keyPrefixBytes: number;
      readonly keyHash: boolean;
      readonly readClock: () => number;
    },
  ) {
    assert(options.keyPrefixBytes <= KEY_PREFIX_BYTES, 'a key prefix fits its slot');
    this.#header = new Int32Array(memory.buffer, 0, HEADER_BYTES / 4);
    this.#words = new Int32Array(memory.buffer, HEADER_BYTES);
    this.#times = new Float64Array(memory.buffer, HEADER_BYTES);
    this.#slotCount = memory.slotCount;
    this.#slotMask = memory.slotCount - 1;
    this.#keyBytesMax = options.keyPrefixBytes;
    this.#isKeyHashed = options.keyHash;
    this.#readClock = options.readClock;
    this.#head = Atomics.load(this.#header, HEAD_INDEX);
    this.#tailSeen = Atomics.load(this.#header, TAIL_INDEX);
    this.#dropped = Atomics.load(this.#header, DROPPED_INDEX);
    this.#timeMs = options.readClock();
  }

  /**
   * Writes one record: no allocation, no waiting. Parameters as of the hook `onQueryCompleted`; numbers beyond the
   * width of their field are cut to it.
   *
   * @returns whether there was room.
   */
  record(
    commandIndex: number,
    partitionId: number,
    nodeId: number,
    clientId: number,
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    latencyUs: number,
    requestBytes: number,
    replyBytes: number,
    outcome: number,
  ): boolean {
    const head = this.#head;
    if (((head - this.#tailSeen) | 0) === this.#slotCount && this.#isFull()) return false;
    if ((head & CLOCK_INTERVAL_MASK) === 0 && !this.#isClockVirtual) this.#timeMs = this.#readClock();

    const slot = head & this.#slotMask;
    const words = this.#words;
    const word = slot << 4;
    const keptLength = Math.min(keyLength, this.#keyBytesMax);
    this.#times[slot << 3] = this.#timeMs;
    words[word + 2] = clientId;
    words[word + 3] = latencyUs;
    words[word + 4] = requestBytes;
    words[word + 5] = replyBytes;
    words[word + 6] = (partitionId & 0xffff) | (nodeId << 16);
    words[word + 7] = (commandIndex & 0xff) | ((outcome & 0xff) << 8) | (keptLength << 16);
    // Four bytes a store, in the order of little-endian machines (all that Node runs on here): 13 ns less than byte by byte.
    let target = word + KEY_OFFSET / 4;
    let i = keyOffset;
    const wholeEnd = keyOffset + (keptLength & ~3);
    for (; i < wholeEnd; i += 4)
      words[target++] = key[i] | (key[i + 1] << 8) | (key[i + 2] << 16) | (key[i + 3] << 24);
    const restBits = (keptLength & 3) << 3;
    if (restBits !== 0) {
      let rest = 0;
      for (let shift = 0; shift < restBits; shift += 8) rest |= key[i++] << shift;
      words[target] = rest;
    }
    words[word + KEY_HASH_OFFSET / 4] = this.#isKeyHashed ? hashOfKey(key, keyOffset, keyLength) : 0;

    const next = (head + 1) | 0;
    this.#head = next;
    if ((next & PUBLISH_INTERVAL_MASK) === 0) Atomics.store(this.#header, HEAD_INDEX, next);
    return true;
  }

  /** Makes everything written so far visible to the consumer. */
  publish(): void {
    Atomics.store(this.#header, HEAD_INDEX, this.#head);
  }

  /** For a timer: publishes, and reads the clock, so that a record after a quiet spell does not bear the time before it. */
  tick(): void {
    this.publish();
    if (!this.#isClockVirtual) this.#timeMs = this.#readClock();
  }

  /** From now on records bear the time they are told, not the clock's: replays. */
  setVirtualTime(nowMs: number): void {
    this.#isClockVirtual = true;
    this.#timeMs = nowMs;
  }

  /** How many more records fit now. */
  freeSlots(): number {
    return this.#slotCount - ((this.#head - Atomics.load(this.#header, TAIL_INDEX)) | 0);
  }

  /** `record` as a function for the hook slot. */
  hook(): OnQueryCompleted {
    // Named parameters: a rest array would be an allocation per query.
    return (command, partition, node, client, key, offset, length, latency, request, reply, outcome) => {
      this.record(command, partition, node, client, key, offset, length, latency, request, reply, outcome);
    };
  }

  /** Looks up how far the consumer is; counts the drop where there is still no room. */
  #isFull(): boolean {
    this.publish();
    this.#tailSeen = Atomics.load(this.#header, TAIL_INDEX);
    if (((this.#head - this.#tailSeen) | 0) < this.#slotCount) return false;
    this.#dropped = (this.#dropped + 1) | 0;
    Atomics.store(this.#header, DROPPED_INDEX, this.#dropped);
    return true;
  }
}
