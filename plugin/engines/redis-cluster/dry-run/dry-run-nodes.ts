import { keySlot } from '../../../../src/routing/key-slot.ts';
import { DIGEST_SCRIPT, HAND_OVER_SCRIPT } from '../copy-first/scripts.ts';
import type { RedisConnection } from '../server/redis-connection.ts';
import {
  numberOf,
  type RedisCommand,
  type RedisNode,
  type RedisReply,
  textOf,
} from '../server/redis-node.ts';
import type { SlotMoverComponents } from '../slots/slot-mover.ts';

/** Commands that change nothing, and that a move looks with. All others are told, and not sent. */
const LOOKS = new Set([
  ...['INFO', 'PING', 'DUMP', 'TYPE', 'EXISTS', 'EVAL_RO', 'TIME'],
  ...['HLEN', 'SCARD', 'ZCARD', 'LLEN', 'XLEN'],
]);
const LOOKS_OF: Readonly<Record<string, readonly string[]>> = {
  CLUSTER: ['NODES', 'COUNTKEYSINSLOT', 'GETKEYSINSLOT', 'GETSLOTMIGRATIONS'],
  MEMORY: ['USAGE'],
};

const isLook = ([name, verb, what]: RedisCommand): boolean =>
  LOOKS.has(String(name)) ||
  LOOKS_OF[String(name)]?.includes(String(verb)) === true ||
  (verb === 'MIGRATION' && what === 'STATUS');

type NodesOfMover = SlotMoverComponents['nodes'];

/**
 * The servers, for a move that is only told: what looks is sent, what changes something is handed to `onCommand` instead, and
 * answered as a server would that does as it is told. So it is the very code of a move that says what it would send.
 */
export class DryRunNodes implements NodesOfMover {
  readonly isOnlyTold = true;
  readonly #nodes: NodesOfMover;
  readonly #onCommand: (nodeId: string, command: RedisCommand) => void;
  /** Keys that would be away, as latin1. */
  readonly #gone = new Set<string>();
  readonly #goneInSlot = new Map<number, number>();
  /** Keys that would have copies, by slot, and where they were copied from. */
  readonly #copiesIn = new Map<number, { readonly sourceId: string; readonly keys: Buffer[] }>();
  /** Slots that would be migrating, each with whom to, by the node that would say so. */
  readonly #migratingAt = new Map<string, Map<number, string>>();
  /** Nodes whose replicas would have been waited for. */
  readonly #waited = new Set<string>();

  constructor(nodes: NodesOfMover, onCommand: (nodeId: string, command: RedisCommand) => void) {
    this.#nodes = nodes;
    this.#onCommand = onCommand;
  }

  /** For the PINGs that measure latency. */
  dedicated(nodeId: string): RedisConnection {
    return this.#nodes.dedicated(nodeId);
  }

  node(nodeId: string): RedisNode {
    return {
      pipeline: (commands) => this.#pipeline(nodeId, commands),
      close: () => undefined,
    };
  }

  async #pipeline(nodeId: string, commands: readonly RedisCommand[]): Promise<readonly RedisReply[]> {
    const isTold = toldOnes(commands);
    const asked = await this.#nodes.node(nodeId).pipeline(commands.filter((_, i) => !isTold[i]));
    const replies: RedisReply[] = [];
    let transaction: RedisReply[] | null = null;
    let next = 0;
    for (const [i, command] of commands.entries()) {
      if (isTold[i]) {
        this.#onCommand(nodeId, command);
        if (command[0] === 'WAIT') this.#waited.add(nodeId);
        const reply = this.#pretend(nodeId, command);
        if (command[0] === 'MULTI') transaction = [];
        else if (command[0] === 'EXEC') {
          replies.push(transaction ?? []);
          transaction = null;
          continue;
        } else transaction?.push(reply);
        replies.push(transaction === null || command[0] === 'MULTI' ? reply : Buffer.from('QUEUED'));
      } else replies.push(this.#asAfterwards(nodeId, command, asked[next++] as RedisReply));
    }
    return replies;
  }

  #pretend(nodeId: string, command: RedisCommand): RedisReply {
    const [name, ...words] = command;
    switch (name) {
      case 'MIGRATE': {
        const keys = words.slice(words.indexOf('KEYS') + 1).map((key) => Buffer.from(key as Buffer));
        for (const key of keys)
          if (words.includes('COPY')) this.#copy(nodeId, key);
          else this.#take(key);
        return Buffer.from('OK');
      }
      case 'EVAL_RO':
        // As it is at the source, so it is at the target.
        return keysOfScript(words).flatMap(() => [Buffer.from('0'), -1, 0]);
      case 'CLUSTER':
        if (words[0] === 'SETSLOT') this.#setSlot(nodeId, words.slice(1));
        return Buffer.from('OK');
      case 'EVAL': {
        const keys = keysOfScript(words);
        for (const key of keys) this.#take(key);
        const [slot, targetId] = words.slice(2 + keys.length);
        if (words[0] === HAND_OVER_SCRIPT) this.#setSlot(nodeId, [slot ?? '', 'MIGRATING', targetId ?? '']);
        return [0];
      }
      case 'TIME':
        return [Buffer.from('0'), Buffer.from('0')];
      case 'PEXPIRETIME':
        return -1;
      case 'WAIT':
        return 0;
      default:
        return Buffer.from('OK');
    }
  }

  #setSlot(nodeId: string, [slot, state, peerId]: RedisCommand): void {
    const migrating = this.#migratingAt.get(nodeId) ?? new Map<number, string>();
    this.#migratingAt.set(nodeId, migrating);
    if (state === 'MIGRATING') migrating.set(Number(slot), String(peerId));
    else migrating.delete(Number(slot));
  }

  #take(key: Buffer): void {
    const text = key.toString('latin1');
    if (this.#gone.has(text)) return;
    this.#gone.add(text);
    const slot = keySlot(key, 0, key.length);
    this.#goneInSlot.set(slot, (this.#goneInSlot.get(slot) ?? 0) + 1);
  }

  #copy(sourceId: string, key: Buffer): void {
    const slot = keySlot(key, 0, key.length);
    const copies = this.#copiesIn.get(slot) ?? { sourceId, keys: [] };
    this.#copiesIn.set(slot, copies);
    copies.keys.push(key);
  }

  /** What a look would find after what has been told. */
  #asAfterwards(nodeId: string, [name, verb, slot]: RedisCommand, reply: RedisReply): RedisReply {
    if (name === 'INFO' && verb === 'replication' && this.#waited.has(nodeId))
      return Buffer.from(withoutLag(textOf(reply)));
    if (verb === 'NODES') return Buffer.from(withOpen(textOf(reply), this.#migratingAt.get(nodeId) ?? []));
    if (verb === 'COUNTKEYSINSLOT')
      return Math.max(0, numberOf(reply) - (this.#goneInSlot.get(Number(slot)) ?? 0));
    const copies = verb === 'GETKEYSINSLOT' ? this.#copiesIn.get(Number(slot)) : undefined;
    if (copies !== undefined && copies.sourceId !== nodeId) return copies.keys;
    if (verb === 'GETKEYSINSLOT' && Array.isArray(reply))
      return (reply as RedisReply[]).filter(
        (key) => !(Buffer.isBuffer(key) && this.#gone.has(key.toString('latin1'))),
      );
    return reply;
  }
}

/** INFO of a master whose replicas have all that it has, as they would after a WAIT. */
function withoutLag(info: string): string {
  const offset = /^master_repl_offset:(\d+)/m.exec(info)?.[1] ?? '0';
  return info.replace(/^(slave\d+:(?:.*,)?offset=)\d+/gm, (_, line: string) => line + offset);
}

/** CLUSTER NODES of a node that would be migrating these slots, too. */
function withOpen(nodes: string, migrating: Iterable<readonly [slot: number, targetId: string]>): string {
  const fields = [...migrating].map(([slot, targetId]) => `[${slot}->-${targetId}]`);
  const added = fields.filter((field) => !nodes.includes(field)).map((field) => ` ${field}`);
  return nodes.replace(/^\S+ \S+ \S*myself.*$/m, (line) => line.trimEnd() + added.join(''));
}

/** What is in a transaction, or follows ASKING, belongs to what is not sent. */
function toldOnes(commands: readonly RedisCommand[]): readonly boolean[] {
  let isInTransaction = false;
  let isAsking = false;
  let wasAsking = false;
  return commands.map((command) => {
    wasAsking = isAsking;
    isAsking = command[0] === 'ASKING';
    if (command[0] === 'MULTI') isInTransaction = true;
    const isTold = isInTransaction || isAsking || wasAsking || !isLook(command);
    if (command[0] === 'EXEC') isInTransaction = false;
    return isTold;
  });
}

/** Words after EVAL: the script, the number of keys, keys, arguments. */
const keysOfScript = ([, count, ...values]: RedisCommand): Buffer[] =>
  values.slice(0, Number(count)).map((key) => Buffer.from(key as Buffer));

/** They are the same for each slot: see copy-first/scripts.ts. */
const SCRIPT_NAMES: ReadonlyMap<unknown, string> = new Map([
  [DIGEST_SCRIPT, '(digests)'],
  [HAND_OVER_SCRIPT, '(hand-over)'],
]);

/** As it would be typed at the prompt of `redis-cli`; passwords are left out, and scripts have names. */
export function commandText(command: RedisCommand): string {
  const words = command.map((word) => SCRIPT_NAMES.get(word) ?? wordText(word));
  const login = command.findIndex((word) => word === 'AUTH' || word === 'AUTH2');
  if (command[0] === 'MIGRATE' && login !== -1 && login < command.indexOf('KEYS'))
    words[login + (command[login] === 'AUTH' ? 1 : 2)] = '(password)';
  return words.join(' ');
}

function wordText(word: string | number | Buffer): string {
  const bytes = Buffer.from(String(Buffer.isBuffer(word) ? word.toString('latin1') : word), 'latin1');
  const text = bytes.toString('latin1');
  if (/^[!#-&(-[\]-~]+$/.test(text)) return text;
  const escaped = [...bytes].map((byte) => {
    if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
    return byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return `"${escaped.join('')}"`;
}
