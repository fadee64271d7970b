/** Counters and lists of a Redis Cluster, written by clients of two libraries that try each write once. */
import type { Cluster } from 'ioredis';
import type { LocalRedisCluster } from '../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { type NodeRedisCluster, openIoredis, openNodeRedis } from '../../support/redis-clients.ts';

interface Writer {
  readonly name: string;
  incr(key: string): Promise<unknown>;
  rpush(key: string, element: string): Promise<unknown>;
}

interface Written {
  /** When, by `performance.now()`. */
  readonly acknowledgedMs: number[];
  /** Writes that nobody answered: each may or may not have happened. */
  doubtful: number;
}

interface WrittenList {
  /** Each with when. */
  readonly acknowledged: Map<string, number>;
  readonly doubtful: Set<string>;
}

/** Writes to keys of these tags that were acknowledged from one moment to another, of which Redis promises nothing. */
export interface Unpromised {
  readonly tags: ReadonlySet<string>;
  readonly fromMs: number;
  readonly toMs: number;
}

const TICK_MS = 2;

/**
 * An application's writes at fixed times, whether answers come or not. Neither library sends a write again that a server may have
 * carried out, so that whatever is there twice was doubled by the cluster.
 */
export class RedisLoad {
  readonly #ioredis: Cluster;
  readonly #nodeRedis: NodeRedisCluster;
  readonly #writers: readonly Writer[];
  readonly #tags: readonly string[];
  readonly #counters = new Map<string, Written>();
  readonly #lists = new Map<string, WrittenList>();
  readonly #timer: NodeJS.Timeout;
  readonly #pending = new Set<Promise<void>>();
  readonly #startedMs = performance.now();
  #sent = 0;
  acknowledgedWrites = 0;
  failedWrites = 0;
  /** Tags that nothing is written to for now. */
  spared: ReadonlySet<string> = new Set();
  /** Acknowledged writes that were not there, and that nobody had promised: known once everything was read back. */
  unpromisedLosses = 0;

  private constructor(
    clients: { readonly ioredis: Cluster; readonly nodeRedis: NodeRedisCluster },
    { tags, perSecond }: { readonly tags: readonly string[]; readonly perSecond: number },
  ) {
    const { ioredis, nodeRedis } = clients;
    this.#ioredis = ioredis;
    this.#nodeRedis = nodeRedis;
    this.#tags = tags;
    this.#writers = [
      {
        name: 'ioredis',
        incr: (key) => ioredis.incr(key),
        rpush: (key, element) => ioredis.rpush(key, element),
      },
      {
        name: 'node-redis',
        incr: (key) => nodeRedis.incr(key),
        rpush: (key, element) => nodeRedis.rPush(key, element),
      },
    ];
    this.#timer = setInterval(() => {
      const due = ((performance.now() - this.#startedMs) / 1000) * perSecond;
      while (this.#sent < due) this.#send(this.#sent++);
    }, TICK_MS);
  }

  /** @param tags of keys, each of another slot. */
  static async start(
    servers: LocalRedisCluster,
    options: { readonly tags: readonly string[]; readonly perSecond: number },
  ): Promise<RedisLoad> {
    const [ioredis, nodeRedis] = await Promise.all([
      // With a delay ioredis would send again what was on its way when a connection broke.
      openIoredis(servers, { retryDelayOnFailover: 0 }),
      openNodeRedis(servers),
    ]);
    ioredis.on('error', () => undefined);
    return new RedisLoad({ ioredis, nodeRedis }, options);
  }

  /** Ends the writes; what has been sent is waited for. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
    this.#ioredis.disconnect();
    this.#nodeRedis.destroy();
  }

  /** Reads back everything, from whoever owns it now. @returns what was lost, and what is there twice. */
  async findWrong(servers: LocalRedisCluster, unpromised: readonly Unpromised[] = []): Promise<string[]> {
    const client = await openIoredis(servers);
    const wrong: string[] = [];
    const isUnpromised = (key: string, ackMs: number): boolean =>
      unpromised.some(({ tags, fromMs, toMs }) => fromMs <= ackMs && ackMs <= toMs && tags.has(tagOf(key)));
    try {
      for (const [key, { acknowledgedMs, doubtful }] of this.#counters) {
        const value = Number((await client.get(key)) ?? 0);
        const [count, open] = [
          acknowledgedMs.length,
          acknowledgedMs.filter((ms) => isUnpromised(key, ms)).length,
        ];
        if (value < count - open || value > count + doubtful)
          wrong.push(
            `${key} is ${value}: ${count} acknowledged, ${open} of them unpromised, ${doubtful} in doubt`,
          );
        else this.unpromisedLosses += Math.max(0, count - value);
      }
      for (const [key, { acknowledged, doubtful }] of this.#lists) {
        const stored = await client.lrange(key, 0, -1);
        const there = new Set(stored);
        const gone = [...acknowledged].filter(
          ([element, ms]) => !there.has(element) && isUnpromised(key, ms),
        );
        this.unpromisedLosses += gone.length;
        const forgiven = new Set(gone.map(([element]) => element));
        const promised = [...acknowledged.keys()].filter((element) => !forgiven.has(element));
        wrong.push(...wrongElements(key, stored, { acknowledged: promised, doubtful }));
      }
    } finally {
      client.disconnect();
    }
    return wrong;
  }

  #send(index: number): void {
    const writer = this.#writers[index % 2] as Writer;
    // Each writer comes to each kind of write and to each tag.
    const isCounter = (index >> 1) % 2 === 0;
    const tag = this.#tags[(index >> 2) % this.#tags.length] as string;
    if (this.spared.has(tag)) return;
    const one = isCounter
      ? this.#count(writer, `{${tag}}:count:${writer.name}`)
      : this.#append(writer, `{${tag}}:list:${writer.name}`, String(index));
    this.#pending.add(one);
    void one.finally(() => this.#pending.delete(one));
  }

  async #count(writer: Writer, key: string): Promise<void> {
    const written = this.#counters.get(key) ?? { acknowledgedMs: [], doubtful: 0 };
    this.#counters.set(key, written);
    if (await this.#isAnswered(writer.incr(key))) written.acknowledgedMs.push(performance.now());
    else written.doubtful++;
  }

  async #append(writer: Writer, key: string, element: string): Promise<void> {
    const written = this.#lists.get(key) ?? {
      acknowledged: new Map<string, number>(),
      doubtful: new Set<string>(),
    };
    this.#lists.set(key, written);
    if (await this.#isAnswered(writer.rpush(key, element)))
      written.acknowledged.set(element, performance.now());
    else written.doubtful.add(element);
  }

  async #isAnswered(reply: Promise<unknown>): Promise<boolean> {
    try {
      await reply;
      this.acknowledgedWrites++;
      return true;
    } catch {
      this.failedWrites++;
      return false;
    }
  }
}

const tagOf = (key: string): string => key.slice(1, key.indexOf('}'));

/** What was acknowledged is there once, what is in doubt at most once, and nothing else is. */
export function wrongElements(
  key: string,
  stored: readonly string[],
  {
    acknowledged,
    doubtful,
  }: { readonly acknowledged: readonly string[]; readonly doubtful: ReadonlySet<string> },
): string[] {
  const wrong: string[] = [];
  const counts = new Map<string, number>();
  for (const element of stored) counts.set(element, (counts.get(element) ?? 0) + 1);
  const known = new Set(acknowledged);
  for (const element of acknowledged) if (!counts.has(element)) wrong.push(`${key}: ${element} is lost`);
  for (const [element, count] of counts) {
    if (count > 1) wrong.push(`${key}: ${element} is there ${count} times`);
    if (!known.has(element) && !doubtful.has(element)) wrong.push(`${key}: nobody wrote ${element}`);
  }
  return wrong;
}
