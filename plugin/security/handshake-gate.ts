import type { Socket } from 'node:net';
import { type Logger, silentLogger } from '../../src/base/logger.ts';
import { SpacedWarnings } from './spaced-warnings.ts';

/** Connections that have not shown yet who they are. */
export interface HandshakeLimits {
  /** At work at one time, of the whole listener and of one address. */
  readonly openMax: number;
  readonly openPerAddressMax: number;
  /** Who has not shown by then who it is, is cut off. */
  readonly openMsMax: number;
  /** Behind those, unread: an application that opens its whole pool at once is no attack. More are refused. */
  readonly waitingMax: number;
  readonly waitingPerAddressMax: number;
  /** Who has waited for so long is refused. */
  readonly waitMsMax: number;
}

export const DEFAULT_HANDSHAKE_LIMITS: HandshakeLimits = {
  openMax: 64,
  openPerAddressMax: 8,
  openMsMax: 5_000,
  waitingMax: 1024,
  waitingPerAddressMax: 512,
  waitMsMax: 5_000,
};

/** One connection's place; `leave` when it has shown who it is. Closing the socket leaves, too. */
export interface HandshakePlace {
  leave(): void;
}

interface Place extends HandshakePlace {
  readonly socket: Socket;
  readonly address: string;
  readonly onAdmitted: (place: HandshakePlace) => void;
  timer: NodeJS.Timeout | null;
  state: 'waiting' | 'open' | 'left';
}

/**
 * Lets few strangers in at a time. What one of them can make us keep is limited elsewhere (4 KiB); here it is how many there
 * are, and for how long. The rest waits in the order of arrival without being read, so that the kernel, not this process, holds their
 * bytes; an address that has used up its own share does not keep others waiting.
 */
export class HandshakeGate {
  /** Connections closed because the line was full, or because they stood in it for too long. */
  refusedCount = 0;
  /** Connections closed because they did not show in time who they are. */
  expiredCount = 0;
  readonly #limits: HandshakeLimits;
  readonly #warnings: SpacedWarnings;
  readonly #waiting = new Set<Place>();
  readonly #opened = new Set<Place>();
  readonly #openByAddress = new Map<string, number>();
  readonly #waitingByAddress = new Map<string, number>();

  constructor(logger: Logger = silentLogger, limits: HandshakeLimits = DEFAULT_HANDSHAKE_LIMITS) {
    this.#limits = limits;
    this.#warnings = new SpacedWarnings(logger);
  }

  get openCount(): number {
    return this.#opened.size;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /**
   * @param socket paused, nothing read from it yet (`pauseOnConnect`).
   * @param onAdmitted called once, now or later; never for a socket that was refused, or has closed.
   */
  enter(socket: Socket, onAdmitted: (place: HandshakePlace) => void): void {
    const address = socket.remoteAddress ?? '';
    const place: Place = {
      socket,
      address,
      onAdmitted,
      timer: null,
      state: 'waiting',
      leave: () => this.#leave(place),
    };
    if (this.#hasRoom(address)) {
      socket.once('close', place.leave);
      this.#open(place);
      return;
    }
    const waitingHere = this.#waitingByAddress.get(address) ?? 0;
    const { waitingMax, waitingPerAddressMax, waitMsMax } = this.#limits;
    if (this.#waiting.size >= waitingMax || waitingHere >= waitingPerAddressMax) {
      this.#refuse(socket);
      return;
    }
    socket.once('close', place.leave);
    this.#waiting.add(place);
    this.#waitingByAddress.set(address, waitingHere + 1);
    place.timer = setTimeout(() => this.#refuse(socket), waitMsMax);
  }

  /** Cuts off whoever has not shown who it is. */
  close(): void {
    for (const { socket } of [...this.#waiting, ...this.#opened]) socket.destroy();
  }

  #hasRoom(address: string): boolean {
    return (
      this.#opened.size < this.#limits.openMax &&
      (this.#openByAddress.get(address) ?? 0) < this.#limits.openPerAddressMax
    );
  }

  #open(place: Place): void {
    place.state = 'open';
    this.#opened.add(place);
    count(this.#openByAddress, place.address, 1);
    place.timer = setTimeout(() => this.#expire(place), this.#limits.openMsMax);
    place.onAdmitted(place);
  }

  #expire({ socket, address }: Place): void {
    this.expiredCount++;
    this.#warnings.warn({ address }, 'a connection did not show in time who it is, and was closed');
    socket.destroy();
  }

  #refuse(socket: Socket): void {
    this.refusedCount++;
    this.#warnings.warn(
      { address: socket.remoteAddress ?? '', open: this.#opened.size, waiting: this.#waiting.size },
      'too many connections that have not shown who they are: one was closed',
    );
    // It may have been cut by its other end already; nobody else listens for that yet.
    socket.on('error', () => {});
    socket.destroy();
  }

  #leave(place: Place): void {
    if (place.state === 'left') return;
    const wasOpen = place.state === 'open';
    if (place.timer !== null) clearTimeout(place.timer);
    if (!wasOpen) this.#stopWaiting(place);
    place.state = 'left';
    if (!wasOpen) return;
    this.#opened.delete(place);
    count(this.#openByAddress, place.address, -1);
    this.#admitNext();
  }

  #admitNext(): void {
    for (const place of this.#waiting) {
      if (this.#opened.size >= this.#limits.openMax) return;
      if (!this.#hasRoom(place.address)) continue;
      this.#stopWaiting(place);
      this.#open(place);
    }
  }

  #stopWaiting(place: Place): void {
    this.#waiting.delete(place);
    count(this.#waitingByAddress, place.address, -1);
    if (place.timer !== null) clearTimeout(place.timer);
    place.timer = null;
  }
}

function count(counts: Map<string, number>, address: string, change: number): void {
  const next = (counts.get(address) ?? 0) + change;
  if (next === 0) counts.delete(address);
  else counts.set(address, next);
}
