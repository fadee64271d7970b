import { redisCommand } from '../commands.ts';
import { type QueryTap, SLOT_UNKNOWN } from '../query-tap.ts';
import { replaceMethod } from './own-method.ts';

type Arguments = readonly (string | Buffer)[];
type QueuedCommands = readonly { readonly args: Arguments }[];

/** A cluster tells by which slot it has routed the command. */
interface CommandOptions {
  readonly slotNumber?: number | undefined;
}

/** What is used of a node-redis client: the methods through which every command, transaction and pipeline passes. */
interface Client {
  sendCommand(args: Arguments, options?: CommandOptions): Promise<unknown>;
  _executeMulti(commands: QueuedCommands, ...more: unknown[]): Promise<unknown>;
  _executePipeline(commands: QueuedCommands, ...more: unknown[]): Promise<unknown>;
}

interface ClusterNode {
  readonly client?: object | undefined;
}

interface Slots {
  readonly masters: readonly ClusterNode[];
  readonly replicas: readonly ClusterNode[];
  nodeClient(node: ClusterNode): unknown;
}

type NodeClient = Slots['nodeClient'];

/** Clients are handed out as proxies, of which there may be many; what they share is the object behind them. */
const behind = (client: object): object => (client as { readonly _self?: object })._self ?? client;

export function isNodeRedisCluster(client: object): boolean {
  const { _slots } = behind(client) as { readonly _slots?: Partial<Slots> };
  return typeof _slots?.nodeClient === 'function' && Array.isArray(_slots.masters);
}

export function isNodeRedisClient(client: object): boolean {
  const { sendCommand, _executeMulti, _executePipeline } = behind(client) as Partial<Client>;
  return [sendCommand, _executeMulti, _executePipeline].every((method) => typeof method === 'function');
}

/**
 * A cluster sends through one client a node; they come and go with the topology, and are all handed out by `nodeClient`.
 *
 * @returns undoes it.
 */
export function tapNodeRedisCluster(cluster: object, tap: QueryTap): () => void {
  const { _slots: slots } = behind(cluster) as { readonly _slots: Slots };
  const undoOf = new Map<object, () => void>();
  const watch = (node: ClusterNode): void => {
    if (node.client === undefined || undoOf.has(node.client)) return;
    // Clients that a change of the topology has closed are not kept alive by us.
    for (const client of undoOf.keys()) if (!isInUse(slots, client)) undoOf.delete(client);
    undoOf.set(node.client, tapNodeRedisClient(node.client, tap));
  };
  for (const node of [...slots.masters, ...slots.replicas]) watch(node);
  const undo = replaceMethod<NodeClient>(
    slots,
    'nodeClient',
    (original) =>
      function nodeClient(this: Slots, node: ClusterNode): unknown {
        const client = original.call(this, node);
        if (tap.isOpen) {
          try {
            watch(node);
          } catch (error) {
            tap.fault(error);
          }
        }
        return client;
      },
  );
  return () => {
    undo();
    for (const undoOne of undoOf.values()) undoOne();
    undoOf.clear();
  };
}

const isInUse = ({ masters, replicas }: Slots, client: object): boolean =>
  [...masters, ...replicas].some((node) => node.client === client);

/**
 * Commands of node-redis are settled by a promise alone, so that is where their end is learnt. What is handed on is the promise
 * that follows ours, not the one before it: one with a handler of ours would count as handled, and an application's forgotten
 * rejection would never be reported.
 *
 * @returns undoes it.
 */
export function tapNodeRedisClient(client: object, tap: QueryTap): () => void {
  const target = behind(client);
  const undos = [
    replaceMethod<Client['sendCommand']>(
      target,
      'sendCommand',
      (original) =>
        function sendCommand(this: Client, args, options) {
          const sent = original.call(this, args, options);
          return tap.isOpen ? watchCommand(tap, args, options, sent) : sent;
        },
    ),
    replaceMethod<Client['_executeMulti']>(
      target,
      '_executeMulti',
      (original) =>
        function _executeMulti(this: Client, commands, ...more) {
          const sent = original.call(this, commands, ...more);
          return tap.isOpen ? watchBatch(tap, commands, sent, { runsOn: false }) : sent;
        },
    ),
    replaceMethod<Client['_executePipeline']>(
      target,
      '_executePipeline',
      (original) =>
        function _executePipeline(this: Client, commands, ...more) {
          const sent = original.call(this, commands, ...more);
          return tap.isOpen ? watchBatch(tap, commands, sent, { runsOn: true }) : sent;
        },
    ),
  ];
  return () => {
    for (const undo of undos) undo();
  };
}

function watchCommand(
  tap: QueryTap,
  args: Arguments,
  options: CommandOptions | undefined,
  sent: Promise<unknown>,
): Promise<unknown> {
  try {
    const command = redisCommand(args?.[0]);
    if (command.isKeyless) {
      tap.keylessCount++;
      return sent;
    }
    // What is sent in one turn is written together, after it.
    const startedUs = tap.clock.nowUs();
    const slot = options?.slotNumber ?? SLOT_UNKNOWN;
    return sent.then(
      (reply) => {
        tap.answered(command, args, 1, startedUs, slot, reply);
        return reply;
      },
      (error) => {
        tap.failed(command, args, 1, startedUs, slot, error);
        throw error;
      },
    );
  } catch (error) {
    tap.fault(error);
    return sent;
  }
}

/**
 * One promise for all: replies in the order of the commands, errors among them. A transaction that rejects has not happened;
 * of a pipeline all commands ran on, and nobody says which of them failed: all bear the error.
 */
function watchBatch(
  tap: QueryTap,
  commands: QueuedCommands,
  sent: Promise<unknown>,
  { runsOn }: { readonly runsOn: boolean },
): Promise<unknown> {
  const startedUs = tap.clock.nowUs();
  const count = (record: () => void): void => {
    try {
      record();
    } catch (error) {
      tap.fault(error);
    }
  };
  return sent.then(
    (replies) => {
      count(() => countBatch(tap, commands, startedUs, replies));
      return replies;
    },
    (error) => {
      if (runsOn) count(() => countFailed(tap, commands, startedUs, error));
      throw error;
    },
  );
}

function countFailed(tap: QueryTap, commands: QueuedCommands, startedUs: number, error: unknown): void {
  for (const { args } of commands) {
    const command = redisCommand(args?.[0]);
    if (command.isKeyless) tap.keylessCount++;
    else tap.failed(command, args, 1, startedUs, SLOT_UNKNOWN, error);
  }
}

function countBatch(tap: QueryTap, commands: QueuedCommands, startedUs: number, replies: unknown): void {
  if (!Array.isArray(replies)) return;
  commands.forEach(({ args }, i) => {
    const command = redisCommand(args?.[0]);
    if (command.isKeyless) tap.keylessCount++;
    else tap.answered(command, args, 1, startedUs, SLOT_UNKNOWN, replies[i]);
  });
}
