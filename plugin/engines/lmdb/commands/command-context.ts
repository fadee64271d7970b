import type { RespWriter } from '../../../resp/writer.ts';
import { ABSENT_LENGTH, type EntryWriter } from '../entry-writer.ts';
import type { Table } from '../environment.ts';
import type { PartitionState } from '../partition-state.ts';
import { encodedKey, KEY_AND_FIELD_BYTES_MAX, PhysicalKey } from '../physical-key.ts';
import { expiryOf, fieldCountOf, RECORD_HEADER_BYTES, TYPE_HASH, TYPE_NONE, TYPE_STRING } from '../record.ts';

/** The command is answered with this RESP error; it must not have written anything yet. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

export const wrongType = (): CommandError =>
  new CommandError('WRONGTYPE Operation against a key holding the wrong kind of value');
export const notAnInteger = (): CommandError =>
  new CommandError('ERR value is not an integer or out of range');
export const syntaxError = (): CommandError => new CommandError('ERR syntax error');

export interface CommandContextOptions {
  readonly table: Table;
  readonly writer: EntryWriter;
  readonly valueBytesMax: number;
  readonly partitionOfSlot: (slot: number) => number;
}

/**
 * What a command sees: its arguments, the partition, the record of the key it looked up, and where to write the reply.
 * One object serves every request of a node; what a lookup leaves in it holds until the next read.
 */
export class CommandContext {
  readonly table: Table;
  readonly writer: EntryWriter;
  readonly key = new PhysicalKey();
  readonly #valueBytesMax: number;
  readonly #partitionOfSlot: (slot: number) => number;

  bytes: Uint8Array = new Uint8Array(0);
  starts: Int32Array = new Int32Array(0);
  ends: Int32Array = new Int32Array(0);
  argumentCount = 0;
  isResp3 = false;
  nowMs = 0;
  state!: PartitionState;
  reply!: RespWriter;

  /** Of the record last found. TYPE_NONE when there was none. */
  recordType = TYPE_NONE;
  recordExpiryMs = 0;
  recordLength = 0;
  /** The record itself: bytes 0..recordLength; overwritten by the next read of any entry. */
  record: Uint8Array = this.bytes;

  constructor(options: CommandContextOptions) {
    this.table = options.table;
    this.writer = options.writer;
    this.#valueBytesMax = options.valueBytesMax;
    this.#partitionOfSlot = options.partitionOfSlot;
  }

  /** Reads the record of the key in an argument. False when there is none, or it has expired. */
  find(argument: number): boolean {
    this.recordType = TYPE_NONE;
    // A key too long to be stored is a key that does not exist.
    if (!this.#locate(argument)) return false;
    return this.#readRecord() && !this.#isExpired();
  }

  /** As `find`, before a write: what has expired is deleted first, as an entry of its own in the log. */
  findForWrite(argument: number): boolean {
    this.recordType = TYPE_NONE;
    if (!this.#locate(argument)) throw this.#keyTooLong(this.ends[argument] - this.starts[argument]);
    if (!this.#readRecord()) return false;
    if (!this.#isExpired()) return true;
    this.removeKey();
    return false;
  }

  /** The key of `find`, for commands that only remove: an overlong key is simply not there. */
  findForRemoval(argument: number): boolean {
    return (
      this.ends[argument] - this.starts[argument] <= KEY_AND_FIELD_BYTES_MAX && this.findForWrite(argument)
    );
  }

  #locate(argument: number): boolean {
    if (!this.key.setKey(this.bytes, this.starts[argument], this.ends[argument])) return false;
    if (this.#partitionOfSlot(this.key.slot) !== this.state.partitionId)
      throw new CommandError(`ERR slot ${this.key.slot} is not in partition ${this.state.partitionId}`);
    return true;
  }

  #readRecord(): boolean {
    const record = this.table.getBinaryFast(this.key);
    if (record === undefined) return false;
    this.record = record;
    this.recordLength = this.table.lastSize;
    this.recordType = record[0];
    this.recordExpiryMs = expiryOf(record);
    return true;
  }

  #isExpired(): boolean {
    if (this.recordExpiryMs === 0 || this.nowMs <= this.recordExpiryMs) return false;
    return true;
  }

  /** Throws before anything is written if a key cannot be stored. */
  assertKeyFits(argument: number): void {
    const length = this.ends[argument] - this.starts[argument];
    if (length > KEY_AND_FIELD_BYTES_MAX) throw this.#keyTooLong(length);
  }

  assertFieldFits(fieldArgument: number): void {
    const length = this.ends[0] - this.starts[0] + this.ends[fieldArgument] - this.starts[fieldArgument];
    if (length > KEY_AND_FIELD_BYTES_MAX) throw this.#keyTooLong(length);
  }

  #keyTooLong(length: number): CommandError {
    return new CommandError(
      `ERR key (with its field) has ${length} bytes, the engine stores at most ${KEY_AND_FIELD_BYTES_MAX}`,
    );
  }

  assertValueFits(length: number): void {
    if (length > this.#valueBytesMax)
      throw new CommandError(`ERR value has ${length} bytes, the limit is ${this.#valueBytesMax}`);
  }

  requireString(): void {
    if (this.recordType !== TYPE_STRING) throw wrongType();
  }

  requireHash(): void {
    if (this.recordType !== TYPE_HASH) throw wrongType();
  }

  /** Of the hash last found. */
  get fieldCount(): number {
    return fieldCountOf(this.record);
  }

  /** Length of the string last found. */
  get stringLength(): number {
    return this.recordLength - RECORD_HEADER_BYTES;
  }

  argumentLength(argument: number): number {
    return this.ends[argument] - this.starts[argument];
  }

  text(argument: number): string {
    return Buffer.from(
      this.bytes.buffer,
      this.bytes.byteOffset + this.starts[argument],
      this.argumentLength(argument),
    ).toString('latin1');
  }

  /** Replies with the string last found. */
  replyString(): void {
    this.reply.bulk(this.record, RECORD_HEADER_BYTES, this.recordLength);
  }

  /** Writes what is in `writer.value` over the record last looked up, or where that found none. */
  putRecord(): void {
    const oldLength = this.recordType === TYPE_NONE ? ABSENT_LENGTH : this.recordLength;
    this.writer.put(this.state, this.key, oldLength, this.recordType === TYPE_NONE ? 0 : this.recordExpiryMs);
  }

  /** Writes a string from an argument under the key last located, whatever was there. */
  putString(valueArgument: number, expiryMs: number): void {
    if (this.recordType === TYPE_HASH) this.#removeFields();
    const { value } = this.writer;
    value.setStringHeader(expiryMs);
    value.append(this.bytes, this.starts[valueArgument], this.ends[valueArgument]);
    this.putRecord();
  }

  /** Writes the record last found again with another expiry. */
  putExpiry(expiryMs: number): void {
    const { value } = this.writer;
    if (this.recordType === TYPE_HASH) value.setHashRecord(expiryMs, this.fieldCount);
    else {
      // `record` is lmdb's own buffer, which `put` reads into: the value must be elsewhere first.
      value.setStringHeader(expiryMs);
      value.append(this.record, RECORD_HEADER_BYTES, this.recordLength);
    }
    this.putRecord();
  }

  /** Deletes the key last found, fields and all. */
  removeKey(): void {
    if (this.recordType === TYPE_HASH) this.#removeFields();
    this.writer.delete(this.state, this.key);
    this.recordType = TYPE_NONE;
  }

  /** Loads a key by its physical bytes and deletes it, if it still is there and has expired. */
  removeExpired(physical: Uint8Array): boolean {
    this.key.setPhysical(physical);
    if (!this.#readRecord() || this.recordExpiryMs === 0 || this.recordExpiryMs > this.nowMs) return false;
    this.removeKey();
    return true;
  }

  #removeFields(): void {
    const { first, after } = this.key.fieldRange();
    // Keys first, then deletes: a cursor must not walk a tree that changes under it.
    for (const field of [...this.table.getKeys({ start: first, end: after })])
      this.writer.delete(this.state, encodedKey(field));
    this.key.clearField();
  }
}

export type CommandHandler = (context: CommandContext) => void;
