/**
 * The control law of copies: additive increase, multiplicative decrease (Chiu and Jain, 1989), as TCP's. It is applied twice, one
 * inside the other: by the coordinator every half second, to what clients feel, and by the target every tenth, to how late
 * the event loops are. Pure: the state goes in and comes out.
 */

/** From nothing to the limit in so many windows. */
const GROWTH_WINDOWS = 32;
/** A copy begins with this share of its limit, and doubles until something hurts. */
const FIRST_SHARE = 1 / 32;
/** After a cut the window in which it fell and the next still show what was before it. */
const BLIND_WINDOWS = 1;
/** What was used lately: falls by so much a window, so that pieces that come unevenly do not look like a standstill. */
const RECENT_FACTOR = 0.8;

export interface Pace {
  /** Units a second that may be used. */
  readonly rate: number;
  /** Nothing has hurt yet: doubled each window. */
  readonly isStarting: boolean;
  readonly blindWindows: number;
  readonly cutCount: number;
  /** What was used in a window, lately. */
  readonly recentUsed: number;
  /** Why the rate is what it is: one line for people. */
  readonly reason: string;
}

export interface PaceLimits {
  readonly ceiling: number;
  /** Wins over the ceiling: the one is about politeness, the other about ever coming to an end. */
  readonly floor: number;
}

export interface PaceSample {
  /** Units a second that were used since the window before. */
  readonly used: number;
  /** What hurts, in a few words; null for nothing. */
  readonly distress: string | null;
}

export function firstPace({ ceiling, floor }: PaceLimits): Pace {
  return {
    rate: Math.max(floor, ceiling * FIRST_SHARE),
    isStarting: true,
    blindWindows: 0,
    cutCount: 0,
    recentUsed: 0,
    reason: 'a copy begins slowly',
  };
}

export function nextPace(pace: Pace, { used, distress }: PaceSample, { ceiling, floor }: PaceLimits): Pace {
  const top = Math.max(ceiling, floor);
  const seen = {
    ...pace,
    rate: Math.min(top, Math.max(floor, pace.rate)),
    recentUsed: Math.max(pace.recentUsed * RECENT_FACTOR, used),
    blindWindows: Math.max(0, pace.blindWindows - 1),
  };
  if (distress !== null) return pace.blindWindows > 0 ? seen : cut(seen, distress, floor);
  if (seen.rate >= top) return { ...seen, reason: 'at its limit' };
  if (seen.isStarting) return { ...seen, rate: Math.min(top, seen.rate * 2), reason: 'no distress so far' };
  const rate = Math.min(top, seen.rate + top / GROWTH_WINDOWS);
  return { ...seen, rate, reason: 'growing, no distress' };
}

/** Half of what was really used: half of a rate that nobody had reached would change nothing. */
function cut(pace: Pace, distress: string, floor: number): Pace {
  const rate = Math.max(floor, Math.min(pace.rate, pace.recentUsed) / 2);
  return {
    ...pace,
    rate,
    isStarting: false,
    blindWindows: BLIND_WINDOWS,
    cutCount: pace.cutCount + 1,
    reason: rate > floor ? `halved: ${distress}` : `at its floor: ${distress}`,
  };
}
