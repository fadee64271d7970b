import { suite } from 'uvu';
import * as check from 'uvu/assert';

import { systemClock } from '../../../src/base/clock.ts';
import { atOnce, inSlices, type Sliced } from '../../../src/base/slices.ts';

const test = suite('work in slices');

/** So many steps of a millisecond each. */
function* busy(steps: number): Sliced<number> {
  for (let step = 0; step < steps; step++) {
    const startedMs = performance.now();
    while (performance.now() - startedMs < 1);
    yield;
  }
  return steps;
}

test('others have their turn while long work is done, and the result is the same as without rests', async () => {
  let turns = 0;
  const turn = (): void => {
    turns++;
    immediate = setImmediate(turn);
  };
  let immediate = setImmediate(turn);
  const result = await inSlices(busy(40), { clock: systemClock() });
  clearImmediate(immediate);
  check.is(result, atOnce(busy(40)));
  check.ok(turns >= 3, `${turns} turns in 40 ms`);
});

test('what the work throws comes out', async () => {
  function* broken(): Sliced<never> {
    yield;
    throw new RangeError('as expected');
  }
  let said = '';
  await inSlices(broken(), { clock: systemClock() }).catch((error: Error) => {
    said = error.message;
  });
  check.is(said, 'as expected');
});

test.run();
