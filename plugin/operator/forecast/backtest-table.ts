import type { Backtest, BacktestScores } from './backtest.ts';
import { idColumnsOf, idOf } from './columns.ts';

const ERRORS = ['MASE', 'naive day', 'naive week', 'log MSE', 'naive day', 'naive week'];

/** A line a series and one for all: its errors beside those of the naive forecasts, and the share of values within its bounds. */
export function* backtestLines(
  { originCount, horizonSteps, overall, series, leftOut }: Backtest,
  levels: readonly number[],
): Generator<string> {
  yield `the last ${originCount * horizonSteps} windows hidden, and forecast from ${originCount === 1 ? '1 origin' : `${originCount} origins, ${horizonSteps} windows each`}, by what came before`;
  const idColumns = idColumnsOf(series);
  const titles = [...ERRORS, ...levels.map((level) => `in ${level} %`)];
  const lineOf = (id: string, cells: readonly string[]): string =>
    idOf(id, idColumns) +
    cells.map((cell, i) => `  ${cell.padStart(Math.max(6, (titles[i] as string).length))}`).join('');
  yield lineOf('series', titles);
  for (const one of series) yield lineOf(one.id, cellsOf(one, levels));
  const more = overall.seriesCount - series.length;
  if (more > 0) yield `and ${more} more: --top N or --json`;
  yield lineOf('all', cellsOf(overall, levels));
  const { seriesCount, betterThanDay, betterThanWeek, naiveWeek } = overall;
  const week = naiveWeek === null ? '' : `, than the last week repeated in ${betterThanWeek}`;
  yield `a lower log MSE than the last day repeated in ${betterThanDay} of ${seriesCount} series${week}`;
  if (leftOut.length > 0)
    yield `${leftOut.length} series left out: too short, or nothing known where they were hidden`;
}

function cellsOf(
  { naiveDay, naiveWeek, coverage, ...own }: BacktestScores,
  levels: readonly number[],
): string[] {
  const all = [own, naiveDay, naiveWeek];
  return [
    ...all.map((scores) => figure(scores?.mase, 2)),
    ...all.map((scores) => figure(scores?.logMse, 4)),
    ...levels.map((level) => `${(100 * (coverage[level] as number)).toFixed(1)} %`),
  ];
}

const figure = (value: number | null | undefined, digits: number): string =>
  value === null || value === undefined ? '-' : value.toFixed(digits);
