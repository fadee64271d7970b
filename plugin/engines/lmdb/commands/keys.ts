import { TYPE_NAMES } from '../record.ts';
import { type CommandContext, CommandError, type CommandHandler } from './command-context.ts';
import { type ExpiryUnit, signedExpiryMs } from './expiry-argument.ts';

function del(context: CommandContext): void {
  let removed = 0;
  for (let i = 0; i < context.argumentCount; i++) {
    if (!context.findForRemoval(i)) continue;
    context.removeKey();
    removed++;
  }
  context.reply.integer(removed);
}

function exists(context: CommandContext): void {
  let found = 0;
  for (let i = 0; i < context.argumentCount; i++) if (context.find(i)) found++;
  context.reply.integer(found);
}

function type(context: CommandContext): void {
  context.reply.simple(context.find(0) ? TYPE_NAMES[context.recordType] : 'none');
}

interface ExpireOptions {
  readonly isNx: boolean;
  readonly isXx: boolean;
  readonly isGt: boolean;
  readonly isLt: boolean;
}

function readExpireOptions(context: CommandContext): ExpireOptions {
  const words = new Set<string>();
  for (let i = 2; i < context.argumentCount; i++) {
    const word = context.text(i).toUpperCase();
    if (!['NX', 'XX', 'GT', 'LT'].includes(word))
      throw new CommandError(`ERR Unsupported option ${context.text(i)}`);
    words.add(word);
  }
  const options = {
    isNx: words.has('NX'),
    isXx: words.has('XX'),
    isGt: words.has('GT'),
    isLt: words.has('LT'),
  };
  if (options.isNx && (options.isXx || options.isGt || options.isLt))
    throw new CommandError('ERR NX and XX, GT or LT options at the same time are not compatible');
  if (options.isGt && options.isLt)
    throw new CommandError('ERR GT and LT options at the same time are not compatible');
  return options;
}

/** @param nowExpiryMs 0 for a key that never expires: later than any time, to GT and LT. */
function isExpireAllowed(options: ExpireOptions, nowExpiryMs: number, newExpiryMs: number): boolean {
  if (options.isNx && nowExpiryMs !== 0) return false;
  if (options.isXx && nowExpiryMs === 0) return false;
  if (options.isGt && (nowExpiryMs === 0 || newExpiryMs <= nowExpiryMs)) return false;
  return !(options.isLt && nowExpiryMs !== 0 && newExpiryMs >= nowExpiryMs);
}

function expire(context: CommandContext, unit: ExpiryUnit, commandName: string): void {
  const options = readExpireOptions(context);
  const expiryMs = signedExpiryMs(context, 1, unit, commandName);
  const isAllowed = context.findForRemoval(0) && isExpireAllowed(options, context.recordExpiryMs, expiryMs);
  if (isAllowed && expiryMs <= context.nowMs) context.removeKey();
  else if (isAllowed) context.putExpiry(expiryMs);
  context.reply.integer(isAllowed ? 1 : 0);
}

/** -2 without a key, -1 without an expiry. */
function remainingMs(context: CommandContext): number {
  if (!context.find(0)) return -2;
  return context.recordExpiryMs === 0 ? -1 : Math.max(0, context.recordExpiryMs - context.nowMs);
}

function ttl(context: CommandContext): void {
  const remaining = remainingMs(context);
  context.reply.integer(remaining < 0 ? remaining : Math.floor((remaining + 500) / 1000));
}

function persist(context: CommandContext): void {
  const isExpiring = context.findForRemoval(0) && context.recordExpiryMs !== 0;
  if (isExpiring) context.putExpiry(0);
  context.reply.integer(isExpiring ? 1 : 0);
}

export const KEY_COMMANDS: Readonly<Record<string, CommandHandler>> = {
  DEL: del,
  UNLINK: del,
  EXISTS: exists,
  TYPE: type,
  EXPIRE: (context) => expire(context, { factor: 1000, isRelative: true }, 'expire'),
  PEXPIRE: (context) => expire(context, { factor: 1, isRelative: true }, 'pexpire'),
  TTL: ttl,
  PTTL: (context) => context.reply.integer(remainingMs(context)),
  PERSIST: persist,
};
