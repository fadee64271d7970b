import type { Clock } from '../../../src/base/clock.ts';
import { parseInfo } from './node-info.ts';
import { textOf } from './redis-node.ts';
import type { Steps } from './steps.ts';

/**
 * What moves of slots, replication and people who look at a cluster send. Whoever sends anything else is an application; one that
 * sends nothing but these is hardly in a hurry.
 */
const NO_CLIENTS_COMMANDS = new Set([
  ...['asking', 'auth', 'client', 'cluster', 'command', 'config', 'dbsize', 'dump', 'exec', 'hello', 'info'],
  ...[
    'acl',
    'latency',
    'memory',
    'migrate',
    'module',
    'multi',
    'pexpiretime',
    'ping',
    'psync',
    'readonly',
    'replconf',
  ],
  ...['restore', 'restore-asking', 'role', 'select', 'slowlog', 'time', 'type', 'wait'],
]);

/** Commands that applications have sent to servers, a second, between one look and the next. */
export class ClientLoad {
  readonly #nodeIds: readonly string[];
  readonly #clock: Clock;
  #last: { readonly atMs: number; readonly count: number } | null = null;

  constructor(nodeIds: readonly string[], clock: Clock) {
    this.#nodeIds = nodeIds;
    this.#clock = clock;
  }

  /**
   * @param ownReads that were made since the last look as applications make them.
   * @returns commands a second since the last look; 0 at the first.
   */
  *look(ownReads: number): Steps<number> {
    const replies = yield { to: this.#nodeIds, commands: [['INFO', 'commandstats']] };
    const count = replies.reduce((sum, [reply]) => sum + clientCommands(textOf(reply)), 0);
    const atMs = this.#clock.monotonicMs();
    const last = this.#last;
    this.#last = { atMs, count };
    return last === null ? 0 : ((count - last.count - ownReads) * 1_000) / Math.max(1, atMs - last.atMs);
  }
}

/** @param text what INFO commandstats answers: `cmdstat_get:calls=21,…`, `cmdstat_cluster|nodes:calls=…`. */
export function clientCommands(text: string): number {
  let count = 0;
  for (const [name, value] of parseInfo(text)) {
    const command = name.replace(/^cmdstat_/, '').split('|', 1)[0] as string;
    if (command === name || NO_CLIENTS_COMMANDS.has(command)) continue;
    count += Number(/calls=(\d+)/.exec(value)?.[1] ?? 0);
  }
  return count;
}
