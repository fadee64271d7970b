import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { asMoment, gapText } from '../../../plugin/operator/units-text.ts';

const test = suite('units in text');

test('a moment that is near is told to the second', () => {
  const atMs = Date.UTC(2026, 0, 1, 13, 0, 7);
  check.is(asMoment(atMs, atMs - 7_000), '2026-01-01 13:00:07 UTC');
  check.is(asMoment(atMs, atMs + 7_000), '2026-01-01 13:00:07 UTC', 'also what has just passed');
  check.is(asMoment(atMs, atMs - 3_600_000), '2026-01-01 13:00 UTC');
});

test('a gap of more than the bound itself is told as a multiple of it', () => {
  check.is(gapText(0.041), 'at most 4.1 % above the best');
  check.is(gapText(1), 'at most 100.0 % above the best');
  check.is(gapText(32.8), '33.8 times that bound, which may be weak');
});

test.run();
