import { ForeshardError } from '../../../src/base/errors.ts';
import type { LogInputFlags } from '../log-input/open-log.ts';

export interface BacktestFlags extends Omit<LogInputFlags, 'window'> {
  /** Days to learn from; by default TRAIN_DAYS_DEFAULT, or two thirds of a log that is shorter than one and a half times that. */
  readonly trainDays?: number;
  /** Days to judge by: all that follow, by default. */
  readonly days?: number;
  /** The first of these that are replayed, but not judged by. */
  readonly skipDays?: number;
  /** Hours between two plans. */
  readonly cycleHours: number;
  /** Queries a second that a node carries at utilisation 1. */
  readonly capacity?: number;
  readonly partitionBytes: number;
  readonly seed: number;
  readonly json?: boolean;
  /** Where the report goes. */
  readonly html?: string;
}

/** Four weeks: the least with which every model takes part, and a mean of the week has four values for each hour. */
export const TRAIN_DAYS_DEFAULT = 28;
/** Planned every hour, the flights log has more moves and no lower latency: docs/decisions/0010. */
export const CYCLE_HOURS_DEFAULT = 6;
/** As many as are read of a log. */
export const DAYS_MAX = 420;

const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** `64MiB`, or bytes. @throws ForeshardError FORESHARD_CONFIG naming the flag. */
export function parseBytes(flag: string, text: string): number {
  const [, amount, unit = ''] = /^(\d{1,15}(?:\.\d{1,6})?)(KiB|MiB|GiB|TiB)?$/.exec(text) ?? [];
  const bytes = Number(amount) * (UNIT_BYTES[unit] as number);
  if (!(bytes <= 2 ** 50))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `${flag}: found "${text}", it must be a number of bytes up to a pebibyte, such as 1000000 or 64MiB`,
    );
  return bytes;
}
