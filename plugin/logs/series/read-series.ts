import { ForeshardError } from '../../../src/base/errors.ts';
import { LOAD_MAX } from '../../../src/model/load-profile.ts';
import { ByteSource } from '../byte-source.ts';
import { delimiterOf, splitFields } from '../csv-fields.ts';
import { type LineSink, LineSplitter } from '../lines.ts';
import { quoted } from '../quoted.ts';
import { QuotedLines } from '../quoted-lines.ts';
import { SeriesPasses, TimeZone } from '../time-zone.ts';
import { TimestampReader } from '../timestamp.ts';
import { GrowingNumbers, type RawSeries } from './raw-series.ts';

export interface ReadSeriesOptions {
  /** Of times that name none; UTC by default. */
  readonly timeZone?: string;
  /** Of a stream, for messages. */
  readonly name?: string;
  /** Values of all series together that are held in memory. */
  readonly valuesMax?: number;
}

/** 8 bytes each for time, value and row: some 500 MB. */
const VALUES_MAX = 20_000_000;
/** A series of a million values on one line of the wide layout. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;
/** As spreadsheets and databases write numbers; `0x10` is somebody's id. */
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
/** What people and programs write where there is no value. */
const MISSING = /^(|na|n\/a|nan|null|nil|none|-)$/i;

/**
 * Reads series from CSV, packed or not: long, with a header that names `time`, `value` and, where there is more than one,
 * `series`; or wide like the M4 competition's files, an id and then values, under a header `V1,V2,…`.
 *
 * @throws ForeshardError FORESHARD_CORRUPT naming series and row of what is no number, negative, above LOAD_MAX or no time; on another header,
 *   an empty file, a file without values, damaged packing. FORESHARD_LIMIT on more values than fit. FORESHARD_CONFIG as
 *   {@link ByteSource} and {@link TimeZone} do.
 */
export async function readSeries(
  from: string | AsyncIterable<Uint8Array>,
  options: ReadSeriesOptions = {},
): Promise<RawSeries[]> {
  const zone = new TimeZone(options.timeZone ?? 'UTC');
  const source = new ByteSource(from, options.name);
  const table = new SeriesTable(
    source.name,
    () => new TimestampReader(zone, options.timeZone !== undefined, new SeriesPasses()),
    options.valuesMax ?? VALUES_MAX,
  );
  const lines = new LineSplitter({ lineBytesMax: LINE_BYTES_MAX, encoding: 'utf8' });
  const quotedLines = new QuotedLines(table, { recordBytesMax: LINE_BYTES_MAX, isStart: undefined });
  for await (const chunk of source.chunks()) lines.push(chunk, quotedLines);
  lines.end(quotedLines);
  quotedLines.end();
  return table.finish();
}

interface Columns {
  readonly series: number | null;
  readonly time: number;
  readonly value: number;
  readonly count: number;
}

interface OpenSeries {
  /** Its own: which pass of autumn's hour is meant is told by the rows of that series. */
  readonly clock: TimestampReader | null;
  readonly times: GrowingNumbers | null;
  readonly values: GrowingNumbers;
  readonly rows: GrowingNumbers | null;
  readonly firstRow: number;
}

/** Adds up lines of either layout. */
class SeriesTable implements LineSink {
  readonly #file: string;
  readonly #newClock: () => TimestampReader;
  readonly #valuesMax: number;
  readonly #series = new Map<string, OpenSeries>();
  #delimiter = ',';
  /** Null until the header has come. */
  #layout: 'wide' | Columns | null = null;
  #valueCount = 0;

  constructor(file: string, newClock: () => TimestampReader, valuesMax: number) {
    this.#file = file;
    this.#newClock = newClock;
    this.#valuesMax = valuesMax;
  }

  onLine(text: string, row: number): void {
    if (text === '') return;
    if (this.#layout === null) {
      this.#layout = this.#readHeader(text, row);
      return;
    }
    const fields = splitFields(text, this.#delimiter);
    if (fields === null)
      throw this.#corrupt(`row ${row}: quotes do not match: write "" for a quote inside quotes`);
    if (this.#layout === 'wide') this.#addWide(fields, row);
    else this.#addLong(fields, row, this.#layout);
  }

  onTooLong(row: number, byteCount: number): void {
    throw this.#corrupt(
      `row ${row} has ${byteCount} bytes, at most ${LINE_BYTES_MAX} are read: is it text with ends of line at all? Series of that length go into the long layout, series,time,value`,
    );
  }

  finish(): RawSeries[] {
    if (this.#layout === null) throw this.#corrupt('the file is empty: there is nothing to forecast');
    if (this.#valueCount === 0)
      throw this.#corrupt('there is a header and no row: there is nothing to forecast');
    return [...this.#series].map(([id, { times, values, rows, firstRow }]) => ({
      id,
      file: this.#file,
      timesMs: times?.toArray() ?? null,
      values: values.toArray(),
      rows: rows?.toArray() ?? null,
      firstRow,
    }));
  }

  #readHeader(line: string, row: number): 'wide' | Columns {
    const text = line.replace(/^\uFEFF/, '');
    if (text.includes('\0')) throw this.#corrupt('is a binary file, not CSV');
    this.#delimiter = delimiterOf(text);
    const names = (splitFields(text, this.#delimiter) ?? []).map((name) => name.trim().toLowerCase());
    const [time, value, series] = ['time', 'value', 'series'].map((name) => names.indexOf(name)) as [
      number,
      number,
      number,
    ];
    if (time !== -1 && value !== -1)
      return { time, value, series: series === -1 ? null : series, count: names.length };
    // M4's own files, and those that number their columns.
    if (names.length >= 2 && names.slice(1).every((name, i) => name === `v${i + 2}` || name === `${i + 1}`))
      return 'wide';
    throw this.#corrupt(
      `row ${row} is not the header of a file of series: found ${quoted(text)}, expected "series,time,value", or "V1,V2,…" as in M4 (an id, then values). For a query log there is \`foreshard patterns\``,
    );
  }

  #addLong(fields: readonly string[], row: number, columns: Columns): void {
    if (fields.length !== columns.count)
      throw this.#corrupt(`row ${row} has ${fields.length} columns, the header has ${columns.count}`);
    const id = columns.series === null ? 'value' : (fields[columns.series] as string).trim();
    if (id === '') throw this.#corrupt(`row ${row} names no series`);
    const timeText = fields[columns.time] as string;
    let open = this.#series.get(id);
    const clock = open?.clock ?? this.#newClock();
    const timeMs = clock.epochOrIso(timeText);
    if (Number.isNaN(timeMs))
      throw this.#corrupt(
        `series ${quoted(id)}, row ${row}: time ${quoted(timeText)} is neither ISO 8601 nor epoch milliseconds`,
      );
    const value = this.#valueOf(fields[columns.value] as string, id, row);
    if (open === undefined) {
      open = {
        clock,
        times: new GrowingNumbers(),
        values: new GrowingNumbers(),
        rows: new GrowingNumbers(),
        firstRow: row,
      };
      this.#series.set(id, open);
    }
    open.times?.push(timeMs);
    open.values.push(value);
    open.rows?.push(row);
    this.#count(1);
  }

  #addWide(fields: readonly string[], row: number): void {
    const [id = '', ...cells] = fields.map((field) => field.trim());
    if (id === '') throw this.#corrupt(`row ${row} names no series`);
    const known = this.#series.get(id);
    if (known !== undefined)
      throw this.#corrupt(
        `series ${quoted(id)} stands in rows ${known.firstRow} and ${row}: rename or remove one`,
      );
    // Shorter series are filled up with empty cells on the right.
    const end = cells.findLastIndex((cell) => cell !== '') + 1;
    const values = new GrowingNumbers();
    for (let i = 0; i < end; i++) values.push(this.#valueOf(cells[i] as string, id, row));
    this.#series.set(id, { clock: null, times: null, values, rows: null, firstRow: row });
    this.#count(end);
  }

  /** NaN for a value that is missing, and says so. */
  #valueOf(field: string, id: string, row: number): number {
    const text = field.trim();
    if (MISSING.test(text)) return Number.NaN;
    const value = DECIMAL.test(text) ? Number(text) : Number.NaN;
    const at = `series ${quoted(id)}, row ${row}`;
    if (!Number.isFinite(value))
      throw this.#corrupt(`${at}: value ${quoted(text)} is not a finite number in decimal notation`);
    if (value > LOAD_MAX)
      throw this.#corrupt(
        `${at}: value ${text} is above ${LOAD_MAX}: forecast the series in a larger unit, or remove the value`,
      );
    if (value < 0)
      throw this.#corrupt(
        `${at}: value ${text} is below 0: only counts and other amounts can be forecast; add a constant that makes all values positive, and take it off the forecast`,
      );
    return value;
  }

  #count(values: number): void {
    this.#valueCount += values;
    if (this.#valueCount > this.#valuesMax)
      throw new ForeshardError(
        'FORESHARD_LIMIT',
        'fix-config',
        `${this.#file}: more than ${this.#valuesMax} values: forecast the series in parts, or leave out the oldest`,
      );
  }

  #corrupt(what: string): ForeshardError {
    return new ForeshardError('FORESHARD_CORRUPT', 're-read', `${this.#file}: ${what}`);
  }
}
