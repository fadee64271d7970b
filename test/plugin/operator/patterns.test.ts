import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { readLog } from '../../../plugin/logs/read-log.ts';
import { LogProgress } from '../../../plugin/operator/log-input/log-progress.ts';
import { parseBadLineLimit } from '../../../plugin/operator/log-input/open-log.ts';
import { findPatterns } from '../../../plugin/operator/patterns/find-patterns.ts';
import { type PatternFlags, parseHour } from '../../../plugin/operator/patterns/flags.ts';
import { type PatternFindings, patternLines } from '../../../plugin/operator/patterns/patterns-table.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { foreshardArguments } from '../../support/repository.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('foreshard patterns');
const HOUR_MS = 3_600_000;
/** A Monday. */
const START_MS = Date.UTC(2024, 0, 1);
const DAYS = 14;

async function* once(content: string): AsyncGenerator<Buffer> {
  yield Buffer.from(content);
}
const find = (content: string, flags: Partial<PatternFlags> = {}) =>
  findPatterns(once(content), { window: '1h', partitions: 16, nodes: 2, ...flags }, DEFAULT_SETTINGS);

/** Shops by day, reports by night; the two keys of a basket are asked for together. Keys with a tag stay in one partition. */
function shopLog(): string {
  const random = seededRandom(7n);
  const lines: string[] = [];
  const say = (timeMs: number, client: string, query: string, keys: readonly string[]): void => {
    lines.push(JSON.stringify({ time: Math.round(timeMs), client, query, keys }));
  };
  for (let hour = 0; hour < DAYS * 24; hour++) {
    const startMs = START_MS + hour * HOUR_MS;
    const isDay = hour % 24 >= 8 && hour % 24 < 20;
    for (let i = 0; i < (isDay ? 24 : 4); i++) {
      const user = random.nextBelow(500);
      say(startMs + random.nextFloat() * HOUR_MS, `web-${i % 3}`, 'HGET', [`user:${user}:cart`]);
      if (i % 4 === 0)
        say(
          startMs + random.nextFloat() * HOUR_MS,
          'web-1',
          'MGET',
          i % 8 === 0 ? ['{a}:1', '{b}:1'] : ['{c}:1', '{d}:1'],
        );
    }
    for (let i = 0; i < (isDay ? 1 : 12); i++)
      say(startMs + random.nextFloat() * HOUR_MS, 'nightly', 'ZRANGE', [`{report}:${i}`]);
  }
  return `${lines.join('\n')}\n`;
}
const SHOP = shopLog();
/** Of the whole log, once for all tests that look at it. */
let shop: PatternFindings;
test.before(async () => {
  shop = await find(SHOP, { hour: parseHour('wed 03:00') });
});

test('the command line prints one JSON object, tells bad lines on standard error, and takes packed files', async () => {
  await withTemporaryFolder((folder) => {
    const file = join(folder, 'q');
    writeFileSync(file, gzipSync(`${SHOP.slice(0, 50_000)}\n{"time":"soon"}\n`));
    const run = (args: readonly string[]) => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        foreshardArguments('patterns', ...args),
        { cwd: folder, encoding: 'utf8', timeout: 60_000 },
      );
      return { status, stdout, stderr };
    };
    const { status, stdout, stderr } = run([file, '--json', '--partitions', '16', '--hour', 'mon 09:00']);
    check.is(status, 0, stderr);
    const printed = JSON.parse(stdout);
    check.equal([printed.log.format, printed.log.compression, printed.partitionCount], ['jsonl', 'gzip', 16]);
    check.is(printed.recordCount, printed.log.recordCount);
    check.is(printed.hour, 'mon 09:00');
    check.match(stderr, /^foreshard: 2 of \d+ lines are bad and were left out\n/);
    check.match(stderr, /line \d+: time "soon" is neither ISO 8601 nor epoch milliseconds/);

    check.is(run([file, '--partitions', '100']).status, 2);
    writeFileSync(join(folder, 'no.log'), 'hello\n');
    const refused = run([join(folder, 'no.log'), '--json']);
    check.equal([refused.status, refused.stdout], [1, '']);
    check.match(
      refused.stderr,
      /^foreshard: .*no\.log: the format is not recognised; it begins with "hello"/,
    );
  });
});

test('templates, the daily season, what comes when, and what goes together are found', () => {
  const found = shop;
  check.equal(found.templates.map(({ text }) => text).sort(), [
    'HGET user:{n}:cart',
    'MGET {}:{n}',
    'ZRANGE {}:{n}',
  ]);
  check.ok(
    found.seasons.all.some(({ periodMs }) => periodMs === 24 * HOUR_MS),
    JSON.stringify(found.seasons.all),
  );
  check.equal(found.seasons.outages, []);
  check.equal(found.seasons.levelShifts, []);

  const night = found.clusters.shape.find(({ templateIds }) =>
    templateIds.some((id) => found.templates.find((one) => one.id === id)?.text.startsWith('ZRANGE')),
  );
  check.is(night?.templateIds.length, 1, 'what comes by night is not with what comes by day');

  const report = found.associations.partitions.filter(({ template }) => template.startsWith('ZRANGE'));
  check.is(report.length, 1);
  check.ok((report[0]?.lift as number) > 2);
  check.ok(
    found.associations.clients.some(
      ({ partner, template }) => partner === 'nightly' && template.startsWith('ZRANGE'),
    ),
  );
  check.is(found.coAccess.together.length, 2, 'a and b, c and d');

  const hottest = found.hotNodes.map(({ types }) => types[0]?.template);
  check.ok(hottest.includes('ZRANGE {}:{n}'), `by night: ${hottest}`);
});

test('what people read names each finding once, on lines of its own', () => {
  const lines = [...patternLines(shop)];
  const text = lines.join('\n');
  check.match(
    lines[0] as string,
    /^\d+ queries \(jsonl\), 2024-01-01T00:0\dZ to 2024-01-14T23:5\dZ; 0 bad lines/,
  );
  check.match(text, /seasons, in 334 windows of 1h: 1d \(\d+\.\d % of the variance\)/);
  check.match(text, /%\s+HGET user:\{n\}:cart: \d+ queries, 0\.0 % writes/);
  check.match(text, /templates and clients: .*\n(.*\n)* {2}ZRANGE \{\}:\{n\} -> client nightly: /);
  check.match(text, /partitions in one query: 2 pairs found/);
  check.match(text, /node [01] on wed 03:00: \d+\.\d queries an hour/);
  check.ok(lines.every((line) => !line.includes('\n') && !/NaN|undefined|Infinity/.test(line)));
});

test('an hour that the log does not have is said to be unknown, a node without queries to have none', async () => {
  const log = Array.from({ length: 48 }, (_, i) => `{"time":${START_MS + i * 1_800_000},"key":"a"}\n`).join(
    '',
  );
  const linesOf = async (hour: string): Promise<string[]> =>
    [...patternLines(await find(log, { hour: parseHour(hour) }))].filter((line) => /^nodes? /.test(line));
  check.equal(await linesOf('tue 09:00'), [
    'nodes on tue 09:00: unknown, the log has no such hour (it has 24 of the 168 hours of a week)',
  ]);
  check.equal((await linesOf('mon 09:00')).sort(), [
    'node 0 on mon 09:00: no query with a key',
    'node 1 on mon 09:00: 2.0 queries an hour',
  ]);
});

test('a statement of SQL is told by its structure', async () => {
  const row = (id: number): string => `${START_MS + id * 60_000},"SELECT * FROM users WHERE id = ${id}"`;
  const found = await find(`time,query\n${Array.from({ length: 50 }, (_, i) => row(i)).join('\n')}\n`);
  check.is(found.templates.length, 1);
  check.is(found.sql.parsedCount, 50);
});

test('a log of one query, and one of a single moment, have patterns without NaN', async () => {
  for (const count of [1, 40]) {
    const found = await find(`{"time":${START_MS},"key":"a"}\n`.repeat(count), { hour: 0 });
    check.is(found.recordCount, count);
    check.not.match(JSON.stringify([...patternLines(found)]), /NaN|undefined|Infinity/);
  }
});

test('a window that does not divide a week is refused', async () => {
  for (const window of ['11m', '2w', '0h', 'hour'])
    try {
      await find(SHOP, { window });
      check.unreachable(window);
    } catch (error) {
      check.instance(error, ForeshardError);
      check.match((error as Error).message, /^--window: found /);
    }
});

test('limits of bad lines are counts or percents', () => {
  check.equal(parseBadLineLimit('2000'), { count: 2_000, share: 0 });
  check.equal(parseBadLineLimit('2.5%'), { count: 0, share: 0.025 });
  for (const text of ['', '-1', '101%', '1.5', 'all'])
    check.throws(() => parseBadLineLimit(text), /--bad-lines-max: found/);
});

test('progress is shown on a terminal, in lines where it is asked for, else not', async () => {
  for (const { isTTY, isWanted, expected } of [
    { isTTY: true, isWanted: false, expected: /^\r\d+ MB, \d+ queries, \d+ a second/ },
    { isTTY: false, isWanted: true, expected: /^\d+ MB, \d+ queries, \d+ a second\n$/ },
    { isTTY: false, isWanted: false, expected: /^$/ },
  ]) {
    const reading = readLog(once(SHOP));
    let nowMs = 0;
    let text = '';
    const progress = new LogProgress(reading, {
      output: { isTTY, write: (more: string) => (text += more) },
      isWanted,
      nowMs: () => nowMs,
    });
    for await (const _ of reading) progress.update();
    check.is(text, '', 'nothing at once');
    nowMs = 6_000;
    progress.update();
    check.match(text, expected);
    progress.end();
    if (isTTY) check.match(text, /\r +\r$/);
  }
});

test.run();
