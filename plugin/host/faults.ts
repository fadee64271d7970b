import { InvariantError } from '../../src/base/errors.ts';

/** Tells our own bug, which detaches the plugin, from what the world did, which is answered or tried again. */
export const isOwnBug = (error: unknown): boolean =>
  !(error instanceof Error) ||
  error instanceof InvariantError ||
  error instanceof TypeError ||
  error instanceof RangeError ||
  error instanceof ReferenceError;
