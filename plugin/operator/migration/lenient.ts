import { ForeshardError } from '../../../src/base/errors.ts';

/** A record that is not valid must not hide the others from people. */
export function orNothing<T>(decode: () => T): T[] {
  try {
    return [decode()];
  } catch (error) {
    if (!(error instanceof ForeshardError)) throw error;
    return [];
  }
}
