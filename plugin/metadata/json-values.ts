import { z } from 'zod';
import { ForeshardError } from '../../src/base/errors.ts';

export const encodeJson = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** @throws ForeshardError FORESHARD_CORRUPT saying what is wrong with `what`. */
export function decodeJson<T>(schema: z.ZodType<T>, what: string, bytes: Uint8Array): T {
  try {
    return schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (cause) {
    const detail = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new ForeshardError('FORESHARD_CORRUPT', 'report', `${what} is not valid: ${detail}`, { cause });
  }
}

/** A record that is not valid must not hide the others: `[]` for it. */
export function orNothing<T>(decode: () => T): T[] {
  try {
    return [decode()];
  } catch (error) {
    if (!(error instanceof ForeshardError)) throw error;
    return [];
  }
}
