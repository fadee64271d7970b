import { ForeshardError } from '../../../src/base/errors.ts';
import { delimiterOf, splitFields } from '../csv-fields.ts';
import { bad, type LineParser, type LogRecord, type Rejection, skipped } from '../log-record.ts';
import { quoted } from '../quoted.ts';
import type { TimestampReader } from '../timestamp.ts';
import { noQueryNotes, type RawFields, recordOf } from './fields.ts';

const FIELDS = ['time', 'client', 'query', 'key', 'keys', 'latencyMs', 'bytes', 'write'] as const;

const HEADER = skipped('header');
const BROKEN_QUOTES = bad('quotes do not match');

/** CSV with a header that names the fields, in any order and case; separated by commas, semicolons or tabs. */
export class CsvParser implements LineParser {
  readonly #times: TimestampReader;
  #delimiter = ',';
  /** Field name by column; null until the header has come. */
  #columns: readonly (keyof RawFields | undefined)[] | null = null;
  #names: readonly string[] = [];

  constructor(times: TimestampReader) {
    this.#times = times;
  }

  /** @throws ForeshardError FORESHARD_CORRUPT where the first line is no header: no other line could be read then. */
  parse(line: string): LogRecord | Rejection {
    if (this.#columns === null) {
      this.#readHeader(line);
      return HEADER;
    }
    const fields = splitFields(line, this.#delimiter);
    if (fields === null) return BROKEN_QUOTES;
    if (fields.length !== this.#columns.length)
      return bad(`${fields.length} columns, the header has ${this.#columns.length}`);
    const raw: Partial<Record<keyof RawFields, string>> = {};
    for (let i = 0; i < fields.length; i++) {
      const name = this.#columns[i];
      if (name !== undefined) raw[name] = fields[i] as string;
    }
    return recordOf(raw as RawFields, this.#times);
  }

  notes(): readonly string[] {
    return this.#columns?.includes('query') === true ? [] : noQueryNotes(this.#names);
  }

  #readHeader(line: string): void {
    this.#delimiter = delimiterOf(line);
    this.#names = (splitFields(line, this.#delimiter) ?? []).map((name) => name.trim());
    const names = this.#names.map((name) => name.toLowerCase());
    this.#columns = names.map((name) => FIELDS.find((field) => field.toLowerCase() === name));
    if (!looksLikeCsvHeader(line))
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        're-read',
        `line 1 is not a header of a query log in CSV: found ${quoted(line)}, expected the names time and query or key, such as "time,client,query,key"`,
      );
  }
}

export function looksLikeCsvHeader(line: string): boolean {
  const names = (splitFields(line, delimiterOf(line)) ?? []).map((name) => name.trim().toLowerCase());
  return names.includes('time') && ['query', 'key', 'keys'].some((name) => names.includes(name));
}
