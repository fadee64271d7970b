import { InvariantError } from './errors.ts';

/**
 * States what *we* guarantee. A failure is our bug, never the world's: bad input is a {@link ForeshardError}.
 *
 * @throws InvariantError when `claim` is false.
 */
export function assert(claim: unknown, guarantee: string): asserts claim {
  if (!claim) throw new InvariantError(guarantee);
}
