/** What `RequestParser.next` found. */
export const PARSE_NEED_MORE = 0;
export const PARSE_REQUEST = 1;
/** The stream has lost its place: answer `error`, then close. */
export const PARSE_PROTOCOL_ERROR = 2;
/** A whole request was skipped because it, or a value in it, is too large: answer `error`, the connection is fine. */
export const PARSE_OVERSIZED = 3;

const STAR = 42;
const DOLLAR = 36;
const MINUS = 45;
const CR = 13;
const LF = 10;

// The limits below are Redis's own, but for the last.
const ARGUMENTS_MAX = 1024 * 1024;
const BULK_BYTES_MAX = 512 * 1024 * 1024;
const INLINE_BYTES_MAX = 64 * 1024;
const UNAUTHENTICATED_ARGUMENTS_MAX = 10;
/** All that a client may send before it has authenticated: enough for HELLO with a name, and a few mistakes. */
const UNAUTHENTICATED_BYTES_MAX = 4 * 1024;
const NUMBER_DIGITS_MAX = 10;
/** Leaves room for headers, so that a request always fits into one data frame of 16 MiB. */
export const REQUEST_BYTES_MAX = 15 * 1024 * 1024;

/** Results of `#readNumber` beside the numbers themselves, which are -1 at least. */
const NUMBER_NEEDS_MORE = -2;
const NUMBER_INVALID = -3;

/**
 * Cuts a client's byte stream into requests, in place and across any chunking. Nothing is copied while requests lie within
 * one chunk; what is left over is moved to a buffer that grows by doubling, or at once to what a bulk has announced, and
 * parsing goes on where it stopped, so that a stream costs linear time however it is cut.
 *
 * Arguments are valid until the next `feed`.
 */
export class RequestParser {
  /** Argument i is bytes starts[i]..ends[i] of `source`; 0 is the name. */
  source: Buffer = Buffer.alloc(0);
  argumentCount = 0;
  starts = new Int32Array(16);
  ends = new Int32Array(16);
  /** Of the last PARSE_PROTOCOL_ERROR or PARSE_OVERSIZED, without the leading `-`. */
  error = '';
  /** Until a client has authenticated it gets small requests only. */
  isAuthenticated = true;

  readonly #valueBytesMax: number;
  #buffer: Buffer = this.source;
  /** Bytes 0..limit of the buffer are input. */
  #limit = 0;
  #isOwnBuffer = false;
  #position = 0;
  #requestStart = 0;
  /** Arguments still to come; 0 between requests. */
  #missing = 0;
  /** Length of the bulk whose `$n` has been read; -1 before it. */
  #bulkBytes = -1;
  #isOversized = false;
  #skipBytes = 0;
  /** Read since the connection was made, or was RESET. */
  #unauthenticatedBytes = 0;

  constructor(valueBytesMax: number) {
    this.#valueBytesMax = valueBytesMax;
  }

  /** True while bytes wait that have not been made into requests. */
  get hasInput(): boolean {
    return this.#position < this.#limit;
  }

  feed(chunk: Buffer): void {
    const left = this.#limit - this.#requestStart;
    if (left === 0) {
      this.#rebase(chunk, 0);
      this.#limit = chunk.length;
      this.#isOwnBuffer = false;
      return;
    }
    if (!this.#isOwnBuffer || this.#limit + chunk.length > this.#buffer.length) {
      const announced = this.#bulkBytes < 0 ? 0 : this.#position - this.#requestStart + this.#bulkBytes + 2;
      const capacity = Math.max(
        announced,
        left + chunk.length,
        Math.min(left * 2, left + REQUEST_BYTES_MAX),
        1024,
      );
      const larger = Buffer.allocUnsafeSlow(capacity);
      this.#buffer.copy(larger, 0, this.#requestStart, this.#limit);
      this.#rebase(larger, this.#requestStart);
      this.#limit = left;
      this.#isOwnBuffer = true;
    }
    chunk.copy(this.#buffer, this.#limit);
    this.#limit += chunk.length;
  }

  /** The bytes before `shift` are gone: what was found after them is now that much nearer to the start. */
  #rebase(buffer: Buffer, shift: number): void {
    if (shift > 0 && this.#missing > 0)
      for (let i = 0; i < this.argumentCount; i++) {
        this.starts[i] -= shift;
        this.ends[i] -= shift;
      }
    this.#position = this.#limit === this.#requestStart ? 0 : this.#position - shift;
    this.#requestStart = 0;
    this.#buffer = buffer;
  }

  /** @returns PARSE_…; while a client has not authenticated, a protocol error once all it has sent is more than 4 KiB. */
  next(): number {
    if (this.isAuthenticated) {
      this.#unauthenticatedBytes = 0;
      return this.#next();
    }
    const before = this.#position;
    const result = this.#next();
    this.#unauthenticatedBytes += this.#position - before;
    const unread = result === PARSE_NEED_MORE ? this.#limit - this.#position : 0;
    if (result === PARSE_PROTOCOL_ERROR || this.#unauthenticatedBytes + unread <= UNAUTHENTICATED_BYTES_MAX)
      return result;
    return this.#fail('unauthenticated request too big');
  }

  #next(): number {
    for (;;) {
      if (this.#skipBytes > 0 && !this.#skip()) return PARSE_NEED_MORE;
      if (this.#missing === 0) {
        if (this.#isOversized) {
          this.#isOversized = false;
          this.#requestStart = this.#position;
          return PARSE_OVERSIZED;
        }
        this.#requestStart = this.#position;
        if (this.#position >= this.#limit) return PARSE_NEED_MORE;
        if (this.#buffer[this.#position] !== STAR) {
          const result = this.#parseInline();
          if (result === PARSE_REQUEST && this.argumentCount === 0) continue; // an empty line
          return result;
        }
        const count = this.#readNumber();
        if (count === NUMBER_NEEDS_MORE) return PARSE_NEED_MORE;
        if (count === NUMBER_INVALID || count > ARGUMENTS_MAX) return this.#fail('invalid multibulk length');
        if (!this.isAuthenticated && count > UNAUTHENTICATED_ARGUMENTS_MAX)
          return this.#fail('unauthenticated multibulk length');
        if (count <= 0) continue;
        this.#missing = count;
        this.argumentCount = 0;
      }
      const result = this.#parseBulks();
      if (result !== PARSE_REQUEST) return result;
      if (!this.#isOversized) {
        this.source = this.#buffer;
        return PARSE_REQUEST;
      }
    }
  }

  /** PARSE_REQUEST once no argument is missing. */
  #parseBulks(): number {
    while (this.#missing > 0) {
      if (this.#bulkBytes < 0) {
        if (this.#position >= this.#limit) return PARSE_NEED_MORE;
        const mark = this.#buffer[this.#position];
        if (mark !== DOLLAR) return this.#fail(`expected '$', got '${printable(mark)}'`);
        const size = this.#readNumber();
        if (size === NUMBER_NEEDS_MORE) return PARSE_NEED_MORE;
        if (size < 0 || size > BULK_BYTES_MAX) return this.#fail('invalid bulk length');
        if (!this.isAuthenticated && size > UNAUTHENTICATED_BYTES_MAX)
          return this.#fail('unauthenticated bulk length');
        this.#bulkBytes = size;
        this.#checkSize(size);
      }
      if (this.#isOversized) {
        this.#skipBytes = this.#bulkBytes + 2;
        this.#bulkBytes = -1;
        this.#missing--;
        if (!this.#skip()) return PARSE_NEED_MORE;
        continue;
      }
      const end = this.#position + this.#bulkBytes;
      if (end + 2 > this.#limit) return PARSE_NEED_MORE;
      // A wrong length would make commands of what the client meant as a value. Redis trusts it; we can look for nothing.
      if (this.#buffer[end] !== CR || this.#buffer[end + 1] !== LF)
        return this.#fail('expected CRLF after a bulk');
      if (this.argumentCount === this.starts.length) this.#growArguments();
      this.starts[this.argumentCount] = this.#position;
      this.ends[this.argumentCount] = end;
      this.argumentCount++;
      this.#position = end + 2;
      this.#bulkBytes = -1;
      this.#missing--;
    }
    return PARSE_REQUEST;
  }

  #checkSize(size: number): void {
    if (this.#isOversized) return;
    const requestBytes = this.#position - this.#requestStart + size;
    if (size > this.#valueBytesMax)
      this.error = `ERR a value of ${size} bytes; the limit is ${this.#valueBytesMax} (setting node.valueBytesMax)`;
    else if (requestBytes > REQUEST_BYTES_MAX)
      this.error = `ERR a request of more than ${REQUEST_BYTES_MAX} bytes; send fewer values at a time`;
    else return;
    this.#isOversized = true;
  }

  /** Lets go of bytes that nobody will read, without ever having kept them. True once all are gone. */
  #skip(): boolean {
    const taken = Math.min(this.#skipBytes, this.#limit - this.#position);
    this.#skipBytes -= taken;
    this.#position += taken;
    this.#requestStart = this.#position;
    return this.#skipBytes === 0;
  }

  /** Reads `*n\r\n` or `$n\r\n` at the position, and moves behind it if all of it is there. */
  #readNumber(): number {
    const buffer = this.#buffer;
    const limit = this.#limit;
    let i = this.#position + 1;
    let isNegative = false;
    if (i < limit && buffer[i] === MINUS) {
      isNegative = true;
      i++;
    }
    const digitsStart = i;
    let value = 0;
    for (; i < limit; i++) {
      const digit = buffer[i] - 48;
      if (digit < 0 || digit > 9) break;
      if (i - digitsStart >= NUMBER_DIGITS_MAX) return NUMBER_INVALID;
      value = value * 10 + digit;
    }
    if (i >= limit) return NUMBER_NEEDS_MORE;
    if (i === digitsStart || buffer[i] !== CR) return NUMBER_INVALID;
    if (i + 1 >= limit) return NUMBER_NEEDS_MORE;
    if (buffer[i + 1] !== LF) return NUMBER_INVALID;
    this.#position = i + 2;
    return isNegative && value > 0 ? -1 : value;
  }

  #parseInline(): number {
    const lineEnd = this.#buffer.subarray(0, this.#limit).indexOf(LF, this.#position);
    if (lineEnd < 0) {
      if (this.#limit - this.#position > INLINE_BYTES_MAX) return this.#fail('too big inline request');
      return PARSE_NEED_MORE;
    }
    if (lineEnd - this.#position > INLINE_BYTES_MAX) return this.#fail('too big inline request');
    const words = splitInline(this.#buffer.subarray(this.#position, lineEnd));
    if (words === null) return this.#fail('unbalanced quotes in request');
    this.#position = lineEnd + 1;
    this.#requestStart = this.#position;
    this.source = Buffer.concat(words);
    this.argumentCount = 0;
    let offset = 0;
    for (const word of words) {
      if (this.argumentCount === this.starts.length) this.#growArguments();
      this.starts[this.argumentCount] = offset;
      offset += word.length;
      this.ends[this.argumentCount++] = offset;
    }
    return PARSE_REQUEST;
  }

  #growArguments(): void {
    const starts = new Int32Array(this.starts.length * 4);
    const ends = new Int32Array(this.starts.length * 4);
    starts.set(this.starts);
    ends.set(this.ends);
    this.starts = starts;
    this.ends = ends;
  }

  #fail(message: string): number {
    this.error = `ERR Protocol error: ${message}`;
    return PARSE_PROTOCOL_ERROR;
  }
}

const printable = (byte: number): string => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '?');

const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13) || byte === 0;

const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, b: 8, a: 7 };

/** Words of an inline command with the quoting of redis-cli; null when a quote is not closed, or not followed by a space. */
function splitInline(line: Buffer): Buffer[] | null {
  const words: Buffer[] = [];
  let i = 0;
  for (;;) {
    while (i < line.length && isSpace(line[i])) i++;
    if (i >= line.length) return words;
    const word: number[] = [];
    while (i < line.length && !isSpace(line[i])) {
      const quote = line[i];
      if (quote !== 34 && quote !== 39) {
        word.push(quote);
        i++;
        continue;
      }
      i++;
      while (i < line.length && line[i] !== quote) {
        if (line[i] === 92 && i + 1 < line.length) i = readEscape(line, i, quote, word);
        else word.push(line[i++]);
      }
      if (i >= line.length || (i + 1 < line.length && !isSpace(line[i + 1]))) return null;
      i++;
      break;
    }
    words.push(Buffer.from(word));
  }
}

/** One backslash sequence at `i`; single quotes know only `\'`. @returns where it ends. */
function readEscape(line: Buffer, i: number, quote: number, word: number[]): number {
  const escaped = line[i + 1];
  if (quote === 39) {
    if (escaped === 39) word.push(39);
    else word.push(92, escaped);
    return i + 2;
  }
  if (escaped === 120) {
    const hex = line.toString('latin1', i + 2, i + 4);
    if (/^[0-9a-fA-F]{2}$/.test(hex)) {
      word.push(Number.parseInt(hex, 16));
      return i + 4;
    }
  }
  word.push(ESCAPES[String.fromCharCode(escaped)] ?? escaped);
  return i + 2;
}
