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

test('works that share a thread let others have their turn as often as one alone', async () => {
  const mostBetweenTurnsMs = async (works: number): Promise<number> => {
    let nowMs = 0;
    const clock = { ...systemClock(), monotonicMs: () => nowMs };
    function* steps(): Sliced<void> {
      for (let step = 0; step < 40; step++) {
        nowMs++;
        yield;
      }
    }
    let turnedMs = 0;
    let most = 0;
    const turn = (): void => {
      most = Math.max(most, nowMs - turnedMs);
      turnedMs = nowMs;
      immediate = setImmediate(turn);
    };
    let immediate = setImmediate(turn);
    const all = Array.from({ length: works }, () => clock.sleep(0).then(() => inSlices(steps(), { clock })));
    await Promise.all(all);
    clearImmediate(immediate);
    return most;
  };
  const alone = await mostBetweenTurnsMs(1);
  check.ok(alone >= 1 && alone < 10, `${alone} ms`);
  check.is(await mostBetweenTurnsMs(8), alone);
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
