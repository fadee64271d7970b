/**
 * Some keys are read on both sides of their move. At the source, contents, expiry and MIGRATE are one transaction, so that
 * what is read is what was sent; at the target a client may have written before we read, which looks like a difference.
 */
import {
  accepted,
  numberOf,
  type RedisCommand,
  RedisRefusal,
  type RedisReply,
  textOf,
  textOr,
} from '../server/redis-node.ts';
import type { SampleReport } from '../steps/slot-move.ts';
import { ask, askEach, type Steps } from '../steps/steps.ts';

/** Reads whole contents; hashes and sets are in another order on another server. */
export const READERS: Readonly<
  Record<string, { readonly command: (key: Buffer) => RedisCommand; readonly width: 0 | 1 | 2 }>
> = {
  string: { command: (key) => ['GET', key], width: 0 },
  list: { command: (key) => ['LRANGE', key, 0, -1], width: 0 },
  zset: { command: (key) => ['ZRANGE', key, 0, -1, 'WITHSCORES'], width: 0 },
  hash: { command: (key) => ['HGETALL', key], width: 2 },
  set: { command: (key) => ['SMEMBERS', key], width: 1 },
};

/**
 * A server sends how long a key has still to live, and the other counts from when it arrives: the difference is the time on
 * the way. More than this would be another expiry.
 */
export const EXPIRY_LATE_MS_MAX = 30_000;

interface Reading {
  readonly contents: string;
  /** -1 without an expiry. */
  readonly leftMs: number;
}

export interface MovedSample {
  readonly report: SampleReport;
  /** The very objects that were handed in. */
  readonly movedKeys: readonly Buffer[];
}

/**
 * Moves sampled keys, one by one, and compares.
 *
 * @param migrate the MIGRATE of one key; its slot is open.
 */
export function* moveSample(
  { sourceId, targetId }: { readonly sourceId: string; readonly targetId: string },
  keys: readonly Buffer[],
  migrate: (key: Buffer) => RedisCommand,
): Steps<MovedSample> {
  // Whoever has been deleted, or has expired, since it was listed answers ASK: it is not sampled.
  const answers = yield* askEach(sourceId, keys, (key) => ['TYPE', key]);
  const types = answers.map((answer) => textOr(answer, 'none'));
  const sampled = keys
    .map((key, index) => ({ key, reader: READERS[types[index] as string] }))
    .filter(
      (one): one is { key: Buffer; reader: NonNullable<typeof one.reader> } => one.reader !== undefined,
    );
  const sent = yield* ask(
    sourceId,
    sampled.flatMap(({ key, reader }): RedisCommand[] => [
      ['MULTI'],
      reader.command(key),
      ['PEXPIRETIME', key],
      ['TIME'],
      migrate(key),
      ['EXEC'],
    ]),
    // A transaction stays in one piece: what follows its first command weighs nothing.
    { weights: sampled.flatMap(() => [1, 0, 0, 0, 0, 0]), setsPace: false, migratesTo: targetId },
  );
  const moved = sampled.flatMap(({ key, reader }, index) => {
    const before = readingOf(sent[index * 6 + 5], reader.width);
    return before === null ? [] : [{ key, reader, before }];
  });
  const arrived = yield* ask(
    targetId,
    moved.flatMap(({ key, reader }): RedisCommand[] => [
      ['ASKING'],
      reader.command(key),
      ['ASKING'],
      ['PEXPIRETIME', key],
      ['TIME'],
    ]),
  );
  const differing = moved
    .filter(({ reader, before }, index) => {
      const [, contents, , expiry, time] = arrived.slice(index * 5, index * 5 + 5);
      const after = toReading([contents, expiry, time], reader.width);
      return after === null || !isSame(before, after);
    })
    .map(({ key }) => key);
  return { report: { checkedCount: moved.length, differing }, movedKeys: moved.map(({ key }) => key) };
}

/** Null when the transaction was refused, the key was not there, or its MIGRATE failed: the drain meets it again. */
function readingOf(transaction: RedisReply | undefined, width: 0 | 1 | 2): Reading | null {
  if (transaction instanceof RedisRefusal || !Array.isArray(transaction)) return null;
  const [contents, expiry, time, migrated] = transaction as readonly RedisReply[];
  if (migrated instanceof RedisRefusal || textOf(migrated) !== 'OK') return null;
  return toReading([contents, expiry, time], width);
}

function toReading(
  [contents, expiry, time]: readonly (RedisReply | undefined)[],
  width: 0 | 1 | 2,
): Reading | null {
  if ([contents, expiry, time].some((reply) => reply instanceof RedisRefusal)) return null;
  if (contents === null || contents === undefined) return null;
  const expiresAtMs = numberOf(expiry);
  const [seconds, micros] = accepted(time) as readonly Buffer[];
  const nowMs = Number(textOf(seconds)) * 1000 + Number(textOf(micros)) / 1000;
  return {
    contents: Buffer.isBuffer(contents)
      ? contents.toString('latin1')
      : canonical(contents as RedisReply[], width),
    leftMs: expiresAtMs < 0 ? -1 : expiresAtMs - nowMs,
  };
}

/** Elements, or pairs of them, in an order that does not depend on the server; lists and sorted sets keep theirs. */
export function canonical(replies: readonly RedisReply[], width: 0 | 1 | 2): string {
  const elements = replies.map((reply) => (reply as Buffer).toString('base64'));
  if (width === 0) return elements.join(' ');
  const items: string[] = [];
  for (let at = 0; at < elements.length; at += width) items.push(elements.slice(at, at + width).join('='));
  return items.sort().join(' ');
}

function isSame(before: Reading, after: Reading): boolean {
  if (before.contents !== after.contents) return false;
  if (before.leftMs < 0 || after.leftMs < 0) return before.leftMs < 0 && after.leftMs < 0;
  const lateMs = before.leftMs - after.leftMs;
  // Their clocks tick alike for so short a time, but are read in milliseconds.
  return lateMs >= -1_000 && lateMs <= EXPIRY_LATE_MS_MAX;
}
