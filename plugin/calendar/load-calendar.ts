import { readFileSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { type Calendar, EVENT_MS_MAX } from '../../src/model/calendar.ts';
import { calendarError } from './calendar-error.ts';
import { type EventRule, RuleCalendar } from './event-rule.ts';
import { icalEvents } from './ical-events.ts';
import { yamlEvents } from './yaml-events.ts';

/** Twenty years of a busy person's calendar; a database dump named by mistake is refused before it is read. */
const FILE_BYTES_MAX = 8 << 20;
const EVENTS_MAX = 10_000;

export interface LoadedCalendar {
  readonly calendar: Calendar;
  readonly eventCount: number;
  /** Events that have no part in forecasts, with the reason: for the log. */
  readonly ignored: readonly string[];
}

/**
 * Reads a calendar of holidays and events: iCalendar (`.ics`) or YAML (`.yaml`, `.yml`).
 *
 * @throws ForeshardError FORESHARD_CONFIG naming file, line, event and remedy.
 */
export function loadCalendar(file: string): LoadedCalendar {
  const read = { '.ics': icalEvents, '.yaml': yamlEvents, '.yml': yamlEvents }[extname(file).toLowerCase()];
  if (read === undefined) throw calendarError(file, 'a calendar ends in .ics, .yaml or .yml: rename it');
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw calendarError(file, 'no such file: check forecast.calendar, or leave it out');
  if (!stat.isFile()) throw calendarError(file, 'is not a file: name the calendar itself');
  if (stat.size > FILE_BYTES_MAX)
    throw calendarError(
      file,
      `${stat.size} bytes, a calendar has at most ${FILE_BYTES_MAX}: is it the right file?`,
    );
  const rules = read(file, new TextDecoder().decode(readFileSync(file)));
  if (rules.length > EVENTS_MAX)
    throw calendarError(
      file,
      `${rules.length} events, at most ${EVENTS_MAX} are taken: leave out those that move no load`,
    );
  const short = rules.filter((rule) => lengthMs(rule) <= EVENT_MS_MAX);
  return {
    calendar: new RuleCalendar(short),
    eventCount: short.length,
    ignored: rules
      .filter((rule) => !short.includes(rule))
      .map(
        ({ where }) =>
          `${where}: longer than seven days, which is a new level and not an event: it is not used`,
      ),
  };
}

const lengthMs = ({ event, momentOf }: EventRule): number =>
  momentOf(event.endDate) - momentOf(event.startDate);
