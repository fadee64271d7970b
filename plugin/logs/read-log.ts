import { ForeshardError } from '../../src/base/errors.ts';
import { ByteSource } from './byte-source.ts';
import { ClockWatch } from './clock-watch.ts';
import { detectFormat, FORMATS, HEAD_BYTES, type LogFormat } from './detect.ts';
import { type LineSink, LineSplitter } from './lines.ts';
import {
  bad,
  isRecord,
  type LineParser,
  LOG_FORMATS,
  type LogBatch,
  type LogFormatName,
  type LogRecord,
  type LogSummary,
} from './log-record.ts';
import { QuotedLines } from './quoted-lines.ts';
import { Reorder } from './reorder.ts';
import { StrayTimes } from './stray-times.ts';
import { type BadLineLimit, LineTally } from './tally.ts';
import { TimeZone } from './time-zone.ts';
import { TimestampReader } from './timestamp.ts';

export interface ReadLogOptions {
  /** Found from the first lines by default. */
  readonly format?: LogFormatName;
  /** Of times that name none; UTC by default. */
  readonly timeZone?: string;
  readonly badLinesMax?: BadLineLimit;
  readonly lineBytesMax?: number;
  /** Of a stream, for messages. */
  readonly name?: string;
}

/** A file is given up beyond 1,000 bad lines, unless they are fewer than one in a hundred. */
const BAD_LINES_MAX: BadLineLimit = { count: 1_000, share: 0.01 };
/** A statement with a long list of values; more is a file without ends of line. */
const LINE_BYTES_MAX = 1024 * 1024;
/** Of a quoted record over several lines; one without end is a quote that nobody closed. */
const QUOTED_LINES_PER_LINE = 16;
/** Some milliseconds of a busy log. */
const REORDER_RECORDS = 1_024;
/** Longer than nearly every query: servers log a query when it ends. */
const REORDER_TOLERANCE_MS = 60_000;
/** Quiet hours are no news in a small log; two of them are in one that is worth forecasting. */
const GAP_MS = 2 * 3_600_000;
/** Times before 1973 in a log of today are seconds that were taken for milliseconds. */
const PLAUSIBLE_MS_MIN = 1e11;

/** A log being read: batches of records in time order, and what has been found so far. */
export interface LogReading extends AsyncIterable<LogBatch> {
  /** Of all of the log once the iteration has ended; of what has been read before. */
  summary(): LogSummary;
}

/**
 * Reads a query log of any known format, packed or not, in bounded memory: one chunk, one line of `lineBytesMax` and the
 * reorder window, however long the log is. The next chunk is read when the batch before has been taken.
 *
 * @param from a path, or chunks of bytes such as `process.stdin`.
 * @throws ForeshardError FORESHARD_CONFIG on options, or a file that is not there: at once. While iterating:
 *   FORESHARD_CORRUPT on an unknown format, damaged packing, too many bad lines, or no record at all; FORESHARD_LIMIT;
 *   FORESHARD_UNAVAILABLE on a fault of the disk.
 */
export function readLog(from: string | AsyncIterable<Uint8Array>, options: ReadLogOptions = {}): LogReading {
  const { format: formatName } = options;
  if (formatName !== undefined && !LOG_FORMATS.includes(formatName))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `--format: found "${formatName}", it must be one of ${LOG_FORMATS.join(', ')}`,
    );
  const source = new ByteSource(from, options.name);
  const times = new TimestampReader(new TimeZone(options.timeZone ?? 'UTC'), options.timeZone !== undefined);
  return new Reading(source, times, options);
}

class Reading implements LogReading {
  readonly #source: ByteSource;
  readonly #times: TimestampReader;
  readonly #options: ReadLogOptions;
  readonly #tally: LineTally;
  readonly #clock = new ClockWatch({ toleranceMs: REORDER_TOLERANCE_MS, gapMs: GAP_MS });
  readonly #reorder = new Reorder({ windowRecords: REORDER_RECORDS, toleranceMs: REORDER_TOLERANCE_MS });
  readonly #strays = new StrayTimes(
    { gapMs: GAP_MS, toleranceMs: REORDER_TOLERANCE_MS },
    {
      accept: (record, line) => this.#keep(record, line),
      reject: (rejection, line) => this.#tally.add(rejection, line),
    },
  );
  #format: LogFormat | null = null;
  #parser: LineParser | null = null;
  #lines: LineSplitter | null = null;
  #recordCount = 0;

  constructor(source: ByteSource, times: TimestampReader, options: ReadLogOptions) {
    this.#source = source;
    this.#times = times;
    this.#options = options;
    this.#tally = new LineTally(source.name, options.badLinesMax ?? BAD_LINES_MAX);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LogBatch> {
    const chunks = this.#source.chunks();
    try {
      const { head, isWhole } = await headOf(chunks);
      const format = this.#formatOf(head, isWhole);
      this.#parser = format.newParser(this.#times);
      const recordSink = this.#recordSink(this.#parser);
      const quotedLines = format.isQuoted
        ? new QuotedLines(recordSink, {
            recordBytesMax: QUOTED_LINES_PER_LINE * this.#lineBytesMax,
            isStart: format.isStart,
          })
        : null;
      const sink = quotedLines ?? recordSink;
      const lines = new LineSplitter({ lineBytesMax: this.#lineBytesMax, encoding: format.encoding });
      this.#format = format;
      this.#lines = lines;
      lines.push(head, sink);
      yield* batchOf(this.#reorder.take());
      for await (const chunk of chunks) {
        lines.push(chunk, sink);
        yield* batchOf(this.#reorder.take());
      }
      lines.end(sink);
      quotedLines?.end();
      this.#strays.end();
      this.#tally.assertRecords(this.#recordCount, lines.lineCount);
      yield* batchOf(this.#reorder.end());
    } finally {
      // Somebody who stops early leaves no file open.
      await chunks.return(undefined);
    }
  }

  summary(): LogSummary {
    const { badCount, badLines, skippedCount, skippedReasons } = this.#tally;
    const { reorderedCount, stepCount, steps, silenceCount, longestSilence, firstMs, lastMs } = this.#clock;
    const { bytesRead, bytesTotal, compression } = this.#source;
    return {
      format: this.#format?.name ?? null,
      compression,
      lineCount: this.#lines?.lineCount ?? 0,
      recordCount: this.#recordCount,
      badCount,
      badLines: [...badLines],
      skippedCount,
      skippedReasons: new Map(skippedReasons),
      reorderedCount,
      clockStepCount: stepCount,
      clockSteps: [...steps],
      silenceCount,
      longestSilence,
      firstMs: Number.isFinite(firstMs) ? firstMs : null,
      lastMs: Number.isFinite(lastMs) ? lastMs : null,
      bytesRead,
      bytesTotal,
      notes: [
        ...(firstMs < PLAUSIBLE_MS_MIN
          ? ['the first time is before 1973: is it in seconds? Numbers are read as milliseconds since 1970']
          : []),
        ...(this.#parser?.notes?.() ?? []),
      ],
    };
  }

  get #lineBytesMax(): number {
    return this.#options.lineBytesMax ?? LINE_BYTES_MAX;
  }

  #formatOf(head: Buffer, isWhole: boolean): LogFormat {
    const { format: name } = this.#options;
    if (name !== undefined && head.length > 0)
      return FORMATS.find((format) => format.name === name) as LogFormat;
    return detectFormat(head, { name: this.#source.name, isWhole });
  }

  #recordSink(parser: LineParser): LineSink {
    return {
      onLine: (text, line) => {
        if (text === '') return;
        const outcome = parser.parse(text);
        if (isRecord(outcome)) this.#strays.push(outcome, line);
        else this.#tally.add(outcome, line);
      },
      onTooLong: (line, byteCount) => {
        this.#tally.add(bad(`${byteCount} bytes, a line has at most ${this.#lineBytesMax}`), line);
      },
    };
  }

  #keep(record: LogRecord, line: number): void {
    this.#recordCount++;
    this.#clock.observe(record.timeMs, line);
    this.#reorder.push(record);
  }
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Enough of the beginning to find the format, without a byte order mark. */
async function headOf(chunks: AsyncGenerator<Buffer>): Promise<{ head: Buffer; isWhole: boolean }> {
  const parts: Buffer[] = [];
  let byteCount = 0;
  let isWhole = false;
  while (byteCount < HEAD_BYTES && !isWhole) {
    const { done, value } = await chunks.next();
    isWhole = done === true;
    if (done) break;
    parts.push(value);
    byteCount += value.length;
  }
  const head = Buffer.concat(parts);
  const hasMark = head.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
  return { head: hasMark ? head.subarray(BYTE_ORDER_MARK.length) : head, isWhole };
}

function* batchOf(records: readonly LogRecord[]): Generator<LogBatch> {
  if (records.length > 0) yield { records };
}
