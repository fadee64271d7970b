import type { GridSeries } from '../../logs/series/regular-grid.ts';
import { idColumnsOf, idOf, shown } from './columns.ts';
import type { ForecastEvent } from './event-forecast.ts';
import type { SeriesForecast } from './forecast-series.ts';
import type { ForecastTimes } from './forecast-times.ts';
import { sparkline } from './sparkline.ts';

const HISTORY_COLUMNS = 24;
const FORECAST_COLUMNS = 24;

/** One line a series: how it went and how it will go on, its next value, its mean and its peak with the widest bounds. */
export function forecastLines(
  grids: readonly GridSeries[],
  forecasts: readonly SeriesForecast[],
  times: readonly ForecastTimes[],
  levels: readonly number[],
): string[] {
  const widest = String(levels.at(-1));
  const idColumns = idColumnsOf(forecasts);
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
      `${idOf(id, idColumns)}  ${before}|${after}  ` +
        `${shown(point[0])} (${shown(lower[widest]?.[0])} to ${shown(upper[widest]?.[0])}), mean ${shown(mean)}, ` +
        `peak ${shown(point[peak])} ${whenOf(times[i] as ForecastTimes, peak)}; ${model}, skill ${skill === null ? '-' : skill.toFixed(2)}`,
    );
    for (const note of notes) lines.push(`${' '.repeat(idColumns)}  ${degraded ? 'degraded: ' : ''}${note}`);
  }
  return lines;
}

/** Of a step: its time, or its number where the file has no times. */
function whenOf({ startTime, stepSeconds }: ForecastTimes, step: number): string {
  if (startTime === null || stepSeconds === null) return `in step ${step + 1}`;
  return `at ${isoOf(Date.parse(startTime) + 1_000 * stepSeconds * step)}`;
}

/** What the calendar has put into the forecast. */
export function* eventLines(events: readonly ForecastEvent[]): Generator<string> {
  for (const { name, startMs, endMs, seriesCount, factor, occurrenceCount } of events) {
    const from = occurrenceCount === 0 ? 'as the calendar says' : `learnt from ${occurrenceCount} before it`;
    const effect =
      factor === null
        ? 'nothing is known of it, and it is not in the forecast (give it an uplift)'
        : `times ${shown(factor)} on average, ${from}`;
    yield `event ${name.replace(/\s+/g, ' ')}, ${isoOf(startMs)} to ${isoOf(endMs)}, ${seriesCount} series: ${effect}`;
  }
}

const isoOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16)}Z`;

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
