import { ForeshardError } from '../../../src/base/errors.ts';
import { quoted } from '../quoted.ts';
import type { RawSeries } from './raw-series.ts';

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How values of one window become one. */
export type Aggregate = 'mean' | 'sum';

export interface GridOptions {
  /** The width of a window; found from the times by default. */
  readonly windowMs?: number;
  /** Given, values of one window are taken together; by default several at one time are an error, or averaged if times vary. */
  readonly aggregate?: Aggregate;
  /** Windows that are kept, the newest. */
  readonly windowsMax: number;
}

/** A series with one value for every window. */
export interface GridSeries {
  readonly id: string;
  /** Of window 0; 0 where the file has no times. */
  readonly startMs: number;
  readonly windowMs: number;
  /** >= 0; NaN where nothing is known. Neither the first nor the last is NaN, unless all are. */
  readonly values: Float64Array;
  /** What had to be done to the series, for its reader. */
  readonly notes: readonly string[];
}

/** What a series of one value, or one without times, is taken to be spaced by. */
const WINDOW_MS_DEFAULT = HOUR_MS;
/** Of a spacing: clocks jitter, and a day is an hour shorter once a year. */
const JITTER_MAX = 0.1;
/** Widths that divide a day or a week, so that seasons are whole numbers of windows. */
const WIDTHS_MS = [
  ...[1, 2, 5, 10, 15, 20, 30].map((n) => n * SECOND_MS),
  ...[1, 2, 5, 10, 15, 20, 30].map((n) => n * MINUTE_MS),
  ...[1, 2, 3, 4, 6, 8, 12].map((n) => n * HOUR_MS),
  DAY_MS,
  7 * DAY_MS,
];

/**
 * Brings a series to windows of equal width. Times in any order are sorted; a missing value stays missing.
 *
 * Windows are found from the median spacing. Times that do not fit it are put into windows of the next round width.
 *
 * @throws ForeshardError FORESHARD_CORRUPT on two values for one time, naming both rows; on a series without any value.
 */
export function onRegularGrid(raw: RawSeries, options: GridOptions): GridSeries {
  const notes: string[] = [];
  if (raw.values.every(Number.isNaN))
    throw new ForeshardError(
      'FORESHARD_CORRUPT',
      're-read',
      `series ${quoted(raw.id)}, row ${raw.firstRow}: there is no value in it: leave the series out`,
    );
  if (raw.timesMs === null) {
    const windowMs = options.windowMs ?? WINDOW_MS_DEFAULT;
    return trimmed({ id: raw.id, startMs: 0, windowMs, values: raw.values, notes }, options.windowsMax);
  }
  const points = inOrder(raw, raw.timesMs, notes);
  const distinct = options.aggregate === undefined ? withoutRepeats(raw.id, points, notes) : points;
  const spacingMs = options.windowMs ?? medianSpacing(distinct);
  const isRegular = options.aggregate === undefined && fits(distinct, spacingMs);
  const windowMs = isRegular ? spacingMs : (options.windowMs ?? roundWidth(spacingMs));
  if (!isRegular && distinct.length > 1)
    notes.push(
      `its times are not regular, or a window is given: ${options.aggregate ?? 'mean'} per window of ${describeMs(windowMs)}`,
    );
  const originMs = isRegular ? (distinct[0] as Point).timeMs : 0;
  const binned = inWindows(distinct, { originMs, windowMs, isRegular, notes, ...options });
  return trimmed({ id: raw.id, windowMs, notes, ...binned }, options.windowsMax);
}

interface Point {
  readonly timeMs: number;
  readonly value: number;
  readonly row: number;
}

function inOrder(raw: RawSeries, timesMs: Float64Array, notes: string[]): Point[] {
  const points: Point[] = [];
  let outOfOrder = 0;
  for (let i = 0; i < timesMs.length; i++) {
    points.push({
      timeMs: timesMs[i] as number,
      value: raw.values[i] as number,
      row: raw.rows?.[i] ?? raw.firstRow,
    });
    if (i > 0 && (timesMs[i] as number) < (timesMs[i - 1] as number)) outOfOrder++;
  }
  if (outOfOrder > 0) {
    points.sort((a, b) => a.timeMs - b.timeMs || a.row - b.row);
    notes.push(`${outOfOrder} rows came before earlier ones and were sorted`);
  }
  return points;
}

/** A row that says the same again is dropped; one that says something else is an error. */
function withoutRepeats(id: string, points: readonly Point[], notes: string[]): Point[] {
  const distinct: Point[] = [];
  let repeats = 0;
  for (const point of points) {
    const last = distinct.at(-1);
    if (last === undefined || last.timeMs !== point.timeMs) {
      distinct.push(point);
      continue;
    }
    if (!Object.is(last.value, point.value))
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        're-read',
        `series ${quoted(id)}, rows ${last.row} and ${point.row}: two values for ${new Date(point.timeMs).toISOString()}: remove one, or take them together with --aggregate sum or mean`,
      );
    repeats++;
  }
  if (repeats > 0) notes.push(`${repeats} repeated rows were left out`);
  return distinct;
}

function medianSpacing(points: readonly Point[]): number {
  const spacings = new Float64Array(Math.max(0, points.length - 1));
  for (let i = 0; i < spacings.length; i++)
    spacings[i] = (points[i + 1] as Point).timeMs - (points[i] as Point).timeMs;
  const positive = spacings.filter((spacing) => spacing > 0).sort();
  return positive[positive.length >> 1] ?? WINDOW_MS_DEFAULT;
}

function fits(points: readonly Point[], spacingMs: number): boolean {
  const originMs = points[0]?.timeMs ?? 0;
  let lastIndex = -1;
  return points.every(({ timeMs }) => {
    const place = (timeMs - originMs) / spacingMs;
    const index = Math.round(place);
    const isOwn = index > lastIndex && Math.abs(place - index) <= JITTER_MAX;
    lastIndex = index;
    return isOwn;
  });
}

const roundWidth = (spacingMs: number): number =>
  WIDTHS_MS.find((width) => width >= spacingMs) ?? Math.ceil(spacingMs / DAY_MS) * DAY_MS;

interface WindowOptions {
  readonly originMs: number;
  readonly windowMs: number;
  readonly isRegular: boolean;
  readonly aggregate?: Aggregate;
  readonly windowsMax: number;
  readonly notes: string[];
}

/** Only windows among the newest `windowsMax` are made: a gap of years costs nothing. */
function inWindows(
  points: readonly Point[],
  { originMs, windowMs, isRegular, aggregate, windowsMax, notes }: WindowOptions,
): { startMs: number; values: Float64Array } {
  const indexOf = (timeMs: number): number => {
    const place = (timeMs - originMs) / windowMs;
    return isRegular ? Math.round(place) : Math.floor(place);
  };
  const known = points.filter(({ value }) => !Number.isNaN(value));
  const last = indexOf((known.at(-1) as Point).timeMs);
  const oldest = indexOf((known[0] as Point).timeMs);
  const first = Math.max(oldest, last - windowsMax + 1);
  if (first > oldest) notes.push(onlyNewest(windowsMax));
  const sums = new Float64Array(last - first + 1).fill(Number.NaN);
  const counts = new Uint32Array(sums.length);
  for (const { timeMs, value } of known) {
    const at = indexOf(timeMs) - first;
    if (at < 0) continue;
    sums[at] = counts[at] === 0 ? value : (sums[at] as number) + value;
    counts[at] = (counts[at] as number) + 1;
  }
  // Of counts that are added up, a window without any row had none.
  const values = sums.map((sum, at) => {
    if (aggregate === 'sum') return Number.isNaN(sum) ? 0 : sum;
    return sum / Math.max(1, counts[at] as number);
  });
  return { startMs: originMs + first * windowMs, values };
}

const onlyNewest = (windowsMax: number): string => `only its newest ${windowsMax} windows are used`;

/** Without missing values at both ends, and without what is older than `windowsMax` windows. */
function trimmed(series: GridSeries, windowsMax: number): GridSeries {
  const isKnown = (value: number): boolean => !Number.isNaN(value);
  const end = series.values.findLastIndex(isKnown) + 1;
  let first = Math.max(0, end - windowsMax);
  const notes = [...series.notes];
  if (first > series.values.findIndex(isKnown)) notes.push(onlyNewest(windowsMax));
  while (!isKnown(series.values[first] as number)) first++;
  return {
    ...series,
    notes,
    startMs: series.startMs + first * series.windowMs,
    values: series.values.slice(first, end),
  };
}

/** 5400000 as `90m`: in the largest unit that goes into it. */
export function describeMs(ms: number): string {
  const units: readonly (readonly [number, string])[] = [
    [DAY_MS, 'd'],
    [HOUR_MS, 'h'],
    [MINUTE_MS, 'm'],
    [SECOND_MS, 's'],
  ];
  const [unitMs, name] = units.find(([unit]) => ms % unit === 0) ?? [1, 'ms'];
  return `${ms / unitMs}${name}`;
}
