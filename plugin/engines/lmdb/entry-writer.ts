import { assert } from '../../../src/base/assert.ts';
import type { LogEntry } from '../../../src/ports/partition-store.ts';
import type { LmdbEnvironment, Table } from './environment.ts';
import type { PartitionState } from './partition-state.ts';
import { type EncodedKey, isKeyRecord, KEY_HEADER_BYTES, keyLengthOf } from './physical-key.ts';
import { expiryOf, readFloat64, ValueBuffer, writeFloat64 } from './record.ts';

const LOG_PUT = 1;
const LOG_DELETE = 2;
const EXPIRY_KEY_HEADER_BYTES = 10;
/** The caller has not just read what it overwrites. */
const UNKNOWN_LENGTH = -2;
/** There was nothing under the key. */
export const ABSENT_LENGTH = -1;
const PRESENT = new Uint8Array([1]);

class IndexKey implements EncodedKey {
  readonly bytes = new Uint8Array(EXPIRY_KEY_HEADER_BYTES + 2048);
  length = 0;
}

/**
 * Puts and deletes physical entries, and in the same transaction all that speaks about them: lsn, counts, bytes, digest,
 * change log, expiry index. Every change of the data table goes through here.
 */
export class EntryWriter {
  /** What `put` writes: fill it first. */
  readonly value = new ValueBuffer();
  readonly #data: Table;
  readonly #log: Table;
  readonly #expiryIndex: Table;
  readonly #onTouched: (state: PartitionState) => void;
  readonly #logValue = new ValueBuffer();
  readonly #logKey = new IndexKey();
  readonly #expiryKey = new IndexKey();

  /** @param onTouched told of every partition at its first change in a transaction, so that its state gets saved. */
  constructor(environment: LmdbEnvironment, onTouched: (state: PartitionState) => void) {
    this.#data = environment.data;
    this.#log = environment.changeLog;
    this.#expiryIndex = environment.expiryIndex;
    this.#onTouched = onTouched;
  }

  /**
   * Writes `value` under the key and moves the partition's lsn by one.
   *
   * @param oldLength bytes of the value that is overwritten, or ABSENT_LENGTH, by a caller that has just read it: it saves
   * a second read, a fifth of a SET. The expiry likewise; fields have none.
   */
  put(state: PartitionState, key: EncodedKey, oldLength = UNKNOWN_LENGTH, oldExpiryMs = 0): void {
    this.#touch(state);
    this.#store(state, key, oldLength, oldExpiryMs);
    this.#advance(state, LOG_PUT, key);
  }

  /**
   * Writes `value` without lsn and log: an entry of a snapshot, whose lsn is the snapshot's.
   *
   * @param isNew nothing is there yet, which saves looking: half of what a copied entry costs.
   */
  fill(state: PartitionState, key: EncodedKey, { isNew }: { readonly isNew: boolean }): void {
    this.#touch(state);
    this.#store(state, key, isNew ? ABSENT_LENGTH : UNKNOWN_LENGTH, 0);
  }

  #store(state: PartitionState, key: EncodedKey, knownLength: number, knownExpiryMs: number): void {
    const { value } = this;
    const isRecord = isKeyRecord(key.bytes, key.length);
    let oldLength = knownLength;
    let oldExpiryMs = knownExpiryMs;
    // The digest needs the old bytes, not only their number.
    if (knownLength === UNKNOWN_LENGTH || (state.digest && knownLength !== ABSENT_LENGTH)) {
      const old = this.#data.getBinaryFast(key);
      oldLength = old ? this.#data.lastSize : ABSENT_LENGTH;
      oldExpiryMs = old && isRecord ? expiryOf(old) : 0;
      if (old) state.digest?.subtract(key.bytes, key.length, old, oldLength);
    }
    state.digest?.add(key.bytes, key.length, value.bytes, value.length);
    if (isRecord) this.#moveExpiry(state, key, oldExpiryMs, expiryOf(value.bytes));
    if (oldLength === ABSENT_LENGTH) {
      state.sizeBytes += key.length + value.length;
      state.entryCount++;
      if (isRecord) state.keyCount++;
    } else state.sizeBytes += value.length - oldLength;
    this.#data.put(key, value.asValue());
  }

  /** Deletes the key's entry and moves the lsn by one. @returns false, and does nothing, where there is none. */
  delete(state: PartitionState, key: EncodedKey): boolean {
    this.#touch(state);
    if (!this.#forget(state, key)) return false;
    this.#advance(state, LOG_DELETE, key);
    return true;
  }

  /** Deletes without lsn and log: a copy that is given up is no longer part of the partition's history. */
  drop(state: PartitionState, key: EncodedKey): boolean {
    this.#touch(state);
    return this.#forget(state, key);
  }

  /** Applies an entry of another copy's log: the same change, under the same lsn. */
  apply(state: PartitionState, entry: LogEntry, key: EncodedKey): void {
    assert(entry.lsn === state.lsn + 1, 'a log is applied without gaps');
    this.#touch(state);
    if (entry.kind === 'put') {
      this.value.set(entry.value, 0, entry.value.length);
      this.put(state, key);
    } else {
      this.#forget(state, key);
      this.#advance(state, LOG_DELETE, key);
    }
  }

  #forget(state: PartitionState, key: EncodedKey): boolean {
    const old = this.#data.getBinaryFast(key);
    if (old === undefined) return false;
    const oldLength = this.#data.lastSize;
    if (isKeyRecord(key.bytes, key.length)) {
      this.#moveExpiry(state, key, expiryOf(old), 0);
      state.keyCount--;
    }
    state.digest?.subtract(key.bytes, key.length, old, oldLength);
    state.entryCount--;
    state.sizeBytes -= key.length + oldLength;
    this.#data.remove(key);
    return true;
  }

  #touch(state: PartitionState): void {
    if (state.isTouched) return;
    state.isTouched = true;
    this.#onTouched(state);
  }

  #advance(state: PartitionState, kind: number, key: EncodedKey): void {
    state.lsn++;
    if (!state.isLogging) return;
    const entry = this.#logValue;
    entry.length = 0;
    entry.reserve(3 + key.length);
    entry.bytes[0] = kind;
    entry.bytes[1] = key.length >> 8;
    entry.bytes[2] = key.length;
    entry.length = 3;
    entry.append(key.bytes, 0, key.length);
    if (kind === LOG_PUT) entry.append(this.value.bytes, 0, this.value.length);
    this.#log.put(logKey(this.#logKey, state.partitionId, state.lsn), entry.asValue());
  }

  #moveExpiry(state: PartitionState, key: EncodedKey, oldExpiryMs: number, newExpiryMs: number): void {
    if (oldExpiryMs === newExpiryMs) return;
    if (oldExpiryMs !== 0)
      this.#expiryIndex.remove(expiryKey(this.#expiryKey, state.partitionId, oldExpiryMs, key));
    if (newExpiryMs === 0) return;
    this.#expiryIndex.put(expiryKey(this.#expiryKey, state.partitionId, newExpiryMs, key), PRESENT);
    if (newExpiryMs < state.nextExpiryMs) state.nextExpiryMs = newExpiryMs;
  }
}

/** [partition u16 BE][lsn f64 BE] */
function logKey(target: IndexKey, partitionId: number, lsn: number): IndexKey {
  target.bytes[0] = partitionId >> 8;
  target.bytes[1] = partitionId;
  writeFloat64(target.bytes, 2, lsn);
  target.length = EXPIRY_KEY_HEADER_BYTES;
  return target;
}

export const newLogKey = (partitionId: number, lsn: number): EncodedKey =>
  logKey(new IndexKey(), partitionId, lsn);

export function decodeLogEntry(key: Uint8Array, bytes: Uint8Array): LogEntry {
  const keyLength = (bytes[1] << 8) | bytes[2];
  const lsn = readFloat64(key, 2);
  const entryKey = bytes.slice(3, 3 + keyLength);
  return bytes[0] === LOG_PUT
    ? { lsn, kind: 'put', key: entryKey, value: bytes.slice(3 + keyLength) }
    : { lsn, kind: 'delete', key: entryKey };
}

/** [partition u16 BE][expiry f64 BE][physical key of the record] */
function expiryKey(target: IndexKey, partitionId: number, expiryMs: number, key: EncodedKey): IndexKey {
  logKey(target, partitionId, expiryMs);
  const length = KEY_HEADER_BYTES + keyLengthOf(key.bytes);
  for (let i = 0; i < length; i++) target.bytes[EXPIRY_KEY_HEADER_BYTES + i] = key.bytes[i];
  target.length += length;
  return target;
}

/** The expiry index begins here for a partition and a time. */
export const newExpiryKey = newLogKey;

export function decodeExpiryKey(bytes: Uint8Array): { readonly expiryMs: number; readonly key: Uint8Array } {
  return { expiryMs: readFloat64(bytes, 2), key: bytes.subarray(EXPIRY_KEY_HEADER_BYTES) };
}
