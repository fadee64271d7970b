import { nowUs } from '../burst-clock.ts';
import { type RedisCommand, redisCommand } from '../commands.ts';
import { type QueryTap, SLOT_UNKNOWN } from '../query-tap.ts';
import { replaceMethod } from './own-method.ts';

type Settle = (this: unknown, value: unknown) => unknown;

/** What is used of an ioredis `Command`. */
interface Command {
  readonly name: string;
  readonly args: readonly (string | Buffer)[];
  /** A cluster keeps here what it has routed the command by. */
  readonly slot?: number | null;
  resolve: Settle;
  reject: Settle;
  [UNDER_WAY]?: UnderWay;
}

/** Any `Redis` or `Cluster` of ioredis. */
interface Client {
  readonly isCluster?: boolean;
  sendCommand(command: Command, stream?: unknown, node?: unknown): unknown;
}

type SendCommand = Client['sendCommand'];

/** Where a command keeps what is known of it until it is settled. */
const UNDER_WAY = Symbol('foreshard capture');

class UnderWay {
  readonly tap: QueryTap;
  readonly command: RedisCommand;
  readonly startedUs: number;
  readonly resolve: Settle;
  readonly reject: Settle;
  /** Of EXEC: the commands between MULTI and it. */
  readonly members: readonly Command[] | null;
  isCounted = false;

  constructor(tap: QueryTap, command: RedisCommand, settled: Command, members: readonly Command[] | null) {
    this.tap = tap;
    this.command = command;
    this.startedUs = nowUs();
    this.resolve = settled.resolve;
    this.reject = settled.reject;
    this.members = members;
  }
}

/** Members of one transaction that are kept until EXEC; of a longer one the rest is not recorded. */
const MEMBERS_MAX = 10_000;

export function isIoredis(client: object): client is Client {
  const { sendCommand, defineCommand, isCluster, commandQueue } = client as Record<string, unknown>;
  const isOne = isCluster === true || commandQueue !== undefined;
  return typeof sendCommand === 'function' && typeof defineCommand === 'function' && isOne;
}

/**
 * Every command of an ioredis client, of its pipelines, transactions and scripts passes `sendCommand`, and is settled by its
 * `resolve` or `reject`. Both are properties of the command, called on it: ours are shared functions, so that a query costs
 * neither a closure nor a promise. A cluster settles a command once, after all its redirections.
 *
 * @returns undoes it.
 */
export function tapIoredis(client: Client, tap: QueryTap): () => void {
  const transaction = new OpenTransaction(client.isCluster === true);
  return replaceMethod<SendCommand>(
    client,
    'sendCommand',
    (original) =>
      function sendCommand(this: Client, command: Command, stream?: unknown, node?: unknown): unknown {
        if (tap.isOpen) {
          try {
            watch(tap, transaction, command, stream);
          } catch (error) {
            tap.fault(error);
          }
        }
        return original.call(this, command, stream, node);
      },
  );
}

function watch(tap: QueryTap, transaction: OpenTransaction, command: Command, stream: unknown): void {
  // One that comes by again, out of the queue of a client that was not connected, is watched already.
  if (command.resolve === onResolve) return;
  // Not a command: what the library makes of it is its own affair.
  if (typeof command.name !== 'string') return;
  const known = redisCommand(command.name);
  const { members } = transaction;
  if (members !== null || known.isTransactional) {
    const taken = transaction.take(command, stream);
    if (taken === 'member') return;
    if (taken !== null) {
      take(command, new UnderWay(tap, known, command, taken));
      return;
    }
  }
  if (known.isKeyless) tap.keylessCount++;
  else take(command, new UnderWay(tap, known, command, null));
}

const slotOf = ({ slot }: Command): number => slot ?? SLOT_UNKNOWN;

function take(command: Command, underWay: UnderWay): void {
  command[UNDER_WAY] = underWay;
  command.resolve = onResolve;
  command.reject = onReject;
}

function onResolve(this: unknown, reply: unknown): unknown {
  const command = this as Command;
  const underWay = command[UNDER_WAY] as UnderWay;
  if (!underWay.isCounted) {
    underWay.isCounted = true;
    if (underWay.members !== null) countMembers(underWay, reply);
    else underWay.tap.answered(underWay.command, command.args, 0, underWay.startedUs, slotOf(command), reply);
  }
  return underWay.resolve.call(command, reply);
}

function onReject(this: unknown, error: unknown): unknown {
  const command = this as Command;
  const underWay = command[UNDER_WAY] as UnderWay;
  if (!underWay.isCounted) {
    underWay.isCounted = true;
    // Of a transaction that is refused as a whole nothing was carried out.
    if (underWay.members === null)
      underWay.tap.failed(underWay.command, command.args, 0, underWay.startedUs, slotOf(command), error);
  }
  return underWay.reject.call(command, error);
}

/** @param reply of EXEC: one for each command, or null where a watched key had changed, and nothing was carried out. */
function countMembers({ tap, members, startedUs }: UnderWay, reply: unknown): void {
  if (!Array.isArray(reply)) return;
  (members as readonly Command[]).forEach((member, i) => {
    const known = redisCommand(member.name);
    if (known.isKeyless) tap.keylessCount++;
    else tap.answered(known, member.args, 0, startedUs, slotOf(member), reply[i]);
  });
}

/**
 * The transaction that is being sent. Its commands are answered with QUEUED; what they did, EXEC tells. A pipeline sends it
 * in one go; a single connection may also be told MULTI, the commands and EXEC one by one.
 */
class OpenTransaction {
  members: Command[] | null = null;
  #stream: unknown;
  readonly #isPipelineOnly: boolean;

  constructor(isPipelineOnly: boolean) {
    this.#isPipelineOnly = isPipelineOnly;
  }

  /** @returns the members, for EXEC; 'member' where it is one; null where it is a command like any other. */
  take(command: Command, stream: unknown): readonly Command[] | 'member' | null {
    const name = command.name.toLowerCase();
    if (this.members !== null && stream !== this.#stream) this.members = null;
    if (name === 'multi') {
      // Without a pipeline each command of a cluster goes its own way: there is no transaction.
      this.members = this.#isPipelineOnly && stream === undefined ? null : [];
      this.#stream = stream;
      return null;
    }
    const { members } = this;
    if (members === null) return null;
    if (name === 'exec' || name === 'discard') {
      this.members = null;
      return name === 'exec' ? members : null;
    }
    if (members.length < MEMBERS_MAX) members.push(command);
    return 'member';
  }
}
