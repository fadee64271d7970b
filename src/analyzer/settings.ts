import { assertConsistent, type Inconsistency, integerFrom, numberFrom, outOfRange } from '../base/claims.ts';
import { LOAD_DIMENSIONS, type LoadDimension } from '../model/load-profile.ts';
import { MEMBER_FACTORIES } from './members/registry.ts';

/** How load is forecast. Windows are the profile's; defaults are for windows of an hour. */
export interface ForecastSettings {
  /** The longest forecast that can be asked for, in windows: the direct models are trained for it. */
  readonly horizonSteps: number;
  /** Nominal coverage of [lower, upper], what plans are made with, 0.5..0.99. */
  readonly level: number;
  /** Further levels of which a record is kept, so that bounds can be asked for. */
  readonly levels: readonly number[];
  /** The dimension that others follow by their ratio to it, per partition and hour of the week. */
  readonly driver: LoadDimension;
  /** Dimensions that do not follow the driver, but are forecast as it is. */
  readonly dimensions: readonly LoadDimension[];
  /** Windows of history kept; at least five weeks of hours. */
  readonly historyWindows: number;
  /** Names of the members that are combined (`members/registry.ts`). */
  readonly members: readonly string[];
  /** A calendar file of holidays and events (.ics, .yaml), whose effect is learnt and forecast; null for none. */
  readonly calendar: string | null;
  /** Whether clusters of partitions and the total are forecast too, and all made to agree. */
  readonly isReconciled: boolean;
  /** Whole weeks the seasonal mean looks back. */
  readonly weeksMax: number;
  readonly ridge: RidgeSettings;
}

export interface RidgeSettings {
  /** Windows a direct model looks back, at least 168; it speaks once history is longer than this and a horizon. */
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
  levels: [0.95],
  driver: 'queries',
  // Each costs as much again as the driver does; ratios by hour of the week cost a tenth of that: docs/forecasting.md.
  dimensions: [],
  // Ten weeks: what a training row of eight weeks ago still needs.
  historyWindows: 1680,
  // Found by leaving one out after the other on the training parts of M4, the flights log and the cloud sets; what was left
  // out (pooled-ridge, ridge, card, qb-kernel, analogue, sparse-counts, sarima) made the combination worse or did not help it.
  // Those that follow the last hours came later: docs/decisions/0005.
  members: [
    'level',
    'day',
    'day-following',
    'naive-week',
    'weeks',
    'weeks-following',
    'weeks-level',
    'autoregression',
    'qb-linear',
    'ets',
    'mstl',
    'lstm',
  ],
  calendar: null,
  // Sums of means are no better for it where partitions are busy, and a little better where most are silent; a cycle costs half
  // as much again: docs/decisions/0006.
  isReconciled: false,
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

export const FORECAST_RANGES = {
  horizonSteps: integerFrom(1, 1344),
  level: numberFrom(0.5, 0.99),
  historyWindows: integerFrom(840, 100_000),
  weeksMax: integerFrom(1, 52),
  'ridge.lagWindows': integerFrom(168, 672),
  // Above 0: without a penalty the normal equations may be singular.
  'ridge.lambda': numberFrom(1e-9, 1000),
  'ridge.clusterCount': integerFrom(1, 64),
  'ridge.clusterSeeds': integerFrom(1, 8),
  'ridge.poolingShare': numberFrom(0, 1),
  // The upper end is arbitrary: beyond it all rows of any history weigh the same.
  'ridge.halfLifeWindows': numberFrom(168, 1e6),
};

/** What of the settings does not hold, paths from `forecast` on. */
export function forecastInconsistencies(settings: ForecastSettings): Inconsistency[] {
  const found = outOfRange(settings, FORECAST_RANGES);
  const names = Object.keys(MEMBER_FACTORIES);
  const isKnown = settings.members.every((name) => names.includes(name));
  if (!isKnown || settings.members.length === 0)
    found.push({ path: 'members', expected: `a list of at least one of ${names.join(', ')}` });
  if (!settings.levels.every((level) => level >= 0.5 && level <= 0.99))
    found.push({ path: 'levels', expected: 'a list of numbers in 0.5..0.99' });
  if (!LOAD_DIMENSIONS.includes(settings.driver))
    found.push({ path: 'driver', expected: `one of ${LOAD_DIMENSIONS.join(', ')}` });
  if (!settings.dimensions.every((dimension) => LOAD_DIMENSIONS.includes(dimension)))
    found.push({ path: 'dimensions', expected: `a list of ${LOAD_DIMENSIONS.join(', ')}` });
  if (typeof settings.isReconciled !== 'boolean')
    found.push({ path: 'isReconciled', expected: 'true or false' });
  if (settings.calendar !== null && (typeof settings.calendar !== 'string' || settings.calendar === ''))
    found.push({ path: 'calendar', expected: 'a path of an .ics or .yaml file, or null' });
  return found;
}

/** @throws ForeshardError FORESHARD_CONFIG naming the setting. */
export function assertForecastSettings(settings: ForecastSettings): void {
  assertConsistent('forecast', forecastInconsistencies(settings));
}

/** Every level of which a record is kept, rising. */
export const trackedLevels = ({ level, levels }: ForecastSettings): number[] =>
  [...new Set([level, ...levels])].sort((a, b) => a - b);
