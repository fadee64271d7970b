import { Command, Redis } from 'ioredis';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { RedisSettings } from '../../../src/redis-settings.ts';
import {
  type RedisCommand,
  type RedisNode,
  type RedisNodes,
  RedisRefusal,
  type RedisReply,
} from './redis-node.ts';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

interface BytePipeline {
  sendCommand(command: Command): unknown;
  exec(): Promise<[Error | null, unknown][] | null>;
}

/** One connection to one server, by ioredis: no retries and no queue of its own, since whoever moves slots decides that. */
export class IoredisNode implements RedisNode {
  readonly address: RedisAddress;
  readonly #client: Redis;
  #connecting: Promise<void> | null = null;

  constructor(
    address: RedisAddress,
    settings: Pick<RedisSettings, 'username' | 'password' | 'isTls' | 'commandTimeoutMs'>,
  ) {
    this.address = address;
    const { username, password, isTls, commandTimeoutMs } = settings;
    this.#client = new Redis({
      host: address.host,
      port: address.port,
      ...(username === null ? {} : { username }),
      ...(password === null ? {} : { password }),
      ...(isTls ? { tls: { servername: address.host } } : {}),
      lazyConnect: true,
      // INFO before the first command would only say that a server is still loading, which the first reply says as well.
      enableReadyCheck: false,
      enableOfflineQueue: false,
      // A MIGRATE that is sent a second time behind our back could meet another state of its slot.
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
      connectTimeout: commandTimeoutMs,
      socketTimeout: commandTimeoutMs,
    });
    // Whoever waits for a reply learns of a failure by it; ioredis would print what nobody listens to.
    this.#client.on('error', () => undefined);
  }

  async pipeline(commands: readonly RedisCommand[]): Promise<readonly RedisReply[]> {
    if (commands.length === 0) return [];
    await this.#connected();
    // Missing in the types of ioredis: it is how replies stay bytes.
    const pipeline = this.#client.pipeline() as unknown as BytePipeline;
    for (const [name, ...values] of commands)
      pipeline.sendCommand(
        new Command(String(name), values as (string | Buffer | number)[], { replyEncoding: null }),
      );
    const answers = (await pipeline.exec()) ?? [];
    return answers.map(([error, value]) => {
      if (error === null) return withRefusals(value);
      if (isReplyError(error)) return new RedisRefusal(error.message);
      throw this.#unavailable(error);
    });
  }

  close(): void {
    this.#client.disconnect();
  }

  async #connected(): Promise<void> {
    const { status } = this.#client;
    if (status === 'ready') return;
    this.#connecting ??= this.#client.connect().finally(() => {
      this.#connecting = null;
    });
    try {
      await this.#connecting;
    } catch (error) {
      throw this.#unavailable(error);
    }
  }

  #unavailable(cause: unknown): ForeshardError {
    const { host, port } = this.address;
    return new ForeshardError(
      'FORESHARD_UNAVAILABLE',
      'retry',
      `redis-server ${host}:${port} does not answer: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** What the server says has the name of its class; all other errors are the connection's. */
const isReplyError = (value: unknown): value is Error =>
  value instanceof Error && value.name === 'ReplyError';

/** Replies of a transaction may be refusals, too. */
function withRefusals(value: unknown): RedisReply {
  if (Array.isArray(value)) return value.map(withRefusals);
  return isReplyError(value) ? new RedisRefusal(value.message) : (value as RedisReply);
}

/** Connections by node id; addresses come from the topology and may change. */
export class IoredisNodes implements RedisNodes {
  readonly #settings: RedisSettings;
  readonly #connections = new Map<string, IoredisNode>();
  #addresses: ReadonlyMap<string, RedisAddress> = new Map();

  constructor(settings: RedisSettings) {
    this.#settings = settings;
  }

  /** What a new look at the cluster has shown: connections to nodes that have gone or moved are closed. */
  setAddresses(addresses: ReadonlyMap<string, RedisAddress>): void {
    this.#addresses = addresses;
    for (const [nodeId, connection] of this.#connections) {
      const address = addresses.get(nodeId);
      if (address?.host === connection.address.host && address.port === connection.address.port) continue;
      connection.close();
      this.#connections.delete(nodeId);
    }
  }

  node(nodeId: string): RedisNode {
    const known = this.#connections.get(nodeId);
    if (known !== undefined) return known;
    const connection = this.dedicated(nodeId);
    this.#connections.set(nodeId, connection);
    return connection;
  }

  /** A connection of its own, which whoever asked for it closes. */
  dedicated(nodeId: string): IoredisNode {
    const address = this.#addresses.get(nodeId);
    if (address === undefined)
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', `no address is known of node ${nodeId}`);
    return new IoredisNode(address, this.#settings);
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }
}
