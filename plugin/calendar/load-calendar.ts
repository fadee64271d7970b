import { readFileSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { type Calendar, EVENT_MS_MAX } from '../../src/model/calendar.ts';
import { calendarError } from './calendar-error.ts';
import { type EventRule, occurrenceAt } from './event-rule.ts';
import { icalEvents } from './ical-events.ts';
import { RuleCalendar } from './rule-calendar.ts';
import { firstBesideStart } from './rule-days.ts';
import type { Reading } from './wall-clock.ts';
import { yamlEvents } from './yaml-events.ts';

/** Twenty years of a busy person's calendar; a database dump named by mistake is refused before it is read. */
const FILE_BYTES_MAX = 8 << 20;
const EVENTS_MAX = 10_000;
/** Occurrences are looked for so far ahead at once: a rule that cannot be followed ends the start, not a forecast. */
const AHEAD_MS = 2 * 366 * 86_400_000;

export interface LoadedCalendar {
  readonly calendar: Calendar;
  readonly eventCount: number;
  /** Events that have no part in forecasts, and those that may not be meant as they are written: for the log. */
  readonly remarks: readonly string[];
}

/**
 * Reads a calendar of holidays and events: iCalendar (`.ics`) or YAML (`.yaml`, `.yml`).
 *
 * @throws ForeshardError FORESHARD_CONFIG naming file, line, event and remedy.
 */
export function loadCalendar(file: string, nowMs = Date.now()): LoadedCalendar {
  const read = { '.ics': icalEvents, '.yaml': yamlEvents, '.yml': yamlEvents }[extname(file).toLowerCase()];
  if (read === undefined) throw calendarError(file, 'a calendar ends in .ics, .yaml or .yml: rename it');
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw calendarError(file, 'no such file: check forecast.calendar or --calendar');
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
  const ignored = rules.map((rule) => ({ rule, reason: uselessness(rule) }));
  const used = ignored.filter(({ reason }) => reason === undefined).map(({ rule }) => rule);
  const calendar = new RuleCalendar(used);
  calendar.occurrences(0, nowMs + AHEAD_MS);
  return {
    calendar,
    eventCount: used.length,
    remarks: [
      ...ignored.flatMap(({ rule: { where }, reason }) =>
        reason === undefined ? [] : [`${where}: ${reason}: it is not used`],
      ),
      ...calendar.silent.map(
        ({ where }) => `${where}: nothing comes of it in the next two years: is its rule right?`,
      ),
      ...used.flatMap((rule) => {
        const first = firstBesideStart(rule, nowMs + AHEAD_MS);
        return first === undefined
          ? []
          : [
              `${rule.where}: its start is not a day of its rule, it first comes ${textOf(first)}: is either wrong?`,
            ];
      }),
    ],
  };
}

const textOf = ({ localMs, isDay }: Reading): string =>
  new Date(localMs)
    .toISOString()
    .slice(0, isDay ? 10 : 16)
    .replace('T', ' ');

function uselessness({ start, length, moved, changes }: EventRule): string | undefined {
  const { startMs, endMs } = occurrenceAt(start, length);
  if (endMs - startMs > EVENT_MS_MAX) return 'longer than seven days, which is a new level and not an event';
  const isMoment = endMs <= startMs && moved.length === 0 && changes.length === 0;
  return isMoment ? 'ends when it begins, so that no load can be in it (add DTEND or DURATION)' : undefined;
}
