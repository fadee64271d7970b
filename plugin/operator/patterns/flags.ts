import { hourOfWeekName, parseHourOfWeek } from '../../../src/analyzer/patterns/hour-of-week.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { LogInputFlags } from '../log-input/open-log.ts';

export interface PatternFlags extends LogInputFlags {
  readonly json?: boolean;
  readonly hour?: number;
}

/** `mon 09:00` as hour of the week, Monday 00:00 UTC being 0. */
export function parseHour(text: string): number {
  const hour = parseHourOfWeek(text);
  if (hour === null)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `--hour: found "${text}", it must be an hour of the week in UTC, such as "${hourOfWeekName(9)}"`,
    );
  return hour;
}
