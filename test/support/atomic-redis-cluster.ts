import type { AtomicKind } from '../../plugin/engines/redis-cluster/atomic/atomic-jobs.ts';
import {
  type RedisCommand,
  type RedisNode,
  type RedisNodes,
  RedisRefusal,
  type RedisReply,
} from '../../plugin/engines/redis-cluster/server/redis-node.ts';
import { MemoryRedisCluster } from './memory-redis-cluster.ts';

interface Job {
  readonly id: string;
  readonly sourceId: string;
  readonly targetId: string;
  readonly ranges: readonly (readonly [number, number])[];
  state: string;
  error: string;
  retries: number;
  /** Looks until it is over. */
  looksLeft: number;
}

/**
 * Servers that move slots by themselves, as the documents of Redis 8.4 (`import`) and Valkey 9 (`export`) describe them: no
 * such server was at hand. A job goes on by one step whenever somebody looks.
 *
 * @see https://redis.io/docs/latest/commands/cluster-migration/
 * @see https://valkey.io/commands/cluster-getslotmigrations/
 */
export class AtomicRedisCluster implements RedisNodes {
  readonly memory: MemoryRedisCluster;
  readonly #kind: AtomicKind;
  readonly #jobs: Job[] = [];
  /** So many jobs fail, each after its first look. */
  failures = 0;
  looksPerJob = 3;
  readonly started: RedisCommand[] = [];

  constructor(masterCount: number, kind: AtomicKind) {
    this.memory = new MemoryRedisCluster(masterCount);
    this.#kind = kind;
  }

  node(nodeId: string): RedisNode {
    return {
      pipeline: async (commands) => {
        const replies: RedisReply[] = [];
        for (const command of commands)
          replies.push(
            this.#atomic(nodeId, command) ??
              ((await this.memory.node(nodeId).pipeline([command]))[0] as RedisReply),
          );
        return replies;
      },
      close: () => undefined,
    };
  }

  /** Somebody else's. */
  startForeign(sourceId: string, targetId: string, slot: number): void {
    this.#start(sourceId, targetId, [[slot, slot]]);
  }

  endAll(): void {
    for (const job of this.#jobs) if (isRunning(job)) job.state = 'cancelled';
  }

  get runningCount(): number {
    return this.#jobs.filter(isRunning).length;
  }

  #atomic(nodeId: string, command: RedisCommand): RedisReply | undefined {
    const [name, verb, ...words] = command.map(String);
    if (name !== 'CLUSTER') return undefined;
    if (this.#kind === 'import' && verb === 'MIGRATION') return this.#migration(nodeId, command, words);
    if (this.#kind === 'export' && verb === 'MIGRATESLOTS') return this.#migrateSlots(nodeId, command, words);
    if (this.#kind === 'export' && verb === 'GETSLOTMIGRATIONS')
      return this.#look(nodeId).map((job) => this.#exportEntry(job, nodeId));
    if (this.#kind === 'export' && verb === 'CANCELSLOTMIGRATIONS') {
      for (const job of this.#jobs) if (job.sourceId === nodeId && isRunning(job)) job.state = 'cancelled';
      return Buffer.from('OK');
    }
    return ['MIGRATION', 'MIGRATESLOTS', 'GETSLOTMIGRATIONS', 'CANCELSLOTMIGRATIONS'].includes(verb as string)
      ? new RedisRefusal(`ERR unknown subcommand '${verb}'. Try CLUSTER HELP.`)
      : undefined;
  }

  /** Redis 8.4: told at the target. */
  #migration(nodeId: string, command: RedisCommand, [verb, ...words]: string[]): RedisReply {
    if (verb === 'STATUS') return this.#look(nodeId).map((job) => importEntry(job));
    if (verb === 'CANCEL') {
      const cancelled = this.#jobs.filter(
        (job) => job.targetId === nodeId && job.id === words[1] && (isRunning(job) || job.state === 'failed'),
      );
      for (const job of cancelled) job.state = 'canceled';
      return cancelled.length;
    }
    const ranges = pairsOf(words);
    const sourceId = this.memory.servers[0]?.ownerOf[ranges[0]?.[0] as number] as string;
    if (sourceId === nodeId) return new RedisRefusal('ERR this node is already the owner of the slot range');
    if (this.#jobs.some((job) => job.targetId === nodeId && isRunning(job)))
      return new RedisRefusal('ERR another ASM task is already in progress');
    this.started.push(command);
    return Buffer.from(this.#start(sourceId, nodeId, ranges));
  }

  /** Valkey 9: told at the source. */
  #migrateSlots(nodeId: string, command: RedisCommand, words: string[]): RedisReply {
    const at = words.indexOf('NODE');
    const ranges = pairsOf(words.slice(1, at));
    const isOwned = ranges.every(([first]) => this.memory.servers[0]?.ownerOf[first] === nodeId);
    if (!isOwned) return new RedisRefusal('ERR Slots are not served by this node.');
    this.started.push(command);
    this.#start(nodeId, words[at + 1] as string, ranges);
    return Buffer.from('OK');
  }

  #start(sourceId: string, targetId: string, ranges: readonly (readonly [number, number])[]): string {
    const id = String(this.#jobs.length + 1).padStart(40, '0');
    const looksLeft = this.looksPerJob;
    this.#jobs.push({ id, sourceId, targetId, ranges, state: 'running', error: '', retries: 0, looksLeft });
    return id;
  }

  /** Jobs that a server knows of, each one step further. */
  #look(nodeId: string): Job[] {
    const known = this.#jobs.filter((job) => job.sourceId === nodeId || job.targetId === nodeId);
    for (const job of known) if (isRunning(job) || job.state === 'failed') this.#step(job);
    return known;
  }

  #step(job: Job): void {
    if (job.state === 'failed') {
      // Redis tries an import again, Valkey does not.
      if (this.#kind === 'export') return;
      job.retries++;
      job.state = this.failures-- > 0 ? 'failed' : 'running';
      return;
    }
    if (this.failures > 0) {
      this.failures--;
      job.state = 'failed';
      job.error = 'output buffer limit reached';
      return;
    }
    if (--job.looksLeft > 0) return;
    this.#handOver(job);
    job.state = this.#kind === 'import' ? 'completed' : 'success';
  }

  /** Keys and ownership change hands at one moment. */
  #handOver({ ranges, sourceId, targetId }: Job): void {
    const { servers } = this.memory;
    const [source, target] = [sourceId, targetId].map((id) => servers.find(({ nodeId }) => nodeId === id));
    if (source === undefined || target === undefined) throw new Error('a job of servers that are not there');
    target.configEpoch = Math.max(...servers.map(({ configEpoch }) => configEpoch)) + 1;
    const moved = new Set(ranges.flatMap(([first, last]) => slotsOf(first, last)));
    for (const slot of moved) for (const server of servers) server.ownerOf[slot] = targetId;
    for (const [key, value] of [...source.keys])
      if (moved.has(this.memory.slotOf(key))) {
        target.keys.set(key, value);
        source.keys.delete(key);
      }
  }

  #exportEntry({ id, sourceId, targetId, ranges, state, error }: Job, nodeId: string): RedisReply {
    return entryOf({
      name: id,
      operation: nodeId === sourceId ? 'EXPORT' : 'IMPORT',
      slot_ranges: rangeText(ranges),
      target_node: targetId,
      source_node: sourceId,
      create_time: 1_754_870_400,
      last_update_time: 1_754_870_400,
      last_ack_time: 1_754_870_400,
      state: state === 'running' ? 'snapshotting' : state,
      message: error,
      cow_size: 0,
    });
  }
}

const importEntry = ({ id, sourceId, targetId, ranges, state, error, retries }: Job): RedisReply =>
  entryOf({
    id,
    slots: rangeText(ranges),
    source: sourceId,
    dest: targetId,
    operation: 'import',
    state: state === 'running' ? 'in_progress' : state,
    last_error: error,
    retries,
    create_time: 1_754_870_400_000,
    start_time: 1_754_870_400_000,
    end_time: -1,
    write_pause_ms: 0,
  });

const entryOf = (fields: Readonly<Record<string, string | number>>): RedisReply =>
  Object.entries(fields).flatMap(([name, value]): RedisReply[] => [
    Buffer.from(name),
    typeof value === 'number' ? value : Buffer.from(value),
  ]);

const isRunning = ({ state }: Job): boolean => state === 'running';
const rangeText = (ranges: Job['ranges']): string =>
  ranges.map(([first, last]) => `${first}-${last}`).join(' ');
const slotsOf = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

function pairsOf(words: readonly string[]): [number, number][] {
  const pairs: [number, number][] = [];
  for (let i = 0; i + 1 < words.length; i += 2) pairs.push([Number(words[i]), Number(words[i + 1])]);
  return pairs;
}
