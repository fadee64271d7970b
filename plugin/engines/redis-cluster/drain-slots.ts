import { buffersOf, type RedisCommand, RedisRefusal, type RedisReply, textOf } from './redis-node.ts';
import { type MoveLimits, type SlotMove, SlotMoveStopped } from './slot-move.ts';
import { ask, askEach, type Steps } from './steps.ts';

/** Rounds in a row in which a slot may fail to shrink: servers that time out get so many chances. */
const FUTILE_ROUNDS_MAX = 5;

export interface DrainReport {
  readonly movedKeyCount: number;
  /** Keys that are on both sides with different contents, where nobody can tell which copy counts. */
  readonly conflictingKeys: readonly { readonly slot: number; readonly key: Buffer }[];
}

interface SlotQueue {
  readonly slot: number;
  keys: readonly Buffer[];
  /** What is at the target already is an unfinished copy of ours, and the source's copy counts. */
  replaces: boolean;
  futileRounds: number;
  isEmpty: boolean;
}

/**
 * Moves every key of open slots, those included that appear meanwhile: while a slot migrates, none can be made at the source,
 * so this ends.
 *
 * @param keysOf keys that are known to be there; the rest is listed.
 */
export function* drainSlots(
  move: SlotMove,
  slots: readonly number[],
  {
    keysOf,
    limits,
  }: { readonly keysOf: ReadonlyMap<number, readonly Buffer[]>; readonly limits: MoveLimits },
): Steps<DrainReport> {
  const conflictingKeys: { slot: number; key: Buffer }[] = [];
  let movedKeyCount = 0;
  let open = slots.map(
    (slot): SlotQueue => ({
      slot,
      keys: keysOf.get(slot) ?? [],
      replaces: false,
      futileRounds: 0,
      isEmpty: false,
    }),
  );
  while (open.length > 0) {
    const batches = open.flatMap((queue) => batchesOf(queue, move, limits));
    const replies = yield* ask(
      move.sourceId,
      batches.map(({ command }) => command),
      { weights: batches.map(({ keys }) => Math.max(1, keys.length)), setsPace: true },
    );
    for (const queue of open) queue.keys = [];
    for (const [index, { queue, keys }] of batches.entries()) {
      const reply = replies[index];
      if (keys.length === 0) takeListing(queue, reply);
      else if (!(reply instanceof RedisRefusal)) movedKeyCount += textOf(reply) === 'OK' ? keys.length : 0;
      else conflictingKeys.push(...(yield* afterRefusal(move, queue, keys, reply)));
    }
    const stuck = new Set(conflictingKeys.map(({ slot }) => slot));
    open = open.filter(({ slot, isEmpty }) => !isEmpty && !stuck.has(slot));
  }
  return { movedKeyCount, conflictingKeys };
}

interface KeyBatch {
  readonly queue: SlotQueue;
  /** Empty for the listing that ends each round. */
  readonly keys: readonly Buffer[];
  readonly command: RedisCommand;
}

/** The known keys of a slot, and a look at what is left after them, in one go: the next round needs no other question. */
function batchesOf(queue: SlotQueue, move: SlotMove, limits: MoveLimits): KeyBatch[] {
  const size = limits.keysPerMigrate();
  const batches: KeyBatch[] = [];
  for (let at = 0; at < queue.keys.length; at += size) {
    const keys = queue.keys.slice(at, at + size);
    batches.push({
      queue,
      keys,
      command: migrateCommand(move, keys, { ...limits, replaces: queue.replaces }),
    });
  }
  return [...batches, { queue, keys: [], command: ['CLUSTER', 'GETKEYSINSLOT', queue.slot, size * 8] }];
}

export const migrateCommand = (
  { targetAddress: { host, port } }: Pick<SlotMove, 'targetAddress'>,
  keys: readonly Buffer[],
  options: Pick<MoveLimits, 'migrateTimeoutMs' | 'migrateLogin'> & { readonly replaces: boolean },
): RedisCommand => [
  ...['MIGRATE', host, port, '', 0, options.migrateTimeoutMs],
  ...(options.replaces ? ['REPLACE'] : []),
  ...options.migrateLogin,
  ...['KEYS', ...keys],
];

function takeListing(queue: SlotQueue, reply: RedisReply | undefined): void {
  queue.keys = buffersOf(reply);
  queue.isEmpty = queue.keys.length === 0;
}

/** @returns keys that cannot be moved. */
function* afterRefusal(
  move: SlotMove,
  queue: SlotQueue,
  keys: readonly Buffer[],
  refusal: RedisRefusal,
): Steps<readonly { slot: number; key: Buffer }[]> {
  const { slot } = queue;
  queue.futileRounds++;
  if (queue.futileRounds > FUTILE_ROUNDS_MAX)
    throw new SlotMoveStopped(`slot ${slot}: its keys do not move: ${refusal.message}`);
  // The connection of the two servers broke: keys may have arrived without having been deleted here. As long as a key is at
  // the source, clients are served there and cannot reach the other copy, so the source's counts.
  const isUnfinished = refusal.message.startsWith('IOERR');
  const isThere = refusal.message.includes('BUSYKEY');
  if (!isUnfinished && !isThere) throw new SlotMoveStopped(`slot ${slot}: MIGRATE: ${refusal.message}`);
  const differing = move.isSourcePromoted ? yield* differingKeys(move, keys) : [];
  if (differing.length === 0) queue.replaces = true;
  return differing.map((key) => ({ slot, key }));
}

/** Of keys that are on both sides, those whose contents differ; DUMP also tells versions apart, on the safe side. */
function* differingKeys(move: SlotMove, keys: readonly Buffer[]): Steps<readonly Buffer[]> {
  const here = yield* askEach(move.sourceId, keys, (key) => ['DUMP', key]);
  const there = yield* ask(
    move.targetId,
    keys.flatMap((key): RedisCommand[] => [['ASKING'], ['DUMP', key]]),
  );
  return keys.filter((_, index) => {
    const [left, right] = [here[index], there[index * 2 + 1]];
    if (left === null || right === null) return false;
    return !(Buffer.isBuffer(left) && Buffer.isBuffer(right) && left.equals(right));
  });
}
