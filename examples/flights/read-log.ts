import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

/**
 * Three million departures of US flights, 2001-01-01 to 2001-07-01 (npm `vega-datasets`, `flights-3m.parquet`): a real log
 * of events with a key each, which any machine with npm can have. It is not a database log: flights stand in for queries.
 */
export interface FlightLog {
  /** Wall clock of minute 0, milliseconds; the log's own local times are read as UTC. */
  readonly startMs: number;
  readonly endMs: number;
  /** i32[departure]: minutes since startMs, ascending. */
  readonly minuteOf: Int32Array;
  /** u16[departure]: index into `airports`. */
  readonly originOf: Uint16Array;
  readonly destinationOf: Uint16Array;
  /** Three-letter codes, sorted. */
  readonly airports: readonly string[];
  /** f64[departure] of each measure that was asked for. */
  readonly measures?: Readonly<Partial<Record<FlightMeasure, Float64Array>>>;
}

/** What the log tells of a departure besides: miles, and minutes of delay (negative where it was early). */
export type FlightMeasure = 'distance' | 'delay';

const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;
/** The log holds whole days from 2001-01-01 up to and without 2001-07-01. */
export const LOG_START_MS = Date.UTC(2001, 0, 1);
export const LOG_END_MS = Date.UTC(2001, 6, 1);

/** Where npm put the log, or undefined where the development dependency is not installed. */
export function flightLogPath(): string | undefined {
  const library = dirname(createRequire(import.meta.url).resolve('vega-datasets'));
  const path = join(library, '..', 'data', 'flights-3m.parquet');
  return existsSync(path) ? path : undefined;
}

/**
 * Reads the departures in [fromMs, toMs), sorted by time.
 *
 * @throws Error where the log is not installed.
 */
export async function readFlightLog({
  fromMs,
  toMs,
  measures = [],
}: {
  readonly fromMs: number;
  readonly toMs: number;
  readonly measures?: readonly FlightMeasure[];
}): Promise<FlightLog> {
  const path = flightLogPath();
  if (path === undefined)
    throw new Error('flights-3m.parquet is not there: run `npm ci` with development dependencies');
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);

  const minutes: number[] = [];
  const origins: string[] = [];
  const destinations: string[] = [];
  const measured = measures.map((name): [FlightMeasure, number[]] => [name, []]);
  let rowStart = 0;
  for (const rowGroup of metadata.row_groups) {
    const rowEnd = rowStart + Number(rowGroup.num_rows);
    const dates = rowGroup.columns.find((column) => column.meta_data?.path_in_schema[0] === 'date')?.meta_data
      ?.statistics;
    // Row groups are sorted by date; those wholly outside need no decoding.
    const isOutside =
      Number(dates?.min_value ?? 0) >= toMs || Number(dates?.max_value ?? Number.POSITIVE_INFINITY) < fromMs;
    if (!isOutside) {
      const names = ['date', 'origin', 'destination', ...measures];
      const columns: Record<string, unknown[]> = Object.fromEntries(names.map((name) => [name, []]));
      await parquetRead({
        file,
        metadata,
        compressors,
        columns: names,
        rowStart,
        rowEnd,
        onChunk({ columnName, columnData, rowStart: chunkStart }) {
          const column = columns[columnName];
          for (let i = 0; i < columnData.length; i++) column[chunkStart - rowStart + i] = columnData[i];
        },
      });
      const { date, origin, destination } = columns;
      for (let i = 0; i < date.length; i++) {
        const timeMs = Number(date[i]);
        if (timeMs < fromMs || timeMs >= toMs) continue;
        minutes.push((timeMs - fromMs) / MINUTE_MS);
        origins.push(origin[i] as string);
        destinations.push(destination[i] as string);
        for (const [name, values] of measured) values.push(Number(columns[name][i]));
      }
    }
    rowStart = rowEnd;
  }
  return toColumns({ fromMs, toMs, minutes, origins, destinations, measured });
}

function toColumns(rows: {
  fromMs: number;
  toMs: number;
  minutes: number[];
  origins: string[];
  destinations: string[];
  measured: [FlightMeasure, number[]][];
}): FlightLog {
  const airports = [...new Set([...rows.origins, ...rows.destinations])].sort();
  const indexOf = new Map(airports.map((code, index) => [code, index]));
  // The file is sorted by minute already but for ties; sorting indexes keeps the log's own order within a minute.
  const order = Uint32Array.from(rows.minutes.keys()).sort(
    (a, b) => rows.minutes[a] - rows.minutes[b] || a - b,
  );
  return {
    startMs: rows.fromMs,
    endMs: rows.toMs,
    minuteOf: Int32Array.from(order, (row) => rows.minutes[row]),
    originOf: Uint16Array.from(order, (row) => indexOf.get(rows.origins[row]) as number),
    destinationOf: Uint16Array.from(order, (row) => indexOf.get(rows.destinations[row]) as number),
    airports,
    measures: Object.fromEntries(
      rows.measured.map(([name, values]) => [name, Float64Array.from(order, (row) => values[row])]),
    ),
  };
}
