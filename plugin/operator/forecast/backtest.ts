import { ForeshardError } from '../../../src/base/errors.ts';
import type { GridSeries } from '../../logs/series/regular-grid.ts';
import { fillMissing } from './filled-series.ts';
import { type ForecastOptions, forecastSeries, type SeriesForecast } from './forecast-series.ts';
import { WINDOWS_WHOLE } from './prepared-series.ts';

const DAY_MS = 86_400_000;

/** Of a series or of all together. */
export interface Scores {
  /**
   * Mean absolute scaled error, the scale being the mean absolute change from one day to the next in the history; null where
   * that is 0. Hyndman & Koehler, "Another look at measures of forecast accuracy", 2006.
   */
  readonly mase: number | null;
  /** Mean squared difference of log(1 + value), natural. */
  readonly logMse: number;
}

export interface BacktestScores extends Scores {
  /** The same hour of the last day that was known; of windows of a day or more, the last value. */
  readonly naiveDay: Scores;
  /** The same hour of the last week; null where the history was shorter than one. */
  readonly naiveWeek: Scores | null;
  /** By level in percent: the share of values within the bounds. */
  readonly coverage: Readonly<Record<string, number>>;
}

export interface SeriesBacktest extends BacktestScores {
  readonly id: string;
  /** Origins of which its history was long enough. */
  readonly originCount: number;
  /** Hidden values that forecasts were compared with. */
  readonly valueCount: number;
  readonly meanValue: number;
}

export interface Backtest {
  /** Origins from which any series was forecast: fewer than asked for where the history is short. */
  readonly originCount: number;
  readonly horizonSteps: number;
  /** Means over series; coverage over values. */
  readonly overall: BacktestScores & {
    readonly seriesCount: number;
    /** Series whose log MSE was below the naive one's. */
    readonly betterThanDay: number;
    readonly betterThanWeek: number;
  };
  readonly series: readonly SeriesBacktest[];
  /** Series whose history is too short for any origin, or of which nothing was known where they were hidden. */
  readonly leftOut: readonly string[];
}

/**
 * Hides the end of every series and forecasts it from what came before: at `originCount` rolling origins, each a horizon after
 * the one before it, so that each hidden value is forecast once, by models that were made without it.
 *
 * @throws ForeshardError FORESHARD_NOT_READY where no series is long enough.
 */
export async function backtestSeries(
  all: readonly GridSeries[],
  options: ForecastOptions & { readonly originCount: number },
): Promise<Backtest> {
  const { originCount, horizonSteps, onProgress } = options;
  const tallies = new Map<GridSeries, SeriesTally>();
  let originsUsed = 0;
  for (let round = 0; round < originCount; round++) {
    const hidden = (originCount - round) * horizonSteps;
    const long = all.filter(({ values }) => values.length - hidden >= WINDOWS_WHOLE);
    if (long.length === 0) continue;
    originsUsed++;
    const known = long.map((series) => ({ ...series, values: series.values.slice(0, -hidden) }));
    const { series } = await forecastSeries(known, {
      ...options,
      onProgress: (share) => onProgress?.((round + share) / originCount),
    });
    for (const [i, whole] of long.entries()) {
      const tally = tallies.get(whole) ?? new SeriesTally(options.levels);
      tallies.set(whole, tally);
      const first = whole.values.length - hidden;
      tally.add(
        known[i] as GridSeries,
        whole.values.subarray(first, first + horizonSteps),
        series[i] as SeriesForecast,
      );
    }
  }
  const scored = all.filter((series) => (tallies.get(series)?.valueCount ?? 0) > 0);
  if (scored.length === 0)
    throw new ForeshardError(
      'FORESHARD_NOT_READY',
      'fix-config',
      `no series has ${WINDOWS_WHOLE + horizonSteps} windows, ${WINDOWS_WHOLE} to learn from and ${horizonSteps} to hide, with values in the hidden ones: take a shorter --horizon, or more history`,
    );
  const series = scored.map((one) => (tallies.get(one) as SeriesTally).scoresOf(one.id));
  return {
    originCount: originsUsed,
    horizonSteps,
    overall: overallOf(series),
    series,
    leftOut: all.filter((one) => !scored.includes(one)).map(({ id }) => id),
  };
}

/** Adds up the errors of one forecaster on one series. */
class ErrorSums {
  #scaled = 0;
  #scaledCount = 0;
  #squaredLogs = 0;
  #count = 0;

  add(actual: number, forecast: number, scale: number): void {
    this.#count++;
    this.#squaredLogs += (Math.log1p(actual) - Math.log1p(forecast)) ** 2;
    if (!(scale > 0)) return;
    this.#scaled += Math.abs(actual - forecast) / scale;
    this.#scaledCount++;
  }

  get count(): number {
    return this.#count;
  }

  scores(): Scores {
    return {
      mase: this.#scaledCount === 0 ? null : this.#scaled / this.#scaledCount,
      logMse: this.#squaredLogs / this.#count,
    };
  }
}

class SeriesTally {
  readonly #levels: readonly number[];
  readonly #own = new ErrorSums();
  readonly #day = new ErrorSums();
  readonly #week = new ErrorSums();
  readonly #insideCounts: number[];
  #originCount = 0;
  #sum = 0;

  constructor(levels: readonly number[]) {
    this.#levels = levels;
    this.#insideCounts = levels.map(() => 0);
  }

  get valueCount(): number {
    return this.#own.count;
  }

  add(known: GridSeries, actuals: Float64Array, forecast: SeriesForecast): void {
    const history = fillMissing(known.values, known.windowMs).values;
    const day = Math.max(1, Math.round(DAY_MS / known.windowMs));
    const week = Math.max(1, Math.round((7 * DAY_MS) / known.windowMs));
    const scale = meanChange(known.values, day);
    this.#originCount++;
    actuals.forEach((actual, step) => {
      if (Number.isNaN(actual)) return;
      this.#sum += actual;
      this.#own.add(actual, forecast.point[step] as number, scale);
      this.#day.add(actual, seasonalNaive(history, day, step), scale);
      if (history.length >= week) this.#week.add(actual, seasonalNaive(history, week, step), scale);
      for (const [i, level] of this.#levels.entries()) {
        const [lower, upper] = [
          forecast.lower[level]?.[step] as number,
          forecast.upper[level]?.[step] as number,
        ];
        if (actual >= lower && actual <= upper) this.#insideCounts[i] = (this.#insideCounts[i] as number) + 1;
      }
    });
  }

  scoresOf(id: string): SeriesBacktest {
    const { count } = this.#own;
    return {
      id,
      originCount: this.#originCount,
      valueCount: count,
      meanValue: this.#sum / count,
      ...this.#own.scores(),
      naiveDay: this.#day.scores(),
      // Of some origins only, it would be compared with the forecasts of all.
      naiveWeek: this.#week.count === count ? this.#week.scores() : null,
      coverage: Object.fromEntries(
        this.#levels.map((level, i) => [level, (this.#insideCounts[i] as number) / count]),
      ),
    };
  }
}

/** The value of the last whole season, again and again. */
function seasonalNaive(history: Float64Array, season: number, step: number): number {
  const first = Math.max(0, history.length - season);
  return history[first + (step % (history.length - first))] as number;
}

/** Mean absolute change over a season, where both values are known; 0 where there is no such pair. */
function meanChange(values: Float64Array, season: number): number {
  let sum = 0;
  let count = 0;
  for (let at = season; at < values.length; at++) {
    const change = Math.abs((values[at] as number) - (values[at - season] as number));
    if (Number.isNaN(change)) continue;
    sum += change;
    count++;
  }
  return count === 0 ? 0 : sum / count;
}

function overallOf(series: readonly SeriesBacktest[]): Backtest['overall'] {
  const meanOf = (values: readonly (number | null)[]): number | null => {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? null : known.reduce((sum, value) => sum + value / known.length, 0);
  };
  const scoresOf = (of: (one: SeriesBacktest) => Scores): Scores => ({
    mase: meanOf(series.map((one) => of(one).mase)),
    logMse: meanOf(series.map((one) => of(one).logMse)) as number,
  });
  const withWeek = series.filter(({ naiveWeek }) => naiveWeek !== null);
  const valueCount = series.reduce((sum, one) => sum + one.valueCount, 0);
  const levels = Object.keys(series[0]?.coverage ?? {});
  return {
    seriesCount: series.length,
    ...scoresOf((one) => one),
    naiveDay: scoresOf(({ naiveDay }) => naiveDay),
    // Beside the mean of all, that of some would be no comparison.
    naiveWeek: withWeek.length === series.length ? scoresOf(({ naiveWeek }) => naiveWeek as Scores) : null,
    betterThanDay: series.filter((one) => one.logMse < one.naiveDay.logMse).length,
    betterThanWeek: withWeek.filter((one) => one.logMse < (one.naiveWeek as Scores).logMse).length,
    coverage: Object.fromEntries(
      levels.map((level) => [
        level,
        series.reduce((sum, one) => sum + ((one.coverage[level] as number) * one.valueCount) / valueCount, 0),
      ]),
    ),
  };
}
