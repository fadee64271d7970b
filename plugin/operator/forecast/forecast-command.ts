import type { ForecastSettings } from '../../../src/analyzer/settings.ts';
import { readSeries } from '../../logs/series/read-series.ts';
import { type GridSeries, onRegularGrid } from '../../logs/series/regular-grid.ts';
import { parseDuration } from '../duration.ts';
import { printJson, printLine } from '../output.ts';
import type { ForecastFlags } from './flags.ts';
import { forecastSeries, type SeriesForecast } from './forecast-series.ts';
import { sparkline } from './sparkline.ts';

/** A week of minutes, or more than a year of hours: what is older says little about tomorrow, and costs as much. */
const HISTORY_WINDOWS_MAX = 10_080;
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
  const grids = raw.map((series) =>
    onRegularGrid(series, {
      windowsMax: HISTORY_WINDOWS_MAX,
      ...(windowMs === undefined ? {} : { windowMs }),
      ...(flags.aggregate === undefined ? {} : { aggregate: flags.aggregate }),
    }),
  );
  const series = await forecastSeries(grids, { horizonSteps: flags.horizon, levels: flags.level, settings });
  if (flags.json) return printJson({ series });
  for (const line of tableOf(grids, series, flags.level)) printLine(line);
}

const HISTORY_COLUMNS = 24;
const FORECAST_COLUMNS = 24;
const ID_COLUMNS_MAX = 24;

/** One line a series: how it went and how it will go on, its next value, its mean and its peak with the widest bounds. */
function tableOf(
  grids: readonly GridSeries[],
  forecasts: readonly SeriesForecast[],
  levels: readonly number[],
): string[] {
  const widest = String(levels.at(-1));
  const idColumns = Math.min(ID_COLUMNS_MAX, Math.max(6, ...forecasts.map(({ id }) => id.length)));
  const lines = [
    `${'series'.padEnd(idColumns)}  ${'lately | forecast'.padEnd(HISTORY_COLUMNS + FORECAST_COLUMNS + 1)}  next (${widest} %), mean, peak; model, skill`,
  ];
  for (const [i, forecast] of forecasts.entries()) {
    const { id, point, lower, upper, model, skill, notes, degraded } = forecast;
    const history = (grids[i] as GridSeries).values.map((value) => (Number.isNaN(value) ? 0 : value));
    const lately = history.subarray(-2 * point.length);
    // One scale for both sides, or the eye would compare what cannot be compared.
    const [before, after] = sparklines(lately, point);
    const peak = point.indexOf(Math.max(...point));
    const mean = point.reduce((sum, value) => sum + value / point.length, 0);
    lines.push(
      `${shortened(id, idColumns).padEnd(idColumns)}  ${before}|${after}  ` +
        `${shown(point[0])} (${shown(lower[widest]?.[0])} to ${shown(upper[widest]?.[0])}), mean ${shown(mean)}, ` +
        `peak ${shown(point[peak])} in step ${peak + 1}; ${model}, skill ${skill === null ? '-' : skill.toFixed(2)}`,
    );
    for (const note of notes) lines.push(`${' '.repeat(idColumns)}  ${degraded ? 'degraded: ' : ''}${note}`);
  }
  return lines;
}

function sparklines(before: ArrayLike<number>, after: ArrayLike<number>): [string, string] {
  const columns = HISTORY_COLUMNS + FORECAST_COLUMNS;
  const beforeColumns = before.length === 0 ? 0 : Math.min(HISTORY_COLUMNS, before.length);
  const afterColumns = Math.min(FORECAST_COLUMNS, after.length);
  const highest = Math.max(1e-300, maximum(before), maximum(after));
  const scaled = (values: ArrayLike<number>, width: number): string => sparkline(values, width, highest);
  return [
    scaled(before, beforeColumns).padStart(HISTORY_COLUMNS),
    scaled(after, afterColumns).padEnd(columns - HISTORY_COLUMNS),
  ];
}

function maximum(values: ArrayLike<number>): number {
  let highest = 0;
  for (let i = 0; i < values.length; i++) highest = Math.max(highest, values[i] as number);
  return highest;
}

const shortened = (text: string, columns: number): string =>
  text.length <= columns ? text : `${text.slice(0, columns - 1)}…`;

/** Four digits are as many as a forecast has. */
function shown(value = 0): string {
  return value >= 1_000 && value < 1e9 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
}
