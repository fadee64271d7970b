import { bad, type LineParser, type LogRecord, type Rejection } from '../log-record.ts';
import type { TimestampReader } from '../timestamp.ts';
import { noQueryNotes, type RawFields, recordOf } from './fields.ts';

const NOT_JSON = bad('not a JSON object');

/** One JSON object a line, with the fields of {@link RawFields}; others are passed over. */
export class JsonLinesParser implements LineParser {
  readonly #times: TimestampReader;
  #hasQuery = false;
  /** Of the first line. */
  #names: readonly string[] = [];

  constructor(times: TimestampReader) {
    this.#times = times;
  }

  parse(line: string): LogRecord | Rejection {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return NOT_JSON;
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return NOT_JSON;
    if (!this.#hasQuery) {
      this.#hasQuery = 'query' in value;
      if (this.#names.length === 0) this.#names = Object.keys(value);
    }
    return recordOf(value as RawFields, this.#times);
  }

  notes(): readonly string[] {
    return this.#hasQuery ? [] : noQueryNotes(this.#names);
  }
}

export function looksLikeJsonLines(line: string): boolean {
  if (!line.startsWith('{')) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
