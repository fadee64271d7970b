import { buffersOf, type RedisCommand, RedisRefusal, type RedisReply, textOf } from '../server/redis-node.ts';
import { type MoveLimits, type SlotMove, SlotMoveStopped } from '../steps/slot-move.ts';
import { ask, askEach, LOOK_WEIGHT, type Steps } from '../steps/steps.ts';
import { runIdOf } from './slot-standing.ts';

/** Rounds in a row in which no key of a slot may move: servers that time out get so many chances. */
const FUTILE_ROUNDS_MAX = 5;

export interface DrainReport {
  readonly movedKeyCount: number;
  /** Keys that are on both sides with different contents, where nobody can tell which copy counts. */
  readonly conflictingKeys: readonly { readonly slot: number; readonly key: Buffer }[];
}

interface SlotQueue {
  readonly slot: number;
  keys: readonly Buffer[];
  /** Keys, as latin1, of which what is at the target already is an unfinished copy of ours: the source's copy counts. */
  readonly replaced: Set<string>;
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
      replaced: new Set(),
      futileRounds: 0,
      isEmpty: false,
    }),
  );
  while (open.length > 0) {
    const batches = open.flatMap((queue) => batchesOf(queue, move, limits));
    if (batches.some(({ replaces }) => replaces)) yield* assertSameRun(move);
    const replies = yield* ask(
      move.sourceId,
      batches.map(({ command }) => command),
      {
        weights: batches.map(({ keys }) => (keys.length > 0 ? keys.length : LOOK_WEIGHT)),
        setsPace: true,
        migratesTo: move.targetId,
      },
    );
    for (const queue of open) queue.keys = [];
    const refusals = new Map<SlotQueue, RedisRefusal>();
    const moving = new Set<SlotQueue>();
    for (const [index, { queue, keys }] of batches.entries()) {
      const reply = replies[index];
      if (keys.length === 0) takeListing(queue, reply);
      else if (reply instanceof RedisRefusal) {
        refusals.set(queue, reply);
        conflictingKeys.push(...(yield* afterRefusal(move, queue, keys, reply)));
      } else if (textOf(reply) === 'OK') {
        moving.add(queue);
        movedKeyCount += keys.length;
      }
    }
    for (const queue of open)
      countRound(queue, { hasMoved: moving.has(queue), refusal: refusals.get(queue) });
    const stuck = new Set(conflictingKeys.map(({ slot }) => slot));
    open = open.filter(({ slot, isEmpty }) => !isEmpty && !stuck.has(slot));
  }
  return { movedKeyCount, conflictingKeys };
}

/**
 * A key that is on both sides counts at the source only as long as the source has not come back with older data. Looking before
 * the write is enough: a master that was restarted refuses keys for its first 2 s (CLUSTER_WRITABLE_DELAY).
 */
function* assertSameRun({ sourceId, sourceRunId }: SlotMove): Steps<void> {
  if ((yield* runIdOf(sourceId)) !== sourceRunId)
    throw new SlotMoveStopped(`source ${sourceId} was restarted while its slots were open`);
}

interface KeyBatch {
  readonly queue: SlotQueue;
  /** Empty for the listing that ends each round. */
  readonly keys: readonly Buffer[];
  readonly command: RedisCommand;
  readonly replaces: boolean;
}

/** The known keys of a slot, and a look at what is left after them, in one go: the next round needs no other question. */
function batchesOf(queue: SlotQueue, move: SlotMove, limits: MoveLimits): KeyBatch[] {
  const size = limits.keysPerMigrate();
  const batches: KeyBatch[] = [];
  for (const replaces of [true, false]) {
    const alike = queue.keys.filter((key) => queue.replaced.has(key.toString('latin1')) === replaces);
    for (let at = 0; at < alike.length; at += size) {
      const keys = alike.slice(at, at + size);
      batches.push({ queue, keys, command: migrateCommand(move, keys, { ...limits, replaces }), replaces });
    }
  }
  return [
    ...batches,
    { queue, keys: [], command: ['CLUSTER', 'GETKEYSINSLOT', queue.slot, size * 8], replaces: false },
  ];
}

export const migrateCommand = (
  { targetAddress: { host, port } }: Pick<SlotMove, 'targetAddress'>,
  keys: readonly Buffer[],
  options: Pick<MoveLimits, 'migrateTimeoutMs' | 'migrateLogin'> & {
    readonly replaces: boolean;
    /** The keys stay at the source as well. */
    readonly copies?: boolean;
  },
): RedisCommand => [
  ...['MIGRATE', host, port, '', 0, options.migrateTimeoutMs],
  ...(options.copies === true ? ['COPY'] : []),
  ...(options.replaces ? ['REPLACE'] : []),
  ...options.migrateLogin,
  ...['KEYS', ...keys],
];

function takeListing(queue: SlotQueue, reply: RedisReply | undefined): void {
  queue.keys = buffersOf(reply);
  queue.isEmpty = queue.keys.length === 0;
}

/** @throws SlotMoveStopped after too many rounds in which nothing moved. */
function countRound(
  queue: SlotQueue,
  { hasMoved, refusal }: { readonly hasMoved: boolean; readonly refusal: RedisRefusal | undefined },
): void {
  queue.futileRounds = hasMoved || refusal === undefined ? 0 : queue.futileRounds + 1;
  if (queue.futileRounds > FUTILE_ROUNDS_MAX)
    throw new SlotMoveStopped(`slot ${queue.slot}: its keys do not move: ${refusal?.message}`);
}

/** Makes ready what may be sent again. @returns keys that cannot be moved. */
function* afterRefusal(
  move: SlotMove,
  queue: SlotQueue,
  keys: readonly Buffer[],
  refusal: RedisRefusal,
): Steps<readonly { slot: number; key: Buffer }[]> {
  const { slot } = queue;
  // The connection of the two servers broke: keys may have arrived without having been deleted here. As long as a key is at
  // the source, clients are served there and cannot reach the other copy, so the source's counts.
  const isUnfinished = refusal.message.startsWith('IOERR');
  const isThere = refusal.message.includes('BUSYKEY');
  if (!isUnfinished && !isThere) throw new SlotMoveStopped(`slot ${slot}: MIGRATE: ${refusal.message}`);
  const differing = move.isSourcePromoted ? yield* differingKeys(move, keys) : [];
  // Each key by itself: a neighbour that has not been compared may differ.
  for (const key of keys) if (!differing.includes(key)) queue.replaced.add(key.toString('latin1'));
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
    if (isGone(left) || isGone(right)) return false;
    return !(Buffer.isBuffer(left) && Buffer.isBuffer(right) && left.equals(right));
  });
}

/** A slot that is migrating answers ASK for a key that it has handed over. */
const isGone = (reply: RedisReply | undefined): boolean =>
  reply === null || (reply instanceof RedisRefusal && reply.code === 'ASK');
