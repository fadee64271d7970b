import { ForeshardError } from '../../../src/base/errors.ts';

/** Records for people and the command line: JSON in a metadata value. */
export const encodeRecord = (record: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(record));

/**
 * @param isKnown whether it is of a version and shape that this program writes.
 * @throws ForeshardError FORESHARD_CORRUPT naming the key when it cannot be read.
 */
export function decodeRecord<R>(key: string, bytes: Uint8Array, isKnown: (record: R) => boolean): R {
  let record: R | null;
  try {
    record = JSON.parse(new TextDecoder().decode(bytes)) as R | null;
  } catch (cause) {
    throw new ForeshardError('FORESHARD_CORRUPT', 'report', `${key} cannot be read`, { cause });
  }
  if (record !== null && isKnown(record)) return record;
  throw new ForeshardError('FORESHARD_CORRUPT', 'report', `${key} is of an unknown version`);
}
