import { buffersOf, numberOf, type RedisCommand, RedisRefusal, textOr } from '../server/redis-node.ts';
import type { BigKey, FullSlot, MoveLimits } from '../steps/slot-move.ts';
import { ask, askEach, LOOK_WEIGHT, type Steps } from '../steps/steps.ts';

/**
 * Listing keys of a slot takes time in proportion to them, during which the server serves nobody, and only from the first:
 * a slot with more keys than this (some 10 ms) is not moved, since what is not listed may be big.
 */
const LISTED_KEYS_MAX = 50_000;
/** A key smaller than this has too few elements to be worth counting: even empty ones take some 16 bytes. */
const UNCOUNTED_BYTES_MAX = 64 << 10;

/**
 * The server looks at the keys of a slot in one command: asked for each by itself, looking takes longer than moving. Keys are named, as a
 * cluster wants it. Five samples of a key's elements, the server's own default, so that it costs the same for every key.
 */
const SIZES_SCRIPT = `local large = {}
for i, key in ipairs(KEYS) do
  local bytes = redis.call('MEMORY', 'USAGE', key)
  if bytes and bytes > tonumber(ARGV[1]) then
    large[#large + 1] = i
    large[#large + 1] = bytes
  end
end
return large`;
/** Some 0.3 ms of the server's time. */
const SCRIPT_KEYS_MAX = 500;

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
  const listing = slots.map((slot, index) => ({ slot, keys: buffersOf(listed[index]) }));
  const large = yield* largeKeys(nodeId, listing, Math.min(UNCOUNTED_BYTES_MAX, limits.keyBytesMax));
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
  const keysOf = new Map(
    listing.filter(({ slot }) => !refused.has(slot)).map(({ slot, keys }) => [slot, keys]),
  );
  return { keysOf, bigKeys, fullSlots };
}

interface SizedKey {
  readonly slot: number;
  readonly key: Buffer;
  readonly bytes: number;
}

/** Keys that take more than so many bytes. */
function* largeKeys(
  nodeId: string,
  listing: readonly { readonly slot: number; readonly keys: readonly Buffer[] }[],
  bytesMax: number,
): Steps<readonly SizedKey[]> {
  const chunks = listing.flatMap(({ slot, keys }) =>
    Array.from({ length: Math.ceil(keys.length / SCRIPT_KEYS_MAX) }, (_, i) => ({
      slot,
      keys: keys.slice(i * SCRIPT_KEYS_MAX, (i + 1) * SCRIPT_KEYS_MAX),
    })),
  );
  const replies = yield* ask(
    nodeId,
    chunks.map(({ keys }): RedisCommand => ['EVAL_RO', SIZES_SCRIPT, keys.length, ...keys, bytesMax]),
    { weights: chunks.map(({ keys }) => keys.length * LOOK_WEIGHT), setsPace: false },
  );
  const large: SizedKey[] = [];
  const unknown: { readonly slot: number; readonly key: Buffer }[] = [];
  for (const [index, { slot, keys }] of chunks.entries()) {
    const reply = replies[index];
    // Our user may not be allowed to run scripts.
    if (!Array.isArray(reply)) unknown.push(...keys.map((key) => ({ slot, key })));
    else
      for (let at = 0; at < reply.length; at += 2)
        large.push({ slot, key: keys[numberOf(reply[at]) - 1] as Buffer, bytes: numberOf(reply[at + 1]) });
  }
  const sizes = yield* askEach(nodeId, unknown, ({ key }): RedisCommand => ['MEMORY', 'USAGE', key]);
  const sized = unknown.map((entry, index) => ({ ...entry, bytes: sizeOf(sizes[index]) }));
  return [...large, ...sized.filter(({ bytes }) => bytes > bytesMax)];
}

/** A key that went away, or changed its type, in between is no big one. */
const sizeOf = (reply: Parameters<typeof numberOf>[0]): number =>
  reply === null || reply instanceof RedisRefusal ? 0 : numberOf(reply);
