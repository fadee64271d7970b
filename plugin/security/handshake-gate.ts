import type { Socket } from 'node:net';
import { type Logger, silentLogger } from '../../src/base/logger.ts';
import { networkOf } from './network-of.ts';
import { SpacedWarnings } from './spaced-warnings.ts';

/** Connections that have not shown yet who they are. */
export interface HandshakeLimits {
  /** At work at one time, of the whole listener and of one address, by which an IPv6 /64 is meant, too. */
  readonly openMax: number;
  readonly openPerAddressMax: number;
  /** Who has not shown by then who it is, is cut off. */
  readonly openMsMax: number;
  /**
   * Behind those, unread: an application that opens its whole pool at once is no attack. Who comes when the line is full takes the
   * place of one of the address that has most in it, unless it has as many itself: then it is refused.
   */
  readonly waitingMax: number;
  readonly waitingPerAddressMax: number;
  /** Who has waited for so long is refused. */
  readonly waitMsMax: number;
  /** A wrong password or token is answered after so long, and the place stays taken until then. */
  readonly wrongGuessMs: number;
}

export const DEFAULT_HANDSHAKE_LIMITS: HandshakeLimits = {
  openMax: 64,
  openPerAddressMax: 8,
  openMsMax: 5_000,
  waitingMax: 1024,
  waitingPerAddressMax: 512,
  waitMsMax: 5_000,
  // Eight places of one address then make eight guesses a second, 64 of all; nobody who mistypes minds a second.
  wrongGuessMs: 1_000,
};

/** One connection's place; `leave` when it has shown who it is. Closing the socket leaves, too. */
export interface HandshakePlace {
  leave(): void;
  /**
   * It has shown something wrong: the place stays taken for `wrongGuessMs`, also when the connection is gone. Whoever guesses
   * could otherwise drop a connection that does not answer at once, and try the next on a new one.
   */
  keepForWrongGuess(): void;
}

interface Place extends HandshakePlace {
  readonly socket: Socket;
  readonly address: string;
  readonly onAdmitted: (place: HandshakePlace) => void;
  timer: NodeJS.Timeout | null;
  /** By the clock of `performance`. */
  keptUntilMs: number;
  state: 'waiting' | 'open' | 'left';
}

/**
 * Lets few strangers in at a time. What one of them can make us keep is limited elsewhere (4 KiB); here it is how many there
 * are, and for how long. The rest waits without being read, so that the kernel, not this process, holds their bytes. Addresses take
 * turns, each in its own order of arrival: one with many in the line, or with its share used up, does not keep others waiting.
 */
export class HandshakeGate {
  /** Connections closed because the line was full, or because they stood in it for too long. */
  refusedCount = 0;
  /** Connections closed because they did not show in time who they are. */
  expiredCount = 0;
  readonly #limits: HandshakeLimits;
  readonly #warnings: SpacedWarnings;
  /** By address; the one whose turn is next comes first. */
  readonly #waiting = new Map<string, Set<Place>>();
  #waitingCount = 0;
  readonly #opened = new Set<Place>();
  readonly #openByAddress = new Map<string, number>();
  /** Places that nobody has any more, and that are taken all the same. */
  readonly #kept = new Map<Place, NodeJS.Timeout>();

  constructor(logger: Logger = silentLogger, limits: HandshakeLimits = DEFAULT_HANDSHAKE_LIMITS) {
    this.#limits = limits;
    this.#warnings = new SpacedWarnings(logger);
  }

  get openCount(): number {
    return this.#opened.size;
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  /**
   * @param socket paused, nothing read from it yet (`pauseOnConnect`).
   * @param onAdmitted called once, now or later; never for a socket that was refused, or has closed.
   */
  enter(socket: Socket, onAdmitted: (place: HandshakePlace) => void): void {
    const address = networkOf(socket.remoteAddress ?? '');
    const place: Place = {
      socket,
      address,
      onAdmitted,
      timer: null,
      keptUntilMs: 0,
      state: 'waiting',
      leave: () => this.#leave(place),
      keepForWrongGuess: () => {
        place.keptUntilMs = performance.now() + this.#limits.wrongGuessMs;
      },
    };
    if (this.#hasRoom(address)) {
      socket.once('close', place.leave);
      this.#open(place);
      return;
    }
    const line = this.#waiting.get(address) ?? new Set();
    const { waitingMax, waitingPerAddressMax, waitMsMax } = this.#limits;
    const isFull = this.#waitingCount >= waitingMax;
    if (line.size >= waitingPerAddressMax || (isFull && !this.#makeWay(line.size))) {
      this.#refuse(socket);
      return;
    }
    socket.once('close', place.leave);
    this.#waiting.set(address, line.add(place));
    this.#waitingCount++;
    place.timer = setTimeout(() => this.#refuse(socket), waitMsMax).unref();
  }

  /** The newest of the longest line, for one of an address with fewer in it. @returns whether there is room now. */
  #makeWay(ownCount: number): boolean {
    // One with as many as others have on average is hardly worth a search: those who crowd the line are refused at once.
    if (ownCount >= this.#waitingCount / this.#waiting.size) return false;
    let longest = new Set<Place>();
    for (const line of this.#waiting.values()) if (line.size > longest.size) longest = line;
    const last = [...longest].at(-1);
    if (last === undefined || longest.size <= ownCount + 1) return false;
    this.#leave(last);
    this.#refuse(last.socket);
    return true;
  }

  /** Cuts off whoever has not shown who it is. */
  close(): void {
    const waiting = [...this.#waiting.values()].flatMap((line) => [...line]);
    for (const { socket } of [...waiting, ...this.#opened]) socket.destroy();
    for (const place of [...this.#kept.keys()]) this.#free(place);
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
    place.timer = setTimeout(() => this.#expire(place), this.#limits.openMsMax).unref();
    place.onAdmitted(place);
  }

  #expire({ socket }: Place): void {
    this.expiredCount++;
    this.#warnings.warn(
      { address: socket.remoteAddress ?? '' },
      'a connection did not show in time who it is, and was closed',
    );
    socket.destroy();
  }

  #refuse(socket: Socket): void {
    this.refusedCount++;
    this.#warnings.warn(
      { address: socket.remoteAddress ?? '', open: this.#opened.size, waiting: this.#waitingCount },
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
    const keptMs = place.keptUntilMs - performance.now();
    if (keptMs > 0) this.#kept.set(place, setTimeout(() => this.#free(place), keptMs).unref());
    else this.#free(place);
  }

  #free(place: Place): void {
    clearTimeout(this.#kept.get(place));
    this.#kept.delete(place);
    this.#opened.delete(place);
    count(this.#openByAddress, place.address, -1);
    this.#admitNext();
  }

  #admitNext(): void {
    for (let place = this.#nextInLine(); place !== null; place = this.#nextInLine()) {
      const line = this.#waiting.get(place.address);
      this.#stopWaiting(place);
      // To the end, unless there is nobody left of it.
      if (line !== undefined && this.#waiting.delete(place.address)) this.#waiting.set(place.address, line);
      this.#open(place);
    }
  }

  /** The first of the first address that has room; null where there is none. */
  #nextInLine(): Place | null {
    for (const [address, line] of this.#waiting)
      if (this.#hasRoom(address)) for (const place of line) return place;
    return null;
  }

  #stopWaiting(place: Place): void {
    const line = this.#waiting.get(place.address);
    if (line?.delete(place) === true) this.#waitingCount--;
    if (line?.size === 0) this.#waiting.delete(place.address);
    if (place.timer !== null) clearTimeout(place.timer);
    place.timer = null;
  }
}

function count(counts: Map<string, number>, address: string, change: number): void {
  const next = (counts.get(address) ?? 0) + change;
  if (next === 0) counts.delete(address);
  else counts.set(address, next);
}
