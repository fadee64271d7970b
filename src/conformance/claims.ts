/** How a case says what has to be so. A framework of its own would be asked of every adapter's author. */
import type { Clock } from '../base/clock.ts';
import { type ErrorCode, ForeshardError } from '../base/errors.ts';

/** An adapter does not do what its port says. */
export class ConformanceFailure extends Error {
  override readonly name = 'ConformanceFailure';
}

export function claim(holds: boolean, what: string): asserts holds {
  if (!holds) throw new ConformanceFailure(what);
}

export function claimEqual(found: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  claim(a === b, `${what}: found ${a}, expected ${b}`);
}

/** The request is refused by an error of this project, whose code is one of these. */
export async function claimRefused(
  request: Promise<unknown>,
  codes: readonly ErrorCode[],
  what: string,
): Promise<void> {
  const outcome = await request.then(
    () => 'it was accepted',
    (error: unknown) => (error instanceof ForeshardError ? error.code : String(error)),
  );
  claim(
    (codes as readonly string[]).includes(outcome),
    `${what}: ${outcome}, expected ${codes.join(' or ')}`,
  );
}

export interface Patience {
  readonly clock: Clock;
  /** How long an adapter may take to come to something. */
  readonly patienceMs: number;
}

const LOOK_MS = 5;

/** Asks until something is so. @throws ConformanceFailure when it takes too long. */
export async function eventually(
  { clock, patienceMs }: Patience,
  isSo: () => Promise<boolean>,
  what: string | (() => string),
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + patienceMs;
  while (!(await isSo())) {
    if (clock.monotonicMs() > deadlineMs)
      throw new ConformanceFailure(
        `not within ${patienceMs} ms: ${typeof what === 'string' ? what : what()}`,
      );
    await clock.sleep(LOOK_MS);
  }
}

/** What a request comes to. @throws ConformanceFailure when it takes too long; whatever the request throws. */
export async function within<T>(
  { clock, patienceMs }: Patience,
  request: Promise<T>,
  what: string,
): Promise<T> {
  const answered = new AbortController();
  const late = clock.sleep(patienceMs, answered.signal).then((): never => {
    throw new ConformanceFailure(`not within ${patienceMs} ms: ${what}`);
  });
  try {
    return await Promise.race([request, late]);
  } finally {
    // Its sleep ends here, and the failure that nobody waits for with it.
    late.catch(() => {});
    answered.abort();
  }
}
