import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { hotRows } from '../../../../src/analyzer/patterns/hot-rows.ts';
import { HourOfWeekCounts, WatchedHours } from '../../../../src/analyzer/patterns/hour-of-week.ts';

const test = suite('hour of the week');
/** Monday 00:00 UTC. */
const MONDAY_MS = Date.UTC(2026, 0, 5);
const HOUR_MS = 3_600_000;

test('a sum of a hundred million goes on growing query by query', () => {
  const hours = new HourOfWeekCounts({ rowsMax: 4 });
  const before = 1e8;
  hours.add(0, 5, before);
  for (let i = 0; i < 1_000; i++) hours.add(0, 5, 1);
  check.is(hours.of(0)?.[5], before + 1_000);
});

test('weights that decay are added up as they are, beside a large sum', () => {
  const hours = new HourOfWeekCounts({ rowsMax: 4 });
  // Eight weeks at a half-life of four, 100,000 queries a week in one hour.
  let sum = 0;
  for (let week = 0; week < 8; week++)
    for (let i = 0; i < 100_000; i++) {
      const weight = 2 ** (week / 4 + i / 100_000 / 672);
      hours.add(0, 5, weight);
      sum += weight;
    }
  check.ok(Math.abs((hours.of(0)?.[5] ?? 0) / sum - 1) < 1e-9, `${hours.of(0)?.[5]}, not ${sum}`);
});

test('a busy pair goes on being told by its own profile', () => {
  const hours = new HourOfWeekCounts({ rowsMax: 4 });
  const watched = new WatchedHours();
  for (let hour = 0; hour < 168; hour++)
    watched.add({ startMs: MONDAY_MS + hour * HOUR_MS, windowMs: HOUR_MS }, 1);
  // Beyond 2^24 in one hour; the whole template is asked in all of them.
  const count = 3e7;
  hours.add(0, 9, 2 ** 24);
  for (let left = count - 2 ** 24; left > 0; left--) hours.add(0, 9, 1);
  const rowHours = new Float64Array(168).fill(1e6);
  const places = [{ row: 0, count, rowCount: 1.68e8, ownHours: hours.of(0), rowHours }];
  const found = hotRows(places, watched).get(0);
  check.ok(Math.abs((found?.[9] ?? 0) - count) < 1, `${found?.[9]}`);
  check.is(found?.[10], 0);
});

test.run();
