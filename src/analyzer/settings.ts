import { ForeshardError } from '../base/errors.ts';
import type { LoadDimension } from '../model/load-profile.ts';

/** How load is forecast. Windows are the profile's; defaults are for windows of an hour. */
export interface ForecastSettings {
  /** The longest forecast that can be asked for, in windows: the direct models are trained for it. */
  readonly horizonSteps: number;
  /** Nominal coverage of [lower, upper], 0.5..0.99. */
  readonly level: number;
  /** The dimension that is forecast; the others follow by their recent ratio to it, per partition. */
  readonly driver: LoadDimension;
  /** Windows of history kept; at least five weeks of hours. */
  readonly historyWindows: number;
  /** Whole weeks the seasonal mean looks back. */
  readonly weeksMax: number;
  readonly ridge: RidgeSettings;
}

export interface RidgeSettings {
  /** Windows a direct model looks back, at least 168. Shortened to 168 where history is too short for more. */
  readonly lagWindows: number;
  /** Penalty as a share of the number of rows. */
  readonly lambda: number;
  /** Clusters per clustering, and clusterings (by different seeds) that are averaged. */
  readonly clusterCount: number;
  readonly clusterSeeds: number;
  /** Share of all partitions' rows in each cluster's model, 0..1. */
  readonly poolingShare: number;
  /** After so many windows a row counts half. */
  readonly halfLifeWindows: number;
}

/**
 * Chosen by rolling origins on four weeks of history of the flights log, days 50 to 125, and on the training part of M4
 * Hourly; the last days of either were not looked at.
 */
export const FORECAST_DEFAULTS: ForecastSettings = {
  horizonSteps: 168,
  level: 0.8,
  driver: 'queries',
  // Ten weeks: what a training row of eight weeks ago still needs.
  historyWindows: 1680,
  weeksMax: 4,
  ridge: {
    lagWindows: 168,
    // 0.03 and 0.1 tie on log error; 0.3 loses 4 %.
    lambda: 0.03,
    // 1, 4 and 10 clusters tie on the flights log thanks to pooling, M4 wants more than one.
    clusterCount: 4,
    clusterSeeds: 2,
    // 0 loses 2 % on the flights log (small clusters overfit), 1 (no clusters) loses 10 % on M4.
    poolingShare: 0.1,
    halfLifeWindows: 1344,
  },
};

/** @throws ForeshardError FORESHARD_CONFIG naming the setting. */
export function assertForecastSettings(settings: ForecastSettings): void {
  const { ridge } = settings;
  const claims: readonly (readonly [boolean, string])[] = [
    [isCount(settings.horizonSteps, 1, 1344), 'horizonSteps must be an integer in 1..1344'],
    [settings.level >= 0.5 && settings.level <= 0.99, 'level must be in 0.5..0.99'],
    [isCount(settings.historyWindows, 840, 100_000), 'historyWindows must be an integer in 840..100000'],
    [isCount(settings.weeksMax, 1, 52), 'weeksMax must be an integer in 1..52'],
    [isCount(ridge.lagWindows, 168, 672), 'ridge.lagWindows must be an integer in 168..672'],
    [ridge.lambda > 0 && ridge.lambda <= 1000, 'ridge.lambda must be above 0'],
    [isCount(ridge.clusterCount, 1, 64), 'ridge.clusterCount must be an integer in 1..64'],
    [isCount(ridge.clusterSeeds, 1, 8), 'ridge.clusterSeeds must be an integer in 1..8'],
    [ridge.poolingShare >= 0 && ridge.poolingShare <= 1, 'ridge.poolingShare must be in 0..1'],
    [ridge.halfLifeWindows >= 168, 'ridge.halfLifeWindows must be at least 168'],
  ];
  for (const [holds, message] of claims)
    if (!holds) throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', `forecast settings: ${message}`);
}

const isCount = (value: number, min: number, max: number): boolean =>
  Number.isInteger(value) && value >= min && value <= max;
