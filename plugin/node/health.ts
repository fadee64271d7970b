import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, renameSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { ForeshardError } from '../../src/base/errors.ts';
import { isLoopback } from '../../src/base/loopback.ts';
import { METRICS_CONTENT_TYPE } from '../metrics/exposition.ts';
import type { MetricsPage } from '../metrics/metrics-page.ts';
import { parseListenAddress } from './listen-address.ts';

/** What stands against sending work to a node, or should be known by whoever does. */
export interface HealthReason {
  readonly code:
    | 'starting'
    | 'stopping'
    | 'retired'
    | 'store-failed'
    | 'metadata-unreachable'
    | 'partitions-without-owner'
    | 'draining';
  /** Whether it makes the node not ready. A node whose metadata store is out of reach goes on serving by what it knows. */
  readonly isBlocking: boolean;
  readonly text: string;
}

export interface HealthSources {
  /** Stands in every answer: role, node id, version. */
  readonly identity: Readonly<Record<string, string | number>>;
  readonly uptimeSeconds: () => number;
  /** Asked at each request; answers from what the node knows, without asking anybody. */
  readonly reasons: () => readonly HealthReason[];
  readonly metrics: Pick<MetricsPage, 'text'>;
  /** Reads the config again, as SIGHUP does. @returns what is told of it. Never throws. */
  readonly reload: () => Promise<object>;
}

export interface HealthListener {
  /** Of an address with port 0: the one the system chose; null for a socket file. */
  readonly port: number | null;
  close(): Promise<void>;
}

/** Of a request and its headers; probes are a line. */
const REQUEST_BYTES_MAX = 4_096;
/** How often the server itself looks for late requests; by default it would only every 30 s. */
const CHECK_MS = 250;
/** A reload waits for a node that is being opened, and for a coordinator that leaves its office. */
const RELOAD_MS_MAX = 60_000;
export interface HealthLimits {
  /** From the accepted connection to the end of its answer; then it is cut off, whatever it has sent. */
  readonly requestMsMax: number;
  /** At one time; more are closed unread. */
  readonly connectionsMax: number;
}

export const DEFAULT_HEALTH_LIMITS: HealthLimits = { requestMsMax: 2_000, connectionsMax: 32 };

const SOCKET_FILE = 'unix:';

/**
 * `GET /livez` and `GET /readyz` for supervisors and balancers, `GET /metrics` for Prometheus, on a listener of their own: an
 * address of the loopback, or `unix:/path` of mode 0600. It tells nothing of the data. `POST /reload` by the socket file alone: who may
 * open that may signal the process as well, while anybody of this machine may connect to the loopback.
 *
 * @param listen `node.healthListen`.
 * @throws ForeshardError FORESHARD_CONFIG for an address that others can reach, FORESHARD_UNAVAILABLE where it is taken.
 */
export async function listenForHealth(
  listen: string,
  sources: HealthSources,
  { requestMsMax, connectionsMax }: HealthLimits = DEFAULT_HEALTH_LIMITS,
): Promise<HealthListener> {
  const isPrivate = listen.startsWith(SOCKET_FILE);
  const server = createServer(
    {
      maxHeaderSize: REQUEST_BYTES_MAX,
      headersTimeout: requestMsMax,
      requestTimeout: requestMsMax,
      connectionsCheckingInterval: CHECK_MS,
    },
    (request, response) => void answer(request, response, { ...sources, isPrivate, deadlines }),
  );
  server.maxConnections = connectionsMax;
  // The server's own limits do not cover who sends nothing, or does not take its answer.
  const deadlines = new Deadlines();
  server.on('connection', (socket) => deadlines.set(socket, requestMsMax));
  // A probe that breaks the protocol gets no answer.
  server.on('clientError', (_error, socket) => socket.destroy());
  let removeFile = (): void => undefined;
  if (isPrivate) removeFile = await listenOnFile(server, listen.slice(SOCKET_FILE.length));
  else {
    const address = parseListenAddress(listen, 'node.healthListen');
    if (!isLoopback(address.host))
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `node.healthListen: ${listen} is not a loopback address, and nobody authenticates there: listen on 127.0.0.1, or on unix:/path/to/health.sock`,
      );
    await listening(server, listen, () => server.listen(address));
  }
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : null,
    close: () =>
      new Promise((resolve) => {
        removeFile();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** When a connection is cut off, whatever it does. */
class Deadlines {
  readonly #timers = new WeakMap<Socket, NodeJS.Timeout>();

  set(socket: Socket, delayMs: number): void {
    const before = this.#timers.get(socket);
    if (before === undefined) socket.once('close', () => clearTimeout(this.#timers.get(socket)));
    clearTimeout(before);
    this.#timers.set(
      socket,
      setTimeout(() => socket.destroy(), delayMs),
    );
  }
}

async function answer(
  { method, url, socket }: IncomingMessage,
  response: ServerResponse,
  sources: HealthSources & { readonly isPrivate: boolean; readonly deadlines: Deadlines },
): Promise<void> {
  const { identity, uptimeSeconds, reasons, metrics } = sources;
  const write = (status: number, type: string, body: string): void => {
    response.writeHead(status, { 'content-type': type, connection: 'close' });
    response.end(method === 'HEAD' ? undefined : body);
  };
  const send = (status: number, body: object): void =>
    write(status, 'application/json', `${JSON.stringify({ ...identity, ...body })}\n`);
  const path = (url ?? '').split('?', 1)[0];
  if (method === 'POST' && path === '/reload') {
    if (!sources.isPrivate) return send(403, { error: RELOAD_REFUSED });
    sources.deadlines.set(socket, RELOAD_MS_MAX);
    send(200, await sources.reload());
  } else if (method !== 'GET' && method !== 'HEAD') send(405, { error: 'only GET' });
  else if (path === '/livez') send(200, { isAlive: true, uptimeSeconds: uptimeSeconds() });
  else if (path === '/readyz') {
    const found = reasons();
    const isReady = !found.some(({ isBlocking }) => isBlocking);
    send(isReady ? 200 : 503, { isReady, reasons: found });
  } else if (path === '/metrics') write(200, METRICS_CONTENT_TYPE, await metrics.text());
  else send(404, { error: 'there are /livez, /readyz, /metrics and, to POST, /reload' });
}

const RELOAD_REFUSED =
  'nobody authenticates on this address: set node.healthListen to unix:/path, or send the process SIGHUP';

const TAKEN =
  'another process listens there: give each process a node.healthListen of its own, or leave it out of the config of one';

/**
 * Whoever may open the file may ask. It is bound under another name, and gets its own when nothing is in the way of it: the system
 * removes what was bound, at the end, whoever has the name by then.
 *
 * @returns removes the file, if it is still this one.
 */
async function listenOnFile(server: Server, path: string): Promise<() => void> {
  const refuse = (why: string): ForeshardError =>
    new ForeshardError(
      'FORESHARD_UNAVAILABLE',
      'fix-config',
      `node.healthListen: cannot listen on unix:${path}: ${why}`,
    );
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isSocket()) throw refuse('there is a file that is no socket');
  if (found !== undefined && !(await isLeftBehind(path))) throw refuse(TAKEN);
  // As long as the shortest of names allows: addresses of sockets have 107 bytes.
  const bound = join(dirname(path), `.${randomBytes(3).toString('hex')}`);
  await listening(server, `unix:${path}`, () => {
    const before = process.umask(0o177);
    server.listen(bound);
    process.umask(before);
  });
  chmodSync(bound, 0o600);
  const own = lstatSync(bound);
  renameSync(bound, path);
  return () => {
    const now = lstatSync(path, { throwIfNoEntry: false });
    if (now?.ino === own.ino && now.dev === own.dev) rmSync(path);
  };
}

/** Whether nobody listens: a process that was killed leaves its socket file. */
function isLeftBehind(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    // All else (no right to connect, no room for one more) is of somebody who is there.
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code === 'ECONNREFUSED' || code === 'ENOENT'),
    );
  });
}

function listening(server: Server, listen: string, begin: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('listening', () => resolve());
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new ForeshardError(
          'FORESHARD_UNAVAILABLE',
          'fix-config',
          `node.healthListen: cannot listen on ${listen}: ${cause.code === 'EADDRINUSE' ? TAKEN : cause.message}`,
          { cause },
        ),
      ),
    );
    begin();
  });
}
