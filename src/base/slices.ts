import type { Clock } from './clock.ts';
import { ForeshardError } from './errors.ts';

/**
 * Long work that can rest: it yields wherever it may be left alone for a while, and returns its result at the end. Whoever
 * drives it decides how long to go on and what to do in between; it must not rely on anything that changes meanwhile.
 */
export type Sliced<Result> = Generator<undefined, Result, undefined>;

/** The result without a rest. */
export function atOnce<Result>(work: Sliced<Result>): Result {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

/** How long work goes on beside other work of its thread. */
export interface Pace {
  /** By which it rests; never if absent. */
  readonly clock?: Clock | undefined;
  /** Asked at every yield; once it is true, the work is left off. */
  isCancelled?(): boolean;
}

/** A tenth of the time within which a cancellation is to be heard; long beside the turn of the loop that a rest costs. */
const SLICE_MS = 1;

/**
 * Does the work a few milliseconds at a time; timers and messages have their turn in between.
 *
 * @throws ForeshardError FORESHARD_UNAVAILABLE when it was cancelled.
 */
export async function inSlices<Result>(work: Sliced<Result>, pace: Pace): Promise<Result> {
  const outcome = await untilCancelled(work, pace);
  if (outcome === CANCELLED) throw cancelled();
  return outcome;
}

/** @throws ForeshardError FORESHARD_UNAVAILABLE when it was cancelled. */
export function assertWanted(pace: Pace | undefined): void {
  if (pace?.isCancelled?.()) throw cancelled();
}

const cancelled = (): ForeshardError =>
  new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the work was cancelled');

export const CANCELLED = Symbol('cancelled');

/** {@link inSlices} where a cancellation is an outcome. */
export async function untilCancelled<Result>(
  work: Sliced<Result>,
  pace: Pace,
): Promise<Result | typeof CANCELLED> {
  const { clock } = pace;
  for (;;) {
    const startedMs = clock?.monotonicMs() ?? 0;
    do {
      if (pace.isCancelled?.()) return CANCELLED;
      const { done, value } = work.next();
      if (done === true) return value;
    } while (clock === undefined || clock.monotonicMs() - startedMs < SLICE_MS);
    await clock.sleep(0);
  }
}

/** Between two looks while others work, who may be kept from their processor for as long as they like. */
const LOOK_MS = 1;

/**
 * What is computed elsewhere, or that it is no longer wanted: it goes on then, nobody waits for it, and how it ends is of no
 * concern. Without a clock nobody looks.
 */
export async function unlessLeft<Result>(
  work: Promise<Result>,
  { clock, isCancelled }: Pace,
): Promise<Result | typeof CANCELLED> {
  if (clock === undefined) return work;
  const ended = new AbortController();
  let isEnded = false;
  const end = (): void => {
    isEnded = true;
    ended.abort();
  };
  const ending = work.then(end, end);
  for (;;) {
    await Promise.race([ending, clock.sleep(LOOK_MS, ended.signal)]);
    if (isEnded) return work;
    if (isCancelled?.()) return CANCELLED;
  }
}

/** The work, which goes on resting, and is left off at the first rest at which the answer is yes. */
export function* unlessCancelled<Result>(
  work: Sliced<Result>,
  isCancelled: (() => boolean) | undefined,
): Sliced<Result | typeof CANCELLED> {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    if (isCancelled?.()) return CANCELLED;
    yield;
  }
}

/** In slices where there is a pace, else at once. */
export const paced = async <Result>(work: Sliced<Result>, pace: Pace | undefined): Promise<Result> =>
  pace === undefined ? atOnce(work) : inSlices(work, pace);
