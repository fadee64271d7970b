import type { RedisCommand, RedisReply } from '../server/redis-node.ts';

/** Commands for one or several nodes: each gets them all, in this order. */
export interface Batch {
  readonly to: readonly string[];
  readonly commands: readonly RedisCommand[];
  /** Where the batch may be sent in pieces; it goes out at once where this is left out. */
  readonly pieces?: PieceWeights;
}

export interface PieceWeights {
  /** What each command costs, in keys moved. */
  readonly weights: readonly number[];
  /** Whether the time that these pieces take tells how large the next may be. */
  readonly setsPace: boolean;
  /** Where they are MIGRATEs, each of which weighs at least 1: the node that has to answer before each piece. */
  readonly migratesTo?: string;
}

/** Looking at a key costs some twentieth of moving it. */
export const LOOK_WEIGHT = 0.05;

/**
 * What is to be done, as a generator: it yields batches, is handed the replies of each node, and returns its result. It
 * touches nothing itself, so that a test can stop it after any command, and a dry run can print what it would send.
 */
export type Steps<Result> = Generator<Batch, Result, readonly (readonly RedisReply[])[]>;

/** One batch for one node. */
export function* ask(
  nodeId: string,
  commands: readonly RedisCommand[],
  pieces?: PieceWeights,
): Steps<readonly RedisReply[]> {
  if (commands.length === 0) return [];
  const replies = yield { to: [nodeId], commands, ...(pieces === undefined ? {} : { pieces }) };
  return replies[0] ?? [];
}

/** One question for each item, in pieces. @returns the replies in the order of the items. */
export const askEach = <Item>(
  nodeId: string,
  items: readonly Item[],
  command: (item: Item) => RedisCommand,
): Steps<readonly RedisReply[]> =>
  ask(nodeId, items.map(command), { weights: items.map(() => LOOK_WEIGHT), setsPace: false });
