import { splitFields } from '../csv-fields.ts';
import { bad, type LineParser, type LogRecord, type Rejection, skipped } from '../log-record.ts';
import { isSqlWrite } from '../query-kind.ts';
import { quoted } from '../quoted.ts';
import type { TimestampReader } from '../timestamp.ts';

/**
 * Columns of csvlog by place. PostgreSQL 12 writes 23, 13 adds backend_type, 14 adds leader_pid and query_id, and 15 to 17
 * nothing; what a later version appends is passed over.
 */
const LOG_TIME = 0;
const USER_NAME = 1;
const CONNECTION_FROM = 4;
const SEVERITY = 11;
const MESSAGE = 13;
const DETAIL = 14;
/** The statement that an error or a warning is about. */
const STATEMENT_OF_ERROR = 19;
const COLUMNS_MIN = 23;

/** `duration: 1.2 ms  statement: …`, `duration: 1.2 ms  execute name: …`, and both without a duration (log_statement). */
const STATEMENT = /^(?:duration: (\d+(?:\.\d+)?) ms {1,2})?(?:statement|execute [^:]*): ([\s\S]+)$/;
/** A driver that takes a large result in portions logs one for each, with the same query. */
const FURTHER_FETCH = /^(?:duration: \S+ ms {1,2})?execute fetch from /;
/** What `EXECUTE name(…)` stands for. */
const PREPARED = /^prepare: PREPARE[\s\S]*?\sAS\s+([\s\S]+)$/i;
/** The steps before an execute of the same query. */
const PREPARATION = /^(?:duration: \S+ ms {1,2})?(?:parse|bind) /;
const DURATION_ALONE = /^duration: \S+ ms$/;
const START = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Za-z0-9+:-]+,/;
const PORT = /:\d+$/;

const BROKEN_QUOTES = bad('quotes do not match');
const SERVER_MESSAGE = skipped('message of the server');
const STEP = skipped('parse or bind step, counted with its execute');
const FETCH = skipped('further portion of a result, counted with its first');
const FAILED = skipped('statement that failed or was cancelled');
const DURATION = skipped('duration of a statement logged before it');

/** PostgreSQL's csvlog, with log_statement or log_min_duration_statement on. */
export class PostgresParser implements LineParser {
  readonly #times: TimestampReader;

  constructor(times: TimestampReader) {
    this.#times = times;
  }

  parse(line: string): LogRecord | Rejection {
    const fields = splitFields(line, ',');
    if (fields === null) return BROKEN_QUOTES;
    if (fields.length < COLUMNS_MIN)
      return bad(`${fields.length} columns, a csvlog has at least ${COLUMNS_MIN}`);
    const message = fields[MESSAGE] as string;
    const statement = STATEMENT.exec(message);
    if (statement === null) return reasonFor(fields, message);
    if (FURTHER_FETCH.test(message)) return FETCH;
    const time = fields[LOG_TIME] as string;
    const timeMs = this.#times.iso(time);
    if (Number.isNaN(timeMs))
      return bad(
        `log_time ${quoted(time)} is not a time in a known zone: --time-zone names the zone of an abbreviation`,
      );
    const [, duration, written = ''] = statement;
    const query = PREPARED.exec(fields[DETAIL] as string)?.[1] ?? written;
    const host = (fields[CONNECTION_FROM] as string).replace(PORT, '');
    return {
      timeMs,
      client: host === '' ? (fields[USER_NAME] as string) : `${fields[USER_NAME]}@${host}`,
      kind: 'sql',
      query,
      keys: [],
      isWrite: isSqlWrite(query),
      latencyMs: duration === undefined ? undefined : Number(duration),
      bytes: undefined,
    };
  }
}

/** A failed statement is no query here: with log_statement it has been logged before, with durations alone it has not. */
function reasonFor(fields: readonly string[], message: string): Rejection {
  if (PREPARATION.test(message)) return STEP;
  if (DURATION_ALONE.test(message)) return DURATION;
  return fields[SEVERITY] === 'ERROR' && fields[STATEMENT_OF_ERROR] !== '' ? FAILED : SERVER_MESSAGE;
}

/** No line of a query looks like this: whatever quote is open before it was never closed. */
export const startsPostgresRecord = (line: string): boolean => START.test(line);
