import { ForeshardError } from '../../base/errors.ts';

/** Hours of the week in which moves may run; u8[minute of the week], Monday 00:00 UTC first. */
export type MoveWindows = Uint8Array;

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const DAY_MINUTES = 1440;
const WEEK_MINUTES = 7 * DAY_MINUTES;
const MINUTE_MS = 60_000;
/** 1970 began on a Thursday. */
const EPOCH_MINUTE_OF_WEEK = 3 * DAY_MINUTES;

/** What a window looks like, for messages. */
export const WINDOW_FORMAT = '"daily 01:00-05:00", "mon-fri 22:00-06:00" or "sat,sun 00:00-24:00", UTC';

/**
 * Reads windows; one that ends before it begins runs on into the next day.
 *
 * @param windows none: any time.
 * @throws ForeshardError FORESHARD_CONFIG naming the window that cannot be read.
 */
export function parseMoveWindows(windows: readonly unknown[]): MoveWindows {
  const isOpen = new Uint8Array(WEEK_MINUTES).fill(windows.length === 0 ? 1 : 0);
  for (const window of windows) {
    const found = typeof window === 'string' ? readWindow(window) : null;
    if (found === null)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `a window of affinity.timetable.windows is ${JSON.stringify(window)}: it must be such as ${WINDOW_FORMAT}`,
      );
    const { days, first, end } = found;
    for (const day of days)
      for (let minute = first; minute < end; minute++)
        isOpen[(day * DAY_MINUTES + minute) % WEEK_MINUTES] = 1;
  }
  return isOpen;
}

/** Whether moves may run in all of `[startMs, endMs)`. */
export function isWithin(isOpen: MoveWindows, startMs: number, endMs: number): boolean {
  const first = Math.floor(startMs / MINUTE_MS);
  const end = Math.ceil(endMs / MINUTE_MS);
  for (let minute = first; minute < end && minute < first + WEEK_MINUTES; minute++)
    if (isOpen[(minute + EPOCH_MINUTE_OF_WEEK) % WEEK_MINUTES] === 0) return false;
  return true;
}

/** @returns minutes of a day, the end above the beginning; null for what is no window. */
function readWindow(text: string): { days: number[]; first: number; end: number } | null {
  const match = /^([a-z,-]+) (\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(text.trim().toLowerCase());
  if (match === null) return null;
  const days = daysOf(match[1] as string);
  const [fromHour, fromMinute, toHour, toMinute] = match.slice(2).map(Number) as [
    number,
    number,
    number,
    number,
  ];
  const first = fromHour * 60 + fromMinute;
  const last = toHour * 60 + toMinute;
  const isTime = fromMinute < 60 && toMinute < 60 && first < DAY_MINUTES && last <= DAY_MINUTES;
  if (days === null || !isTime || first === last) return null;
  return { days, first, end: last > first ? last : last + DAY_MINUTES };
}

/** `daily`, or days and ranges of days with commas between; null for what is neither. */
function daysOf(text: string): number[] | null {
  if (text === 'daily') return [...DAYS.keys()];
  const days: number[] = [];
  for (const part of text.split(',')) {
    const [first = -1, last = first, ...more] = part.split('-').map((name) => DAYS.indexOf(name));
    if (first < 0 || last < 0 || more.length > 0) return null;
    // `fri-mon` goes over the end of the week.
    for (let day = first; ; day = (day + 1) % 7) {
      days.push(day);
      if (day === last) break;
    }
  }
  return days;
}
