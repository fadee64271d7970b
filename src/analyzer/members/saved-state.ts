import { ForeshardError } from '../../base/errors.ts';
import type { MemberState, MemberStateValue } from './member.ts';

type Numbers = Float64Array | Float32Array | Int32Array;

/**
 * Reads what a member has saved, part by part: whatever is missing or malformed is a FORESHARD_CORRUPT that names the part.
 *
 * A member reads all parts before it writes the first one: a state that is refused leaves it as it was.
 */
export class SavedState {
  readonly #path: string;
  readonly #state: MemberState;

  /** @param member its name, for the error. */
  constructor(member: string, state: MemberStateValue | undefined) {
    this.#path = member;
    if (!isPlain(state)) throw corrupt(member, 'is no saved state');
    this.#state = state;
  }

  /** Numbers of the same type and length as `like`, of which each is finite unless `isValid` says what it may be. */
  numbersLike<N extends Numbers>(name: string, like: N, isValid?: (value: number) => boolean): N {
    return this.numbers(name, like.constructor as new (length: number) => N, like.length, isValid);
  }

  /** @param count how many; undefined: as many as there are. */
  numbers<N extends Numbers>(
    name: string,
    type: new (length: number) => N,
    count: number | undefined,
    isValid: (value: number) => boolean = Number.isFinite,
  ): N {
    const value = this.#state[name];
    if (!(value instanceof type)) throw this.corrupt(name, `is no ${type.name}`);
    const numbers: Numbers = value;
    if (count !== undefined && numbers.length !== count)
      throw this.corrupt(name, `has ${numbers.length} numbers, ${count} are expected`);
    // By index: findIndex costs three times as much on megabytes of moments.
    for (let i = 0; i < numbers.length; i++)
      if (!isValid(numbers[i] as number)) throw this.corrupt(name, `is ${numbers[i]} at ${i}`);
    return value;
  }

  /** A whole number from `min` to `max`. */
  integer(name: string, min: number, max: number): number {
    const value = this.#state[name];
    if (!isIntegerWithin(value, min, max))
      throw this.corrupt(name, `is ${String(value)}, a whole number from ${min} to ${max} is expected`);
    return value;
  }

  /** A list of saved states, of one of these lengths. */
  list(name: string, counts: readonly number[]): SavedState[] {
    const value = this.#state[name];
    if (!Array.isArray(value) || !counts.includes(value.length))
      throw this.corrupt(name, `is no list of ${counts.join(' or ')}`);
    return value.map(
      (part: MemberStateValue, index) => new SavedState(`${this.#path}, ${name} ${index}`, part),
    );
  }

  /** The error that a part is not what it should be, for checks of a member's own. */
  corrupt(name: string, why: string): ForeshardError {
    return corrupt(this.#path, `${name} ${why}`);
  }
}

/** Whether a number is whole and within bounds: what labels, counts and windows are. */
export const isIntegerWithin = (value: unknown, min: number, max: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;

const isPlain = (value: MemberStateValue | undefined): value is MemberState =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);

const corrupt = (path: string, why: string): ForeshardError =>
  new ForeshardError('FORESHARD_CORRUPT', 'restart', `saved state of forecast member ${path}: ${why}`);
