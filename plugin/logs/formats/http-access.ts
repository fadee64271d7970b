import { bad, type LineParser, type LogRecord, type Rejection, skipped } from '../log-record.ts';
import { isHttpWrite } from '../query-kind.ts';
import { dateMs, type TimestampReader } from '../timestamp.ts';
import { asBytes } from './fields.ts';

/** Common Log Format, with what Combined or a server's own format adds after it. */
const LINE =
  /^(?:\S+:\d+ )?(\S+) \S+ (?:\S+|".*?"|.*?) \[(\d\d)\/([A-Z][a-z]{2})\/(\d{4}):(\d\d):(\d\d):(\d\d)(?: ([+-]\d{4}))?\] "((?:[^"\\]|\\.)*)" (\d{3}|-) (\d+|-)(?: |$)/;
const METHOD = /^[A-Za-z_-]{3,24}$/;
const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec';

const MALFORMED = bad(
  'not a line of an HTTP access log: host, user, [time], "request", status and size are expected',
);
const NO_TIME = bad('the time in brackets does not exist');
const NO_REQUEST = skipped('no HTTP request: a closed or misused connection');

/** Access logs of HTTP servers, Common and Combined. The key is the path without its query. */
export class HttpAccessParser implements LineParser {
  readonly #times: TimestampReader;

  constructor(times: TimestampReader) {
    this.#times = times;
  }

  parse(line: string): LogRecord | Rejection {
    const match = LINE.exec(line);
    if (match === null) return MALFORMED;
    const [, host = '', day, month = '', year, hour, minute, second, zone, request = '', , size] = match;
    const timeMs = this.#timeOf({ day, month, year, hour, minute, second, zone });
    if (Number.isNaN(timeMs)) return NO_TIME;
    const methodEnd = request.indexOf(' ');
    const version = request.lastIndexOf(' HTTP/');
    const method = request.slice(0, Math.max(0, methodEnd));
    const target = request.slice(methodEnd + 1, version > methodEnd ? version : undefined).trim();
    if (!METHOD.test(method) || target === '') return NO_REQUEST;
    const question = target.indexOf('?');
    return {
      timeMs,
      client: host,
      kind: 'http',
      query: `${method.toUpperCase()} ${target}`,
      keys: [asBytes(question === -1 ? target : target.slice(0, question))],
      isWrite: isHttpWrite(method),
      latencyMs: undefined,
      bytes: size === '-' ? undefined : Number(size),
    };
  }

  #timeOf(
    parts: Readonly<
      Record<'day' | 'month' | 'year' | 'hour' | 'minute' | 'second' | 'zone', string | undefined>
    >,
  ): number {
    const month = MONTHS.indexOf(parts.month as string) / 3 + 1;
    if (!Number.isInteger(month) || month < 1) return Number.NaN;
    const [hour, minute, second] = [Number(parts.hour), Number(parts.minute), Number(parts.second)];
    if (hour > 23 || minute > 59 || second > 60) return Number.NaN;
    const date = dateMs(Number(parts.year), month, Number(parts.day));
    const localMs = date + (hour * 3_600 + minute * 60 + second) * 1_000;
    return Number.isNaN(localMs) ? localMs : this.#times.instant(localMs, parts.zone);
  }
}

export const looksLikeHttpAccess = (line: string): boolean => LINE.test(line);
