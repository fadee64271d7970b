import { connect, type Socket } from 'node:net';

/** An error reply, as a value. */
export class RespError {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export const encodeCommand = (words: readonly (string | Buffer)[]): Buffer =>
  Buffer.concat([
    Buffer.from(`*${words.length}\r\n`),
    ...words.flatMap((word) => [
      Buffer.from(`$${Buffer.byteLength(word)}\r\n`),
      Buffer.from(word),
      Buffer.from('\r\n'),
    ]),
  ]);

/** Decodes one RESP2 or RESP3 value; undefined when it is not all there. */
export function decodeReply(bytes: Buffer, start: number): { value: unknown; end: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', start);
  if (lineEnd < 0) return undefined;
  const mark = String.fromCharCode(bytes[start]);
  const line = bytes.toString('utf8', start + 1, lineEnd);
  const end = lineEnd + 2;
  if (mark === '+') return { value: line, end };
  if (mark === '-') return { value: new RespError(line), end };
  if (mark === ':') return { value: Number(line), end };
  if (mark === '_') return { value: null, end };
  if (mark === '$' || mark === '=') {
    const size = Number(line);
    if (size < 0) return { value: null, end };
    if (bytes.length < end + size + 2) return undefined;
    return { value: bytes.toString('latin1', end, end + size), end: end + size + 2 };
  }
  if (!'*%~'.includes(mark)) throw new Error(`no RESP value begins with ${JSON.stringify(mark)}`);
  if (Number(line) < 0) return { value: null, end };
  const values: unknown[] = [];
  let offset = end;
  for (let i = mark === '%' ? Number(line) * 2 : Number(line); i > 0; i--) {
    const element = decodeReply(bytes, offset);
    if (element === undefined) return undefined;
    values.push(element.value);
    offset = element.end;
  }
  if (mark !== '%') return { value: values, end: offset };
  const map = new Map<unknown, unknown>();
  for (let i = 0; i < values.length; i += 2) map.set(values[i], values[i + 1]);
  return { value: map, end: offset };
}

/** A plain client for tests: sends exactly what it is told, and hands replies over in order. */
export class RespClient {
  readonly socket: Socket;
  /** Resolves when the server has closed. */
  readonly closed: Promise<void>;
  #received: Buffer = Buffer.alloc(0);
  readonly #waiting: ((value: unknown) => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      for (;;) {
        const reply = this.#received.length > 0 ? decodeReply(this.#received, 0) : undefined;
        if (reply === undefined) return;
        this.#received = this.#received.subarray(reply.end);
        const waiting = this.#waiting.shift();
        if (waiting === undefined) throw new Error(`a reply to nothing: ${JSON.stringify(reply.value)}`);
        waiting(reply.value);
      }
    });
  }

  static connect(port: number): Promise<RespClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new RespClient(socket)));
      socket.once('error', reject);
    });
  }

  /** Sends raw bytes that will be answered by `replyCount` replies. */
  sendRaw(bytes: Buffer | string, replyCount: number): Promise<unknown[]> {
    const replies = Array.from(
      { length: replyCount },
      () => new Promise((resolve) => this.#waiting.push(resolve)),
    );
    this.socket.write(bytes);
    return Promise.all(replies);
  }

  async call(...words: (string | Buffer)[]): Promise<unknown> {
    const [reply] = await this.sendRaw(encodeCommand(words), 1);
    return reply;
  }

  /** The text of an error reply, or what came instead. */
  async errorOf(...words: (string | Buffer)[]): Promise<unknown> {
    const reply = await this.call(...words);
    return reply instanceof RespError ? reply.text : reply;
  }

  /** Many commands in one write. */
  pipeline(commands: readonly (readonly (string | Buffer)[])[]): Promise<unknown[]> {
    return this.sendRaw(Buffer.concat(commands.map(encodeCommand)), commands.length);
  }

  close(): void {
    this.socket.destroy();
  }
}
