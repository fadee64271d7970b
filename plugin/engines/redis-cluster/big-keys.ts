import { buffersOf, numberOf, type RedisCommand, RedisRefusal, textOr } from './redis-node.ts';
import type { BigKey, MoveLimits } from './slot-move.ts';
import { askEach, type Steps } from './steps.ts';

/**
 * Listing keys of a slot takes time in proportion to them, during which the server serves nobody, and only from the first:
 * a slot with more keys than this (some 10 ms) is not moved, since what is not listed may be big.
 */
const LISTED_KEYS_MAX = 50_000;
/** A key smaller than this has too few elements to be worth counting: even empty ones take some 16 bytes. */
const UNCOUNTED_BYTES_MAX = 64 << 10;

const COUNT_COMMANDS: Readonly<Record<string, string>> = {
  hash: 'HLEN',
  set: 'SCARD',
  zset: 'ZCARD',
  list: 'LLEN',
  stream: 'XLEN',
};

export interface ScannedSlots {
  /** The keys that were seen, by slot; those of slots with a big key, or too many, are left out. */
  readonly keysOf: ReadonlyMap<number, readonly Buffer[]>;
  readonly bigKeys: readonly BigKey[];
  readonly fullSlots: readonly FullSlot[];
}

/** One that has too many keys to be looked at. */
export interface FullSlot {
  readonly slot: number;
  readonly keyCount: number;
}

/**
 * Looks for keys that a MIGRATE would hold both servers with for too long, before anything is opened: once the first key
 * of a slot has moved there is no way back.
 */
export function* scanForBigKeys(
  nodeId: string,
  asked: readonly number[],
  limits: Pick<MoveLimits, 'keyBytesMax' | 'keyElementsMax'>,
): Steps<ScannedSlots> {
  const counted = yield* askEach(nodeId, asked, (slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot]);
  const fullSlots = asked
    .map((slot, index): FullSlot => ({ slot, keyCount: numberOf(counted[index]) }))
    .filter(({ keyCount }) => keyCount > LISTED_KEYS_MAX);
  const slots = asked.filter((slot) => !fullSlots.some((full) => full.slot === slot));
  const listed = yield* askEach(nodeId, slots, (slot) => ['CLUSTER', 'GETKEYSINSLOT', slot, LISTED_KEYS_MAX]);
  const entries = slots.flatMap((slot, index) => buffersOf(listed[index]).map((key) => ({ slot, key })));
  // Five samples of the elements, the server's own default, so that it costs the same for every key.
  const sizes = yield* askEach(nodeId, entries, ({ key }): RedisCommand => ['MEMORY', 'USAGE', key]);
  const large = entries
    .map((entry, index) => ({ ...entry, bytes: sizeOf(sizes[index]) }))
    .filter(({ bytes }) => bytes > Math.min(UNCOUNTED_BYTES_MAX, limits.keyBytesMax));
  const types = yield* askEach(nodeId, large, ({ key }) => ['TYPE', key]);
  const typed = large.map((entry, index) => ({ ...entry, type: textOr(types[index], 'none') }));
  // What has no elements is asked for something harmless, so that replies and keys stay side by side.
  const counts = yield* askEach(nodeId, typed, ({ key, type }) => [COUNT_COMMANDS[type] ?? 'EXISTS', key]);
  const bigKeys = typed
    .map((entry, index): BigKey => {
      return { ...entry, elements: entry.type in COUNT_COMMANDS ? sizeOf(counts[index]) : 0 };
    })
    .filter(({ bytes, elements }) => bytes > limits.keyBytesMax || elements > limits.keyElementsMax);
  const refused = new Set(bigKeys.map(({ slot }) => slot));
  const keysOf = new Map<number, Buffer[]>(
    slots.filter((slot) => !refused.has(slot)).map((slot) => [slot, []]),
  );
  for (const { slot, key } of entries) keysOf.get(slot)?.push(key);
  return { keysOf, bigKeys, fullSlots };
}

/** A key that went away, or changed its type, in between is no big one. */
const sizeOf = (reply: Parameters<typeof numberOf>[0]): number =>
  reply === null || reply instanceof RedisRefusal ? 0 : numberOf(reply);
