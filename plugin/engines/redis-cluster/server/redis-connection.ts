import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ForeshardError } from '../../../../src/base/errors.ts';
import type { RedisSettings } from '../../../../src/redis-settings.ts';
import { type RedisCommand, type RedisNode, RedisRefusal, type RedisReply } from './redis-node.ts';
import { encodeCommands, ReplyReader } from './resp-codec.ts';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

type ConnectionSettings = Pick<RedisSettings, 'username' | 'password' | 'isTls' | 'commandTimeoutMs'>;

/** Commands that were written together, until all their replies are there. */
interface PendingPipeline {
  readonly replies: RedisReply[];
  readonly count: number;
  readonly resolve: (replies: readonly RedisReply[]) => void;
  readonly reject: (error: ForeshardError) => void;
}

/**
 * One connection to one server, of our own: a move sends tens of commands for each slot, for which the client libraries take ten
 * times as long as it takes to write them down, beside the servers on the same processors. It neither retries nor
 * queues: a MIGRATE that is sent a second time behind our back could meet another state of its slot. After a failure
 * the next commands connect anew.
 */
export class RedisConnection implements RedisNode {
  readonly address: RedisAddress;
  readonly #settings: ConnectionSettings;
  #link: Promise<Link> | null = null;

  constructor(address: RedisAddress, settings: ConnectionSettings) {
    this.address = address;
    this.#settings = settings;
  }

  async pipeline(commands: readonly RedisCommand[]): Promise<readonly RedisReply[]> {
    if (commands.length === 0) return [];
    const link = await this.#connected();
    return link.send(commands);
  }

  close(): void {
    this.#link?.then((link) => link.close()).catch(() => undefined);
    this.#link = null;
  }

  #connected(): Promise<Link> {
    const forget = (link: Promise<Link>): void => {
      if (this.#link === link) this.#link = null;
    };
    if (this.#link === null) {
      const link: Promise<Link> = Link.open(this.address, this.#settings, () => forget(link));
      link.catch(() => forget(link));
      this.#link = link;
    }
    return this.#link;
  }
}

/** A socket, from its connect to its end. */
class Link {
  readonly #address: RedisAddress;
  readonly #socket: Socket;
  readonly #pending: PendingPipeline[] = [];
  #isOpen = false;
  #failure: ForeshardError | null = null;

  private constructor(address: RedisAddress, socket: Socket, onEnd: () => void) {
    this.#address = address;
    this.#socket = socket;
    const reader = new ReplyReader((reply) => this.#take(reply));
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.read(chunk);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on('timeout', () => {
      // One that nobody waits for may be silent for as long as it likes.
      if (!this.#isOpen || this.#pending.length > 0) socket.destroy(new Error('nothing came in time'));
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => {
      this.#fail(new Error('the connection was closed'));
      onEnd();
    });
  }

  /** @throws ForeshardError FORESHARD_UNAVAILABLE when the server cannot be reached, or does not let us in. */
  static async open(
    address: RedisAddress,
    { username, password, isTls, commandTimeoutMs }: ConnectionSettings,
    onEnd: () => void,
  ): Promise<Link> {
    const { host, port } = address;
    // Names alone may be told by SNI; a certificate has to name the host, whichever it is.
    const named = isIP(host) === 0 ? { servername: host } : {};
    const socket = isTls ? connectTls({ host, port, ...named }) : connectPlain({ host, port });
    socket.setTimeout(commandTimeoutMs);
    const link = new Link(address, socket, onEnd);
    await new Promise<void>((resolve, reject) => {
      socket.once(isTls ? 'secureConnect' : 'connect', resolve);
      socket.once('close', () => reject(link.#failure));
    });
    link.#isOpen = true;
    if (password === null) return link;
    const [answer] = await link.send([['AUTH', ...(username === null ? [] : [username]), password]]);
    if (!(answer instanceof RedisRefusal)) return link;
    socket.destroy(answer);
    throw unavailable(address, answer);
  }

  send(commands: readonly RedisCommand[]): Promise<readonly RedisReply[]> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const bytes = encodeCommands(commands);
    return new Promise((resolve, reject) => {
      this.#pending.push({ replies: [], count: commands.length, resolve, reject });
      this.#socket.write(bytes, 'latin1');
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(reply: RedisReply): void {
    const [first] = this.#pending;
    if (first === undefined) {
      this.#socket.destroy(new Error('a reply that nobody has asked for'));
      return;
    }
    first.replies.push(reply);
    if (first.replies.length < first.count) return;
    this.#pending.shift();
    first.resolve(first.replies);
  }

  #fail(cause: Error): void {
    this.#failure ??= unavailable(this.#address, cause);
    for (const { reject } of this.#pending.splice(0)) reject(this.#failure);
  }
}

const unavailable = ({ host, port }: RedisAddress, cause: Error): ForeshardError =>
  new ForeshardError(
    'FORESHARD_UNAVAILABLE',
    'retry',
    `redis-server ${host}:${port} does not answer: ${cause.message}`,
    { cause },
  );
