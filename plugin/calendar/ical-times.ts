import ICAL from 'ical.js';
import { isTimeZone } from '../logs/zone-offset.ts';
import { calendarError, shown } from './calendar-error.ts';
import { type EventLength, lengthBetween } from './event-rule.ts';
import { isUtc, localMsOf } from './rule-days.ts';
import { DAY_MS, type Reading, utcClock, type WallClock, zoneClock } from './wall-clock.ts';

type Component = InstanceType<typeof ICAL.Component>;
type Property = InstanceType<typeof ICAL.Property>;
type Time = InstanceType<typeof ICAL.Time>;

/** Reads the times of one VCALENDAR, each in the zone that it names. */
export class IcalTimes {
  readonly #root: Component;
  readonly #clocks = new Map<string, WallClock>();

  constructor(root: Component) {
    this.#root = root;
  }

  /** When an event begins, and how long it is. */
  spanOf(where: string, component: Component): { start: Reading; length: EventLength } {
    const [start] = this.readings(where, component, 'dtstart');
    if (start === undefined) throw calendarError(where, 'no DTSTART: say when it begins');
    const [end] = this.readings(where, component, 'dtend');
    if (end !== undefined) return { start, length: lengthBetween(start, end) };
    const duration = component.getFirstPropertyValue('duration');
    if (duration instanceof ICAL.Duration) return { start, length: lengthOf(duration) };
    return { start, length: { clockMs: start.isDay ? DAY_MS : 0, exactMs: 0 } };
  }

  /** @returns all values of all properties of that name. */
  readings(where: string, component: Component, name: string): Reading[] {
    return component.getAllProperties(name).flatMap((property) => {
      assertDates(where, name, property);
      return property.getValues().map((value) => this.#readingOf(where, property, value as Time));
    });
  }

  /** RDATE, which must be of the kind that DTSTART is. */
  dates(where: string, component: Component, start: Reading): Reading[] {
    const dates = this.readings(where, component, 'rdate');
    if (dates.some(({ isDay }) => isDay !== start.isDay))
      throw calendarError(where, 'RDATE and DTSTART must both be days, or both have a time of day');
    return dates;
  }

  #readingOf(where: string, property: Property, time: Time): Reading {
    const zone = property.getFirstParameter('tzid') ?? null;
    const clock = isUtc(time) ? utcClock : this.#clockOf(where, zone);
    return { localMs: localMsOf(time), isDay: time.isDate, clock };
  }

  #clockOf(where: string, zone: string | null): WallClock {
    const name = String(zone ?? this.#root.getFirstPropertyValue('x-wr-timezone') ?? 'UTC');
    const known = this.#clocks.get(name);
    if (known !== undefined) return known;
    const clock = isTimeZone(name) ? zoneClock(name) : this.#ownClock(where, name);
    this.#clocks.set(name, clock);
    return clock;
  }

  /** Some programs have names of their own for zones, and define them in the file. */
  #ownClock(where: string, name: string): WallClock {
    const component = this.#root
      .getAllSubcomponents('vtimezone')
      .find((own) => own.getFirstPropertyValue('tzid') === name);
    if (component === undefined)
      throw calendarError(
        where,
        `unknown time zone ${shown(name)}: use an IANA name such as Europe/Berlin, or put its VTIMEZONE into the file`,
      );
    const own = new ICAL.Timezone({ component, tzid: name });
    return (localMs) => {
      const time = ICAL.Time.fromJSDate(new Date(localMs), true);
      time.zone = own;
      return time.toUnixTime() * 1000;
    };
  }
}

/** RFC 5545, 3.3.6: weeks and days are those of the calendar, hours those that pass. */
function lengthOf({
  weeks,
  days,
  hours,
  minutes,
  seconds,
  isNegative,
}: InstanceType<typeof ICAL.Duration>): EventLength {
  const sign = isNegative ? -1 : 1;
  return {
    clockMs: sign * (7 * weeks + days) * DAY_MS,
    exactMs: sign * (hours * 3_600 + minutes * 60 + seconds) * 1_000,
  };
}

/** The parser turns the 99th of month 13 into some other day without a word. */
function assertDates(where: string, name: string, property: Property): void {
  const label = name.toUpperCase();
  const [, , type, ...values] = property.jCal as unknown[];
  if (type === 'period')
    throw calendarError(where, `${label};VALUE=PERIOD is not read: write ${label} with the beginnings alone`);
  for (const value of values) {
    const written = String(value);
    const match = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2}):(\d{2})Z?)?$/.exec(written);
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = (match ?? [])
      .slice(1)
      .map((digits) => Number(digits ?? 0));
    const date = new Date(Date.UTC(year, month - 1, day));
    const isDate = match !== null && date.getUTCMonth() + 1 === month && date.getUTCDate() === day;
    if (!isDate || !(hour < 24 && minute < 60 && second <= 60))
      throw calendarError(where, `${label} ${written} is no date: write YYYYMMDD or YYYYMMDDTHHMMSS`);
  }
}
