/** Local date and time as a calendar writes them; month 1..12. */
export interface WallClock {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/**
 * When clocks of a zone show a time: of two moments (clocks set back) the first, of none (set forward) the one as long
 * after the change.
 *
 * @param timeZone an IANA name, such as "Europe/Berlin".
 * @returns milliseconds since 1970.
 */
export function zoneClock(timeZone: string): (wall: WallClock) => number {
  // Made once: a formatter costs more than a thousand dates.
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  /** What clocks of the zone show then, less UTC. */
  const offsetMs = (momentMs: number): number => {
    const parts = format.formatToParts(momentMs);
    const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value);
    const shownMs = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
    return shownMs - Math.floor(momentMs / 1000) * 1000;
  };
  return ({ year, month, day, hour, minute, second }) => {
    const asUtcMs = Date.UTC(year, month - 1, day, hour, minute, second);
    const before = asUtcMs - offsetMs(asUtcMs - DAY_MS);
    const after = asUtcMs - offsetMs(asUtcMs + DAY_MS);
    // Far from a change of the clocks the two agree; near one, one of them shows the time that was asked for, or none.
    const isShown = (momentMs: number): boolean => momentMs + offsetMs(momentMs) === asUtcMs;
    return before === after || isShown(before) || !isShown(after) ? before : after;
  };
}

const DAY_MS = 86_400_000;
