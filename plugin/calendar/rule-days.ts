import ICAL from 'ical.js';
import type { EventRule, Recurrence } from './event-rule.ts';
import { DAY_MS, momentOf, type Reading, utcClock, type WallClock } from './wall-clock.ts';

type Recur = InstanceType<typeof ICAL.Recur>;
type Time = InstanceType<typeof ICAL.Time>;

export const localMsOf = ({ year, month, day, hour, minute, second, isDate }: Time): number =>
  isDate ? Date.UTC(year, month - 1, day) : Date.UTC(year, month - 1, day, hour, minute, second);

export const isUtc = (time: Time): boolean => time.zone?.tzid === 'UTC';

/**
 * Splits a rule into its days and its end. The end is looked for here: it may be written in UTC while the days are local.
 *
 * @param floating the clock of an end that names no zone.
 */
export function recurrenceOf(recur: Recur, floating: WallClock): Recurrence {
  const { until, count } = recur;
  const endless = recur.clone();
  endless.until = null;
  endless.count = null;
  return {
    recur: endless,
    until: until
      ? { localMs: localMsOf(until), isDay: until.isDate, clock: isUtc(until) ? utcClock : floating }
      : null,
    count: count ?? null,
  };
}

export interface RuleDay {
  readonly start: Reading;
  /** False for a day that the parser took for one that does not exist, such as 1 March for a 29 February. */
  readonly isMeant: boolean;
}

/** Where a rule lets an event begin, by time; without end for a rule without end. */
export function* ruleDays(
  start: Reading,
  { recur, until, count }: Recurrence,
): Generator<RuleDay, undefined> {
  const iterator = recur.iterator(timeOf(start));
  const isMeant = dayFilter(recur, start);
  let given = 0;
  for (let time = iterator.next(); time; time = iterator.next()) {
    const day = { start: { ...start, localMs: localMsOf(time) }, isMeant: isMeant(localMsOf(time)) };
    if (until !== null && isAfter(day.start, until)) return undefined;
    yield day;
    if (day.isMeant && ++given === count) return undefined;
  }
  return undefined;
}

/**
 * The first day of the rules of an event that does not begin on one of them.
 *
 * @param untilMs looked for so far: some rules have no day at all.
 * @returns undefined where it begins on one, has no rule, or none of its days is found.
 */
export function firstBesideStart({ start, recurrences }: EventRule, untilMs: number): Reading | undefined {
  const firsts = recurrences.flatMap((recurrence) => {
    for (const day of ruleDays(start, recurrence)) {
      if (day.isMeant) return [day.start];
      if (momentOf(day.start) > untilMs) return [];
    }
    return [];
  });
  if (firsts.some(({ localMs }) => localMs === start.localMs)) return undefined;
  return firsts.sort((a, b) => a.localMs - b.localMs)[0];
}

/** A day is with all that begins on it. */
const isAfter = (reading: Reading, until: Reading): boolean =>
  until.isDay ? dayOf(reading) > until.localMs : momentOf(reading) > momentOf(until);

export const dayOf = ({ localMs }: Reading): number => Math.floor(localMs / DAY_MS) * DAY_MS;

function timeOf({ localMs, isDay }: Reading): Time {
  const date = new Date(localMs);
  return new ICAL.Time(
    {
      year: date.getUTCFullYear(),
      month: date.getUTCMonth() + 1,
      day: date.getUTCDate(),
      hour: date.getUTCHours(),
      minute: date.getUTCMinutes(),
      second: date.getUTCSeconds(),
      isDate: isDay,
    } as never,
    ICAL.Timezone.localTimezone as never,
  );
}

/** RFC 5545, 3.3.10: a day that a month does not have is passed over. The parser goes on into the next month. */
function dayFilter({ freq, parts }: Recur, start: Reading): (localMs: number) => boolean {
  const given = parts as Readonly<Record<string, readonly number[] | undefined>>;
  const hasDays = ['BYDAY', 'BYMONTHDAY', 'BYYEARDAY', 'BYWEEKNO'].some((part) => given[part] !== undefined);
  const first = new Date(start.localMs);
  const isImplied = freq === 'YEARLY' && !hasDays;
  const months = given.BYMONTH ?? (isImplied ? [first.getUTCMonth() + 1] : undefined);
  const days = given.BYMONTHDAY ?? (isImplied ? [first.getUTCDate()] : undefined);
  return (localMs) => {
    const date = new Date(localMs);
    const [month, day] = [date.getUTCMonth() + 1, date.getUTCDate()];
    const fromEnd = day - 1 - new Date(Date.UTC(date.getUTCFullYear(), month, 0)).getUTCDate();
    return (months?.includes(month) ?? true) && (days?.some((one) => one === day || one === fromEnd) ?? true);
  };
}
