import { ForeshardError } from '../../../src/base/errors.ts';

const DAY_MS = 86_400_000;

/**
 * A time that somebody typed: `2026-01-31T22:00Z`, or `22:00`, the next one in UTC.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming the flag.
 */
export function parseMoment(flag: string, text: string, nowMs: number): number {
  const [, hours, minutes] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  if (hours !== undefined) {
    const today = Math.floor(nowMs / DAY_MS) * DAY_MS + Number(hours) * 3_600_000 + Number(minutes) * 60_000;
    return today >= nowMs ? today : today + DAY_MS;
  }
  // With its zone: a time without one is another on every machine.
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(ms))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `${flag}: found "${text}", it must be a time of day in UTC such as 22:00, or a time with its zone such as 2026-01-31T22:00Z`,
    );
  return ms;
}
