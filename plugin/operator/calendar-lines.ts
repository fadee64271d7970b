import type { LoadedCalendar } from '../calendar/load-calendar.ts';

/** Enough to see whether a rule is meant as it is written. */
const OCCURRENCES_LISTED = 3;
/** For reading; who has more names has made the file by program. */
const NAMES_LISTED = 40;
const AHEAD_MS = 2 * 366 * 86_400_000;

/** When each event of a calendar comes next, and what is odd about it. */
export function* calendarLines({ calendar, remarks }: LoadedCalendar, nowMs: number): Generator<string> {
  const next = new Map<string, string[]>();
  for (const { name, startMs, endMs } of calendar.occurrences(nowMs, nowMs + AHEAD_MS)) {
    const times = next.get(name) ?? [];
    next.set(name, times);
    if (times.length < OCCURRENCES_LISTED) times.push(`${isoOf(startMs)} to ${isoOf(endMs)}`);
  }
  if (next.size > 0) yield 'next, in UTC:';
  for (const [name, times] of [...next].slice(0, NAMES_LISTED))
    yield `  ${name.replace(/\s+/g, ' ')}: ${times.join(', ')}`;
  if (next.size > NAMES_LISTED) yield `  and ${next.size - NAMES_LISTED} more names`;
  yield* remarks;
}

const isoOf = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
