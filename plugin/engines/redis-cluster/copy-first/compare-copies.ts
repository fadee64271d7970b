import { type RedisCommand, RedisRefusal, type RedisReply, textOr } from '../server/redis-node.ts';
import { canonical, EXPIRY_LATE_MS_MAX, READERS } from '../slots/key-sample.ts';
import type { SampleReport, SlotMove } from '../steps/slot-move.ts';
import { ask, askEach, type Steps } from '../steps/steps.ts';
import { timeOf } from './hand-over.ts';
import { DIGEST_SCRIPT } from './scripts.ts';
import {
  askEachCopy,
  digestsOf,
  type KeyCopy,
  type KeyDigest,
  nameOf,
  type SlotCopies,
} from './slot-copies.ts';

/** Some 0.3 ms of the target's time. */
const CHUNK_KEYS_MAX = 100;

/**
 * Compares every copy with what its key was when it was copied, expiry included.
 *
 * @returns the copies that are alike. One that is not may be of a key that has changed meanwhile, which is no surprise; only those whose
 *   key has not changed are told as differing.
 */
export function* compareCopies(
  move: SlotMove,
  copies: SlotCopies,
): Steps<{ readonly alike: SlotCopies; readonly report: SampleReport }> {
  const all = [...copies.values()].flat();
  const skewMs = (yield* timeOf(move.targetId)) - (yield* timeOf(move.sourceId));
  const told = yield* digestsThere(move, copies);
  const unlike = all.filter((copy) => {
    const { digest } = copy;
    const there = told.get(nameOf(copy));
    return !(there?.contents === digest.contents && isExpiryAlike(digest, there, skewMs));
  });
  const { same, differing } = yield* compareContents(move, unlike, skewMs);
  const dropped = new Set(unlike.filter((copy) => !same.has(copy)).map(nameOf));
  return {
    alike: new Map([...copies].map(([slot, of]) => [slot, of.filter((copy) => !dropped.has(nameOf(copy)))])),
    report: { checkedCount: all.length, differing: differing.map(({ key }) => key) },
  };
}

/** By key. One question for many keys of a slot; where the target has not all of them, it answers none, and is asked for each. */
function* digestsThere(
  { targetId }: SlotMove,
  copies: SlotCopies,
): Steps<ReadonlyMap<string, KeyDigest | null>> {
  const chunks = [...copies.values()].flatMap((of) =>
    Array.from({ length: Math.ceil(of.length / CHUNK_KEYS_MAX) }, (_, i) =>
      of.slice(i * CHUNK_KEYS_MAX, (i + 1) * CHUNK_KEYS_MAX),
    ),
  );
  const ofKeys = (asked: readonly KeyCopy[]): RedisCommand => [
    ...['EVAL_RO', DIGEST_SCRIPT, asked.length, ...asked.map(({ key }) => key)],
  ];
  const replies = yield* askEachCopy(targetId, chunks, ofKeys);
  const refused = chunks.filter((_, index) => replies[index] instanceof RedisRefusal).flat();
  const singly = yield* askEachCopy(targetId, refused, (copy) => ofKeys([copy]));
  const told = new Map<string, KeyDigest | null>();
  const take = (asked: readonly KeyCopy[], reply: RedisReply | undefined): void => {
    for (const [place, digest] of digestsOf(reply).entries())
      told.set(nameOf(asked[place] as KeyCopy), digest);
  };
  for (const [index, chunk] of chunks.entries()) take(chunk, replies[index]);
  for (const [index, copy] of refused.entries()) take([copy], singly[index]);
  return told;
}

/** Hashes and sets are in another order on another server, and differ as bytes though they are equal: their contents decide. */
function* compareContents(
  move: SlotMove,
  copies: readonly KeyCopy[],
  skewMs: number,
): Steps<{ readonly same: ReadonlySet<KeyCopy>; readonly differing: readonly KeyCopy[] }> {
  const types = yield* askEach(move.sourceId, copies, ({ key }) => ['TYPE', key]);
  const readable = copies
    .map((copy, index) => ({ copy, reader: READERS[textOr(types[index], 'none')] }))
    .filter(
      (one): one is { copy: KeyCopy; reader: NonNullable<typeof one.reader> } => one.reader !== undefined,
    );
  const here = yield* ask(
    move.sourceId,
    readable.flatMap(({ copy: { key }, reader }): RedisCommand[] => [
      ['MULTI'],
      ['EVAL_RO', DIGEST_SCRIPT, 1, key],
      reader.command(key),
      ['EXEC'],
    ]),
    { weights: readable.flatMap(() => [1, 0, 0, 0]), setsPace: false },
  );
  const there = yield* askEachCopy(move.targetId, readable, ({ copy: { key }, reader }) =>
    reader.command(key),
  );
  const expiries = yield* askEachCopy(move.targetId, readable, ({ copy: { key } }) => ['PEXPIRETIME', key]);
  const same = new Set<KeyCopy>();
  const differing: KeyCopy[] = [];
  for (const [index, { copy, reader }] of readable.entries()) {
    const executed = here[index * 4 + 3];
    const [told, contents] = (Array.isArray(executed) ? executed : []) as readonly RedisReply[];
    const [now] = digestsOf(told);
    // It has changed since: it moves by itself, later.
    if (now?.contents !== copy.digest.contents || now.expiresAtMs !== copy.digest.expiresAtMs) continue;
    const isAlike =
      isExpiryAlike(copy.digest, { expiresAtMs: Number(expiries[index]) }, skewMs) &&
      isSameContents(contents, there[index], reader.width);
    if (isAlike) same.add(copy);
    else differing.push(copy);
  }
  return { same, differing };
}

/** Servers send how long a key has still to live, each by its own clock. */
function isExpiryAlike(
  here: Pick<KeyDigest, 'expiresAtMs'>,
  there: Pick<KeyDigest, 'expiresAtMs'>,
  skewMs: number,
): boolean {
  if (here.expiresAtMs < 0 || there.expiresAtMs < 0) return here.expiresAtMs === there.expiresAtMs;
  return Math.abs(there.expiresAtMs - skewMs - here.expiresAtMs) <= EXPIRY_LATE_MS_MAX;
}

function isSameContents(
  here: RedisReply | undefined,
  there: RedisReply | undefined,
  width: 0 | 1 | 2,
): boolean {
  const [left, right] = [here, there].map((reply) => {
    if (reply === undefined || reply === null || reply instanceof RedisRefusal) return null;
    return Array.isArray(reply) ? canonical(reply as RedisReply[], width) : String(reply);
  });
  return left !== null && left === right;
}
