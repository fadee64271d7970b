import type { ForecastSettings } from '../../../src/analyzer/settings.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Calendar } from '../../../src/model/calendar.ts';
import { loadCalendar } from '../../calendar/load-calendar.ts';
import type { RawSeries } from '../../logs/series/raw-series.ts';
import { readSeries } from '../../logs/series/read-series.ts';
import { type GridSeries, onRegularGrid } from '../../logs/series/regular-grid.ts';
import { parseDuration } from '../duration.ts';
import { printJson, printLine, printRemark } from '../output.ts';
import { ProgressLine } from '../progress-line.ts';
import { backtestSeries } from './backtest.ts';
import { backtestLines } from './backtest-table.ts';
import type { ForecastFlags } from './flags.ts';
import { type ForecastOptions, forecastSeries } from './forecast-series.ts';
import { eventLines, forecastLines } from './forecast-table.ts';
import { type ForecastTimes, timesOf } from './forecast-times.ts';

/** A week of minutes, or more than a year of hours: what is older says little about tomorrow, and costs as much. */
const HISTORY_WINDOWS_MAX = 10_080;

/** Rows of the table unless `--top` says otherwise: a screen; --json has all there are. */
const ROWS_LISTED = 20;

/** `foreshard forecast FILE`. */
export async function forecastFile(
  file: string,
  flags: ForecastFlags,
  settings: ForecastSettings,
): Promise<void> {
  const windowMs = flags.window === undefined ? undefined : parseDuration('--window', flags.window);
  const raw = await readSeries(file === '-' ? process.stdin : file, {
    ...(flags.timeZone === undefined ? {} : { timeZone: flags.timeZone }),
    ...(file === '-' ? { name: 'standard input' } : {}),
  });
  const calendar = calendarFor(raw, flags, settings);
  const grids = raw.map((series) =>
    onRegularGrid(series, {
      windowsMax: HISTORY_WINDOWS_MAX,
      ...(windowMs === undefined ? {} : { windowMs }),
      ...(flags.aggregate === undefined ? {} : { aggregate: flags.aggregate }),
    }),
  );
  const progress = new ProgressLine(ProgressLine.optionsOf(flags));
  const options: ForecastOptions = {
    horizonSteps: flags.horizon,
    levels: flags.level,
    settings,
    onProgress: (share) =>
      progress.update(
        (seconds) => `${grids.length} series: ${Math.floor(100 * share)} % in ${Math.round(seconds)} s`,
      ),
    ...(calendar === undefined ? {} : { calendar }),
  };
  try {
    const times = grids.map((grid, i) => timesOf(grid, raw[i] as RawSeries));
    if (flags.backtest === undefined) await printForecast(grids, times, flags, options);
    else await printBacktest(grids, { ...flags, backtest: flags.backtest }, options);
  } finally {
    progress.end();
  }
}

async function printForecast(
  grids: readonly GridSeries[],
  times: readonly ForecastTimes[],
  flags: ForecastFlags,
  options: ForecastOptions,
): Promise<void> {
  const { series, events } = await forecastSeries(grids, options);
  const byPeak = [...series.keys()].sort((a, b) => peakOf(series[b]?.point) - peakOf(series[a]?.point));
  if (flags.json) {
    const told = flags.top === undefined ? [...series.keys()] : byPeak.slice(0, flags.top);
    return printJson({
      series: told.map((index) => ({ ...series[index], ...times[index] })),
      ...(options.calendar === undefined ? {} : { events }),
    });
  }
  const chosen = byPeak.slice(0, flags.top ?? ROWS_LISTED);
  const rowsOf = <Row>(rows: readonly Row[]): Row[] => chosen.map((index) => rows[index] as Row);
  for (const line of forecastLines(rowsOf(grids), rowsOf(series), rowsOf(times), flags.level))
    printLine(line);
  if (chosen.length < series.length)
    printLine(`and ${series.length - chosen.length} more: --top N or --json`);
  for (const line of eventLines(events)) printLine(line);
}

const peakOf = (values: readonly number[] = []): number =>
  values.reduce((highest, value) => Math.max(highest, value), 0);

async function printBacktest(
  grids: readonly GridSeries[],
  flags: ForecastFlags & { readonly backtest: number },
  options: ForecastOptions,
): Promise<void> {
  const backtest = await backtestSeries(grids, { ...options, originCount: flags.backtest });
  const byLoad = [...backtest.series].sort((a, b) => b.meanValue - a.meanValue);
  if (flags.json)
    return printJson({
      backtest: flags.top === undefined ? backtest : { ...backtest, series: byLoad.slice(0, flags.top) },
    });
  const listed = { ...backtest, series: byLoad.slice(0, flags.top ?? ROWS_LISTED) };
  for (const line of backtestLines(listed, flags.level)) printLine(line);
  if (backtest.originCount < flags.backtest)
    printLine(
      `${flags.backtest} origins were asked for: the history is long enough for ${backtest.originCount}`,
    );
}

/**
 * The calendar of the flag, else that of the config.
 *
 * @throws ForeshardError FORESHARD_CONFIG where one was asked for and the series have no times, so that no window is of any day.
 */
function calendarFor(
  raw: readonly RawSeries[],
  flags: ForecastFlags,
  settings: ForecastSettings,
): Calendar | undefined {
  const file = flags.calendar ?? settings.calendar;
  if (file === null) return undefined;
  const undated = raw.find(({ timesMs }) => timesMs === null);
  if (undated !== undefined) {
    const what = `${undated.file}: series without times (the wide layout), to which no calendar can be applied`;
    if (flags.calendar !== undefined)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `--calendar: ${what}: use the long layout, series,time,value`,
      );
    printRemark(`forecast.calendar is not used: ${what}`);
    return undefined;
  }
  const { calendar, remarks } = loadCalendar(file);
  for (const remark of remarks) printRemark(remark);
  return calendar;
}
