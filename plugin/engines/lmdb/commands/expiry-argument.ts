import { readInteger } from '../integers.ts';
import { type CommandContext, CommandError, notAnInteger } from './command-context.ts';

export interface ExpiryUnit {
  /** Milliseconds of one unit. */
  readonly factor: 1 | 1000;
  readonly isRelative: boolean;
}

/** Redis computes in int64 milliseconds; a double reaches as far, only coarser beyond 285,000 years. */
const INT64_LIMIT = 2 ** 63;

/**
 * Reads a time argument as SET does, where zero and less are refused.
 *
 * @returns milliseconds since 1970.
 */
export function absoluteExpiryMs(
  context: CommandContext,
  argument: number,
  unit: ExpiryUnit,
  commandName: string,
): number {
  const expiryMs = signedExpiryMs(context, argument, unit, commandName);
  const given = Number(readInteger(context.bytes, context.starts[argument], context.ends[argument]));
  if (given <= 0) throw invalidExpiry(commandName);
  return expiryMs;
}

/** Reads a time argument as EXPIRE does, where the past is allowed: the key goes at once. */
export function signedExpiryMs(
  context: CommandContext,
  argument: number,
  unit: ExpiryUnit,
  commandName: string,
): number {
  const value = readInteger(context.bytes, context.starts[argument], context.ends[argument]);
  if (value === null) throw notAnInteger();
  const baseMs = unit.isRelative ? context.nowMs : 0;
  const expiryMs = Number(value) * unit.factor + baseMs;
  if (expiryMs >= INT64_LIMIT || Number(value) * unit.factor < -INT64_LIMIT) throw invalidExpiry(commandName);
  return expiryMs;
}

const invalidExpiry = (commandName: string): CommandError =>
  new CommandError(`ERR invalid expire time in '${commandName}' command`);
