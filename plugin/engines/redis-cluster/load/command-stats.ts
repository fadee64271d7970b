import type { Clock } from '../../../../src/base/clock.ts';
import type { MetadataCondition, MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { commandCostsKey } from '../../../host/records/record-keys.ts';
import { type CommandCosts, encodeCommandCosts } from '../../../redis/command-costs.ts';
import { countersOf, parseInfo } from '../server/node-info.ts';
import { type RedisNodes, RedisRefusal, textOf } from '../server/redis-node.ts';

/** Every so often servers are asked: prices move with data and versions, not with the minute. */
const LOOK_MS = 60_000;
/** Calls after which what was measured before counts half, and from which on a price is told. */
const HALF_LIFE_CALLS = 100_000;
const CALLS_MIN = 20;
/**
 * What a call takes beside its command (sockets, parsing, replies) is the rest of the process's CPU over its calls. Of a server that is
 * hardly asked that is idling: no more than what a query is priced at without any measurement.
 */
const BESIDE_US_MAX = 20;
/** Their time is that of the commands that they run, which are counted themselves. */
const RUNS_COMMANDS = /^(exec|eval|evalsha|eval_ro|evalsha_ro|fcall|fcall_ro)$/;

/** No command: what calls take beside all of them. */
const BESIDE = '';

/** Since the server was started, or told to count anew. */
interface Counter {
  readonly calls: number;
  readonly us: number;
}

/** @param text what `INFO commandstats` answers. @returns by command in lower case, subcommands added up. */
export function commandCounters(text: string): ReadonlyMap<string, Counter> {
  const counters = new Map<string, Counter>();
  for (const [name, value] of parseInfo(text)) {
    const command = /^cmdstat_([^|]+)/.exec(name)?.[1];
    const [, calls, us] = /\bcalls=(\d+),usec=(\d+)/.exec(value) ?? [];
    if (command === undefined || calls === undefined) continue;
    const before = counters.get(command) ?? { calls: 0, us: 0 };
    counters.set(command, { calls: before.calls + Number(calls), us: before.us + Number(us) });
  }
  return counters;
}

export interface CommandStatsComponents {
  readonly nodes: RedisNodes;
  readonly clock: Clock;
  readonly metadata: Pick<MetadataStore, 'commit'>;
  readonly clusterName: string;
}

/**
 * What commands cost the servers, from their own counters: what a query is priced at where they do not tell CPU by slot (Redis before
 * 8.2, Valkey before 8.0 or without `cluster-slot-stats-enabled`).
 *
 * @see https://redis.io/docs/latest/commands/info/ (commandstats)
 */
export class CommandStats {
  readonly #components: CommandStatsComponents;
  readonly #before = new Map<string, ReadonlyMap<string, Counter>>();
  /** By command: fading sums. */
  readonly #sums = new Map<string, { calls: number; us: number }>();
  /** By server: CPU of the process since its start. */
  readonly #cpuBefore = new Map<string, number>();
  #lookMs = Number.NEGATIVE_INFINITY;

  constructor(components: CommandStatsComponents) {
    this.#components = components;
  }

  /** Those that have been called often enough to tell. */
  costs(): CommandCosts {
    const { calls: all, us: rest } = this.#sums.get(BESIDE) ?? { calls: 0, us: 0 };
    const beside = all === 0 ? 0 : Math.min(BESIDE_US_MAX, rest / all);
    return new Map(
      [...this.#sums]
        .filter(([command, { calls }]) => command !== BESIDE && calls >= CALLS_MIN)
        .map(([command, { calls, us }]): [string, number] => [command, us / calls + beside]),
    );
  }

  /**
   * Asks the servers, once a minute, and tells whoever captures queries.
   *
   * @throws ForeshardError FORESHARD_UNAVAILABLE of a server or of the metadata store: the next look tries again.
   */
  async look(nodeIds: readonly string[], fence: MetadataCondition): Promise<void> {
    const { clock, metadata, clusterName } = this.#components;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lookMs < LOOK_MS) return;
    await Promise.all(nodeIds.map((nodeId) => this.#ask(nodeId)));
    this.#lookMs = nowMs;
    const costs = this.costs();
    if (costs.size === 0) return;
    const value = encodeCommandCosts(costs, clock.nowMs());
    await metadata.commit({
      conditions: [fence],
      writes: [{ kind: 'put', key: commandCostsKey(clusterName), value }],
    });
  }

  async #ask(nodeId: string): Promise<void> {
    const [reply, cpuReply] = await this.#components.nodes.node(nodeId).pipeline([
      ['INFO', 'commandstats'],
      ['INFO', 'cpu'],
    ]);
    // Where rights are missing there is nothing to be had.
    if (reply === undefined || reply instanceof RedisRefusal) return;
    const now = commandCounters(textOf(reply));
    const before = this.#before.get(nodeId);
    this.#before.set(nodeId, now);
    let [allCalls, allUs] = [0, 0];
    for (const [command, { calls, us }] of now) {
      const last = before?.get(command);
      // Of the first look all since the server's start; after a restart all since that.
      const isContinued = last !== undefined && last.calls <= calls && last.us <= us;
      const since = isContinued ? { calls: calls - last.calls, us: us - last.us } : { calls, us };
      this.#add(command, since);
      allCalls += since.calls;
      if (!RUNS_COMMANDS.test(command)) allUs += since.us;
    }
    if (cpuReply === undefined || cpuReply instanceof RedisRefusal) return;
    const { cpuSeconds } = countersOf(parseInfo(textOf(cpuReply)));
    const cpuBefore = this.#cpuBefore.get(nodeId) ?? 0;
    this.#cpuBefore.set(nodeId, cpuSeconds);
    const cpuUs = 1e6 * (cpuSeconds >= cpuBefore ? cpuSeconds - cpuBefore : cpuSeconds);
    this.#add(BESIDE, { calls: allCalls, us: Math.max(0, cpuUs - allUs) });
  }

  #add(command: string, { calls, us }: Counter): void {
    if (calls === 0) return;
    const sums = this.#sums.get(command) ?? { calls: 0, us: 0 };
    const fade = 0.5 ** (calls / HALF_LIFE_CALLS);
    // What a server did in a year before the first look is not to outweigh all that comes.
    const weight = Math.min(1, HALF_LIFE_CALLS / calls);
    this.#sums.set(command, { calls: sums.calls * fade + calls * weight, us: sums.us * fade + us * weight });
  }
}
