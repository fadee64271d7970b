import { inspect } from 'node:util';
import { InvariantError } from '../../src/base/errors.ts';

/** Tells our own bug, which detaches the plugin, from what the world did, which is answered or tried again. */
export const isOwnBug = (error: unknown): boolean =>
  !(error instanceof Error) ||
  error instanceof InvariantError ||
  error instanceof TypeError ||
  error instanceof RangeError ||
  error instanceof ReferenceError;

/** A fault as a log line may hold it, whatever was thrown. */
export function describeFault(fault: unknown): {
  readonly fault: string;
  readonly stack?: string | undefined;
} {
  if (fault instanceof Error) return { fault: fault.message, stack: fault.stack };
  // String() throws on some values; this is the last place that may.
  return { fault: inspect(fault, { depth: 1 }) };
}
