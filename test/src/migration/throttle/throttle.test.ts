import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { Throttle } from '../../../../src/migration/throttle/throttle.ts';

const test = suite('throttle');

test('holds the rate, and lets what was saved up through at once', () => {
  const clock = new VirtualClock();
  const throttle = new Throttle(1_000, clock);
  throttle.spend(50); // what a twentieth of a second saves up
  check.is(throttle.debtMs(), 0);
  throttle.spend(500);
  check.is(throttle.debtMs(), 500);
  clock.advanceTo(499);
  check.ok(Math.abs(throttle.debtMs() - 1) < 1e-9);
  clock.advanceTo(500);
  check.is(throttle.debtMs(), 0);
  clock.advanceTo(10_000);
  throttle.spend(100);
  check.is(throttle.debtMs(), 50, 'a rest of ten seconds saves up no more than a twentieth of one');
});

test('a debt is paid at the rate of the day; at 0 never', () => {
  const clock = new VirtualClock();
  const throttle = new Throttle(1_000, clock);
  throttle.spend(1_050);
  throttle.setRate(2_000);
  check.is(throttle.debtMs(), 500);
  throttle.setRate(0);
  check.is(throttle.debtMs(), Number.POSITIVE_INFINITY);
  throttle.setRate(100);
  check.is(throttle.debtMs(), 10_000);
});

test.run();
