import { zoneOffset } from '../logs/zone-offset.ts';

/** The instant at which a clock shows `localMs`, a reading as if it were UTC. Milliseconds since 1970. */
export type WallClock = (localMs: number) => number;

/** A clock's reading, and whose clock it is. */
export interface Reading {
  /** As if it were UTC; midnight for a whole day. */
  readonly localMs: number;
  readonly isDay: boolean;
  readonly clock: WallClock;
}

export const DAY_MS = 86_400_000;

export const momentOf = ({ localMs, clock }: Reading): number => clock(localMs);

export const utcClock: WallClock = (localMs) => localMs;

/** Sixty years of a daily event. */
const REMEMBERED_DAYS = 20_000;

/**
 * The clock of a zone: of two moments that it shows the same at (clocks set back) the first, of none (set forward) the one as
 * long after the change.
 *
 * @param timeZone an IANA name, such as "Europe/Berlin".
 */
export function zoneClock(timeZone: string): WallClock {
  if (timeZone === 'UTC') return utcClock;
  const offsetMs = zoneOffset(timeZone);
  const atDay = new Map<number, number>();
  /** Asked for by every event of a day. */
  const dayOffsetMs = (day: number): number => {
    const known = atDay.get(day);
    if (known !== undefined) return known;
    if (atDay.size >= REMEMBERED_DAYS) atDay.clear();
    const offset = offsetMs(day * DAY_MS);
    atDay.set(day, offset);
    return offset;
  };
  return (localMs) => {
    const day = Math.floor(localMs / DAY_MS);
    // A zone is less than a day off UTC, and changes no more than once in these three days.
    const before = localMs - dayOffsetMs(day - 1);
    const after = localMs - dayOffsetMs(day + 2);
    // Far from a change of the clocks the two agree; near one, one of them shows the time that was asked for, or none.
    const isShown = (momentMs: number): boolean => momentMs + offsetMs(momentMs) === localMs;
    return before === after || isShown(before) || !isShown(after) ? before : after;
  };
}
