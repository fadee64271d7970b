import { ABSENT_LENGTH } from '../entry-writer.ts';
import { addInteger, readInteger } from '../integers.ts';
import { KEY_HEADER_BYTES } from '../physical-key.ts';
import { type CommandContext, CommandError, type CommandHandler, notAnInteger } from './command-context.ts';

/** Looks a hash up; anything else under the key is WRONGTYPE. */
function findHash(context: CommandContext): boolean {
  if (!context.find(0)) return false;
  context.requireHash();
  return true;
}

function findHashForWrite(context: CommandContext): boolean {
  if (!context.findForWrite(0)) return false;
  context.requireHash();
  return true;
}

/** Reads a field of the key last located. @returns its value's buffer, `context.table.lastSize` bytes of it. */
function readField(context: CommandContext, argument: number): Uint8Array | undefined {
  if (!context.key.setField(context.bytes, context.starts[argument], context.ends[argument]))
    return undefined;
  return context.table.getBinaryFast(context.key);
}

function replyField(context: CommandContext, argument: number): void {
  const value = readField(context, argument);
  if (value === undefined) context.reply.nil(context.isResp3);
  else context.reply.bulk(value, 0, context.table.lastSize);
}

/** Writes the hash's own record if its count has changed; without fields the key goes. */
function putFieldCount(context: CommandContext, oldCount: number, newCount: number, expiryMs: number): void {
  context.key.clearField();
  if (newCount === oldCount) return;
  if (newCount === 0) context.writer.delete(context.state, context.key);
  else {
    context.writer.value.setHashRecord(expiryMs, newCount);
    context.putRecord();
  }
}

function hset(context: CommandContext): void {
  if (context.argumentCount % 2 !== 1)
    throw new CommandError("ERR wrong number of arguments for 'hset' command");
  for (let i = 1; i < context.argumentCount; i += 2) {
    context.assertFieldFits(i);
    context.assertValueFits(context.argumentLength(i + 1));
  }
  const isFound = findHashForWrite(context);
  const oldCount = isFound ? context.fieldCount : 0;
  const expiryMs = isFound ? context.recordExpiryMs : 0;
  let added = 0;
  for (let i = 1; i < context.argumentCount; i += 2) {
    const isNew = readField(context, i) === undefined;
    const oldLength = isNew ? ABSENT_LENGTH : context.table.lastSize;
    if (isNew) added++;
    context.writer.value.set(context.bytes, context.starts[i + 1], context.ends[i + 1]);
    context.writer.put(context.state, context.key, oldLength);
  }
  putFieldCount(context, oldCount, oldCount + added, expiryMs);
  context.reply.integer(added);
}

function hget(context: CommandContext): void {
  if (findHash(context)) replyField(context, 1);
  else context.reply.nil(context.isResp3);
}

function hmget(context: CommandContext): void {
  const isFound = findHash(context);
  context.reply.array(context.argumentCount - 1);
  for (let i = 1; i < context.argumentCount; i++) {
    if (isFound) replyField(context, i);
    else context.reply.nil(context.isResp3);
  }
}

function hgetall(context: CommandContext): void {
  const isFound = findHash(context);
  context.reply.map(isFound ? context.fieldCount : 0, context.isResp3);
  if (!isFound) return;
  const { first, after } = context.key.fieldRange();
  const fieldStart = KEY_HEADER_BYTES + context.key.keyLength + 1;
  for (const { key, value } of context.table.getRange({ start: first, end: after })) {
    context.reply.bulk(key, fieldStart, key.length);
    context.reply.bulk(value, 0, value.length);
  }
}

function hdel(context: CommandContext): void {
  if (!context.findForRemoval(0)) {
    context.reply.integer(0);
    return;
  }
  context.requireHash();
  const oldCount = context.fieldCount;
  const expiryMs = context.recordExpiryMs;
  let removed = 0;
  for (let i = 1; i < context.argumentCount; i++)
    if (readField(context, i) !== undefined && context.writer.delete(context.state, context.key)) removed++;
  putFieldCount(context, oldCount, oldCount - removed, expiryMs);
  context.reply.integer(removed);
}

function hincrby(context: CommandContext): void {
  const increment = readInteger(context.bytes, context.starts[2], context.ends[2]);
  if (increment === null) throw notAnInteger();
  context.assertFieldFits(1);
  const isFound = findHashForWrite(context);
  const oldCount = isFound ? context.fieldCount : 0;
  const expiryMs = isFound ? context.recordExpiryMs : 0;
  const old = readField(context, 1);
  const oldLength = old === undefined ? ABSENT_LENGTH : context.table.lastSize;
  const oldValue = old === undefined ? 0 : readInteger(old, 0, context.table.lastSize);
  if (oldValue === null) throw new CommandError('ERR hash value is not an integer');
  const sum = addInteger(oldValue, increment);
  if (sum === null) throw new CommandError('ERR increment or decrement would overflow');
  const digits = Buffer.from(String(sum), 'latin1');
  context.writer.value.set(digits, 0, digits.length);
  context.writer.put(context.state, context.key, oldLength);
  putFieldCount(context, oldCount, oldCount + (old === undefined ? 1 : 0), expiryMs);
  context.reply.integer(sum);
}

function hlen(context: CommandContext): void {
  context.reply.integer(findHash(context) ? context.fieldCount : 0);
}

function hexists(context: CommandContext): void {
  context.reply.integer(findHash(context) && readField(context, 1) !== undefined ? 1 : 0);
}

export const HASH_COMMANDS: Readonly<Record<string, CommandHandler>> = {
  HSET: hset,
  HGET: hget,
  HMGET: hmget,
  HGETALL: hgetall,
  HDEL: hdel,
  HINCRBY: hincrby,
  HLEN: hlen,
  HEXISTS: hexists,
};
