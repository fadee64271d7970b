import { ForeshardError } from '../base/errors.ts';

/** Numbers that are kept over a restart: plain data that msgpackr keeps exactly. */
export type SavedNumbers = Float64Array | Float32Array | Int32Array;

/**
 * Writes what was saved over what is there.
 *
 * @throws ForeshardError FORESHARD_CORRUPT when there is another number of them.
 */
export function restoreInto(target: SavedNumbers, saved: unknown, what: string): void {
  const numbers = saved as ArrayLike<number> | undefined;
  if (numbers?.length !== target.length)
    throw new ForeshardError(
      'FORESHARD_CORRUPT',
      'restart',
      `forecast checkpoint: ${what} has ${numbers?.length} numbers, ${target.length} are needed`,
    );
  target.set(numbers);
}
