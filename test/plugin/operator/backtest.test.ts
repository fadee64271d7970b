import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { GridSeries } from '../../../plugin/logs/series/regular-grid.ts';
import { backtestSeries, type SeriesBacktest } from '../../../plugin/operator/forecast/backtest.ts';
import { backtestLines } from '../../../plugin/operator/forecast/backtest-table.ts';
import { FORECAST_DEFAULTS } from '../../../src/analyzer/settings.ts';
import { ForeshardError } from '../../../src/base/errors.ts';

const test = suite('backtest of a file');
const OPTIONS = { horizonSteps: 48, levels: [80, 95], settings: FORECAST_DEFAULTS, originCount: 2 };

const series = (id: string, hours: number, valueAt: (hour: number) => number): GridSeries => ({
  id,
  startMs: 0,
  windowMs: 3_600_000,
  values: Float64Array.from({ length: hours }, (_, hour) => valueAt(hour)),
  notes: [],
});
const daily = (hour: number): number => 100 + 80 * Math.sin((hour / 24) * 2 * Math.PI);
const near = (actual: number | null | undefined, expected: number): void =>
  check.ok(Math.abs((actual as number) - expected) < 1e-9, `${actual}, ${expected} is expected`);

test('errors of the naive forecasts are those of the last day and the last week, scaled by the change of a day', async () => {
  // A day is one above the day before: two days on, the last day's values are 1 and 2 too low, the last week's are 7.
  const rising = series('rising', 24 * 30, (hour) => daily(hour) + Math.floor(hour / 24));
  const { series: found, overall } = await backtestSeries([rising], OPTIONS);
  const [one] = found as readonly [SeriesBacktest];
  near(one.naiveDay.mase, 1.5);
  near(one.naiveWeek?.mase, 7);
  check.equal([one.originCount, one.valueCount], [2, 96]);
  check.ok((one.mase as number) < 2, `the forecast has ${one.mase}`);
  check.is(overall.betterThanWeek, 1);
  near(overall.naiveDay.mase, 1.5);
});

test('origins that the history has no room for are not counted', async () => {
  // 72 windows to learn from, and 48 to hide: once, whatever was asked for.
  const found = await backtestSeries([series('short', 24 * 6, daily)], { ...OPTIONS, originCount: 100 });
  check.is(found.originCount, 1);
});

test('what is hidden is not seen: a level that changes there is missed, by the bounds as well', async () => {
  const hours = 24 * 30;
  const jump = series('jump', hours, (hour) => (daily(hour) + 50) * (hour < hours - 96 ? 1 : 10));
  const still = series('still', hours, (hour) => daily(hour) + 50);
  const { series: found } = await backtestSeries([jump, still], {
    ...OPTIONS,
    horizonSteps: 96,
    originCount: 1,
  });
  const [missed, known] = found as readonly [SeriesBacktest, SeriesBacktest];
  check.ok(missed.logMse > 1, `log MSE ${missed.logMse}`);
  check.ok((missed.coverage['80'] as number) < 0.1, `coverage ${missed.coverage['80']}`);
  check.ok(known.logMse < 0.01, `log MSE ${known.logMse}`);
});

test('series that are too short are named, hidden gaps are not scored, and a constant series has no scaled error', async () => {
  const whole = series('whole', 300, (hour) => (hour > 290 ? Number.NaN : daily(hour)));
  const constant = series('constant', 300, () => 5);
  const short = series('short', 100, daily);
  const found = await backtestSeries([short, whole, constant], OPTIONS);
  check.equal(found.leftOut, ['short']);
  check.equal(
    found.series.map(({ id, valueCount, mase }) => [id, valueCount, mase === null]),
    [
      ['whole', 96 - 9, false],
      ['constant', 96, true],
    ],
  );
  const lines = [...backtestLines(found, [80, 95])];
  check.match(lines.at(-1) as string, /^1 series left out: too short/);
  check.match(lines.find((line) => line.startsWith('constant')) as string, /^constant +- +- +- +0\.0000/);
  try {
    await backtestSeries([short], OPTIONS);
    check.unreachable();
  } catch (error) {
    check.instance(error, ForeshardError);
    check.match((error as Error).message, /no series has 120 windows, 72 to learn from and 48 to hide/);
  }
});

test.run();
