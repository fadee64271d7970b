import type { Clock } from '../../../../src/base/clock.ts';
import { parseInfo } from '../server/node-info.ts';
import { textOf } from '../server/redis-node.ts';
import type { Steps } from './steps.ts';

/**
 * What moves of slots, replication and people who look at a cluster send. Whoever sends anything else is an application; one that
 * sends nothing but these is hardly in a hurry.
 */
const NO_CLIENTS_COMMANDS = new Set([
  ...[
    'asking',
    'auth',
    'client',
    'cluster',
    'command',
    'config',
    'dbsize',
    'dump',
    'eval_ro',
    'exec',
    'hello',
    'info',
  ],
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

/** In a shorter time a busy application may by chance have asked nothing. */
const LOOK_MS_MIN = 25;

/** Commands that applications have sent to servers, a second, between one look and the next. */
export class ClientLoad {
  readonly #nodeIds: readonly string[];
  readonly #clock: Clock;
  #last: { readonly atMs: number; readonly count: number } | null = null;
  /** Since then. */
  #ownReads = 0;

  constructor(nodeIds: readonly string[], clock: Clock) {
    this.#nodeIds = nodeIds;
    this.#clock = clock;
  }

  /**
   * @param ownReads that were made since this was asked last, as applications make them.
   * @returns commands a second since the last look; null where it cannot be told: at the first, so soon after the last that the
   *   next tells of both, or where servers were told to count anew.
   */
  *look(ownReads: number): Steps<number | null> {
    const replies = yield { to: this.#nodeIds, commands: [['INFO', 'commandstats']] };
    const count = replies.reduce((sum, [reply]) => sum + clientCommands(textOf(reply)), 0);
    const atMs = this.#clock.monotonicMs();
    const last = this.#last;
    this.#ownReads += ownReads;
    if (last !== null && atMs - last.atMs < LOOK_MS_MIN) return null;
    const asked = last === null || count < last.count ? null : count - last.count - this.#ownReads;
    this.#last = { atMs, count };
    this.#ownReads = 0;
    return last === null || asked === null ? null : (asked * 1_000) / (atMs - last.atMs);
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
