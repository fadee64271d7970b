import { ForeshardError } from '../../src/base/errors.ts';
import { CsvParser, looksLikeCsvHeader } from './formats/csv.ts';
import { HttpAccessParser, looksLikeHttpAccess } from './formats/http-access.ts';
import { JsonLinesParser, looksLikeJsonLines } from './formats/json-lines.ts';
import { looksLikeMonitor, MonitorParser } from './formats/monitor.ts';
import { PostgresParser, startsPostgresRecord } from './formats/postgres.ts';
import type { LineParser, LogFormatName } from './log-record.ts';
import { quoted } from './quoted.ts';
import type { TimestampReader } from './timestamp.ts';

/** How a format is read. */
export interface LogFormat {
  readonly name: LogFormatName;
  /** Bytes as they are, or text. */
  readonly encoding: 'utf8' | 'latin1';
  /** True where a record may go over several lines, in quotes. */
  readonly isQuoted: boolean;
  /** For a line that can only begin a record. */
  readonly isStart?: (line: string) => boolean;
  /** Whether a line among the first is of this format. */
  readonly looksLike: (line: string) => boolean;
  readonly newParser: (times: TimestampReader) => LineParser;
}

/** In the order in which they are tried: the strictest first. */
export const FORMATS: readonly LogFormat[] = [
  {
    name: 'monitor',
    // Whatever is not ASCII is escaped; a byte that is not shall stay a byte.
    encoding: 'latin1',
    isQuoted: false,
    looksLike: looksLikeMonitor,
    newParser: () => new MonitorParser(),
  },
  {
    name: 'postgres',
    encoding: 'utf8',
    isQuoted: true,
    isStart: startsPostgresRecord,
    looksLike: startsPostgresRecord,
    newParser: (times) => new PostgresParser(times),
  },
  {
    name: 'http',
    encoding: 'utf8',
    isQuoted: false,
    looksLike: looksLikeHttpAccess,
    newParser: (times) => new HttpAccessParser(times),
  },
  {
    name: 'jsonl',
    encoding: 'utf8',
    isQuoted: false,
    looksLike: looksLikeJsonLines,
    newParser: (times) => new JsonLinesParser(times),
  },
  {
    name: 'csv',
    encoding: 'utf8',
    isQuoted: true,
    looksLike: looksLikeCsvHeader,
    newParser: (times) => new CsvParser(times),
  },
];

/** As much of the beginning as is looked at. */
export const HEAD_BYTES = 64 * 1024;
const HEAD_LINES = 50;
/** Of what `foreshard counts` prints, and of M4's files. */
const SERIES_HEADER = /^(?=.*\btime\b)(?=.*\bvalue\b)[\w"]+(?:[,;\t][\w"]*)+$|^"?V1"?[,;\t]"?V2"?/i;

/** PostgreSQL's other two formats: the plain one, in whose lines a statement has no end, and JSON. */
const OTHER_POSTGRES =
  /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*? (?:LOG|ERROR|FATAL|WARNING|STATEMENT|DETAIL): {2}|^\{"timestamp":.*"error_severity":/;

/**
 * Finds the format from the first bytes: the one of which most lines are. One broken line, such as the rest of one that log
 * rotation has cut, does not matter.
 *
 * @param isWhole the file ends with `head`; otherwise its last line may be cut off.
 * @throws ForeshardError FORESHARD_CORRUPT where no line is of any format.
 */
export function detectFormat(head: Buffer, { name, isWhole }: { name: string; isWhole: boolean }): LogFormat {
  const refuse = (what: string): ForeshardError =>
    new ForeshardError('FORESHARD_CORRUPT', 're-read', `${name}: ${what}`);
  const text = head.toString('utf8');
  const all = text.split(/\r?\n/);
  const lines = (isWhole || all.length === 1 ? all : all.slice(0, -1))
    .filter((line) => line.trim() !== '')
    .slice(0, HEAD_LINES);
  const [first] = lines;
  if (first === undefined) throw refuse('the file is empty: there is nothing to read');
  if (OTHER_POSTGRES.test(first))
    throw refuse("is a log of PostgreSQL, of which csvlog is read: set log_destination = 'csvlog'");
  let best: { readonly format: LogFormat; readonly count: number } | undefined;
  for (const format of FORMATS) {
    // A header is one line: it counts as if all were of that format.
    const count =
      format.name === 'csv'
        ? Number(format.looksLike(first)) * lines.length
        : lines.filter((line) => format.looksLike(line)).length;
    if (count > (best?.count ?? 0)) best = { format, count };
  }
  if (best !== undefined) return best.format;
  if (text.includes('\0')) throw refuse('is a binary file, not a log');
  if (SERIES_HEADER.test(first.trim()))
    throw refuse('is a file of series and no query log: `foreshard forecast` reads it');
  throw refuse(
    `the format is not recognised; it begins with ${quoted(first)}. Read are ${FORMATS.map((format) => format.name).join(', ')}: see docs/logs.md, and name one with --format if the first lines are damaged`,
  );
}
