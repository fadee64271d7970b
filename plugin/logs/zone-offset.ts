const FIELDS = {
  year: 'numeric',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: 'numeric',
  second: 'numeric',
} as const;

/**
 * What clocks of a zone show at an instant, less UTC, milliseconds; to the second, which offsets before 1900 have.
 *
 * Asking costs more than a hundred times what remembering does: callers remember, each at the grain it asks in.
 *
 * @param timeZone an IANA name, such as "Europe/Berlin".
 * @throws RangeError on a name that the platform does not know.
 */
export function zoneOffset(timeZone: string): (instantMs: number) => number {
  // Made once: a formatter costs more than a thousand dates.
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    hourCycle: 'h23',
    ...FIELDS,
  });
  return (instantMs) => {
    const shown: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(instantMs)) shown[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = shown;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instantMs / 1000) * 1000;
  };
}

export function isTimeZone(name: string): boolean {
  try {
    zoneOffset(name);
    return true;
  } catch {
    return false;
  }
}
