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
      `${raw.file}: series ${quoted(raw.id)}, row ${raw.firstRow}: there is no value in it: leave the series out`,
    );
  noteSpikes(raw, notes);
  if (raw.timesMs === null) {
    const windowMs = options.windowMs ?? WINDOW_MS_DEFAULT;
    return trimmed({ id: raw.id, startMs: 0, windowMs, values: raw.values, notes }, options.windowsMax);
  }
  const ordered = inOrder({ ...raw, timesMs: raw.timesMs }, notes);
  const points = options.aggregate === undefined ? withoutRepeats(raw, ordered, notes) : ordered;
  const { timesMs } = points;
  const spacingMs = options.windowMs ?? medianSpacing(timesMs);
  const isRegular = options.aggregate === undefined && fits(timesMs, spacingMs);
  const windowMs = isRegular ? spacingMs : (options.windowMs ?? roundWidth(spacingMs));
  if (!isRegular && timesMs.length > 1)
    notes.push(
      `its times are not regular, or a window is given: ${options.aggregate ?? 'mean'} per window of ${describeMs(windowMs)}`,
    );
  watchNewest(raw, points, { windowMs, notes, ...options });
  const originMs = isRegular ? (timesMs[0] as number) : 0;
  const binned = inWindows(points, { originMs, windowMs, isRegular, notes, ...options });
  return trimmed({ id: raw.id, windowMs, notes, ...binned }, options.windowsMax);
}

/** Fewer values than this have no top percent to compare with. */
const SPIKE_VALUES_MIN = 100;
const SPIKE_FACTOR = 100;

/** What is a hundred times as much as nearly all else is more often a fault of the meter than a load; only its reader can tell. */
function noteSpikes({ values, rows, firstRow }: RawSeries, notes: string[]): void {
  const known = values.filter((value) => !Number.isNaN(value)).sort();
  const usual = known[Math.floor(0.99 * (known.length - 1))] ?? 0;
  if (known.length < SPIKE_VALUES_MIN || usual === 0) return;
  const count = known.length - 1 - known.findLastIndex((value) => value <= SPIKE_FACTOR * usual);
  if (count === 0) return;
  const at = values.indexOf(known.at(-1) as number);
  notes.push(
    `${count} of its values are over ${SPIKE_FACTOR} times what 99 % of them are below (${usual}), such as ${values[at]} in ${rows === null ? `row ${firstRow}, value ${at + 1}` : `row ${rows[at]}`}: are they right?`,
  );
}

/** By value; a file may have many millions, too many for an object each. */
interface Points {
  readonly timesMs: Float64Array;
  readonly values: Float64Array;
  readonly rows: Float64Array;
}

function inOrder(raw: Omit<Points, 'rows'> & Pick<RawSeries, 'rows' | 'firstRow'>, notes: string[]): Points {
  const { timesMs, values } = raw;
  const rows = raw.rows ?? new Float64Array(values.length).fill(raw.firstRow);
  let outOfOrder = 0;
  for (let i = 1; i < timesMs.length; i++)
    if ((timesMs[i] as number) < (timesMs[i - 1] as number)) outOfOrder++;
  if (outOfOrder === 0) return { timesMs, values, rows };
  notes.push(`${outOfOrder} rows came before earlier ones and were sorted`);
  const order = Uint32Array.from(timesMs.keys()).sort(
    (a, b) => (timesMs[a] as number) - (timesMs[b] as number) || a - b,
  );
  return picked({ timesMs, values, rows }, order);
}

function picked(points: Points, indexes: Uint32Array): Points {
  const pick = (from: Float64Array): Float64Array =>
    Float64Array.from(indexes, (index) => from[index] as number);
  return { timesMs: pick(points.timesMs), values: pick(points.values), rows: pick(points.rows) };
}

/** A row that says the same again is dropped; one that says something else is an error. */
function withoutRepeats({ file, id }: RawSeries, points: Points, notes: string[]): Points {
  const { timesMs, values, rows } = points;
  const isRepeat = (i: number): boolean => i > 0 && timesMs[i] === timesMs[i - 1];
  for (let i = 1; i < timesMs.length; i++)
    if (isRepeat(i) && !Object.is(values[i], values[i - 1]))
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        're-read',
        `${file}: series ${quoted(id)}, rows ${rows[i - 1]} and ${rows[i]}: two values for ${new Date(timesMs[i] as number).toISOString()}: remove one, take them together with --aggregate sum or mean, or, if clocks were changed then, name the zone that the times are really of with --time-zone`,
      );
  const kept = Uint32Array.from(timesMs.keys()).filter((i) => !isRepeat(i));
  if (kept.length === timesMs.length) return points;
  notes.push(`${timesMs.length - kept.length} repeated rows were left out`);
  return picked(points, kept);
}

/** Rows after a gap, fewer than one in so many, are taken for those of a wrong clock. */
const STRAY_ONE_IN = 10;
const STRAY_OF_MIN = 3;

/**
 * One row of the year 2106 would leave nothing of the history before it within the newest windows.
 *
 * @throws ForeshardError FORESHARD_CORRUPT naming the row, where the history would be lost.
 */
function watchNewest(
  { file, id }: RawSeries,
  { timesMs, values, rows }: Points,
  { windowMs, windowsMax, notes }: Pick<WindowOptions, 'windowMs' | 'windowsMax' | 'notes'>,
): void {
  const known = Uint32Array.from(timesMs.keys()).filter((i) => !Number.isNaN(values[i]));
  const timeOf = (place: number): number => timesMs[known[place] as number] as number;
  const firstMs = timeOf(0);
  for (let place = known.length - 1; place >= STRAY_OF_MIN; place--) {
    if ((known.length - place) * STRAY_ONE_IN > known.length && place < known.length - 1) return;
    const gapMs = timeOf(place) - timeOf(place - 1);
    // As long as all of the history before it, and so not one of the gaps that the series has.
    if (gapMs <= Math.max(timeOf(place - 1) - firstMs, STRAY_OF_MIN * windowMs)) continue;
    const row = rows[known[place] as number];
    const time = new Date(timeOf(place)).toISOString();
    const what = `row ${row}: ${time} is ${describeMs(roundDown(gapMs))} after what comes before it`;
    if (gapMs > windowsMax * windowMs)
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        're-read',
        `${file}: series ${quoted(id)}, ${what}, and only the newest ${windowsMax} windows are used: mend its time, or remove the row`,
      );
    notes.push(`${what}: is its time right?`);
    return;
  }
}

/** Of a gap, only its size matters. */
function roundDown(ms: number): number {
  const unitMs = [DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS].find((unit) => ms >= 2 * unit) ?? 1;
  return Math.floor(ms / unitMs) * unitMs;
}

function medianSpacing(timesMs: Float64Array): number {
  const spacings = timesMs.subarray(1).map((timeMs, i) => timeMs - (timesMs[i] as number));
  const positive = spacings.filter((spacing) => spacing > 0).sort();
  return positive[positive.length >> 1] ?? WINDOW_MS_DEFAULT;
}

function fits(timesMs: Float64Array, spacingMs: number): boolean {
  const originMs = timesMs[0] as number;
  let lastIndex = -1;
  return timesMs.every((timeMs) => {
    const place = (timeMs - originMs) / spacingMs;
    const index = Math.round(place);
    const isOwn = index > lastIndex && Math.abs(place - index) <= JITTER_MAX;
    lastIndex = index;
    return isOwn;
  });
}

/** The next width, or one that is a little narrower: a sampler that sleeps a minute takes a little more. */
const roundWidth = (spacingMs: number): number =>
  WIDTHS_MS.find((width) => width >= (1 - JITTER_MAX) * spacingMs) ?? Math.ceil(spacingMs / DAY_MS) * DAY_MS;

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
  { timesMs, values: given }: Points,
  { originMs, windowMs, isRegular, aggregate, windowsMax, notes }: WindowOptions,
): { startMs: number; values: Float64Array } {
  const indexOf = (at: number): number => {
    const place = ((timesMs[at] as number) - originMs) / windowMs;
    return isRegular ? Math.round(place) : Math.floor(place);
  };
  const isKnown = (value: number): boolean => !Number.isNaN(value);
  const last = indexOf(given.findLastIndex(isKnown));
  const oldest = indexOf(given.findIndex(isKnown));
  const first = Math.max(oldest, last - windowsMax + 1);
  if (first > oldest) notes.push(onlyNewest(windowsMax));
  const sums = new Float64Array(last - first + 1).fill(Number.NaN);
  const counts = new Uint32Array(sums.length);
  given.forEach((value, i) => {
    const at = indexOf(i) - first;
    if (at < 0 || !isKnown(value)) return;
    sums[at] = counts[at] === 0 ? value : (sums[at] as number) + value;
    counts[at] = (counts[at] as number) + 1;
  });
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
