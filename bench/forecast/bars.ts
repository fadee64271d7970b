import type { BenchResult } from '../types.ts';
import { chanceWhenCalibrated } from './calibration.ts';

/**
 * The figures that the forecast is held to, each beside its bar: a ratio of at most 1 meets it.
 *
 * Bars of M4 are ES-RNN's and what 2 points of coverage cost; a workload with seasons has to beat both regressions of
 * QueryBot 5000, and no workload may be more than 5 % worse than saying "as last week".
 */
export function barRows(results: readonly BenchResult[]): BenchResult[] {
  return [...m4Bars(results), ...workloadBars(results), ...coverageBars(results), ...costBars(results)];
}

interface Bar {
  readonly of: BenchResult;
  readonly metric: string;
  readonly value: number;
  readonly must: number;
}

const row = ({ of, metric, value, must }: Bar): BenchResult => ({
  ...of,
  name: of.name.replace('forecast/', 'forecast/bar/'),
  metric,
  value,
  baseline: 'must',
  baselineValue: must,
  ratio: value / must,
});

const setOf = (result: BenchResult): string => result.name.split('/')[1] as string;
const methodOf = (result: BenchResult): string => result.name.split('/')[2] as string;

function m4Bars(results: readonly BenchResult[]): BenchResult[] {
  const bars: readonly (readonly [metric: string, must: number])[] = [
    ['OWA', 0.44],
    ['MSIS95', 7.5],
  ];
  return bars.flatMap(([metric, must]) =>
    results
      .filter((of) => of.name === 'forecast/m4-hourly/combined' && of.metric === metric)
      .map((of) => row({ of, metric, value: of.value, must })),
  );
}

/** Sets of real requests with a daily or weekly rhythm; the others come in bursts, without one that any method finds. */
const WITH_SEASONS = new Set([
  'mongodb-application-rps',
  'mongodb-machine-rps',
  'consumer-purchase-rate',
  'nasa-http',
]);

function workloadBars(results: readonly BenchResult[]): BenchResult[] {
  const combined = results.filter(
    (of) => methodOf(of) === 'combined' && of.baseline === 'naive-week' && !setOf(of).includes('level-shift'),
  );
  return combined.flatMap((of) => {
    const bars = [
      row({ of, metric: `${of.metric}, against naive-week`, value: of.value, must: 1.05 * of.baselineValue }),
    ];
    if (!WITH_SEASONS.has(setOf(of)) || of.metric !== 'MSE of log(1+y)') return bars;
    const rivals = results.filter(
      (other) =>
        setOf(other) === setOf(of) && methodOf(other).startsWith('qb-') && other.metric === of.metric,
    );
    // The standard error of a row is that of the difference to the naive week, not to a rival.
    const { standardError: _, ...settings } = of.settings;
    const alone = { ...of, settings };
    for (const rival of rivals)
      bars.push(
        row({
          of: alone,
          metric: `${of.metric}, against ${methodOf(rival)}`,
          value: of.value,
          must: rival.value,
        }),
      );
    return bars;
  });
}

/** How far the bounds are off at most, by nominal level. */
const COVERAGE_ERROR_MAX = new Map([
  [0.8, 0.03],
  [0.95, 0.02],
]);

/**
 * Workloads are held to the bar over every origin that can be scored, M4 over its 414 series. Beside each stands how probably a forecast
 * whose bounds are right would meet it, and the same of the last origins, which accuracy is judged on: docs/decisions/0017.
 */
function coverageBars(results: readonly BenchResult[]): BenchResult[] {
  return results
    .filter((of) => of.baseline === 'nominal-level')
    .filter((of) => methodOf(of) === 'every-origin' || of.name === 'forecast/m4-hourly/combined')
    .flatMap((of) => {
      const must = COVERAGE_ERROR_MAX.get(of.baselineValue);
      if (must === undefined) return [];
      const last = results.find(
        (other) =>
          setOf(other) === setOf(of) &&
          methodOf(other) === 'last-origins' &&
          other.metric === of.metric &&
          other.settings.steps === of.settings.steps,
      );
      const value = Math.abs(of.value - of.baselineValue);
      const settings = {
        ...of.settings,
        inside: Number(of.value.toFixed(4)),
        ...chance('calibratedMeetsIt', of, must),
        ...(last === undefined
          ? {}
          : {
              lastOrigins: last.settings.origins as number,
              lastInside: Number(last.value.toFixed(4)),
              lastStandardError: last.settings.standardError as number,
              ...chance('lastCalibratedMeetsIt', last, must),
            }),
      };
      const metric = `error of the ${of.baselineValue * 100} % bounds' coverage`;
      return [row({ of: { ...of, settings }, metric, value, must })];
    });
}

/**
 * How many bars of coverage are missed, beside how many a forecast whose bounds are right would miss on average: over all origins, and
 * as if the last ones alone were judged. Of bars without a standard error nothing is said.
 */
export function missedCoverageBars(results: readonly BenchResult[]): BenchResult[] {
  const bars = coverageBars(results).filter(({ settings }) => 'calibratedMeetsIt' in settings);
  const first = bars[0];
  if (first === undefined) return [];
  const missed = (of: readonly BenchResult[], off: (bar: BenchResult) => number): number =>
    of.filter((bar) => off(bar) > bar.baselineValue).length;
  const expected = (of: readonly BenchResult[], key: string): number =>
    of.reduce((sum, { settings }) => sum + 1 - (settings[key] as number), 0);
  const ofLast = bars.filter(({ settings }) => 'lastCalibratedMeetsIt' in settings);
  const nominal = ({ metric }: BenchResult): number => Number(/(\d+) %/.exec(metric)?.[1]) / 100;
  const all = {
    method: 'every-origin',
    value: missed(bars, ({ value }) => value),
    baselineValue: expected(bars, 'calibratedMeetsIt'),
    settings: { bars: bars.length },
  };
  const last = {
    method: 'last-origins',
    value: missed(ofLast, (bar) => Math.abs((bar.settings.lastInside as number) - nominal(bar))),
    baselineValue: expected(ofLast, 'lastCalibratedMeetsIt'),
    settings: { bars: ofLast.length },
  };
  return [all, last].map(({ method, ...counted }) => ({
    ...counted,
    name: `forecast/coverage-bars/${method}`,
    metric: 'bars missed',
    unit: '',
    baseline: 'expected-of-right-bounds',
    ratio: counted.value / counted.baselineValue,
    hash: first.hash,
  }));
}

function chance(name: string, { settings }: BenchResult, must: number): Record<string, number> {
  const { standardError } = settings;
  if (typeof standardError !== 'number') return {};
  return { [name]: Number(chanceWhenCalibrated(standardError, must).toFixed(2)) };
}

function costBars(results: readonly BenchResult[]): BenchResult[] {
  return results.flatMap((of) => {
    if (of.name === 'forecast/one-hour-more/observe' && of.settings.partitions === 1000)
      return /mean|worst/.test(of.metric) ? [row({ of, metric: of.metric, value: of.value, must: 50 })] : [];
    if (of.name === 'forecast/m4-hourly/combined' && of.baseline === 'augurs-mstl-ets')
      return [row({ of, metric: of.metric, value: of.value, must: 10 })];
    if (setOf(of) === 'kernel') return [row({ of, metric: 'ratio to C', value: of.ratio, must: 1.3 })];
    return [];
  });
}
