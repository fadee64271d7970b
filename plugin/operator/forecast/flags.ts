import { ForeshardError } from '../../../src/base/errors.ts';
import type { Aggregate } from '../../logs/series/regular-grid.ts';

export interface ForecastFlags {
  readonly horizon: number;
  readonly level: readonly number[];
  readonly json?: boolean;
  readonly window?: string;
  readonly aggregate?: Aggregate;
  readonly timeZone?: string;
  readonly calendar?: string;
  /** Rows. */
  readonly top?: number;
  /** Origins. */
  readonly backtest?: number;
  readonly progress?: boolean;
}

/** What the forecaster's direct models are trained for at most. */
export const HORIZON_MAX = 1_344;

/** Each costs as much as a forecast. */
export const BACKTEST_ORIGINS_MAX = 100;

/** `80,95` as percent, ascending. */
export function parseLevels(text: string): number[] {
  const levels = text.split(',').map((part) => Number(part.trim() || Number.NaN));
  if (levels.some((level) => !(level >= 50 && level <= 99)))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `--level: found "${text}", it must be percents from 50 to 99, such as 80,95`,
    );
  return [...new Set(levels)].sort((a, b) => a - b);
}
