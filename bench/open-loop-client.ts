import { connect, type Socket } from 'node:net';
import { LatencyHistogram } from './latency-histogram.ts';

/** One write in so many queries. */
const WRITE_EVERY = 5;
const VALUE_BYTES = 100;
const TICK_MS = 1;
const FILL_BATCH = 1_000;

/**
 * Reads and writes at fixed times over a few connections, whether answers come or not; each latency counts from the time at
 * which the query was due, so a pause shows in every query that falls into it.
 */
export class OpenLoopClient {
  /** Where latencies go now; exchange it to measure another stretch. */
  histogram = new LatencyHistogram();
  errors = 0;
  readonly #sockets: readonly Socket[];
  /** When the queries on their way were due, oldest first, by connection; and where each belongs. */
  readonly #due: { readonly dueMs: number; readonly histogram: LatencyHistogram }[][];
  /** Of each connection, a line that has not ended yet. */
  readonly #begun: string[];
  readonly #keys: readonly string[];
  readonly #perSecond: number;
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #sentCount = 0;

  private constructor(sockets: readonly Socket[], keys: readonly string[], perSecond: number) {
    this.#sockets = sockets;
    this.#due = sockets.map(() => []);
    this.#begun = sockets.map(() => '');
    this.#keys = keys;
    this.#perSecond = perSecond;
    sockets.forEach((socket, i) => {
      socket.on('data', (chunk) => this.#onReplies(i, chunk));
    });
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
  }

  /** @param keys already hold values of any size up to a few hundred bytes, none with a line break in it. */
  static async start(options: {
    readonly port: number;
    readonly connections: number;
    readonly keys: readonly string[];
    readonly perSecond: number;
  }): Promise<OpenLoopClient> {
    const sockets = await Promise.all(
      Array.from({ length: options.connections }, () => connected(options.port)),
    );
    return new OpenLoopClient(sockets, options.keys, options.perSecond);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
  }

  #sendDue(): void {
    const nowMs = performance.now();
    for (;;) {
      const dueMs = this.#startedMs + (this.#sentCount * 1000) / this.#perSecond;
      if (dueMs > nowMs) return;
      const i = this.#sentCount % this.#sockets.length;
      const key = this.#keys[(this.#sentCount * 7919) % this.#keys.length] as string;
      const isWrite = this.#sentCount % WRITE_EVERY === 0;
      this.#sentCount++;
      this.#due[i]?.push({ dueMs, histogram: this.histogram });
      this.#sockets[i]?.write(
        isWrite ? `SET ${key} ${'w'.repeat(VALUE_BYTES)}\r\n` : `STRLEN ${key}\r\n`, // both answer in one line
      );
    }
  }

  /** Every answer is one line: +OK, :100, or an error. */
  #onReplies(i: number, chunk: unknown): void {
    const lines = (this.#begun[i] + String(chunk)).split('\n');
    this.#begun[i] = lines.pop() as string;
    const nowMs = performance.now();
    for (const line of lines) {
      const query = this.#due[i]?.shift();
      if (query === undefined) throw new Error('an answer to nothing');
      if (line.startsWith('-')) this.errors++;
      query.histogram.add(nowMs - query.dueMs);
    }
  }
}

/** Sets every key, many at a time. @throws Error on an answer that is not +OK. */
export async function fill(port: number, keys: readonly string[], value: string): Promise<void> {
  const socket = await connected(port);
  const line = '+OK\r\n';
  for (let first = 0; first < keys.length; first += FILL_BATCH) {
    const batch = keys.slice(first, first + FILL_BATCH);
    let answer = '';
    const answered = new Promise<void>((resolve) => {
      socket.on('data', (chunk) => {
        answer += chunk;
        if (answer.length >= batch.length * line.length) resolve();
      });
    });
    socket.write(batch.map((key) => `SET ${key} ${value}\r\n`).join(''));
    await answered;
    socket.removeAllListeners('data');
    if (answer !== line.repeat(batch.length)) throw new Error(`a value was not set: ${answer.slice(0, 200)}`);
  }
  socket.destroy();
}

const connected = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.setNoDelay(true).setEncoding('latin1').once('error', reject);
  });
