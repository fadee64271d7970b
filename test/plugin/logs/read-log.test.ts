import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { collectedHeapBytes } from '../../../bench/collected-heap.ts';
import type { LogRecord, LogSummary } from '../../../plugin/logs/log-record.ts';
import { type ReadLogOptions, readLog } from '../../../plugin/logs/read-log.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';
import { ZSTD_SAMPLE, zstdFrame } from '../../support/zstd.ts';

const test = suite('query logs');
const seed = Number(testSeed('query logs') % 2_147_483_647n);
const START_MS = Date.UTC(2024, 0, 15, 10);

async function* once(content: string | Buffer): AsyncGenerator<Buffer> {
  yield Buffer.from(content as string);
}

async function read(
  content: string | Buffer | AsyncIterable<Uint8Array>,
  options: ReadLogOptions = {},
): Promise<{ records: LogRecord[]; summary: LogSummary }> {
  const reading = readLog(typeof content === 'string' || Buffer.isBuffer(content) ? once(content) : content, {
    name: 'q.log',
    ...options,
  });
  const records: LogRecord[] = [];
  for await (const batch of reading) records.push(...batch.records);
  return { records, summary: reading.summary() };
}

async function failureOf(content: string | Buffer, options: ReadLogOptions = {}): Promise<ForeshardError> {
  try {
    await read(content, options);
  } catch (error) {
    check.instance(error, ForeshardError);
    return error as ForeshardError;
  }
  throw new Error('it must fail');
}

const monitorLine = (ms: number, key = 'k'): string =>
  `${(ms / 1_000).toFixed(6)} [0 10.0.0.1:5000] "get" "${key}"\n`;
const monitorLog = (count: number, stepMs = 10): string =>
  Array.from({ length: count }, (_, i) => monitorLine(START_MS + i * stepMs, `k${i}`)).join('');
const jsonLine = (time: string | number, key = 'k'): string => `${JSON.stringify({ time, key })}\n`;

const SAMPLES: Readonly<Record<string, string>> = {
  monitor: `OK\n${monitorLog(3)}`,
  jsonl: jsonLine(START_MS).repeat(3),
  csv: `time,client,query\n${`${START_MS},a,"SELECT 1,\n2"\n`.repeat(3)}`,
  http: '1.2.3.4 - - [15/Jan/2024:10:00:00 +0000] "GET / HTTP/1.1" 200 1\n'.repeat(3),
  postgres:
    `2024-01-15 10:00:00.000 UTC,"a","b",1,"h:1",s,1,"SELECT",2024-01-15 10:00:00 UTC,1/1,0,LOG,00000,"statement: SELECT ""a""\nFROM t",,,,,,,,,"",,,0\n`.repeat(
      3,
    ),
};

test('every format is found from its first lines, packed or not, with any end of line', async () => {
  for (const [name, text] of Object.entries(SAMPLES))
    for (const content of [
      text,
      `\ufeff${text}`,
      text.replaceAll('\n', '\r\n'),
      gzipSync(text),
      zstdFrame(Buffer.from(text)),
      text.slice(0, -1),
    ]) {
      const { records, summary } = await read(content);
      check.is(summary.format, name);
      check.is(records.length, 3, name);
      check.is(summary.badCount, 0, name);
      check.is(records[0]?.timeMs, START_MS, name);
    }
});

test('what the zstd tool has packed is read', async () => {
  const { records, summary } = await read(ZSTD_SAMPLE);
  check.is(records.length, 300);
  check.is(summary.compression, 'zstd');
  check.is(summary.bytesRead, ZSTD_SAMPLE.length);
});

test('a first line that log rotation has cut does not matter; a format that is named is taken', async () => {
  const { summary } = await read(`.107412 [0 127\n${monitorLog(5)}`);
  check.equal([summary.format, summary.recordCount, summary.badCount], ['monitor', 5, 1]);
  check.match(
    (await failureOf(SAMPLES.jsonl as string, { format: 'http' })).message,
    /no query in 3 lines: 3 bad \(line 1: not a line of an HTTP/,
  );
});

test('what is no log is refused with the remedy', async () => {
  const cases: readonly [string | Buffer, RegExp][] = [
    ['', /q\.log: the file is empty/],
    ['\n\n', /q\.log: the file is empty/],
    [
      'hello world\nfoo\n',
      /the format is not recognised; it begins with "hello world"\. Read are monitor, .* --format/,
    ],
    ['series,time,value\na,1,2\n', /is a file of series and no query log: `foreshard forecast` reads it/],
    ['"V1","V2","V3"\n"H1",1,2\n', /`foreshard forecast` reads it/],
    [Buffer.from([0, 1, 2, 3, 255, 0]), /is a binary file/],
    ['OK\n', /no query in 1 lines: 0 bad; skipped: 1 reply of the server/],
    [gzipSync(monitorLog(1_000)).subarray(0, 500), /cannot be unpacked \(gzip\)/],
  ];
  for (const [content, expected] of cases) {
    const { code, message } = await failureOf(content);
    check.is(code, 'FORESHARD_CORRUPT');
    check.match(message, expected);
  }
  check.throws(
    () => readLog('/nowhere/at/all.log'),
    (error: ForeshardError) => error.code === 'FORESHARD_CONFIG',
  );
  check.throws(() => readLog(once(''), { timeZone: 'Mars' }), /--time-zone/);
});

test('a bad line is counted and told with its number and reason, and the rest is read', async () => {
  const lines = monitorLog(100).split('\n');
  lines[41] = 'garbage';
  lines[76] = `${lines[76]?.slice(0, 20)}`;
  const { records, summary } = await read(lines.join('\n'));
  check.is(records.length, 98);
  check.is(summary.badCount, 2);
  check.equal(
    summary.badLines.map(({ line }) => line),
    [42, 77],
  );
  check.match(summary.badLines[0]?.reason as string, /not a MONITOR line/);
});

test('too many bad lines end the reading: above 1,000 and 1 %, or above what is allowed', async () => {
  const rotten = monitorLog(2_000) + 'garbage\n'.repeat(1_500);
  const { code, message } = await failureOf(rotten);
  check.is(code, 'FORESHARD_CORRUPT');
  check.match(
    message,
    /q\.log: 1001 of the first 3001 lines are bad \(line 2001: not a MONITOR line.*line 2003: .*\): name the right --format, .*--bad-lines-max/,
  );
  const { summary } = await read(rotten, { badLinesMax: { count: 2_000, share: 0 } });
  check.is(summary.badCount, 1_500);
  check.is(
    (await failureOf(`${monitorLog(10)}garbage\n`, { badLinesMax: { count: 0, share: 0.05 } })).code,
    'FORESHARD_CORRUPT',
  );
});

test('a log whose lines are in no order is to be sorted, not read as another format', async () => {
  const random = seededRandom(BigInt(seed));
  const lines = Array.from({ length: 20_000 }, () => {
    const seconds = 1_772_323_200 + random.nextBelow(30 * 86_400);
    return `${seconds}.000000 [0 127.0.0.1:5000] "GET" "user:1"`;
  });
  const { message } = await failureOf(`${lines.join('\n')}\n`);
  check.match(message, /lines are bad \(line \d+: its time is .*\): sort the lines by time, or allow more/);
});

test('a line beyond the limit is one bad line', async () => {
  const { summary } = await read(`${monitorLog(2)}${'x'.repeat(5_000)}\n${monitorLog(1)}`, {
    lineBytesMax: 1_000,
  });
  check.equal([summary.recordCount, summary.badCount], [3, 1]);
  check.match(summary.badLines[0]?.reason as string, /5000 bytes, a line has at most 1000/);
});

test('records that come a little late are put in order', async () => {
  const order = [0, 3, 1, 2, 7, 5, 6, 4, 8];
  const { records, summary } = await read(
    order.map((second) => monitorLine(START_MS + second * 1_000)).join(''),
  );
  check.equal(
    records.map(({ timeMs }) => (timeMs - START_MS) / 1_000),
    [0, 1, 2, 3, 4, 5, 6, 7, 8],
  );
  check.is(summary.reorderedCount, 5);
  check.is(summary.clockStepCount, 0);
});

test('a clock that is put back is reported once, and times stay as they are', async () => {
  const hourMs = 3_600_000;
  const back = Array.from({ length: 100 }, (_, i) => monitorLine(START_MS - hourMs + i * 1_000)).join('');
  const { records, summary } = await read(
    Array.from({ length: 100 }, (_, i) => monitorLine(START_MS + i * 1_000)).join('') + back,
  );
  check.is(records.length, 200);
  check.equal(summary.clockSteps, [{ line: 101, beforeMs: START_MS + 99_000, afterMs: START_MS - hourMs }]);
  check.is(summary.reorderedCount, 0);
  check.is(summary.firstMs, START_MS - hourMs);
  check.is(summary.lastMs, START_MS + 99_000);
});

test('long silences are counted, and no step of the clock; a straggler is neither', async () => {
  const later = START_MS + 5 * 3_600_000;
  const evenLater = later + 3 * 3_600_000;
  const lines = [
    START_MS,
    START_MS + 1_000,
    later,
    later + 1_000,
    START_MS + 2_000,
    later + 2_000,
    evenLater,
  ];
  const { summary } = await read(lines.map((ms) => monitorLine(ms)).join(''));
  check.equal(summary.longestSilence, { line: 3, beforeMs: START_MS + 1_000, afterMs: later });
  check.equal([summary.silenceCount, summary.clockStepCount], [2, 0]);
  check.is(summary.reorderedCount, 1);
});

test('one line from the far future is a bad line and does not make the others old', async () => {
  const stray = monitorLine(Date.UTC(2106, 0, 1));
  for (const at of [0, 3, 9]) {
    const lines = Array.from({ length: 10 }, (_, i) => monitorLine(START_MS + i * 1_000));
    lines.splice(at, 0, stray);
    const { records, summary } = await read(lines.join(''));
    check.equal([records.length, summary.badCount, summary.clockStepCount], [10, 1, 0], `stray at ${at}`);
    check.match(
      summary.badLines[0]?.reason as string,
      /its time is \d+d ahead of the lines before and after it/,
    );
  }
});

test('local times are read in the zone that is named, over the hour that comes twice', async () => {
  const shown = ['02:30:00', '02:59:59', '02:00:01', '02:30:00', '03:00:00']
    .map((clock) => jsonLine(`2024-10-27 ${clock}`))
    .join('');
  const { records, summary } = await read(shown, { timeZone: 'Europe/Berlin' });
  check.equal(
    records.map(({ timeMs }) => new Date(timeMs).toISOString().slice(11, 19)),
    ['00:30:00', '00:59:59', '01:00:01', '01:30:00', '02:00:00'],
  );
  check.is(summary.clockStepCount, 0);
});

test('seconds that were taken for milliseconds are noticed', async () => {
  const { summary } = await read(jsonLine(START_MS / 1_000));
  check.match(summary.notes.join(), /before 1973: is it in seconds/);
});

test('a log without a field `query` is told, with the fields that it has', async () => {
  const json = await read(`{"time":${START_MS},"command":"GET","key":"a"}\n`);
  check.is(json.records[0]?.query, 'KEY');
  check.equal(json.summary.notes, [
    'no field "query" was found, so that what was asked is not known and stands as KEY; the fields are "time", "command", "key"',
  ]);
  const csv = await read(`Time,Command,key\n${START_MS},GET,a\n`);
  check.match(csv.summary.notes.join(), /no field "query" was found.*"Time", "Command", "key"$/);
  const [asked, mixed] = await Promise.all([
    read(`time,query,key\n${START_MS},GET,a\n`),
    read(`{"time":${START_MS},"key":"a"}\n{"time":${START_MS},"query":"GET","key":"a"}\n`),
  ]);
  check.equal([...asked.summary.notes, ...mixed.summary.notes], []);
});

test('a generated log of 40 MB is read in bounded memory, in step with its reader', async () => {
  let made = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    for (let chunk = 0; chunk < 160; chunk++) {
      made++;
      yield Buffer.from(
        Array.from({ length: 3_200 }, (_, i) =>
          monitorLine(START_MS + (chunk * 3_200 + i) * 10, `user:${chunk}:${i}:${'x'.repeat(20)}`),
        ).join(''),
      );
    }
  }
  const reading = readLog(endless());
  let records = 0;
  let aheadMax = 0;
  let batches = 0;
  const heapBytes: number[] = [];
  for await (const batch of reading) {
    records += batch.records.length;
    aheadMax = Math.max(aheadMax, made - ++batches);
    if (batches % 20 === 0) heapBytes.push(collectedHeapBytes());
  }
  check.is(records, 160 * 3_200);
  check.ok(reading.summary().bytesRead > 38e6, `${reading.summary().bytesRead} bytes`);
  check.ok(aheadMax <= 2, `the source was ${aheadMax} chunks ahead of the reader`);
  // The log in memory would be 38 MB, its records far more.
  check.ok(
    Math.max(...heapBytes) - (heapBytes[0] as number) < 15e6,
    `heap: ${heapBytes.map((bytes) => (bytes / 1e6).toFixed(0))} MB`,
  );
});

test('who stops early leaves the source closed, packed or not', async () => {
  const text = monitorLog(3_000);
  for (const piece of [Buffer.from(text), gzipSync(text), zstdFrame(Buffer.from(text))]) {
    let isClosed = false;
    async function* endless(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield piece;
      } finally {
        isClosed = true;
      }
    }
    for await (const { records } of readLog(endless())) {
      check.ok(records.length > 0);
      break;
    }
    // A stream takes some turns to be destroyed.
    for (let turn = 0; turn < 100 && !isClosed; turn++) await new Promise(setImmediate);
    check.ok(isClosed);
  }
});

test('whatever comes before, in or after a log, it is read or refused, never worse', async () => {
  const pieces = Object.values(SAMPLES)
    .flatMap((text) => text.split('\n'))
    .concat(['"', '\0', '{"time":', '\\x', ',,,,', '1.0 [0 lua] "get"', '\ufffd']);
  const text = fc
    .array(fc.oneof(fc.constantFrom(...pieces), fc.string()), { maxLength: 20 })
    .map((lines) => Buffer.from(lines.join('\n')));
  const prefix = fc
    .tuple(
      fc.constantFrom(
        ...Object.values(SAMPLES),
        gzipSync(monitorLog(50)),
        zstdFrame(Buffer.from(monitorLog(50))),
        ZSTD_SAMPLE,
      ),
      fc.nat(3_000),
    )
    .map(([sample, length]) => Buffer.from(sample as string).subarray(0, length));
  const damaged = fc
    .tuple(prefix, fc.nat(3_000), fc.uint8Array({ maxLength: 30 }))
    .map(([bytes, at, noise]) => Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]));
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(text, prefix, damaged),
      fc.constantFrom(undefined, 'monitor', 'csv', 'jsonl', 'http', 'postgres'),
      async (bytes, format) => {
        try {
          const { records, summary } = await read(
            bytes,
            format === undefined ? {} : { format: format as 'csv' },
          );
          check.is(records.length, summary.recordCount);
          check.ok(records.every(({ timeMs }) => Number.isFinite(timeMs)));
        } catch (error) {
          check.instance(error, ForeshardError, String((error as Error).stack));
        }
      },
    ),
    { seed, numRuns: 400 },
  );
});

test.run();
