/** Reading of query logs, beside what the lines alone cost, and beside another parser of CSV. */
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { parse } from 'csv-parse';
import type { LogFormatName } from '../plugin/logs/log-record.ts';
import { readLog } from '../plugin/logs/read-log.ts';
import { seededRandom } from '../src/base/random.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

export const area = 'logs';

const START_MS = Date.UTC(2026, 0, 1);
/** As `createReadStream` hands a file over. */
const CHUNK_BYTES = 64 * 1024;

/** The file is in memory: a disk would be measured instead. */
export async function run({ isSmall }: { readonly isSmall: boolean }): Promise<BenchOutcome> {
  const lineCount = isSmall ? 2_000 : 200_000;
  const results: BenchResult[] = [];
  for (const format of Object.keys(LINE_OF) as LogFormatName[]) {
    const file = fileOf(format, lineCount);
    // The first pass compiles; the second is what a long log sees.
    await recordsOf(file);
    const { seconds, hash } = await recordsOf(file);
    const settings = { lineCount, bytes: file.length };
    const beside = (baseline: string, baselineSeconds: number): BenchResult =>
      figureOf({
        name: `read ${format}`,
        bytes: file.length,
        seconds,
        baseline,
        baselineSeconds,
        settings,
        hash,
      });
    results.push(beside('lines alone, node:readline', await linesAlone(file)));
    if (format === 'csv' || format === 'postgres')
      results.push(beside('fields alone, csv-parse', await fieldsAlone(file)));
    if (format === 'monitor') {
      const packed = await recordsOf(gzipSync(file));
      results.push(
        figureOf({
          name: 'read monitor, packed with gzip',
          bytes: file.length,
          seconds: packed.seconds,
          baseline: 'the same, not packed',
          baselineSeconds: seconds,
          settings,
          hash: packed.hash,
        }),
      );
    }
  }
  return { results, skipped: [] };
}

interface Figure extends Pick<BenchResult, 'name' | 'baseline' | 'settings' | 'hash'> {
  /** Unpacked. */
  readonly bytes: number;
  readonly seconds: number;
  readonly baselineSeconds: number;
}

function figureOf({ bytes, seconds, baselineSeconds, ...rest }: Figure): BenchResult {
  const value = bytes / 1e6 / seconds;
  const baselineValue = bytes / 1e6 / baselineSeconds;
  return {
    ...rest,
    metric: 'read',
    value,
    unit: 'MB per processor second',
    baselineValue,
    ratio: value / baselineValue,
  };
}

async function* chunksOf(file: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < file.length; at += CHUNK_BYTES) yield file.subarray(at, at + CHUNK_BYTES);
}

async function recordsOf(file: Buffer): Promise<{ seconds: number; hash: string }> {
  const hash = createHash('sha256');
  const startedMs = processorMs();
  const reading = readLog(chunksOf(file));
  for await (const { records } of reading) {
    const last = records.at(-1);
    hash.update(`${records.length} ${last?.timeMs} ${last?.query} ${last?.keys.join()}\n`);
  }
  const seconds = (processorMs() - startedMs) / 1_000;
  const { recordCount, badCount } = reading.summary();
  if (badCount > 0) throw new Error(`${badCount} lines of the bench's own log are bad`);
  hash.update(String(recordCount));
  return { seconds, hash: hash.digest('hex').slice(0, 8) };
}

async function linesAlone(file: Buffer): Promise<number> {
  const startedMs = processorMs();
  let characters = 0;
  for await (const line of createInterface({ input: Readable.from(chunksOf(file)) }))
    characters += line.length;
  if (characters === 0) throw new Error('there are lines');
  return (processorMs() - startedMs) / 1_000;
}

async function fieldsAlone(file: Buffer): Promise<number> {
  const startedMs = processorMs();
  let fields = 0;
  for await (const row of Readable.from(chunksOf(file)).pipe(parse())) fields += (row as string[]).length;
  if (fields === 0) throw new Error('there are fields');
  return (processorMs() - startedMs) / 1_000;
}

/** Of all threads: what the disk and other processes do is not counted. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

interface Line {
  readonly time: Date;
  readonly index: number;
  readonly user: number;
}

const address = (index: number): string => `10.0.0.${index % 200}`;
const CSV_HEADER = 'time,client,query,key,latencyMs,bytes,write\n';

/** One typical line of each format. */
const LINE_OF: Readonly<Record<LogFormatName, (line: Line) => string>> = {
  monitor: ({ time, index, user }) =>
    `${(time.getTime() / 1_000).toFixed(6)} [0 ${address(index)}:${40_000 + (index % 999)}] "HSET" "user:${user}:cart" "item" "a value with \\"quotes\\" and \\x00"`,
  jsonl: ({ time, index, user }) =>
    `{"time":"${time.toISOString()}","client":"${address(index)}","query":"HGET","key":"user:${user}:cart","latencyMs":0.2,"bytes":120,"write":false}`,
  csv: ({ time, index, user }) => `${time.getTime()},${address(index)},HGET,user:${user}:cart,0.2,120,false`,
  http: ({ time, index, user }) =>
    `${address(index)} - - [${String(time.getUTCDate()).padStart(2, '0')}/Jan/2026:${time.toISOString().slice(11, 19)} +0000] "GET /users/${user}/cart?x=1 HTTP/1.1" 200 512 "http://example.com/" "Mozilla/5.0 (X11)"`,
  postgres: ({ time, index, user }) =>
    `${time.toISOString().replace('T', ' ').replace('Z', ' UTC')},"app","shop",4711,"${address(index)}:5432",65a.1,${index},"SELECT",2026-01-01 00:00:00 UTC,3/12,0,LOG,00000,"duration: 0.523 ms  statement: SELECT * FROM ""users""\nWHERE id = ${user}",,,,,,,,,"app","client backend",,0`,
};

function fileOf(format: LogFormatName, lineCount: number): Buffer {
  const random = seededRandom(1n);
  const lines = Array.from({ length: lineCount }, (_, index) =>
    LINE_OF[format]({ time: new Date(START_MS + index * 10), index, user: random.nextBelow(100_000) }),
  );
  return Buffer.from(`${format === 'csv' ? CSV_HEADER : ''}${lines.join('\n')}\n`);
}
