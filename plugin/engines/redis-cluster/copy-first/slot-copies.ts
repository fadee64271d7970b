/** Copies of keys at the target of a move, while the source owns their slots and answers for them as if nothing were. */

import {
  buffersOf,
  numberOf,
  type RedisCommand,
  RedisRefusal,
  type RedisReply,
  textOf,
} from '../server/redis-node.ts';
import { migrateCommand } from '../slots/drain-slots.ts';
import { setSlots } from '../slots/set-slots.ts';
import { type MoveLimits, type SlotMove, SlotMoveStopped } from '../steps/slot-move.ts';
import { ask, askEach, type Steps } from '../steps/steps.ts';
import { DIGEST_SCRIPT, DIGEST_WIDTH } from './scripts.ts';

/**
 * Of one slot: all its copies are compared with their keys in one script when it is handed over, for which the source serves nobody:
 * some 2 µs a key and 5 ms a megabyte. What is beyond moves key by key, without having been copied before.
 */
const COPIED_KEYS_MAX = 1_000;
const COPIED_BYTES_MAX = 512 << 10;
/** Keys of a slot of the target in one listing. */
const LISTED_KEYS_MAX = 2_000;

/** What a key was when it was copied. */
export interface KeyCopy {
  readonly key: Buffer;
  readonly digest: KeyDigest;
}

export interface KeyDigest {
  /** SHA-1 of DUMP, in hex. */
  readonly contents: string;
  /** Ms since 1970 by the server's clock; -1 without. */
  readonly expiresAtMs: number;
  readonly bytes: number;
}

/** By slot. */
export type SlotCopies = ReadonlyMap<number, readonly KeyCopy[]>;

/**
 * Copies keys: each batch is told of by the source at the very moment of its copy. Clients notice nothing, since the source does not
 * redirect. What could not be copied is left out.
 */
export function* copySlots(
  move: SlotMove,
  keysOf: ReadonlyMap<number, readonly Buffer[]>,
  limits: MoveLimits,
): Steps<SlotCopies> {
  yield* importSlots(move, [...keysOf.keys()]);
  const size = limits.keysPerMigrate();
  const batches = [...keysOf].flatMap(([slot, keys]) =>
    inBatches(keys.slice(0, COPIED_KEYS_MAX), size).map((batch) => ({ slot, keys: batch })),
  );
  const replies = yield* ask(
    move.sourceId,
    batches.flatMap(({ keys }): RedisCommand[] => [
      ['MULTI'],
      ['EVAL_RO', DIGEST_SCRIPT, keys.length, ...keys],
      migrateCommand(move, keys, { ...limits, replaces: true, copies: true }),
      ['EXEC'],
    ]),
    // A transaction stays in one piece: what follows its first command weighs nothing.
    {
      weights: batches.flatMap(({ keys }) => [keys.length, 0, 0, 0]),
      setsPace: true,
      migratesTo: move.targetId,
    },
  );
  const copies = new Map<number, KeyCopy[]>([...keysOf.keys()].map((slot) => [slot, []]));
  const bytesOf = new Map<number, number>();
  for (const [index, { slot, keys }] of batches.entries()) {
    const executed = replies[index * 4 + 3];
    if (executed instanceof RedisRefusal)
      throw new SlotMoveStopped(`slot ${slot}: copies: ${executed.message}`);
    const [told, copied] = (executed ?? []) as readonly RedisReply[];
    // Some may have arrived when a connection broke: they are removed as copies that nobody knows of.
    if (copied === undefined || copied instanceof RedisRefusal || textOf(copied) !== 'OK') continue;
    for (const [place, digest] of digestsOf(told).entries()) {
      if (digest === null) continue;
      const bytes = (bytesOf.get(slot) ?? 0) + digest.bytes;
      if (bytes > COPIED_BYTES_MAX) continue;
      bytesOf.set(slot, bytes);
      (copies.get(slot) as KeyCopy[]).push({ key: keys[place] as Buffer, digest });
    }
  }
  return copies;
}

/**
 * Removes what was copied, while the source owns the slots and they are not open there: clients know nothing of it. Doing it
 * again changes nothing. The target may be another one than copies were sent to, promoted since.
 */
export function* dropCopies(move: SlotMove, slots: readonly number[]): Steps<void> {
  yield* importSlots(move, slots);
  yield* purgeCopies(move, new Map(slots.map((slot) => [slot, []])));
  yield* setSlots(move.targetId, slots, (slot) => ['CLUSTER', 'SETSLOT', slot, 'STABLE']);
}

/**
 * Removes from the target whatever is not among the wanted copies, such as of keys that were deleted meanwhile.
 *
 * @returns the wanted copies that are there.
 */
export function* purgeCopies(move: SlotMove, wanted: SlotCopies): Steps<SlotCopies> {
  const slots = [...wanted.keys()];
  const namesOf = new Map([...wanted].map(([slot, copies]) => [slot, new Set(copies.map(nameOf))]));
  for (;;) {
    const listed = yield* listCopies(move, slots);
    const strays = listed.flatMap((keys, index) =>
      keys.filter((key) => namesOf.get(slots[index] as number)?.has(key.toString('latin1')) !== true),
    );
    if (strays.length === 0) {
      const present = new Set(listed.flat().map((key) => key.toString('latin1')));
      return new Map(
        [...wanted].map(([slot, copies]) => [slot, copies.filter((copy) => present.has(nameOf(copy)))]),
      );
    }
    yield* unlinkCopies(move, strays);
  }
}

/** Of each slot the keys that are at the target, up to so many. */
export function* listCopies(
  { targetId }: SlotMove,
  slots: readonly number[],
): Steps<readonly (readonly Buffer[])[]> {
  const listed = yield* askEach(targetId, slots, (slot) => [
    ...['CLUSTER', 'GETKEYSINSLOT', slot, LISTED_KEYS_MAX],
  ]);
  return listed.map(buffersOf);
}

/** @throws SlotMoveStopped where the target does not take them for its own to delete. */
export function* unlinkCopies({ targetId }: SlotMove, keys: readonly Buffer[]): Steps<void> {
  const replies = yield* askEachCopy(targetId, keys, (key) => ['UNLINK', key]);
  const refused = replies.find((reply) => reply instanceof RedisRefusal);
  if (refused !== undefined) throw new SlotMoveStopped(`a copy cannot be removed: ${refused.message}`);
}

/** One question for each copy: a target that imports a slot answers only who asks for it. */
export function* askEachCopy<Key>(
  targetId: string,
  keys: readonly Key[],
  command: (key: Key) => RedisCommand,
): Steps<readonly RedisReply[]> {
  const replies = yield* ask(
    targetId,
    keys.flatMap((key): RedisCommand[] => [['ASKING'], command(key)]),
    { weights: keys.flatMap(() => [1, 0]), setsPace: false },
  );
  return replies.filter((_, index) => index % 2 === 1);
}

/** @param reply of DIGEST_SCRIPT. @returns null for a key that is not there. */
export function digestsOf(reply: RedisReply | undefined): readonly (KeyDigest | null)[] {
  if (!Array.isArray(reply)) return [];
  const told = reply as readonly RedisReply[];
  return Array.from({ length: told.length / DIGEST_WIDTH }, (_, index) => {
    const [contents, expiresAtMs, bytes] = told.slice(index * DIGEST_WIDTH);
    const digest = textOf(contents);
    return digest === ''
      ? null
      : { contents: digest, expiresAtMs: numberOf(expiresAtMs), bytes: numberOf(bytes) };
  });
}

export const nameOf = ({ key }: KeyCopy): string => key.toString('latin1');

const importSlots = ({ targetId, sourceId }: SlotMove, slots: readonly number[]): Steps<void> =>
  setSlots(targetId, slots, (slot) => ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId]);

function inBatches(keys: readonly Buffer[], size: number): Buffer[][] {
  const batches: Buffer[][] = [];
  for (let at = 0; at < keys.length; at += size) batches.push(keys.slice(at, at + size));
  return batches;
}
