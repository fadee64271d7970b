/** The series the forecast bench runs on: where they come from, and how they are brought to one shape. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DAY_MS, flightLogPath, LOG_START_MS, readFlightLog } from '../../examples/flights/read-log.ts';
import { partitionOfSlot } from '../../src/model/partition-map.ts';

/** Series of equal length that are forecast together, f64[series][window]. */
export interface SeriesSet {
  readonly name: string;
  readonly windowMs: number;
  readonly seriesCount: number;
  readonly windowCount: number;
  readonly values: Float64Array;
}

const HOUR_MS = 3_600_000;
const require = createRequire(import.meta.url);
const calculateSlot = require('cluster-key-slot') as (key: string) => number;
const bzip2 = require('seek-bzip') as { decode(compressed: Uint8Array): Buffer };

/** `FORESHARD_SHARED_DATA`, else ../shared/data beside the repository, else nothing. */
export function sharedDataFolder(): string | undefined {
  const candidates = [
    process.env.FORESHARD_SHARED_DATA,
    // bench/forecast/ stands two folders below the root, dist/bench/forecast/ three; work trees one more.
    ...['../../../shared/data', '../../../../shared/data', '../../../../../shared/data'].map((path) =>
      fileURLToPath(new URL(path, import.meta.url)),
    ),
  ];
  return candidates.find((path) => path !== undefined && existsSync(path));
}

/** Hourly departures per partition of {ORIGIN}: a real log of events with keys. Flights stand in for queries. */
export async function flightsByPartition(options: {
  readonly firstDay: number;
  readonly dayCount: number;
  readonly partitionCount: number;
}): Promise<SeriesSet | undefined> {
  if (flightLogPath() === undefined) return undefined;
  const { firstDay, dayCount, partitionCount } = options;
  const fromMs = LOG_START_MS + firstDay * DAY_MS;
  const log = await readFlightLog({ fromMs, toMs: fromMs + dayCount * DAY_MS });
  const partitionOf = log.airports.map((airport) =>
    partitionOfSlot(calculateSlot(`{${airport}}`), partitionCount),
  );
  const windowCount = dayCount * 24;
  const values = new Float64Array(partitionCount * windowCount);
  log.minuteOf.forEach((minute, departure) => {
    const window = Math.floor((log.startMs + minute * 60_000 - fromMs) / HOUR_MS);
    if (window < 0 || window >= windowCount) return;
    const at = (partitionOf[log.originOf[departure] as number] as number) * windowCount + window;
    values[at] = (values[at] as number) + 1;
  });
  return { name: 'flights', windowMs: HOUR_MS, seriesCount: partitionCount, windowCount, values };
}

/** M4 Hourly: two sets, by length; the 48 hours of the test file are the last 48 windows. */
export function m4Hourly(folder: string): SeriesSet[] {
  const rowsOf = (file: string): number[][] =>
    readFileSync(join(folder, 'm4-hourly', file), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) =>
        line
          .split(',')
          .slice(1)
          .map((field) => field.trim().replaceAll('"', ''))
          .filter((field) => field !== '')
          .map(Number),
      );
  const train = rowsOf('Hourly-train.csv');
  const test = rowsOf('Hourly-test.csv');
  const whole = train.map((row, index) => [...row, ...(test[index] as number[])]);
  return [...new Set(whole.map((row) => row.length))].map((windowCount) => {
    const rows = whole.filter((row) => row.length === windowCount);
    return {
      name: `m4-hourly-${windowCount - 48}`,
      windowMs: HOUR_MS,
      seriesCount: rows.length,
      windowCount,
      values: Float64Array.from(rows.flat()),
    };
  });
}

/** Series of Microsoft's cloud monitoring set, each folder a set: request rates, purchases, ingress rates. */
export function cloudMonitoring(folder: string): SeriesSet[] {
  const quarterHourMs = 15 * 60_000;
  const folders = [
    { name: 'mongodb-application-rps', windowMs: quarterHourMs },
    { name: 'mongodb-machine-rps', windowMs: quarterHourMs },
    { name: 'consumer-purchase-rate', windowMs: HOUR_MS },
    { name: 'data-ingress-rate', windowMs: quarterHourMs },
  ];
  return folders.map(({ name, windowMs }) => {
    const path = join(folder, 'microsoft-cloud-monitoring', name);
    const series = readdirSync(path)
      .filter((file) => file.endsWith('.csv'))
      .sort()
      .map((file) => binned(readFileSync(join(path, file), 'utf8'), windowMs));
    return setOf(name, windowMs, series);
  });
}

/**
 * Requests to a web server of NASA's in the summer of 1995, by the hour. The outage between the logs of July and August is
 * cut out, so that the daily phase jumps there.
 */
function nasaHttp(folder: string): SeriesSet {
  const tar = bzip2.decode(readFileSync(join(folder, 'nasa-http-per-second', 'workload.tbz2')));
  // A tar file with one member: a header of 512 bytes, its size in octal digits at byte 124.
  const size = Number.parseInt(tar.toString('latin1', 124, 136), 8);
  const perSecond = tar
    .toString('latin1', 512, 512 + size)
    .trim()
    .split(/\s+/);
  const hours = Array.from<number>({ length: Math.floor(perSecond.length / 3600) }).fill(0);
  for (let second = 0; second < hours.length * 3600; second++)
    (hours[Math.floor(second / 3600)] as number) += Number(perSecond[second]);
  return setOf('nasa-http', HOUR_MS, [hours]);
}

/** Virtual machines asked for by the hour, one series for each of the 16 types: sparse counts that arrive in batches. */
function azureArrivals(folder: string): SeriesSet {
  const windowCount = 719;
  const countsOf = new Map<string, number[]>();
  for (const part of ['train', 'dev', 'test'])
    for (const line of readFileSync(join(folder, 'azure-vm-arrivals', `v1.${part}.txt`), 'utf8').split(
      '\n',
    )) {
      const [seconds, ...types] = line.trim().split(/[\s,]+/);
      const hour = Math.floor(Number(seconds) / 3600);
      if (seconds === '' || !(hour < windowCount)) continue;
      for (const type of types) {
        if (type === '|' || type === '') continue;
        const counts = countsOf.get(type) ?? Array.from<number>({ length: windowCount }).fill(0);
        (counts[hour] as number) += 1;
        countsOf.set(type, counts);
      }
    }
  return setOf(
    'azure-vm-arrivals',
    HOUR_MS,
    [...countsOf].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, counts]) => counts),
  );
}

/** Real request rates and arrivals. */
export const workloads = (folder: string): SeriesSet[] => [
  ...cloudMonitoring(folder),
  nasaHttp(folder),
  azureArrivals(folder),
];

/** A set without its last windows: what choices may be made on. */
export function withoutLast(set: SeriesSet, windows: number): SeriesSet {
  const windowCount = set.windowCount - windows;
  const values = new Float64Array(set.seriesCount * windowCount);
  for (let s = 0; s < set.seriesCount; s++)
    values.set(set.values.subarray(s * set.windowCount, s * set.windowCount + windowCount), s * windowCount);
  return { ...set, name: `${set.name}-training`, windowCount, values };
}

/** Series of a set begin together; they are cut to the shortest. */
function setOf(name: string, windowMs: number, series: readonly (readonly number[])[]): SeriesSet {
  const windowCount = Math.min(...series.map((values) => values.length));
  return {
    name,
    windowMs,
    seriesCount: series.length,
    windowCount,
    values: Float64Array.from(series.flatMap((values) => values.slice(0, windowCount))),
  };
}

/** Mean rate per window; a window without a line repeats the one before. */
function binned(csv: string, windowMs: number): number[] {
  const sums: number[] = [];
  const counts: number[] = [];
  let startMs: number | undefined;
  for (const line of csv.trim().split('\n').slice(1)) {
    const [time, value] = line.replaceAll('"', '').split(',') as [string, string];
    const timeMs = Date.parse(time);
    startMs ??= Math.floor(timeMs / windowMs) * windowMs;
    const window = Math.floor((timeMs - startMs) / windowMs);
    sums[window] = (sums[window] ?? 0) + Number(value);
    counts[window] = (counts[window] ?? 0) + 1;
  }
  const values: number[] = [];
  for (let window = 0; window < sums.length; window++)
    values.push(
      counts[window] === undefined ? (values.at(-1) ?? 0) : (sums[window] as number) / counts[window],
    );
  return values;
}
