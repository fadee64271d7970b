/** A proxy that does to a connection what networks do: delay, jitter, a narrow line, silence in one direction, flipped bits, loss. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Direction = 'toServer' | 'toClient';

/** What happens to bytes on their way; both directions have their own. */
export interface LineFaults {
  readonly delayMs?: number;
  /** Added to the delay, uniform in 0..jitterMs; the order of bytes stays, as TCP promises. */
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  /** Nothing arrives until it is lifted; then everything does. */
  readonly isStalled?: boolean;
  /** So many bits of what comes next are flipped, one a chunk. */
  readonly flips?: number;
}

interface Line {
  readonly from: Socket;
  readonly to: Socket;
  readonly direction: Direction;
  /** Chunks leave one after the other. */
  turn: Promise<void>;
  waitingBytes: number;
}

/** What a line takes in before it stops reading: more than a frame, less than a machine's memory. */
const WAITING_BYTES_MAX = 8 << 20;
const STALL_LOOK_MS = 5;

export class TcpProxy {
  readonly port: number;
  /** Connections in which a bit was flipped, and whether their ends have given them up since. */
  readonly flipped = new Set<Socket>();
  flippedCount = 0;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #faults: Record<Direction, LineFaults> = { toServer: {}, toClient: {} };
  readonly #flipsLeft: Record<Direction, number> = { toServer: 0, toClient: 0 };
  readonly #random: () => number;

  private constructor(server: Server, random: () => number) {
    this.#server = server;
    this.#random = random;
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** @param random uniform in [0, 1): jitter, and which bit is flipped. */
  static async start(
    target: () => { readonly host: string; readonly port: number },
    random: () => number,
  ): Promise<TcpProxy> {
    let proxy: TcpProxy | undefined;
    const server = createServer((socket) => proxy?.accept(socket, target()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy = new TcpProxy(server, random);
    return proxy;
  }

  setFaults(direction: Direction, faults: LineFaults): void {
    this.#faults[direction] = faults;
    this.#flipsLeft[direction] = faults.flips ?? 0;
  }

  heal(): void {
    this.setFaults('toServer', {});
    this.setFaults('toClient', {});
  }

  /** As a cable that is pulled: both ends see it at once. */
  dropAll(): void {
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  /** One direction ends in order, the other stays open: what a process does that has called shutdown. */
  halfCloseAll(direction: Direction): void {
    for (const socket of this.#open) if (directionOf.get(socket) === direction) socket.end();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  /** @internal called by the listener. */
  accept(client: Socket, target: { readonly host: string; readonly port: number }): void {
    const server = connect({ ...target, allowHalfOpen: true });
    client.allowHalfOpen = true;
    this.#carry(client, server, 'toServer');
    this.#carry(server, client, 'toClient');
  }

  #carry(from: Socket, to: Socket, direction: Direction): void {
    const line: Line = { from, to, direction, turn: Promise.resolve(), waitingBytes: 0 };
    directionOf.set(to, direction);
    from.setNoDelay(true);
    this.#open.add(from);
    from.on('data', (chunk: Buffer) => this.#pass(line, chunk));
    from.on('end', () => {
      line.turn = line.turn.then(() => void to.end());
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      this.#open.delete(from);
      this.flipped.delete(from);
      to.destroy();
    });
  }

  #pass(line: Line, chunk: Buffer): void {
    line.waitingBytes += chunk.length;
    if (line.waitingBytes > WAITING_BYTES_MAX) line.from.pause();
    const { delayMs = 0, jitterMs = 0 } = this.#faults[line.direction];
    const arrivesMs = performance.now() + delayMs + jitterMs * this.#random();
    line.turn = line.turn.then(() => this.#deliver(line, chunk, arrivesMs));
  }

  async #deliver(line: Line, chunk: Buffer, arrivesMs: number): Promise<void> {
    const { direction, from, to } = line;
    while (this.#faults[direction].isStalled === true && !to.destroyed) await sleep(STALL_LOOK_MS);
    const { bytesPerSecond } = this.#faults[direction];
    const waitMs = arrivesMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    if (bytesPerSecond !== undefined) await sleep((chunk.length / bytesPerSecond) * 1000);
    if (to.destroyed) return;
    if (this.#flipsLeft[direction] > 0) this.#flip(chunk, from, direction);
    to.write(chunk);
    line.waitingBytes -= chunk.length;
    if (line.waitingBytes < WAITING_BYTES_MAX / 2) from.resume();
  }

  #flip(chunk: Buffer, from: Socket, direction: Direction): void {
    this.#flipsLeft[direction]--;
    this.flippedCount++;
    const bit = Math.floor(this.#random() * chunk.length * 8);
    chunk[bit >> 3] ^= 1 << (bit & 7);
    this.flipped.add(from);
  }
}

/** In which direction bytes go that are written to a socket. */
const directionOf = new WeakMap<Socket, Direction>();

const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));
