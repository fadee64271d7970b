import { type ErrorCode, ForeshardError, InvariantError, type Remedy } from '../base/errors.ts';

/**
 * An error on its way between threads: structured clone would strip the class and with it the meaning.
 */
export type Failure =
  | {
      readonly kind: 'foreshard';
      readonly code: ErrorCode;
      readonly remedy: Remedy;
      readonly message: string;
    }
  | { readonly kind: 'invariant'; readonly message: string };

export function failureOf(error: unknown): Failure {
  if (error instanceof ForeshardError)
    return { kind: 'foreshard', code: error.code, remedy: error.remedy, message: error.message };
  // Anything else a kernel job throws (a Wasm trap, a TypeError) is our own bug.
  return { kind: 'invariant', message: error instanceof Error ? error.message : String(error) };
}

export function errorOf(failure: Failure): Error {
  if (failure.kind === 'foreshard') return new ForeshardError(failure.code, failure.remedy, failure.message);
  return new InvariantError(failure.message);
}
