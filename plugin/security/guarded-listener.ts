import { createServer, type Server, type Socket } from 'node:net';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import { HandshakeGate, type HandshakeLimits, type HandshakePlace } from './handshake-gate.ts';

export interface GuardedListenerOptions {
  readonly logger: Logger;
  /** Makes the server that does TLS with the connections it is handed; left out: none. */
  readonly tls?: (onSecure: (socket: Socket) => void) => Server;
  /** A client that sends FIN still gets its replies. */
  readonly allowHalfOpen?: boolean;
  readonly limits?: HandshakeLimits;
}

/** Called once the gate has let a connection in, and TLS is through; `leave` the place when it is known who is there. */
export type OnAdmitted = (socket: Socket, place: HandshakePlace) => void;

/** A listening port behind a HandshakeGate, with TLS or without: clients and peers come through one each. */
export class GuardedListener {
  readonly gate: HandshakeGate;
  readonly #server: Server;
  readonly #tls: Server | null;
  readonly #onAdmitted: OnAdmitted;
  /** Places of connections whose TLS handshake is under way, by their two ends: a TLS socket does not tell what it wraps. */
  readonly #inTls = new Map<string, HandshakePlace>();

  constructor(onAdmitted: OnAdmitted, options: GuardedListenerOptions) {
    const { logger, tls, allowHalfOpen = false, limits } = options;
    this.#onAdmitted = onAdmitted;
    this.gate = new HandshakeGate(logger, limits);
    this.#tls = tls?.((socket) => this.#onSecure(socket)) ?? null;
    this.#server = createServer({ allowHalfOpen, noDelay: true, pauseOnConnect: true }, (socket) => {
      // Until somebody else listens: a connection that is cut while it waits is no error of ours.
      socket.on('error', () => {});
      this.gate.enter(socket, (place) => this.#onEntered(socket, place));
    });
  }

  /** @returns the port. @throws ForeshardError FORESHARD_UNAVAILABLE when the address cannot be had. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) =>
        reject(
          new ForeshardError(
            'FORESHARD_UNAVAILABLE',
            'fix-config',
            `cannot listen on ${host}:${port}: ${error.message}`,
            { cause: error },
          ),
        ),
      );
      this.#server.listen({ host, port, backlog: LISTEN_BACKLOG }, () => resolve(this.port));
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Takes no more; strangers are cut off. Resolves once all connections have ended, which is up to their owners. */
  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.gate.close();
    return closed;
  }

  #onEntered(socket: Socket, place: HandshakePlace): void {
    if (this.#tls === null) {
      this.#onAdmitted(socket, place);
      socket.resume();
      return;
    }
    const ends = bothEnds(socket);
    this.#inTls.set(ends, place);
    socket.once('close', () => {
      // The next connection between the same ends may have come before this one's end was told.
      if (this.#inTls.get(ends) === place) this.#inTls.delete(ends);
    });
    this.#tls.emit('connection', socket);
  }

  #onSecure(socket: Socket): void {
    const ends = bothEnds(socket);
    const place = this.#inTls.get(ends);
    if (place === undefined) {
      socket.destroy(); // it has been cut off meanwhile
      return;
    }
    this.#inTls.delete(ends);
    this.#onAdmitted(socket, place);
  }
}

/** Connections come in bursts: those of an application that starts, say. */
const LISTEN_BACKLOG = 1024;

/** Of a machine with several addresses two may hear from one remote end at the same time: only both ends tell connections apart. */
const bothEnds = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
