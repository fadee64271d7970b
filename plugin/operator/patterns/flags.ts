import { hourOfWeekName, parseHourOfWeek } from '../../../src/analyzer/patterns/hour-of-week.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { LogFormatName } from '../../logs/log-record.ts';
import type { BadLineLimit } from '../../logs/tally.ts';

export interface PatternFlags {
  readonly json?: boolean;
  readonly format?: LogFormatName;
  readonly timeZone?: string;
  readonly window: string;
  readonly partitions?: number;
  readonly nodes?: number;
  readonly hour?: number;
  readonly badLinesMax?: BadLineLimit;
  readonly progress?: boolean;
}

/** `2000` lines, or `5%` of them. */
export function parseBadLineLimit(text: string): BadLineLimit {
  const [, amount, percent] = /^(\d{1,12}(?:\.\d{1,6})?)(%?)$/.exec(text) ?? [];
  const value = Number(amount);
  if (percent === '%' && value <= 100) return { count: 0, share: value / 100 };
  if (percent === '' && Number.isInteger(value)) return { count: value, share: 0 };
  throw new ForeshardError(
    'FORESHARD_CONFIG',
    'fix-config',
    `--bad-lines-max: found "${text}", it must be a number of lines, such as 2000, or a share of them, such as 5%`,
  );
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
