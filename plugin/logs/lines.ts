/** What is told of each line: its text without the end of line, and its number from 1. */
export interface LineSink {
  onLine(text: string, line: number): void;
  /** A line beyond the limit; its bytes are gone. */
  onTooLong(line: number, byteCount: number): void;
}

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/**
 * Cuts a stream of bytes into lines. Holds at most one unfinished line of `lineBytesMax` bytes, so that a file without
 * any end of line costs no more memory than one with.
 *
 * Each line is decoded on its own: a slice of a long text would keep all of it alive for as long as somebody keeps a name.
 */
export class LineSplitter {
  readonly #lineBytesMax: number;
  readonly #encoding: 'utf8' | 'latin1';
  #lineCount = 0;
  #rest: Uint8Array[] = [];
  #restBytes = 0;
  /** Inside a line that is beyond the limit: bytes are counted and dropped. */
  #isDropping = false;

  constructor(options: { readonly lineBytesMax: number; readonly encoding: 'utf8' | 'latin1' }) {
    this.#lineBytesMax = options.lineBytesMax;
    this.#encoding = options.encoding;
  }

  get lineCount(): number {
    return this.#lineCount;
  }

  push(chunk: Buffer, sink: LineSink): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#finish(chunk, start, end, sink);
      start = end + 1;
    }
    if (start === chunk.length) return;
    this.#restBytes += chunk.length - start;
    if (this.#isDropping) return;
    if (this.#restBytes > this.#lineBytesMax) {
      this.#isDropping = true;
      this.#rest = [];
    } else {
      // A copy: the rest of a line must not keep its whole chunk alive, nor see it reused.
      this.#rest.push(Buffer.from(chunk.subarray(start)));
    }
  }

  /** The last line, where the file does not end with an end of line. */
  end(sink: LineSink): void {
    if (this.#restBytes > 0) this.#finish(Buffer.alloc(0), 0, 0, sink);
  }

  #finish(chunk: Buffer, start: number, end: number, sink: LineSink): void {
    this.#lineCount++;
    const byteCount = this.#restBytes + end - start;
    if (byteCount > this.#lineBytesMax) sink.onTooLong(this.#lineCount, byteCount);
    else if (this.#restBytes === 0) sink.onLine(this.#decode(chunk, start, end), this.#lineCount);
    else {
      const whole = Buffer.concat([...this.#rest, chunk.subarray(start, end)]);
      sink.onLine(this.#decode(whole, 0, whole.length), this.#lineCount);
    }
    this.#rest = [];
    this.#restBytes = 0;
    this.#isDropping = false;
  }

  #decode(bytes: Buffer, start: number, end: number): string {
    const last = end > start && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
    return bytes.toString(this.#encoding, start, last);
  }
}
