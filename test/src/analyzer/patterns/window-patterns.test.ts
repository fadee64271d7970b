import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { hottest } from '../../../../src/analyzer/patterns/hot-rows.ts';
import {
  WINDOW_PATTERN_DEFAULTS,
  WindowPatterns,
} from '../../../../src/analyzer/patterns/window-patterns.ts';
import { WordTree } from '../../../../src/analyzer/patterns/word-tree.ts';
import { type AffinityCounts, packAffinityCounts } from '../../../../src/model/affinity-matrix.ts';

const test = suite('patterns/window-patterns');
const HOUR_MS = 3_600_000;
/** A Monday. */
const START_MS = Date.UTC(2024, 0, 1);
const PARTITION_COUNT = 8;

const newPatterns = (
  over: Partial<typeof WINDOW_PATTERN_DEFAULTS> = {},
  windowMs = HOUR_MS,
): WindowPatterns =>
  new WindowPatterns(
    { ...WINDOW_PATTERN_DEFAULTS, windowMs, partitionCount: PARTITION_COUNT, ...over },
    new WordTree(),
  );

/** Rows of template, partition, count. */
function affinityOf(rows: readonly (readonly [string, number, number])[]): AffinityCounts {
  const templates = [
    '(other)',
    ...new Set(rows.map(([template]) => template).filter((name) => name !== '(other)')),
  ];
  const entries = rows.map(([template, partition, count]) => ({
    template: templates.indexOf(template),
    partition,
    client: 0,
    count,
  }));
  return packAffinityCounts(entries, { partitionCount: PARTITION_COUNT, templates, clients: ['(other)'] });
}

/** Users at any hour, most by day; carts at night on partition 6. */
function feed(patterns: WindowPatterns, hours: { readonly from: number; readonly to: number }): void {
  for (let h = hours.from; h < hours.to; h++) {
    const isDay = h % 24 >= 8 && h % 24 < 20;
    const rows: (readonly [string, number, number])[] = [
      ['GET user:{n}', 1, isDay ? 100 : 10],
      ['GET user:{n}', 6, isDay ? 20 : 2],
      ['HGET profile:{n}', 2, isDay ? 50 : 5],
    ];
    if (!isDay) rows.push(['SET cart:{n}', 6, 30]);
    patterns.add({ startMs: START_MS + h * HOUR_MS, affinity: affinityOf(rows) });
  }
}

const rateAt = (patterns: WindowPatterns, hour: number, isMeant: (partition: number) => boolean) =>
  Object.fromEntries(
    hottest(
      patterns.hoursOf(isMeant, 10).map(({ template, hours }) => ({ of: template, hours })),
      { hour, watchedHours: patterns.watched.count },
    ).map(({ of, ratePerHour }) => [of, Math.round(ratePerHour)]),
  );

test('the hours of the week of each type at some partitions, by what came through them', () => {
  const patterns = newPatterns();
  feed(patterns, { from: 0, to: 24 * 10 });
  const isSix = (partition: number): boolean => partition === 6;
  check.equal(rateAt(patterns, 9, isSix), { 'GET user:{n}': 20 });
  check.equal(rateAt(patterns, 24 * 6 + 3, isSix), { 'SET cart:{n}': 30, 'GET user:{n}': 2 });
  check.equal(
    rateAt(patterns, 9, () => false),
    {},
  );
  check.is(patterns.watched.count, 168);
});

test('without a profile of its own a pair counts by its share of the template', () => {
  const patterns = newPatterns({ profilesMax: 4 });
  const rows = Array.from(
    { length: 8 },
    (_, partition) => ['GET user:{n}', partition, 10 * (partition + 1)] as const,
  );
  for (let h = 0; h < 48; h++)
    patterns.add({ startMs: START_MS + h * HOUR_MS, affinity: affinityOf(h % 24 === 9 ? rows : []) });
  for (let partition = 0; partition < 8; partition++)
    check.equal(
      rateAt(patterns, 9, (p) => p === partition),
      { 'GET user:{n}': 10 * (partition + 1) },
    );
});

test('a window of more than an hour is spread over the hours it covers', () => {
  const patterns = newPatterns({}, 6 * HOUR_MS);
  patterns.add({ startMs: START_MS, affinity: affinityOf([['GET a', 0, 600]]) });
  const [type] = patterns.hoursOf(() => true, 10);
  check.equal([...(type?.hours ?? [])].slice(0, 7).map(Math.round), [100, 100, 100, 100, 100, 100, 0]);
  check.is(patterns.watched.count, 6);
});

test('windows of minutes add up to the rate of their hour', () => {
  const patterns = newPatterns({}, 60_000);
  for (let minute = 0; minute < 60; minute++)
    patterns.add({ startMs: START_MS + minute * 60_000, affinity: affinityOf([['GET a', 0, 5]]) });
  check.is(Math.round(patterns.hoursOf(() => true, 10)[0]?.hours[0] ?? 0), 300);
});

test('types that come at the same hours are one cluster, whose name outlives a restart', () => {
  const before = newPatterns();
  feed(before, { from: 0, to: 24 * 7 });
  const day = before.shape.clusters.find(({ templates }) => templates.includes('GET user:{n}'));
  check.equal(day?.templates, ['GET user:{n}', 'HGET profile:{n}']);
  const after = newPatterns();
  // As if a word of the name had been chosen by what was heard first in another life.
  const shape = before.shape.clusters.map((cluster) =>
    cluster.name === day?.name ? { ...cluster, name: 'from-another-life' } : cluster,
  );
  after.adopt({ shape, terms: before.terms.clusters });
  feed(after, { from: 24 * 7, to: 24 * 14 });
  const again = after.shape.clusters.find(({ templates }) => templates.includes('GET user:{n}'));
  check.is(again?.name, 'from-another-life');
  check.equal(
    after.terms.clusters.map(({ name }) => name).sort(),
    before.terms.clusters.map(({ name }) => name).sort(),
  );
});

test('names that turn out to hold values become one type, with the hours of all of them', () => {
  const words = 'ash beech cedar elm fir hazel larch maple oak pine'.split(' ');
  const tree = new WordTree();
  const patterns = new WindowPatterns(
    { ...WINDOW_PATTERN_DEFAULTS, windowMs: HOUR_MS, partitionCount: PARTITION_COUNT },
    tree,
  );
  for (const [h, word] of words.entries()) {
    tree.learn(['GET', ' ', 'tree', ':', word]);
    patterns.add({ startMs: START_MS + h * HOUR_MS, affinity: affinityOf([[`GET tree:${word}`, 0, 10]]) });
  }
  const types = patterns.hoursOf(() => true, 10);
  check.equal(
    types.map(({ template }) => template),
    ['GET tree:*'],
  );
  check.equal([...(types[0]?.hours ?? [])].slice(0, 11).map(Math.round), [...new Array(10).fill(10), 0]);
});

test('beyond the limit types are summed up as other', () => {
  const patterns = newPatterns();
  const rows = Array.from({ length: 12 }, (_, i) => [`C${i} key`, 0, 100 - i] as const);
  patterns.add({ startMs: START_MS, affinity: affinityOf([...rows, ['(other)', 0, 1_000]]) });
  const types = patterns.hoursOf(() => true, 3);
  check.equal(
    types.map(({ template }) => template),
    ['C0 key', 'C1 key', 'C2 key', '(other)'],
  );
  check.is(
    Math.round(types[3]?.hours[0] ?? 0),
    1_000 + rows.slice(3).reduce((sum, [, , count]) => sum + count, 0),
  );
});

test.run();
