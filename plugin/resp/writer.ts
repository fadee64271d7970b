const CR = 13;
const LF = 10;
/** Copying so few bytes one by one is quicker than a call into the runtime. */
const SMALL_COPY_BYTES = 48;
const INTEGER_BYTES_MAX = 24;

/** Copies without making a view where the bytes are few: keys, field names, small values. */
export function copyBytes(
  target: Buffer,
  targetStart: number,
  source: Uint8Array,
  start: number,
  end: number,
): void {
  if (end - start <= SMALL_COPY_BYTES)
    for (let i = start, j = targetStart; i < end; i++, j++) target[j] = source[i];
  else target.set(source.subarray(start, end), targetStart);
}

/** Writes RESP into a growing buffer. RESP3 where `isResp3` says so; nothing else differs. */
export class RespWriter {
  /** Bytes 0..length are written. */
  buffer: Buffer;
  length = 0;

  constructor(capacity = 256) {
    this.buffer = Buffer.allocUnsafe(capacity);
  }

  /** Makes room for `bytes` more. */
  reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + bytes));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }

  /** +OK; `text` without line breaks. */
  simple(text: string): void {
    this.#line(43, text);
  }

  /** `text` begins with the code, such as `ERR …`; line breaks in it become spaces. */
  error(text: string): void {
    this.#line(45, text.replace(/[\r\n]/g, ' '));
  }

  integer(value: number | bigint): void {
    this.#number(58, value);
  }

  bulk(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#number(36, end - start);
    this.raw(bytes, start, end);
    this.#endLine();
  }

  bulkText(text: string): void {
    const size = Buffer.byteLength(text);
    this.#number(36, size);
    this.reserve(size + 2);
    this.length += this.buffer.write(text, this.length, 'utf8');
    this.#endLine();
  }

  nil(isResp3: boolean): void {
    this.#line(isResp3 ? 95 : 36, isResp3 ? '' : '-1');
  }

  array(count: number): void {
    this.#number(42, count);
  }

  /** A map of `pairCount` pairs; in RESP2 the flat array of twice as many. */
  map(pairCount: number, isResp3: boolean): void {
    if (isResp3) this.#number(37, pairCount);
    else this.#number(42, pairCount * 2);
  }

  set(count: number, isResp3: boolean): void {
    this.#number(isResp3 ? 126 : 42, count);
  }

  /** Bytes that already are RESP. */
  raw(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.reserve(end - start + 2);
    copyBytes(this.buffer, this.length, bytes, start, end);
    this.length += end - start;
  }

  /** What was written, in memory of its own. */
  take(): Buffer {
    const taken = Buffer.from(this.buffer.subarray(0, this.length));
    this.length = 0;
    return taken;
  }

  #line(mark: number, text: string): void {
    this.reserve(text.length * 3 + 3);
    this.buffer[this.length++] = mark;
    this.length += this.buffer.write(text, this.length, 'utf8');
    this.#endLine();
  }

  #number(mark: number, value: number | bigint): void {
    this.reserve(INTEGER_BYTES_MAX);
    const { buffer } = this;
    buffer[this.length++] = mark;
    if (typeof value === 'number' && value >= 0 && value < 10) buffer[this.length++] = 48 + value;
    else {
      const digits = String(value);
      for (let i = 0; i < digits.length; i++) buffer[this.length++] = digits.charCodeAt(i);
    }
    this.#endLine();
  }

  #endLine(): void {
    this.reserve(2);
    this.buffer[this.length++] = CR;
    this.buffer[this.length++] = LF;
  }
}
