import { ForeshardError } from './errors.ts';

/** A claim over settings that does not hold. */
export interface Inconsistency {
  /** Of the setting that is to be changed, such as `capture.ringSlots`. */
  readonly path: string;
  /** Completes "it must be …". */
  readonly expected: string;
}

/** What a number may be, bounds included. */
export interface Range {
  readonly min: number;
  readonly max: number;
  readonly isInteger: boolean;
}

export const integerFrom = (min: number, max: number): Range => ({ min, max, isInteger: true });
export const numberFrom = (min: number, max: number): Range => ({ min, max, isInteger: false });

/** @param ranges by path below `section`, such as `ridge.lambda`. */
export function outOfRange(section: object, ranges: Readonly<Record<string, Range>>): Inconsistency[] {
  const found: Inconsistency[] = [];
  for (const [path, { min, max, isInteger }] of Object.entries(ranges)) {
    const value = valueAt(section, path);
    const isInRange = typeof value === 'number' && value >= min && value <= max;
    if (!isInRange || (isInteger && !Number.isInteger(value)))
      found.push({ path, expected: `${isInteger ? 'an integer' : 'a number'} from ${min} to ${max}` });
  }
  return found;
}

/**
 * For a room that is handed its settings by code: the operator's were checked, with file and line, when they were loaded.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming every setting that does not hold.
 */
export function assertConsistent(section: string, found: readonly Inconsistency[]): void {
  if (found.length === 0) return;
  const claims = found.map(({ path, expected }) => `${section}.${path} must be ${expected}`);
  throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', claims.join('; '));
}

function valueAt(section: object, path: string): unknown {
  let at: unknown = section;
  for (const key of path.split('.')) at = (at as Readonly<Record<string, unknown>> | undefined)?.[key];
  return at;
}
