import { setImmediate } from 'node:timers/promises';
import type { Sliced } from '../../src/base/slices.ts';

/** Short beside the 50 ms between two drains of the ring, long beside the turn of the loop that a rest costs. */
const SLICE_MS = 5;

/** Does the work a few milliseconds at a time; timers and messages have their turn in between. */
export async function inSlices<Result>(work: Sliced<Result>): Promise<Result> {
  for (;;) {
    const startedMs = performance.now();
    do {
      const { done, value } = work.next();
      if (done === true) return value;
    } while (performance.now() - startedMs < SLICE_MS);
    await setImmediate();
  }
}
