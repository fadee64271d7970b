/** Entries of a partition without their values, as they travel to the coordinator after a verification that failed. */
import { z } from 'zod';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { EntryFingerprint } from '../../../src/ports/storage-engine.ts';

const fingerprints = z.array(
  z.object({
    position: z.number().int().nonnegative(),
    keyDigest: z.string().max(64),
    valueDigest: z.string().max(64),
    expiryMs: z.number(),
    keyPrefix: z.string().max(256),
    keyHash: z.string().max(16),
  }),
);

/** JSON: this happens once in a broken migration, and people may want to read it on the wire. */
export const encodeFingerprints = (entries: readonly EntryFingerprint[]): Buffer =>
  Buffer.from(JSON.stringify(entries));

/** @throws ForeshardError FORESHARD_CORRUPT when the bytes are no list of fingerprints. */
export function decodeFingerprints(bytes: Uint8Array): EntryFingerprint[] {
  try {
    return fingerprints.parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch (cause) {
    throw new ForeshardError('FORESHARD_CORRUPT', 'retry', 'a list of entries cannot be read', { cause });
  }
}
