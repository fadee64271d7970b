import ICAL from 'ical.js';
import { calendarError, shown } from './calendar-error.ts';
import { type EventRule, occurrenceAt } from './event-rule.ts';
import { IcalTimes } from './ical-times.ts';
import { ruleProblem, writtenRuleProblem } from './recurrence-rule.ts';
import { recurrenceOf } from './rule-days.ts';
import { momentOf } from './wall-clock.ts';

type Component = InstanceType<typeof ICAL.Component>;

/**
 * Events of an iCalendar file (RFC 5545): VEVENT with DTSTART, DTEND or DURATION, RRULE, RDATE, EXDATE, moved and cancelled
 * occurrences. SUMMARY is the name, the first of CATEGORIES the kind, X-FORESHARD-UPLIFT a factor by hand. Each time is in the
 * zone that it names itself; without one it is in X-WR-TIMEZONE, else UTC, as days are.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming file, line, event and remedy.
 */
export function icalEvents(file: string, text: string): EventRule[] {
  if (!/^BEGIN:VCALENDAR\b/im.test(text))
    throw calendarError(file, 'no BEGIN:VCALENDAR in it: export the calendar as iCalendar (.ics)');
  assertWrittenRules(file, text);
  const lines = eventLines(text);
  const roots = parsed(file, text);
  const entries = roots.flatMap((root) => {
    const times = new IcalTimes(root);
    return root.getAllSubcomponents('vevent').map((component) => ({ root, component, times }));
  });
  const named = entries.map((entry, index): Entry => {
    const name = String(entry.component.getFirstPropertyValue('summary') ?? '').trim();
    return {
      ...entry,
      name,
      where: `${file}:${lines[index] ?? 1}: event ${name === '' ? index + 1 : shown(name)}`,
    };
  });
  return named.flatMap((entry) => {
    const { where, name } = entry;
    if (isPart(entry) && named.some((other) => !isPart(other) && isOfOne(other, entry))) return [];
    if (isCancelled(entry)) return [];
    if (name === '')
      throw calendarError(where, 'no SUMMARY: give it a name, by which its occurrences are known');
    // An occurrence whose event is not in the file stands for itself.
    const parts = isPart(entry) ? [] : named.filter((other) => isPart(other) && isOfOne(entry, other));
    return [understood(where, () => ruleOf(entry, parts))];
  });
}

interface Entry {
  readonly root: Component;
  readonly component: Component;
  readonly times: IcalTimes;
  readonly name: string;
  readonly where: string;
}

/** An occurrence that was moved or cancelled. */
const isPart = ({ component }: Entry): boolean => component.hasProperty('recurrence-id');
const isCancelled = ({ component }: Entry): boolean =>
  component.getFirstPropertyValue('status') === 'CANCELLED';

function isOfOne(a: Entry, b: Entry): boolean {
  const uid = a.component.getFirstPropertyValue('uid');
  return a.root === b.root && uid !== null && uid === b.component.getFirstPropertyValue('uid');
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

/** Of what the parser corrects, it keeps no trace. */
function assertWrittenRules(file: string, text: string): void {
  const lines = text.split(/\r?\n/);
  for (let first = 0; first < lines.length; first++) {
    if (!/^RRULE[:;]/i.test(lines[first] as string)) continue;
    let unfolded = lines[first] as string;
    for (let next = first + 1; /^[ \t]/.test(lines[next] ?? ''); next++) unfolded += lines[next]?.slice(1);
    const problem = writtenRuleProblem(unfolded.slice(unfolded.indexOf(':') + 1));
    if (problem !== undefined) throw calendarError(`${file}:${first + 1}`, `RRULE: ${problem}`);
  }
}

function ruleOf(entry: Entry, parts: readonly Entry[]): EventRule {
  const { where, name, component, times } = entry;
  const { start, length } = times.spanOf(where, component);
  const { startMs, endMs } = occurrenceAt(start, length);
  if (endMs < startMs || (start.isDay && endMs === startMs))
    throw calendarError(
      where,
      'ends before it begins: mend DTEND or DURATION (DTEND of a day is the day after)',
    );
  const recurs = component
    .getAllProperties('rrule')
    .map((rule) => rule.getFirstValue() as InstanceType<typeof ICAL.Recur>);
  for (const recur of recurs) {
    const problem = ruleProblem(recur);
    if (problem !== undefined) throw calendarError(where, `RRULE: ${problem}`);
  }
  const excluded = times.readings(where, component, 'exdate');
  const excludedMs = new Set(excluded.map(momentOf));
  const replaced = parts.flatMap((part) => {
    const [from] = times.readings(part.where, part.component, 'recurrence-id');
    return from === undefined ? [] : [{ part, from, ...times.spanOf(part.where, part.component) }];
  });
  const ranges = replaced.filter(({ part }) => isRange(part));
  return {
    where,
    name,
    kind: kindOf(component),
    uplift: upliftOf(where, component),
    start,
    length,
    recurrences: recurs.map((recur) => recurrenceOf(recur, start.clock)),
    dates: times.dates(where, component, start),
    // What was moved does not come at its old place; it comes at its new one unless it was taken out as well.
    excluded: [...excluded, ...replaced.map(({ from }) => from)],
    moved: replaced
      .filter(({ part, from }) => !isCancelled(part) && !excludedMs.has(momentOf(from)))
      .map((one) => occurrenceAt(one.start, one.length)),
    changes: ranges
      .map(({ part, from, ...one }) => ({
        fromMs: momentOf(from),
        shiftMs: momentOf(one.start) - momentOf(from),
        length: isCancelled(part) ? null : one.length,
      }))
      .sort((a, b) => a.fromMs - b.fromMs),
  };
}

const isRange = ({ component }: Entry): boolean =>
  component.getFirstProperty('recurrence-id')?.getFirstParameter('range') === 'THISANDFUTURE';

function understood<Result>(where: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && error.name === 'ForeshardError') throw error;
    const { message } = error instanceof Error ? error : new Error(String(error));
    throw calendarError(where, `cannot be understood: ${message}: mend the event, or take it out`, error);
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
