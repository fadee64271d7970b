import { ForeshardError } from '../../../src/base/errors.ts';
import { partitionOfSlot } from '../../../src/model/partition-map.ts';
import { keySlot } from '../../../src/routing/key-slot.ts';
import type { LogFormatName } from '../../logs/log-record.ts';
import { type LogReading, readLog } from '../../logs/read-log.ts';
import type { BadLineLimit } from '../../logs/tally.ts';
import { parseDuration } from '../duration.ts';

/** What every command takes that reads a query log. */
export interface LogInputFlags {
  readonly format?: LogFormatName;
  readonly timeZone?: string;
  readonly window: string;
  readonly partitions?: number;
  readonly nodes?: number;
  readonly badLinesMax?: BadLineLimit;
  readonly progress?: boolean;
}

const WEEK_MS = 604_800_000;

export function openLog(from: string | AsyncIterable<Uint8Array>, flags: LogInputFlags): LogReading {
  const { format, timeZone, badLinesMax } = flags;
  return readLog(from, {
    ...(format === undefined ? {} : { format }),
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(badLinesMax === undefined ? {} : { badLinesMax }),
    ...(typeof from === 'string' ? {} : { name: 'standard input' }),
  });
}

/** As a query node maps it. @param key bytes as latin-1. */
export function partitionOfKey(key: string, partitionCount: number): number {
  const bytes = Buffer.from(key, 'latin1');
  return partitionOfSlot(keySlot(bytes, 0, bytes.length), partitionCount);
}

/** A window that divides a week, so that hours and days of the week are whole windows or parts of one. */
export function weekWindowOf(text: string): number {
  const windowMs = parseDuration('--window', text);
  if (windowMs > WEEK_MS || WEEK_MS % windowMs !== 0)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `--window: found "${text}", it must divide a week, such as 15m, 1h or 1d`,
    );
  return windowMs;
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
