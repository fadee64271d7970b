/** Hours of the week of several processes, living and gone, as one. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { latestHours, rememberedHours } from '../../../../plugin/host/records/latest-hours.ts';
import {
  decodeQueryHours,
  encodeQueryHours,
  PUBLISHED_HOURS_TYPES_MAX,
  type QueryHoursRecord,
} from '../../../../plugin/host/records/query-hours-record.ts';
import { HOURS_PER_WEEK } from '../../../../src/analyzer/patterns/hour-of-week.ts';

const test = suite('hours of the week of several processes');
const HOUR_MS = 3_600_000;
const WEEK_MS = HOURS_PER_WEEK * HOUR_MS;
/** A Monday, 00:00 UTC. */
const MONDAY_MS = Date.UTC(2026, 0, 5);
const NINE = 9;

/** A process that was asked `rates` queries an hour, by hour of the week, until so many hours after the first Monday. */
function told(
  rates: Readonly<Record<number, number>>,
  untilHour: number,
  template = 'get',
): QueryHoursRecord {
  const hours = new Float64Array(HOURS_PER_WEEK);
  for (const [hour, rate] of Object.entries(rates)) hours[Number(hour)] = rate;
  const watched = Array.from({ length: HOURS_PER_WEEK }, (_, hour) => (hour in rates ? '1' : '0')).join('');
  const about = { atMs: MONDAY_MS + untilHour * HOUR_MS, windowMs: HOUR_MS, halfLifeMs: WEEK_MS, watched };
  return decodeQueryHours('k', encodeQueryHours([{ template, hours }], about));
}

const rateAt = (records: readonly QueryHoursRecord[], hour: number): number =>
  latestHours(records).types.reduce((sum, { hours }) => sum + (hours[hour] as number), 0);

test('processes that watched the same hour are added up, those of an earlier week give way', () => {
  const [left, right] = [told({ [NINE]: 100 }, 10), told({ [NINE]: 50 }, 11)];
  check.is(rateAt([left, right], NINE), 150, 'both on Monday, one has published an hour less');
  const nextWeek = told({ [NINE]: 70 }, HOURS_PER_WEEK + 12);
  check.is(rateAt([left, right, nextWeek], NINE), 70);
  const notThen = told({ 10: 70 }, HOURS_PER_WEEK + 12);
  check.is(rateAt([left, right, notThen], NINE), 150, 'of that hour nobody has told since');
  check.is(rateAt([left, right, notThen], 10), 70);
});

test('an application that is started anew each day is known by all its days, however they are added up', () => {
  const days = Array.from({ length: 10 }, (_, day) => {
    const hour = (day * 24 + NINE) % HOURS_PER_WEEK;
    return told({ [hour]: 100 + day }, day * 24 + 24);
  });
  const atOnce = rememberedHours(days);
  const oneByOne = days
    .slice(1)
    .reduce((memory, day) => rememberedHours([memory, day]), rememberedHours(days.slice(0, 1)));
  for (const memory of [atOnce, oneByOne]) {
    check.is([...memory.watched].filter((digit) => digit === '1').length, 7);
    for (let day = 0; day < 7; day++) {
      // Three days of the second week have taken the place of those of the first.
      const expected = 100 + (day < 3 ? day + 7 : day);
      check.ok(Math.abs(rateAt([memory], day * 24 + NINE) - expected) < 1, `day ${day}`);
    }
  }
  const living = told({ [NINE]: 500 }, 14 * 24 + 12);
  check.is(Math.round(rateAt([atOnce, living], NINE)), 500);
  check.ok(Math.abs(rateAt([atOnce, living], 24 + NINE) - 108) < 1, 'what it has not seen yet is remembered');
});

test('what is remembered stays small: the largest types, and the rest together', () => {
  const many = Array.from({ length: 100 }, (_, i) => told({ [NINE]: i + 1 }, 10, `type ${i}`));
  const memory = rememberedHours(many);
  check.is(memory.types.length, PUBLISHED_HOURS_TYPES_MAX + 1);
  check.is(memory.types.at(-1)?.template, '(other)');
  check.ok(Math.abs(rateAt([memory], NINE) - 5_050) < 5);
});

test.run();
