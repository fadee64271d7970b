import type ICAL from 'ical.js';
import { momentOf, type Reading } from './wall-clock.ts';

/** How long an event is: first as clocks show it, then in time that passes. A day may have 23 hours, PT24H has 24. */
export interface EventLength {
  readonly clockMs: number;
  readonly exactMs: number;
}

/** One entry of a calendar file. */
export interface EventRule {
  /** For messages: file, line and name. */
  readonly where: string;
  readonly name: string;
  readonly kind: string;
  readonly uplift: number | null;
  /** When it begins first, on whose clock it also comes again. */
  readonly start: Reading;
  readonly length: EventLength;
  readonly recurrences: readonly Recurrence[];
  /** Further beginnings. */
  readonly dates: readonly Reading[];
  /** What would begin then does not; a day takes out what begins on that day. */
  readonly excluded: readonly Reading[];
  /** Occurrences that were moved, as they are now. */
  readonly moved: readonly Occurrence[];
  /** Changes of all occurrences from one on, by time. */
  readonly changes: readonly Change[];
}

export interface Recurrence {
  /** Without end; `until` and `count` are those of the file. */
  readonly recur: InstanceType<typeof ICAL.Recur>;
  /** Of the last beginning, if it ends; a day is meant with all that begins on it. */
  readonly until: Reading | null;
  readonly count: number | null;
}

export interface Occurrence {
  readonly startMs: number;
  readonly endMs: number;
}

export interface Change {
  /** Where the first changed occurrence would have begun. */
  readonly fromMs: number;
  readonly shiftMs: number;
  /** Null where they are cancelled. */
  readonly length: EventLength | null;
}

/** @returns an end that is not after the start for what has no length. */
export function occurrenceAt(start: Reading, { clockMs, exactMs }: EventLength): Occurrence {
  const startMs = momentOf(start);
  const endMs = start.clock(start.localMs + clockMs) + exactMs;
  // An event that lies in the hour that clocks skip is still some time long.
  return { startMs, endMs: endMs > startMs ? endMs : startMs + clockMs + exactMs };
}

/** @param end whose clock may be another one: then only the time that passes is known to stay. */
export const lengthBetween = (start: Reading, end: Reading): EventLength =>
  start.clock === end.clock
    ? { clockMs: end.localMs - start.localMs, exactMs: 0 }
    : { clockMs: 0, exactMs: momentOf(end) - momentOf(start) };
