import { SCAN_WORD_BYTES_MAX, scanWordTooLong } from '../../../commands/scan-limits.ts';
import type { Table } from '../environment.ts';
import { GlobPattern } from '../glob.ts';
import { readInteger } from '../integers.ts';
import {
  type EncodedKey,
  encodedKey,
  isKeyRecord,
  KEY_HEADER_BYTES,
  keyAtPosition,
  PhysicalKey,
} from '../physical-key.ts';
import { expiryOf, type TYPE_HASH, TYPE_NAMES } from '../record.ts';
import { type CommandContext, CommandError, type CommandHandler, syntaxError } from './command-context.ts';

const HASH_RANGE = 2 ** 32;
/** A client may ask for more at a time; so much is answered. It bounds how long one SCAN holds up the node. */
const COUNT_MAX = 10_000;
const COUNT_DEFAULT = 10;
/**
 * What one call may cost, in steps of matching (about 2 ns, so that this is some milliseconds); then it answers with what it
 * has, and a cursor. Counted, not timed: a scan gives the same answer on a busy machine.
 */
const WORK_MAX = 2_000_000;
const KEY_WORK = 64;
/** Of a record that has to be looked at LMDB copies the value. */
const RECORD_BYTES_PER_WORK = 16;

interface ScanOptions {
  readonly cursor: number;
  readonly count: number;
  readonly pattern: GlobPattern | null;
  readonly typeName: string | null;
}

function readScanOptions(context: CommandContext): ScanOptions {
  const cursor = readInteger(context.bytes, context.starts[0], context.ends[0]);
  if (typeof cursor !== 'number' || cursor < 0) throw new CommandError('ERR invalid cursor');
  let count = COUNT_DEFAULT;
  let pattern: GlobPattern | null = null;
  let typeName: string | null = null;
  for (let i = 1; i < context.argumentCount; i += 2) {
    const word = context.text(i).toUpperCase();
    if (i + 1 >= context.argumentCount) throw syntaxError();
    const bytes = context.ends[i + 1] - context.starts[i + 1];
    if (bytes > SCAN_WORD_BYTES_MAX) throw new CommandError(scanWordTooLong(word, bytes));
    if (word === 'COUNT') {
      const given = readInteger(context.bytes, context.starts[i + 1], context.ends[i + 1]);
      if (given === null) throw new CommandError('ERR value is not an integer or out of range');
      if (given < 1) throw syntaxError();
      count = Number(given);
    } else if (word === 'MATCH')
      pattern = new GlobPattern(context.bytes.subarray(context.starts[i + 1], context.ends[i + 1]));
    else if (word === 'TYPE') typeName = context.text(i + 1).toLowerCase();
    else throw syntaxError();
  }
  return { cursor, count: Math.min(count, COUNT_MAX), pattern, typeName };
}

/**
 * The keys' own records from `start` on, in order of slot and hash. Fields of a hash are stepped over one by one while
 * they are few, and by seeking behind them when they go on.
 */
function* keyRecords(table: Table, start: EncodedKey, end: EncodedKey): Generator<Uint8Array> {
  const STEPS_MAX = 16;
  const seeker = new PhysicalKey();
  for (let from: EncodedKey | null = start; from !== null; ) {
    const range = { start: from, end };
    from = null;
    let steps = 0;
    for (const key of table.getKeys(range)) {
      if (isKeyRecord(key, key.length)) {
        steps = 0;
        yield key;
      } else if (++steps > STEPS_MAX) {
        seeker.setPhysical(key);
        from = seeker.fieldRange().after;
        break;
      }
    }
  }
}

/** SCAN's cursor is slot and hash as one number, so a scan has no state; keys that share both are answered together. */
const positionOf = (key: Uint8Array): number =>
  ((key[0] << 8) | key[1]) * HASH_RANGE + (((key[2] << 24) | (key[3] << 16) | (key[4] << 8) | key[5]) >>> 0);

function scanPart(context: CommandContext, range: { start: EncodedKey; end: EncodedKey }): void {
  const { cursor, count, pattern, typeName } = readScanOptions(context);
  // A cursor from elsewhere is brought into the partition: it can neither reach into another one nor past the end.
  const position = Math.min(Math.max(cursor, positionOf(range.start.bytes)), positionOf(range.end.bytes));
  const start = keyAtPosition(Math.floor(position / HASH_RANGE), position % HASH_RANGE);
  const found: Uint8Array[] = [];
  let visited = 0;
  let recordBytes = 0;
  let lastPosition = -1;
  let nextCursor = 0;
  for (const key of keyRecords(context.table, start, range.end)) {
    const keyPosition = positionOf(key);
    const work = visited * KEY_WORK + (pattern?.stepCount ?? 0) + recordBytes / RECORD_BYTES_PER_WORK;
    if ((visited >= count || work >= WORK_MAX) && keyPosition !== lastPosition) {
      nextCursor = keyPosition;
      break;
    }
    visited++;
    lastPosition = keyPosition;
    if (pattern && !pattern.matches(key, KEY_HEADER_BYTES, key.length)) continue;
    const record = context.table.getBinaryFast(encodedKey(key));
    if (record === undefined) continue;
    recordBytes += record.length;
    if (isExpired(record, context.nowMs)) continue;
    if (typeName === null || TYPE_NAMES[record[0] as 1 | typeof TYPE_HASH] === typeName) found.push(key);
  }
  context.reply.array(2);
  context.reply.bulkText(String(nextCursor));
  context.reply.array(found.length);
  for (const key of found) context.reply.bulk(key, KEY_HEADER_BYTES, key.length);
}

function isExpired(record: Uint8Array, nowMs: number): boolean {
  const expiryMs = expiryOf(record);
  return expiryMs !== 0 && nowMs > expiryMs;
}

/** @param rangeOf the physical keys of a partition. */
export function scanCommands(
  rangeOf: (partitionId: number) => { start: EncodedKey; end: EncodedKey },
): Readonly<Record<string, CommandHandler>> {
  return {
    SCANPART: (context) => scanPart(context, rangeOf(context.state.partitionId)),
    KEYCOUNT: (context) => context.reply.integer(context.state.keyCount),
  };
}
