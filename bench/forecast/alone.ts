import { FORECAST_DEFAULTS } from '../../src/analyzer/settings.ts';
import { type Evaluation, evaluate } from './evaluation.ts';
import { figure, hashOf, type Outcome } from './rows.ts';
import type { Score } from './scores.ts';
import type { SeriesSet } from './sets.ts';

const DAY_MS = 86_400_000;
const HORIZON = 24;
const LEVELS = [0.8, 0.95];
/** Prime to a day of hours and of quarter hours: origins fall on all of it, and not only on the hour that a set ends at. */
const ORIGIN_STEP = 13;

/** Some series of a set, each to be forecast as if there were no other. */
export interface AloneSet {
  readonly set: SeriesSet;
  readonly series: readonly number[];
  /** Forecasts of each series; the last one ends with its last window. */
  readonly originCount: number;
}

/**
 * What a forecast is worth that has but one series to learn from: geometric means of its errors over series beside those of the
 * mean of days, how often bounds hold, and by how much they are off, on average over series, whichever way each is.
 */
export async function runAlone({ results }: Outcome, name: string, sets: readonly AloneSet[]): Promise<void> {
  const evaluations: Evaluation[] = [];
  for (const { set, series, originCount } of sets)
    for (const index of series) evaluations.push(await evaluationOf(seriesOf(set, index), originCount));
  const of = (method: string): Score[] =>
    evaluations.map(({ scores }) => scores.find((score) => score.method === method) as Score);
  const [combined, day] = [of('combined'), of('day')];
  const context = {
    set: name,
    settings: { series: evaluations.length, steps: `1..${HORIZON}` },
    hash: hashOf(evaluations.flatMap(({ points }) => points)),
  };
  for (const [metric, key] of [
    ['MSE of log(1+y)', 'logMse'],
    ['MASE', 'mase'],
  ] as const) {
    const mean = (scores: readonly Score[]): number => geometricMean(scores.map((score) => score[key]));
    const rows = { value: mean(combined), baseline: 'day', baselineValue: mean(day) };
    results.push(figure(context, { method: 'combined', metric: `${metric}, geometric mean`, ...rows }));
  }
  const interval = geometricMean(combined.map(({ msis }) => msis.get(0.95) as number));
  results.push(
    figure(context, {
      method: 'combined',
      metric: 'MSIS95, geometric mean',
      value: interval,
      baseline: 'one',
      baselineValue: 1,
    }),
  );
  for (const level of LEVELS) {
    const shares = combined.map(({ coverage }) => coverage.get(level) as number);
    const offs = shares.map((share) => Math.abs(share - level));
    results.push(
      figure(context, {
        method: 'combined',
        metric: `share inside the ${level * 100} % bounds, mean`,
        value: shares.reduce((sum, share) => sum + share, 0) / shares.length,
        baseline: 'nominal-level',
        baselineValue: level,
      }),
      figure(context, {
        method: 'combined',
        metric: `error of the ${level * 100} % bounds' coverage, mean`,
        value: offs.reduce((sum, off) => sum + off, 0) / offs.length,
        baseline: 'share-outside',
        baselineValue: 1 - level,
      }),
    );
  }
}

function evaluationOf(set: SeriesSet, originCount: number): Promise<Evaluation> {
  const dayWindows = Math.round(DAY_MS / set.windowMs);
  const last = set.windowCount - HORIZON;
  const origins = Array.from(
    { length: originCount },
    (_, index) => last - (originCount - 1 - index) * ORIGIN_STEP,
  );
  return evaluate(set, {
    settings: {
      ...FORECAST_DEFAULTS,
      horizonSteps: HORIZON,
      historyWindows: Math.max(FORECAST_DEFAULTS.historyWindows, 35 * dayWindows),
    },
    historyWindows: origins[0] as number,
    origins,
    season: dayWindows,
    ranges: [{ first: 0, end: HORIZON }],
  });
}

const seriesOf = (set: SeriesSet, index: number): SeriesSet => ({
  ...set,
  seriesCount: 1,
  values: set.values.slice(index * set.windowCount, (index + 1) * set.windowCount),
});

/** Below it an error is as good as none: a single exact forecast must not make the mean. */
const ERROR_MIN = 1e-6;

const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(Math.max(ERROR_MIN, value)), 0) / values.length);
