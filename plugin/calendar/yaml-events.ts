import ICAL from 'ical.js';
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import { isTimeZone } from '../logs/zone-offset.ts';
import { calendarError, shown } from './calendar-error.ts';
import { type EventRule, lengthBetween } from './event-rule.ts';
import { ruleProblem, writtenRuleProblem } from './recurrence-rule.ts';
import { unusedExceptions } from './rule-calendar.ts';
import { isUtc, localMsOf, recurrenceOf } from './rule-days.ts';
import { DAY_MS, type Reading, utcClock, type WallClock, zoneClock } from './wall-clock.ts';

const FILE_KEYS = ['timezone', 'events'];
const EVENT_KEYS = ['name', 'start', 'end', 'repeat', 'except', 'kind', 'uplift', 'timezone'];
/** Words for the commonest rules; anything else is an RRULE of RFC 5545. */
const REPEATS = new Map([
  ['daily', 'FREQ=DAILY'],
  ['weekly', 'FREQ=WEEKLY'],
  ['monthly', 'FREQ=MONTHLY'],
  ['yearly', 'FREQ=YEARLY'],
]);

/**
 * Events of a YAML file: `timezone` (UTC by default) and `events`, each with `name`, `start`, and if wanted `end` (exclusive;
 * a day without one is the whole day), `repeat`, `except`, `kind`, `uplift`, `timezone`.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming file, line, event and remedy.
 */
export function yamlEvents(file: string, text: string): EventRule[] {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, uniqueKeys: true });
  const lineOf = (node: unknown): number => {
    const { range } = (node ?? {}) as { range?: readonly number[] | null };
    return lineCounter.linePos(range?.[0] ?? 0).line;
  };
  const [problem] = document.errors;
  if (problem !== undefined) {
    const line = problem.linePos?.[0].line ?? 1;
    const what = problem.message.split('\n', 1)[0]?.replace(/ at line \d+, column \d+:?$/, '');
    throw calendarError(`${file}:${line}`, `cannot be read as YAML: ${what}: mend the file`);
  }
  const root = document.contents;
  if (!isMap(root))
    throw calendarError(
      `${file}:1`,
      'must hold `events:` and a list of events, each with `name:` and `start:`',
    );
  assertKeys(`${file}`, root, { known: FILE_KEYS, lineOf });
  const events = root.get('events', true);
  if (!isSeq(events))
    throw calendarError(
      `${file}:${lineOf(events)}`,
      '`events` must be a list: begin each event with "- name:"',
    );
  const standardZone = zoneIn(`${file}:${lineOf(root)}`, textOf(root, 'timezone') ?? 'UTC');
  const clocks = new Map<string, WallClock>();
  // One for all events of a zone: it remembers what it has looked up.
  const clockOf = (zone: string): WallClock => {
    const clock = clocks.get(zone) ?? zoneClock(zone);
    clocks.set(zone, clock);
    return clock;
  };
  return events.items.map((item, index) => {
    const line = `${file}:${lineOf(item)}`;
    if (!isMap(item)) throw calendarError(line, `event ${index + 1} must have \`name:\` and \`start:\``);
    const name = textOf(item, 'name')?.trim() ?? '';
    const where = `${line}: event ${name === '' ? index + 1 : shown(name)}`;
    if (name === '') throw calendarError(where, 'no `name`: give it one, by which its occurrences are known');
    assertKeys(file, item, { known: EVENT_KEYS, lineOf, name });
    const clock = clockOf(zoneIn(where, textOf(item, 'timezone') ?? standardZone));
    return ruleOf(where, name, item, clock);
  });
}

function assertKeys(
  file: string,
  map: YAMLMap,
  options: {
    readonly known: readonly string[];
    readonly lineOf: (node: unknown) => number;
    readonly name?: string;
  },
): void {
  for (const { key } of map.items) {
    const word = isScalar(key) ? String(key.value) : '?';
    if (options.known.includes(word)) continue;
    const event = options.name === undefined ? '' : ` of event ${shown(options.name)}`;
    // {repeat: FREQ=MONTHLY;BYMONTHDAY=1,15} is a key 15 to YAML.
    const remedy = /^[-+\d]/.test(word) ? 'put a rule with commas in quotes' : 'remove it';
    throw calendarError(
      `${file}:${options.lineOf(key)}`,
      `unknown key ${shown(word)}${event}: ${remedy} (known: ${options.known.join(', ')})`,
    );
  }
}

/** @returns undefined where the key is not there, or holds nothing. */
function textOf(map: YAMLMap, key: string): string | undefined {
  const value = map.get(key);
  return value === undefined || value === null ? undefined : String(value);
}

function ruleOf(where: string, name: string, item: YAMLMap, clock: WallClock): EventRule {
  const written = textOf(item, 'start');
  if (written === undefined) throw calendarError(where, 'no `start`: say when it begins, such as 2026-11-27');
  const start = timeOf(where, 'start', written);
  const endWritten = textOf(item, 'end');
  if (endWritten === undefined && !start.isDate)
    throw calendarError(
      where,
      'no `end`: an event that begins at a time of day needs one (only whole days do not)',
    );
  const begin = readingOf(start, clock);
  const repeat = textOf(item, 'repeat');
  const rule: EventRule = {
    where,
    name,
    kind: textOf(item, 'kind')?.trim() ?? '',
    uplift: upliftOf(where, item),
    start: begin,
    length:
      endWritten === undefined
        ? { clockMs: DAY_MS, exactMs: 0 }
        : lengthBetween(begin, endOf(where, endWritten, begin, clock)),
    recurrences: repeat === undefined ? [] : [recurrenceOf(parsedRule(where, repeat), begin.clock)],
    dates: [],
    excluded: exceptionsOf(where, item).map((written) => {
      const reading = readingOf(timeOf(where, 'except', written), clock);
      // A day takes out the occurrence of that day, whenever it begins.
      return reading.isDay ? { ...reading, clock: begin.clock } : reading;
    }),
    moved: [],
    changes: [],
  };
  const [unused] = unusedExceptions(rule);
  if (unused !== undefined)
    throw calendarError(
      where,
      `\`except\` ${new Date(unused.localMs).toISOString().slice(0, unused.isDay ? 10 : 16)}: it does not come then: mend the day, or remove it`,
    );
  return rule;
}

function endOf(where: string, written: string, start: Reading, clock: WallClock): Reading {
  const end = readingOf(timeOf(where, 'end', written), clock);
  if (end.isDay !== start.isDay)
    throw calendarError(where, '`start` and `end` must both be days or both have a time of day');
  const { clockMs, exactMs } = lengthBetween(start, end);
  if (clockMs + exactMs <= 0)
    throw calendarError(where, '`end` is not after `start` (it is exclusive: of one day it is the next day)');
  return end;
}

const readingOf = (time: InstanceType<typeof ICAL.Time>, clock: WallClock): Reading => ({
  localMs: localMsOf(time),
  isDay: time.isDate,
  clock: isUtc(time) ? utcClock : clock,
});

function timeOf(where: string, key: string, written: string): InstanceType<typeof ICAL.Time> {
  const match = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?(Z)?)?$/.exec(written.trim());
  const [year, month, day, hour, minute, second] = (match ?? [])
    .slice(1, 7)
    .map((digits) => Number(digits ?? 0));
  const date = new Date(Date.UTC(year ?? 0, (month ?? 1) - 1, day ?? 0));
  const isDate = match !== null && date.getUTCMonth() + 1 === month && date.getUTCDate() === day;
  if (!isDate || !((hour ?? 0) < 24 && (minute ?? 0) < 60 && (second ?? 0) < 60))
    throw calendarError(
      where,
      `\`${key}\` ${shown(written)} is no date: write 2026-11-27, 2026-11-27 18:00, or 2026-11-27T18:00Z`,
    );
  const isWholeDay = match?.[4] === undefined;
  const time = new ICAL.Time(
    { year, month, day, hour, minute, second, isDate: isWholeDay } as never,
    (match?.[7] === 'Z' ? ICAL.Timezone.utcTimezone : ICAL.Timezone.localTimezone) as never,
  );
  return time;
}

function parsedRule(where: string, written: string): InstanceType<typeof ICAL.Recur> {
  const rule = REPEATS.get(written.trim().toLowerCase()) ?? written.trim().replace(/^RRULE:/i, '');
  try {
    const recurrence = ICAL.Recur.fromString(rule);
    const problem = writtenRuleProblem(rule) ?? ruleProblem(recurrence);
    if (problem !== undefined) throw new Error(problem);
    return recurrence;
  } catch (error) {
    const { message } = error instanceof Error ? error : new Error(String(error));
    throw calendarError(
      where,
      `\`repeat\` ${shown(written)}: ${message}: write ${[...REPEATS.keys()].join(', ')}, or a rule such as FREQ=MONTHLY;BYDAY=1FR`,
      error,
    );
  }
}

function exceptionsOf(where: string, item: YAMLMap): string[] {
  const except = item.get('except', true);
  if (except === undefined || (isScalar(except) && except.value === null)) return [];
  if (!isSeq(except)) throw calendarError(where, '`except` must be a list of days, such as [2026-12-25]');
  return except.items.map((entry) => String(isScalar(entry) ? entry.value : entry));
}

function upliftOf(where: string, item: YAMLMap): number | null {
  const uplift = item.get('uplift');
  if (uplift === undefined || uplift === null) return null;
  if (typeof uplift !== 'number' || !(uplift > 0 && uplift <= 100))
    throw calendarError(
      where,
      `\`uplift\` ${shown(String(uplift))}: it must be a factor above 0 and at most 100, such as 3`,
    );
  return uplift;
}

function zoneIn(where: string, name: string): string {
  if (isTimeZone(name)) return name;
  throw calendarError(where, `unknown time zone ${shown(name)}: use an IANA name such as Europe/Berlin`);
}
