/**
 * The value of a key's own record: [type u8][expiry f64 BE, ms since 1970, 0 = never][payload].
 * The payload is a string's bytes, or a hash's field count as u32 BE. The value of a field's record is the bare value.
 */

export const RECORD_HEADER_BYTES = 9;
export const TYPE_NONE = 0;
export const TYPE_STRING = 1;
export const TYPE_HASH = 2;
export const TYPE_NAMES = ['none', 'string', 'hash'] as const;

const HASH_RECORD_BYTES = RECORD_HEADER_BYTES + 4;

const expiryBytes = new Uint8Array(8);
const expiryView = new DataView(expiryBytes.buffer);

/** A number as 8 bytes that sort like the number (it must not be negative). */
export function writeFloat64(target: Uint8Array, offset: number, value: number): void {
  expiryView.setFloat64(0, value);
  for (let i = 0; i < 8; i++) target[offset + i] = expiryBytes[i];
}

export function readFloat64(source: Uint8Array, offset: number): number {
  for (let i = 0; i < 8; i++) expiryBytes[i] = source[offset + i];
  return expiryView.getFloat64(0);
}

/** @returns milliseconds since 1970, 0 for never. */
export function expiryOf(record: Uint8Array): number {
  // Nearly every key has no expiry, and any time after 1970 makes the first byte of the float non-zero.
  return record[1] === 0 ? 0 : readFloat64(record, 1);
}

/** A growing buffer that lmdb writes a value from without making a view of it. */
export class ValueBuffer {
  bytes: Uint8Array & { start?: number; end?: number } = new Uint8Array(new ArrayBuffer(64 * 1024));
  length = 0;

  reserve(length: number): void {
    if (this.bytes.length < length) {
      const grown = new Uint8Array(new ArrayBuffer(2 ** Math.ceil(Math.log2(length))));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
  }

  set(source: Uint8Array, start: number, end: number): void {
    this.length = 0;
    this.append(source, start, end);
  }

  append(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.reserve(this.length + length);
    if (length <= 32) {
      for (let i = 0; i < length; i++) this.bytes[this.length + i] = source[start + i];
    } else this.bytes.set(source.subarray(start, end), this.length);
    this.length += length;
  }

  setStringHeader(expiryMs: number): void {
    this.#setHeader(TYPE_STRING, expiryMs);
  }

  setHashRecord(expiryMs: number, fieldCount: number): void {
    this.#setHeader(TYPE_HASH, expiryMs);
    this.bytes[9] = fieldCount >>> 24;
    this.bytes[10] = fieldCount >>> 16;
    this.bytes[11] = fieldCount >>> 8;
    this.bytes[12] = fieldCount;
    this.length = HASH_RECORD_BYTES;
  }

  #setHeader(type: number, expiryMs: number): void {
    this.bytes[0] = type;
    if (expiryMs === 0) this.bytes.fill(0, 1, RECORD_HEADER_BYTES);
    else writeFloat64(this.bytes, 1, expiryMs);
    this.length = RECORD_HEADER_BYTES;
  }

  /** What lmdb's `put` takes: it writes from `start` to `end` of the whole buffer. */
  asValue(): Uint8Array {
    this.bytes.start = 0;
    this.bytes.end = this.length;
    return this.bytes;
  }
}

export function fieldCountOf(record: Uint8Array): number {
  return ((record[9] << 24) | (record[10] << 16) | (record[11] << 8) | record[12]) >>> 0;
}
