import { addInteger, INT64_MIN, readInteger } from '../integers.ts';
import { RECORD_HEADER_BYTES, TYPE_STRING } from '../record.ts';
import {
  type CommandContext,
  CommandError,
  type CommandHandler,
  notAnInteger,
  syntaxError,
  wrongType,
} from './command-context.ts';
import { absoluteExpiryMs, type ExpiryUnit } from './expiry-argument.ts';

function get(context: CommandContext): void {
  if (context.find(0)) {
    context.requireString();
    context.replyString();
  } else context.reply.nil(context.isResp3);
}

interface SetOptions {
  isNx: boolean;
  isXx: boolean;
  isGet: boolean;
  isKeepTtl: boolean;
  expiry: { argument: number; unit: ExpiryUnit } | null;
}

const EXPIRY_WORDS: Readonly<Record<string, ExpiryUnit>> = {
  EX: { factor: 1000, isRelative: true },
  PX: { factor: 1, isRelative: true },
  EXAT: { factor: 1000, isRelative: false },
  PXAT: { factor: 1, isRelative: false },
};

function readSetOptions(context: CommandContext): SetOptions {
  const options: SetOptions = { isNx: false, isXx: false, isGet: false, isKeepTtl: false, expiry: null };
  for (let i = 2; i < context.argumentCount; i++) {
    const word = context.text(i).toUpperCase();
    const unit = EXPIRY_WORDS[word];
    if (word === 'NX' && !options.isXx) options.isNx = true;
    else if (word === 'XX' && !options.isNx) options.isXx = true;
    else if (word === 'GET') options.isGet = true;
    else if (word === 'KEEPTTL' && !options.expiry) options.isKeepTtl = true;
    // As in Redis the same word may come twice, and the last one counts; two different ones may not.
    else if (
      unit &&
      !options.isKeepTtl &&
      (!options.expiry || options.expiry.unit === unit) &&
      i + 1 < context.argumentCount
    )
      options.expiry = { argument: ++i, unit };
    else throw syntaxError();
  }
  return options;
}

function set(context: CommandContext): void {
  const { reply, isResp3 } = context;
  context.assertValueFits(context.argumentLength(1));
  if (context.argumentCount === 2) {
    context.findForWrite(0);
    context.putString(1, 0);
    reply.simple('OK');
    return;
  }
  const options = readSetOptions(context);
  const { expiry } = options;
  const newExpiryMs = expiry ? absoluteExpiryMs(context, expiry.argument, expiry.unit, 'set') : 0;
  const isFound = context.findForWrite(0);
  if (options.isGet) {
    if (isFound) {
      context.requireString();
      context.replyString();
    } else reply.nil(isResp3);
  }
  if ((options.isNx && isFound) || (options.isXx && !isFound)) {
    if (!options.isGet) reply.nil(isResp3);
    return;
  }
  if (newExpiryMs !== 0 && newExpiryMs <= context.nowMs) {
    // A time that has passed already (EXAT, PXAT): the key would be gone at the next look.
    if (isFound) context.removeKey();
  } else context.putString(1, options.isKeepTtl && isFound ? context.recordExpiryMs : newExpiryMs);
  if (!options.isGet) reply.simple('OK');
}

function getdel(context: CommandContext): void {
  if (context.findForRemoval(0)) {
    context.requireString();
    context.replyString();
    context.removeKey();
  } else context.reply.nil(context.isResp3);
}

function mget(context: CommandContext): void {
  context.reply.array(context.argumentCount);
  for (let i = 0; i < context.argumentCount; i++) {
    if (context.find(i) && context.recordType === TYPE_STRING) context.replyString();
    else context.reply.nil(context.isResp3);
  }
}

function mset(context: CommandContext): void {
  if (context.argumentCount % 2 !== 0)
    throw new CommandError("ERR wrong number of arguments for 'mset' command");
  for (let i = 0; i < context.argumentCount; i += 2) {
    context.assertKeyFits(i);
    context.assertValueFits(context.argumentLength(i + 1));
  }
  for (let i = 0; i < context.argumentCount; i += 2) {
    context.findForWrite(i);
    context.putString(i + 1, 0);
  }
  context.reply.simple('OK');
}

/** INCR and its kin: replies the sum and writes it, keeping the expiry. */
function add(context: CommandContext, increment: number | bigint): void {
  const isFound = context.findForWrite(0);
  let old: number | bigint | null = 0;
  if (isFound) {
    context.requireString();
    old = readInteger(context.record, RECORD_HEADER_BYTES, context.recordLength);
    if (old === null) throw notAnInteger();
  }
  const sum = addInteger(old, increment);
  if (sum === null) throw new CommandError('ERR increment or decrement would overflow');
  const digits = String(sum);
  const { value } = context.writer;
  value.setStringHeader(isFound ? context.recordExpiryMs : 0);
  value.reserve(value.length + digits.length);
  for (let i = 0; i < digits.length; i++) value.bytes[value.length++] = digits.charCodeAt(i);
  context.putRecord();
  context.reply.integer(sum);
}

function readIncrement(context: CommandContext): number | bigint {
  const increment = readInteger(context.bytes, context.starts[1], context.ends[1]);
  if (increment === null) throw notAnInteger();
  return increment;
}

function decrby(context: CommandContext): void {
  const decrement = readIncrement(context);
  if (decrement === INT64_MIN) throw new CommandError('ERR decrement would overflow');
  add(context, -decrement);
}

function append(context: CommandContext): void {
  const { value } = context.writer;
  const addedLength = context.argumentLength(1);
  const isFound = context.findForWrite(0);
  if (isFound) context.requireString();
  const length = (isFound ? context.stringLength : 0) + addedLength;
  context.assertValueFits(length);
  value.setStringHeader(isFound ? context.recordExpiryMs : 0);
  if (isFound) value.append(context.record, RECORD_HEADER_BYTES, context.recordLength);
  value.append(context.bytes, context.starts[1], context.ends[1]);
  context.putRecord();
  context.reply.integer(length);
}

function strlen(context: CommandContext): void {
  const isFound = context.find(0);
  if (isFound && context.recordType !== TYPE_STRING) throw wrongType();
  context.reply.integer(isFound ? context.stringLength : 0);
}

export const STRING_COMMANDS: Readonly<Record<string, CommandHandler>> = {
  GET: get,
  SET: set,
  GETDEL: getdel,
  MGET: mget,
  MSET: mset,
  INCR: (context) => add(context, 1),
  INCRBY: (context) => add(context, readIncrement(context)),
  DECR: (context) => add(context, -1),
  DECRBY: decrby,
  APPEND: append,
  STRLEN: strlen,
};
