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
