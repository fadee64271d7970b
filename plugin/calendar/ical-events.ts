import ICAL from 'ical.js';
import { calendarError, shown } from './calendar-error.ts';
import { type EventRule, inZone } from './event-rule.ts';
import { ruleProblem } from './recurrence-rule.ts';
import { isTimeZone } from './wall-clock.ts';

type Component = InstanceType<typeof ICAL.Component>;

/**
 * Events of an iCalendar file (RFC 5545): VEVENT with DTSTART, DTEND or DURATION, RRULE, RDATE, EXDATE, moved and cancelled
 * occurrences. SUMMARY is the name, the first of CATEGORIES the kind, X-FORESHARD-UPLIFT a factor by hand. Times without a
 * zone, and days, are those of X-WR-TIMEZONE, else UTC.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming file, line, event and remedy.
 */
export function icalEvents(file: string, text: string): EventRule[] {
  if (!/^BEGIN:VCALENDAR\b/im.test(text))
    throw calendarError(file, 'no BEGIN:VCALENDAR in it: export the calendar as iCalendar (.ics)');
  const lines = eventLines(text);
  const roots = parsed(file, text);
  const components = roots.flatMap((root) =>
    root.getAllSubcomponents('vevent').map((component) => ({ root, component })),
  );
  return components.flatMap(({ root, component }, index) => {
    const name = String(component.getFirstPropertyValue('summary') ?? '').trim();
    const where = `${file}:${lines[index] ?? 1}: event ${name === '' ? index + 1 : shown(name)}`;
    // An occurrence that was moved belongs to the event that it was moved from.
    if (component.hasProperty('recurrence-id')) return [];
    if (component.getFirstPropertyValue('status') === 'CANCELLED') return [];
    if (name === '')
      throw calendarError(where, 'no SUMMARY: give it a name, by which its occurrences are known');
    return [ruleOf(where, name, { root, component })];
  });
}

function parsed(file: string, text: string): Component[] {
  try {
    const tree = ICAL.parse(text) as unknown[];
    // One calendar is a component, several are a list of them.
    const trees = typeof tree[0] === 'string' ? [tree] : (tree as unknown[][]);
    return trees.map((jCal) => new ICAL.Component(jCal as never));
  } catch (error) {
    const { message } = error instanceof Error ? error : new Error(String(error));
    throw calendarError(
      `${file}${lineIn(text, message)}`,
      `cannot be read as iCalendar: ${message}: mend the line, or export the calendar anew`,
      error,
    );
  }
}

/** The parser quotes the line that it stumbled over, or the value in it. */
function lineIn(text: string, message: string): string {
  const quoted = /"([^"]+)"\s*(?:expected|$)/.exec(message)?.[1];
  if (quoted === undefined) return '';
  const digits = quoted.replace(/[-:]/g, '');
  const index = text.split(/\r?\n/).findIndex((line) => line.includes(quoted) || line.includes(digits));
  return index < 0 ? '' : `:${index + 1}`;
}

function eventLines(text: string): number[] {
  return text.split(/\r?\n/).flatMap((line, index) => (/^BEGIN:VEVENT\s*$/i.test(line) ? [index + 1] : []));
}

function ruleOf(
  where: string,
  name: string,
  { root, component }: { root: Component; component: Component },
): EventRule {
  try {
    const uid = component.getFirstPropertyValue('uid');
    const exceptions = root
      .getAllSubcomponents('vevent')
      .filter((other) => other.hasProperty('recurrence-id') && other.getFirstPropertyValue('uid') === uid);
    const event = new ICAL.Event(component, { exceptions, strictExceptions: true });
    assertStart(where, component);
    for (const rule of component.getAllProperties('rrule')) {
      const problem = ruleProblem(rule.getFirstValue() as InstanceType<typeof ICAL.Recur>);
      if (problem !== undefined) throw calendarError(where, `RRULE: ${problem}`);
    }
    const rule = { where, name, kind: kindOf(component), uplift: upliftOf(where, component), event };
    const moment = momentIn(where, root, component);
    if (moment(event.endDate) <= moment(event.startDate))
      throw calendarError(where, 'ends before it begins: mend DTEND or DURATION');
    return { ...rule, momentOf: moment };
  } catch (error) {
    if (error instanceof Error && error.name === 'ForeshardError') throw error;
    const { message } = error instanceof Error ? error : new Error(String(error));
    throw calendarError(where, `cannot be understood: ${message}: mend the event, or take it out`, error);
  }
}

/** The parser turns the 99th of month 13 into some other day without a word. */
function assertStart(where: string, component: Component): void {
  for (const name of ['dtstart', 'dtend']) {
    const property = component.getFirstProperty(name);
    if (property === null) {
      if (name === 'dtstart') throw calendarError(where, 'no DTSTART: say when it begins');
      continue;
    }
    const written = String((property.jCal as unknown[])[3]);
    const match = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2}):(\d{2})Z?)?$/.exec(written);
    const [, year, month, day, hour = 0, minute = 0, second = 0] = (match ?? []).map(Number) as [
      number,
      ...number[],
    ];
    const date = new Date(Date.UTC(year ?? 0, (month ?? 0) - 1, day ?? 0));
    const isDate = match !== null && date.getUTCMonth() + 1 === month && date.getUTCDate() === day;
    if (!isDate || !((hour || 0) < 24 && (minute || 0) < 60 && (second || 0) <= 60))
      throw calendarError(
        where,
        `${name.toUpperCase()} ${written} is no date: write YYYYMMDD or YYYYMMDDTHHMMSS`,
      );
  }
}

function kindOf(component: Component): string {
  return String(component.getFirstPropertyValue('categories') ?? '').trim();
}

function upliftOf(where: string, component: Component): number | null {
  const written = component.getFirstPropertyValue('x-foreshard-uplift');
  if (written === null) return null;
  const uplift = Number(written);
  if (!(uplift > 0 && uplift <= 100))
    throw calendarError(
      where,
      `X-FORESHARD-UPLIFT ${written}: it must be a factor above 0 and at most 100, such as 3`,
    );
  return uplift;
}

function momentIn(where: string, root: Component, component: Component): EventRule['momentOf'] {
  const zone = component.getFirstProperty('dtstart')?.getFirstParameter('tzid') ?? null;
  const standard = root.getFirstPropertyValue('x-wr-timezone');
  const name = String(zone ?? standard ?? 'UTC');
  if (isTimeZone(name)) return inZone(name);
  const defined = root
    .getAllSubcomponents('vtimezone')
    .find((own) => own.getFirstPropertyValue('tzid') === name);
  // Some programs have names of their own for zones, and define them in the file.
  if (zone !== null && defined !== undefined) {
    const own = new ICAL.Timezone({ component: defined, tzid: name });
    return (time) => {
      if (time.zone?.tzid === 'UTC') return time.toUnixTime() * 1000;
      const copy = time.clone();
      copy.zone = own;
      return copy.toUnixTime() * 1000;
    };
  }
  throw calendarError(
    where,
    `unknown time zone ${shown(name)}: use an IANA name such as Europe/Berlin, or put its VTIMEZONE into the file`,
  );
}
