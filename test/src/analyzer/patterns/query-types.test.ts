import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { QUERY_TYPE_DEFAULTS, QueryTypeCounts } from '../../../../src/analyzer/patterns/query-types.ts';
import { atOnce } from '../../../../src/base/slices.ts';
import { type AffinityCounts, packAffinityCounts } from '../../../../src/model/affinity-matrix.ts';

const test = suite('patterns/query-types');
const WINDOW_MS = 1_000;
const ALL = { typesMax: 1000, partitionsMax: 1000, clientsMax: 1000 };

const countsOf = (over: { halfLifeWindows?: number; entriesMax?: number } = {}) =>
  new QueryTypeCounts({ ...QUERY_TYPE_DEFAULTS, windowMs: WINDOW_MS, halfLifeWindows: 2, ...over });

/** Rows of template, partition, client, count. */
function affinityOf(rows: readonly (readonly [string, number, string, number])[]): AffinityCounts {
  const templates = ['(other)', ...new Set(rows.map(([template]) => template))];
  const clients = ['(other)', ...new Set(rows.map(([, , client]) => client))];
  const entries = rows.map(([template, partition, client, count]) => ({
    template: templates.indexOf(template),
    partition,
    client: clients.indexOf(client),
    count,
  }));
  return packAffinityCounts(entries, { partitionCount: 16, templates, clients });
}
const window = (index: number, rows: Parameters<typeof affinityOf>[0]) => ({
  startMs: index * WINDOW_MS,
  affinity: affinityOf(rows),
});

test('types say who asks what of which partition, and of which node by the map in effect', () => {
  const counts = countsOf();
  counts.add(
    window(0, [
      ['GET user:{n}', 3, 'q0/1', 10],
      ['GET user:{n}', 5, 'q0/2', 20],
      ['SET user:{n}', 3, 'q0/1', 10],
    ]),
  );
  const { types, typeCount, recentCount, totalCount } = counts.summary(ALL);
  check.is(typeCount, 2);
  check.is(recentCount, 40);
  check.is(totalCount, 40);
  check.equal(types[0], {
    template: 'GET user:{n}',
    share: 0.75,
    recentCount: 30,
    totalCount: 30,
    partitions: [
      { partitionId: 5, recentCount: 20, lift: 4 / 3 },
      { partitionId: 3, recentCount: 10 },
    ],
    partitionCount: 2,
    clients: [
      { client: 'q0/2', recentCount: 20, lift: 4 / 3 },
      { client: 'q0/1', recentCount: 10 },
    ],
    clientCount: 2,
  });
  const ownerOf = Int32Array.from({ length: 16 }, (_, partition) => (partition < 4 ? 7 : 8));
  const nodes = counts.nodesOf(['GET user:{n}', 'unheard of'], ownerOf);
  check.equal(
    nodes.get('GET user:{n}')?.map(({ nodeId, recentCount }) => [nodeId, recentCount]),
    [
      [8, 20],
      [7, 10],
    ],
  );
  check.equal(nodes.get('unheard of'), []);
});

test('a query counts half after a half-life, whatever came between, and whole in the totals', () => {
  const steady = countsOf();
  steady.add(window(10, [['GET a', 1, 'q0/1', 8]]));
  steady.add(window(11, []));
  steady.add(window(12, [['SET b', 1, 'q0/1', 1]]));
  const [first, second] = steady.summary(ALL).types;
  check.ok(Math.abs((first?.recentCount ?? 0) - 4) < 1e-9, `${first?.recentCount}`);
  check.is(first?.totalCount, 8);
  check.is(second?.recentCount, 1);
  // A window that was never closed (an outage) ages them just as well.
  const broken = countsOf();
  broken.add(window(10, [['GET a', 1, 'q0/1', 8]]));
  broken.add(window(12, [['SET b', 1, 'q0/1', 1]]));
  check.ok(Math.abs((broken.summary(ALL).types[0]?.recentCount ?? 0) - 4) < 1e-9);
});

test('a window that comes late weighs what it would have weighed in time', () => {
  const inTime = countsOf();
  const late = countsOf();
  const [old, young] = [window(0, [['GET a', 1, 'q0/1', 4]]), window(2, [['GET a', 1, 'q0/1', 4]])];
  for (const each of [old, young]) inTime.add(each);
  for (const each of [young, old]) late.add(each);
  check.equal(late.summary(ALL), inTime.summary(ALL));
  check.is(late.summary(ALL).recentCount, 6);
});

test('what is long past is forgotten, but stays in the total', () => {
  const counts = countsOf();
  counts.add(window(0, [['GET old', 1, 'q0/1', 100]]));
  counts.add(window(100, [['GET new', 2, 'q0/2', 1]]));
  const { types, totalCount } = counts.summary(ALL);
  check.equal(
    types.map(({ template, clients }) => [template, clients.length]),
    [['GET new', 1]],
  );
  check.is(totalCount, 101);
});

test('entries are bounded: the smallest go first, and how much they were is said', () => {
  const counts = countsOf({ entriesMax: 3 });
  counts.add(
    window(
      0,
      [5, 1, 9, 2, 7].map((count, i) => [`GET t${i}`, i, 'q0/1', count]),
    ),
  );
  const summary = counts.summary(ALL);
  check.equal(
    summary.types.map(({ recentCount }) => recentCount),
    [9, 7, 5],
  );
  check.is(summary.forgottenCount, 3);
  check.is(summary.totalCount, 24);
  for (let index = 1; index < 500; index++)
    counts.add(window(index, [[`PASSING${index} key`, index % 16, `q0/${index}`, 100]]));
  check.is(counts.summary(ALL).types.length, 3);
});

test('words that vary like values are one template, from the first window on and in the totals', () => {
  const counts = countsOf();
  const cities = ['ATL', 'BOS', 'DEN', 'JFK', 'LAX', 'ORD', 'SEA', 'SFO', 'PHX', 'MIA'];
  cities.forEach((city, index) => {
    counts.add(
      window(index, [
        [`GET route:{}:${city}`, 1, 'q0/1', 3],
        ['GET airport:{}', 1, 'q0/1', 3],
      ]),
    );
  });
  counts.add(window(10, [['GET route:{}:NEW', 1, 'q0/1', 3]]));
  const { types } = counts.summary(ALL);
  check.equal(
    types.map(({ template, totalCount }) => [template, totalCount]),
    [
      ['GET route:{}:*', 33],
      ['GET airport:{}', 30],
    ],
  );
});

test('a summary lists no more than it was asked for, and says how many there are', () => {
  const counts = countsOf();
  const rows = Array.from({ length: 12 }, (_, i) => [`GET t${i % 3}`, i, `q0/${i}`, 1 + i] as const);
  counts.add(window(0, rows));
  const { types, typeCount } = counts.summary({ typesMax: 2, partitionsMax: 1, clientsMax: 2 });
  check.is(typeCount, 3);
  check.equal(
    types.map(({ template, partitions, partitionCount, clients, clientCount }) => [
      template,
      partitions.length,
      partitionCount,
      clients.length,
      clientCount,
    ]),
    [
      ['GET t2', 1, 4, 2, 4],
      ['GET t1', 1, 4, 2, 4],
    ],
  );
});

test('before the first window there is nothing, and that is no error', () => {
  check.equal(countsOf().summary(ALL), {
    types: [],
    typeCount: 0,
    recentCount: 0,
    totalCount: 0,
    forgottenCount: 0,
  });
});

test('while a window is added with rests, all that is told is of the windows before', () => {
  const [rested, whole] = [countsOf({ entriesMax: 50 }), countsOf({ entriesMax: 50 })];
  const first = window(0, [['GET a', 1, 'q0/1', 8]]);
  for (const counts of [rested, whole]) counts.add(first);
  const before = rested.summary(ALL);
  // Names that turn out to hold a value, and more entries than are kept.
  const second = window(
    3,
    Array.from(
      { length: 60 },
      (_, i) => [`GET user:${'abcdefghij'[i % 10]}${i}`, i % 16, 'q0/2', 1 + (i % 3)] as const,
    ),
  );
  whole.add(second);
  let restCount = 0;
  for (const _ of rested.adding(second)) {
    restCount++;
    check.equal(rested.summary(ALL), before);
  }
  check.ok(restCount >= 4, `${restCount} rests`);
  check.equal(rested.summary(ALL), whole.summary(ALL));
  check.ok(whole.summary(ALL).recentCount > before.recentCount);
});

test('a summary with rests is of one moment, whatever is counted meanwhile', () => {
  const rows = Array.from(
    { length: 10_000 },
    (_, i) => [`GET t${i % 40}:{n}`, i % 16, `q0/${Math.floor(i / 640)}`, 1 + ((i * 7) % 13)] as const,
  );
  const ownerOf = Int32Array.from({ length: 16 }, (_, partition) => partition % 3);
  const counts = countsOf();
  counts.add(window(0, rows));
  const summary = counts.summary(ALL);
  const templates = summary.types.map(({ template }) => template);
  const nodes = counts.nodesOf(templates, ownerOf);
  const rested = [counts.summing(ALL), counts.findingNodes(templates, ownerOf)] as const;
  for (const work of rested) check.is(work.next().done, false, 'it rests');
  counts.add(window(9, [['SET other', 1, 'q0/1', 500]]));
  check.equal(atOnce(rested[0]), summary);
  check.equal(atOnce(rested[1]), nodes);
  check.is.not(counts.summary(ALL).recentCount, summary.recentCount);
});

test.run();
