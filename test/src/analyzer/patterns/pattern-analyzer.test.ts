import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { collectedHeapBytes } from '../../../../bench/collected-heap.ts';
import {
  hourOfWeek,
  hourOfWeekName,
  parseHourOfWeek,
} from '../../../../src/analyzer/patterns/hour-of-week.ts';
import { PatternAnalyzer } from '../../../../src/analyzer/patterns/pattern-analyzer.ts';
import type { PatternRecord } from '../../../../src/analyzer/patterns/pattern-report.ts';
import { type Random, seededRandom } from '../../../../src/base/random.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('patterns/pattern-analyzer');
const SEED = testSeed('patterns/pattern-analyzer');
const HOUR_MS = 3_600_000;
/** A Monday. */
const START_MS = Date.UTC(2024, 0, 1);
const PARTITION_COUNT = 16;
/** Four partitions a node. */
const OWNER_OF = Array.from({ length: PARTITION_COUNT }, (_, partition) => partition >> 2);

/**
 * Weeks of a shop: people look at users at any hour and everywhere; carts by day, on partition 13, by client "shop"; a report on
 * Mondays at 9 on partition 14.
 */
function* shop(random: Random, hours: number): Generator<PatternRecord> {
  for (let h = 0; h < hours; h++) {
    const dayHour = h % 24;
    const at = (): number => START_MS + h * HOUR_MS + random.nextBelow(HOUR_MS);
    const anywhere = (): number => random.nextBelow(PARTITION_COUNT);
    for (let i = 0; i < 40; i++)
      yield {
        timeMs: at(),
        client: `web-${random.nextBelow(5)}`,
        kind: 'command',
        query: 'get',
        keys: [`user:${random.nextBelow(1e6)}`],
        partitions: [anywhere()],
        latencyMs: 2,
        bytes: 100,
      };
    if (dayHour >= 8 && dayHour < 18)
      for (let i = 0; i < 20; i++)
        yield {
          timeMs: at(),
          client: 'shop',
          kind: 'sql',
          query: `select * from cart where id = ${i}`,
          partitions: [13],
        };
    if (dayHour >= 8 && dayHour < 18)
      for (let i = 0; i < 10; i++)
        yield {
          timeMs: at(),
          client: 'shop',
          kind: 'http',
          query: `POST /cart/${i}`,
          partitions: [13],
          isWrite: true,
        };
    if (h % 168 === 9)
      for (let i = 0; i < 100; i++)
        yield { timeMs: at(), client: 'cron', kind: 'search', query: `report ${i} sales`, partitions: [14] };
  }
}

function analyse(records: Iterable<PatternRecord>): PatternAnalyzer {
  const analyzer = new PatternAnalyzer({ partitionCount: PARTITION_COUNT }, { ownerOf: OWNER_OF });
  for (const record of records) analyzer.add(record);
  return analyzer;
}

test('a log tells its templates, when they come, where they go and who asks', () => {
  const analyzer = analyse(shop(seededRandom(SEED), 24 * 21));
  const report = analyzer.finish();
  check.equal(
    report.templates.map(({ text, count }) => [text, count]),
    [
      ['GET user:{n}', 20_160],
      ['select * from cart where id = ?', 4_200],
      ['POST /cart/{n}', 2_100],
      ['report sales {n}', 300],
    ],
  );
  const [users, , posts] = report.templates;
  check.is(users?.latencyMsMean, 2);
  check.is(posts?.latencyMsMean, null);
  check.is(posts?.writeShare, 1);
  check.ok(Math.abs((users?.hours[3] ?? 0) - 40) < 0.01, `${users?.hours[3]}`);
  check.is(posts?.hours[3], 0);
  check.is(report.watchedHours, 168);

  // What comes by day is one cluster by its hours; by its terms as well, since both are about carts.
  const byHours = report.clusters.shape.find(({ templateIds }) => templateIds.includes(posts?.id ?? ''));
  check.is(byHours?.templateIds.length, 2);
  check.is(posts?.termCluster, report.templates[1]?.termCluster);
  check.is.not(posts?.termCluster, users?.termCluster);
  check.equal(
    byHours?.seasons.map(({ period }) => period),
    [24],
  );
  check.is(byHours?.series.length, report.series.windowCount);
  check.is(
    byHours?.series.reduce((sum, count) => sum + count, 0),
    6_300,
  );

  const told = (list: readonly { template: string; partner: number | string }[]): string[] =>
    list.map(({ template, partner }) => `${template} @ ${partner}`);
  // Nothing of the users, who go everywhere: that carts avoid the other partitions is not their doing.
  check.equal(told(report.associations.partitions), [
    'select * from cart where id = ? @ 13',
    'POST /cart/{n} @ 13',
    'report sales {n} @ 14',
  ]);
  check.equal(told(report.associations.nodes), [
    'select * from cart where id = ? @ 3',
    'POST /cart/{n} @ 3',
    'report sales {n} @ 3',
  ]);
  check.equal(told(report.associations.clients).slice(0, 3).sort(), [
    'POST /cart/{n} @ shop',
    'report sales {n} @ cron',
    'select * from cart where id = ? @ shop',
  ]);
  check.ok(JSON.stringify(report).length < 1e6, 'plain data');
});

test('what makes node 3 hot on Monday at 9, and at 3 in the night', () => {
  const analyzer = analyse(shop(seededRandom(SEED), 24 * 21));
  const isOfNode3 = (partition: number): boolean => OWNER_OF[partition] === 3;
  const monday = analyzer.hotTypes(parseHourOfWeek('mon 09:00') as number, isOfNode3);
  const rates = Object.fromEntries(monday.map(({ template, ratePerHour }) => [template, ratePerHour]));
  check.is(monday[0]?.template, 'report sales {n}');
  const expected = {
    'report sales {n}': 100,
    'select * from cart where id = ?': 20,
    'POST /cart/{n}': 10,
    'GET user:{n}': 10,
  };
  check.equal(Object.keys(rates).sort(), Object.keys(expected).sort());
  for (const [template, rate] of Object.entries(expected))
    check.ok(Math.abs((rates[template] ?? 0) - rate) < 0.2 * rate + 1, `${template}: ${rates[template]}`);
  check.ok(Math.abs((monday[0]?.usualRatePerHour ?? 0) - 100 / 168) < 0.01, 'once a week is little an hour');
  check.ok(Math.abs(monday.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
  check.equal(
    analyzer.hotTypes(3, isOfNode3).map(({ template }) => template),
    ['GET user:{n}'],
  );
  check.equal(
    analyzer.hotTypes(3, () => false),
    [],
  );
});

test('the order of the records matters for nothing but the pairs of neighbours', () => {
  const records = [...shop(seededRandom(SEED), 24 * 8)];
  const shuffle = seededRandom(SEED);
  const shuffled = records.map((record) => [shuffle.nextFloat(), record] as const).sort(([a], [b]) => a - b);
  const [a, b] = [analyse(records).finish(), analyse(shuffled.map(([, record]) => record)).finish()];
  check.equal(
    a.templates.map(({ id, count, text }) => [id, count, text]),
    b.templates.map(({ id, count, text }) => [id, count, text]),
  );
  check.equal([a.startMs, a.endMs, a.series, a.watchedHours], [b.startMs, b.endMs, b.series, b.watchedHours]);
  for (const [i, { hours, recentCount }] of a.templates.entries()) {
    check.ok(Math.abs(recentCount - (b.templates[i]?.recentCount ?? 0)) < 1e-6 * recentCount);
    check.ok(hours.every((rate, h) => Math.abs(rate - (b.templates[i]?.hours[h] ?? 0)) <= 1e-4 * (1 + rate)));
  }
});

test('ids and cluster names are the same when the same log is read again', () => {
  const [a, b] = [1, 2].map(() => analyse(shop(seededRandom(SEED), 100)).finish());
  check.equal(a, b);
});

test('an empty log, a log of one record, records without a time: an empty report, not an error', () => {
  const empty = analyse([]).finish();
  check.equal([empty.recordCount, empty.templates, empty.startMs, empty.endMs], [0, [], 0, 0]);
  const record: PatternRecord = { timeMs: START_MS, client: '', kind: 'http', query: 'GET /' };
  const one = analyse([record, { ...record, timeMs: Number.NaN }]).finish();
  check.equal([one.recordCount, one.refusedCount, one.templates.length], [1, 1, 1]);
  check.equal(one.associations, { partitions: [], nodes: [], clients: [] });
});

test('half of what is known is forgotten in a half-life, over years, without a number that is not finite', () => {
  const analyzer = new PatternAnalyzer({ partitionCount: PARTITION_COUNT, halfLifeMs: 24 * HOUR_MS });
  const record: PatternRecord = {
    timeMs: START_MS,
    client: 'a',
    kind: 'command',
    query: 'GET',
    keys: ['a'],
    partitions: [1],
  };
  // Two hundred half-lives: the landmark moves on the way.
  for (let day = 0; day < 200; day++) analyzer.add({ ...record, timeMs: START_MS + day * 24 * HOUR_MS });
  const [template] = analyzer.finish().templates;
  check.is(template?.count, 200);
  check.ok(Math.abs((template?.recentCount ?? 0) - 2) < 1e-6, `${template?.recentCount}`);
  check.ok(template?.hours.every(Number.isFinite));
  // Once a day at midnight, on every day of the week.
  check.ok(Math.abs((template?.hours[0] ?? 0) - 1) < 0.02, `${template?.hours[0]}`);
});

test('memory is bounded however many keys, words, statements, clients and partitions there are', () => {
  const random = seededRandom(SEED);
  const analyzer = new PatternAnalyzer({
    partitionCount: 16_384,
    templatesMax: 64,
    clientsMax: 100,
    entriesMax: 1_000,
    profilesMax: 100,
    seriesWindowsMax: 48,
  });
  const word = (): string => random.nextBelow(1e9).toString(36);
  for (let i = 0; i < 40_000; i++) {
    const timeMs = START_MS + i * 20_000;
    const client = word();
    const partitions = [random.nextBelow(16_384), random.nextBelow(16_384)];
    if (i % 4 === 0)
      analyzer.add({ timeMs, client, partitions, kind: 'command', query: 'GET', keys: [`k:${word()}`] });
    else if (i % 4 === 1)
      analyzer.add({ timeMs, client, partitions, kind: 'http', query: `GET /${word()}/${word()}` });
    else if (i % 4 === 2)
      analyzer.add({ timeMs, client, partitions, kind: 'search', query: `${word()} ${word()}` });
    else analyzer.add({ timeMs, client: 'same', partitions: [5], kind: 'sql', query: `select ${i}` });
  }
  const report = analyzer.finish();
  check.ok(report.templates.length <= 65, `${report.templates.length}`);
  const texts = report.templates.map(({ text }) => text);
  for (const text of ['select ?', 'GET k:*', 'GET /*/*', '(other)'])
    check.ok(texts.includes(text), `${text}: ${texts}`);
  check.is(
    report.templates.reduce((sum, { count }) => sum + count, 0),
    40_000,
    'every query is counted somewhere',
  );
  check.ok(report.evictedTemplateCount > 5_000);
  check.ok(report.forgotten.partitions > 0);
  check.is(report.series.windowCount, 48);
  check.ok(
    report.associations.partitions.some(({ template, partner }) => template === 'select ?' && partner === 5),
  );
});

test('names are kept, not the chunks of the log that they were cut from', () => {
  const analyzer = new PatternAnalyzer({ partitionCount: PARTITION_COUNT });
  const heapBefore = collectedHeapBytes();
  for (let c = 0; c < 400; c++) {
    // Of each chunk of 250 KB one client, one key and one search are new.
    const chunk = Buffer.alloc(250_000, `client-number-${c} kind-of-key-${c}: ${'x'.repeat(200)}\n`).toString(
      'latin1',
    );
    const [client, word] = chunk.slice(0, 100).split(' ') as [string, string];
    const record = { timeMs: START_MS + c, client, partitions: [c % PARTITION_COUNT] };
    analyzer.add({ ...record, kind: 'command', query: `C${c}`, keys: [word] });
    analyzer.add({ ...record, kind: 'search', query: chunk.slice(0, 40) });
  }
  const heapMegabytes = (collectedHeapBytes() - heapBefore) / 1e6;
  check.ok(heapMegabytes < 30, `${heapMegabytes} MB of 100 MB are still there`);
  check.is(analyzer.finish().recordCount, 800);
});

test('hours of the week: Monday 00:00 UTC is 0, as text and back', () => {
  check.is(hourOfWeek(START_MS), 0);
  check.is(hourOfWeek(START_MS - 1), 167);
  check.is(hourOfWeek(-1), 71, 'the last hour of Wednesday, 1969');
  for (let hour = 0; hour < 168; hour++) check.is(parseHourOfWeek(hourOfWeekName(hour)), hour);
  check.is(parseHourOfWeek('Sunday 23:59'), 167);
  for (const text of ['', 'mon', '9', 'mon 24:00', 'mo 9', 'mondays 9', 'mon 9:60', 'mon 9:5'])
    check.is(parseHourOfWeek(text), null, text);
});

test.run();
