import { type RedisCommand, RedisRefusal, type RedisReply } from './redis-node.ts';

/**
 * Commands as RESP2, each byte one character of latin1: a window of slots is thousands of short words, which are quickest
 * joined as text and written once.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export function encodeCommands(commands: readonly RedisCommand[]): string {
  let text = '';
  for (const words of commands) {
    text += `*${words.length}\r\n`;
    for (const word of words) {
      const bytes = latin1Of(word);
      text += `$${bytes.length}\r\n${bytes}\r\n`;
    }
  }
  return text;
}

function latin1Of(word: string | number | Buffer): string {
  if (typeof word === 'number') return String(word);
  if (typeof word !== 'string') return word.toString('latin1');
  // Words of ours are ASCII; names and passwords of users need not be.
  return isAscii(word) ? word : Buffer.from(word).toString('latin1');
}

function isAscii(word: string): boolean {
  for (let i = 0; i < word.length; i++) if (word.charCodeAt(i) > 0x7f) return false;
  return true;
}

const CR = 13;
/** First bytes of RESP2's five kinds of values. */
const SIMPLE = 0x2b;
const ERROR = 0x2d;
const INTEGER = 0x3a;
const BULK = 0x24;
const ARRAY = 0x2a;
const MINUS = 0x2d;

/** An array of which not all elements have come. */
interface OpenArray {
  readonly elements: RedisReply[];
  left: number;
}

/**
 * Reads replies from a connection's bytes, as they come in pieces. What has been read is not read again, however many pieces a
 * reply is in: an array waits on a stack for its elements, a long string for all its bytes.
 */
export class ReplyReader {
  readonly #onReply: (reply: RedisReply) => void;
  readonly #arrays: OpenArray[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** What has come since, while too little is there to go on. */
  #waiting: Buffer[] = [];
  #waitingCount = 0;
  #missingCount = 0;

  constructor(onReply: (reply: RedisReply) => void) {
    this.#onReply = onReply;
  }

  /** @throws Error when the bytes are no RESP2: the connection is of no use any more. */
  read(chunk: Buffer): void {
    this.#waiting.push(chunk);
    this.#waitingCount += chunk.length;
    if (this.#waitingCount < this.#missingCount) return;
    const hasRest = this.#at < this.#bytes.length || this.#waiting.length > 1;
    this.#bytes = hasRest ? Buffer.concat([this.#bytes.subarray(this.#at), ...this.#waiting]) : chunk;
    this.#at = 0;
    this.#waiting = [];
    this.#waitingCount = 0;
    this.#missingCount = 0;
    while (this.#readValue());
  }

  /** @returns false when the next value has not come whole. */
  #readValue(): boolean {
    const lineEnd = this.#bytes.indexOf(CR, this.#at);
    if (lineEnd === -1 || lineEnd + 2 > this.#bytes.length) return false;
    const kind = this.#bytes[this.#at];
    const start = this.#at + 1;
    switch (kind) {
      case SIMPLE:
        this.#complete(this.#bytes.subarray(start, lineEnd), lineEnd + 2);
        return true;
      case ERROR:
        this.#complete(new RedisRefusal(this.#bytes.toString('utf8', start, lineEnd)), lineEnd + 2);
        return true;
      case INTEGER:
        this.#complete(this.#numberAt(start, lineEnd), lineEnd + 2);
        return true;
      case BULK:
        return this.#readBulk(this.#numberAt(start, lineEnd), lineEnd + 2);
      case ARRAY:
        this.#readArray(this.#numberAt(start, lineEnd), lineEnd + 2);
        return true;
      default:
        throw new Error(`no reply begins with byte ${kind}`);
    }
  }

  #readBulk(length: number, start: number): boolean {
    if (length < 0) {
      this.#complete(null, start);
      return true;
    }
    const end = start + length + 2;
    if (end > this.#bytes.length) {
      this.#missingCount = end - this.#bytes.length;
      return false;
    }
    this.#complete(this.#bytes.subarray(start, start + length), end);
    return true;
  }

  #readArray(length: number, end: number): void {
    if (length <= 0) this.#complete(length < 0 ? null : [], end);
    else {
      this.#arrays.push({ elements: [], left: length });
      this.#at = end;
    }
  }

  /** A value is whole: with it, arrays may be. */
  #complete(value: RedisReply, end: number): void {
    this.#at = end;
    let whole = value;
    for (let array = this.#arrays.at(-1); array !== undefined; array = this.#arrays.at(-1)) {
      array.elements.push(whole);
      if (--array.left > 0) return;
      this.#arrays.pop();
      whole = array.elements;
    }
    this.#onReply(whole);
  }

  #numberAt(start: number, end: number): number {
    const isNegative = this.#bytes[start] === MINUS;
    let value = 0;
    for (let i = isNegative ? start + 1 : start; i < end; i++)
      value = value * 10 + ((this.#bytes[i] as number) - 0x30);
    return isNegative ? -value : value;
  }
}
