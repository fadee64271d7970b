import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ASSOCIATION_DEFAULTS, findOwnAssociations } from '../../../../src/analyzer/patterns/associations.ts';
import { CO_ACCESS_DEFAULTS, CoAccess } from '../../../../src/analyzer/patterns/co-access.ts';
import { PatternAnalyzer } from '../../../../src/analyzer/patterns/pattern-analyzer.ts';
import { findingLifts } from '../../../../src/analyzer/patterns/query-type-lifts.ts';
import { type Random, seededRandom } from '../../../../src/base/random.ts';
import { atOnce } from '../../../../src/base/slices.ts';
import { packAffinityCounts } from '../../../../src/model/affinity-matrix.ts';
import { testSeed } from '../../../support/seed.ts';
import { normal } from '../../../support/series.ts';

const test = suite('patterns/associations');
const SEED = testSeed('patterns/associations');

/** Every template likes every partition a little more or less: there is no cell that nothing is true of. */
function likings(random: Random, { deviation, rows, columns }: Size): number[][] {
  const frequencies = Array.from({ length: rows }, (_, row) => 1 / (row + 1));
  const total = frequencies.reduce((sum, frequency) => sum + frequency, 0);
  return frequencies.map((frequency) => {
    const weights = Array.from({ length: columns }, () => Math.exp(deviation * normal(random)));
    const sum = weights.reduce((all, weight) => all + weight, 0);
    return weights.map((weight) => (frequency / total) * (weight / sum));
  });
}

interface Size {
  /** Of the logarithm of the likings. */
  readonly deviation: number;
  readonly rows: number;
  readonly columns: number;
  readonly queries: number;
}

/** Poisson counts by their normal limit. */
const drawn = (random: Random, mean: number): number =>
  Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(random)));

interface Told {
  readonly told: number;
  /** Of the shares that the counts were drawn from. */
  readonly trueLift: number;
  /** Of the counts, by plain margins. */
  readonly countedLift: number;
}

function toldOf(random: Random, size: Size): Told[] {
  const shares = likings(random, size);
  const rowShares = shares.map((row) => row.reduce((sum, share) => sum + share, 0));
  const columnShares = (shares[0] as number[]).map((_, column) =>
    shares.reduce((sum, row) => sum + (row[column] as number), 0),
  );
  // Template 0 is "(other)", of which nothing is told.
  const templates = ['(other)', ...shares.map((_, row) => `t${row}`)];
  const entries = shares.flatMap((row, r) =>
    row.map((share, partition) => ({
      template: r + 1,
      partition,
      client: 0,
      count: drawn(random, share * size.queries),
    })),
  );
  const counts = packAffinityCounts(
    entries.filter(({ count }) => count > 0),
    { partitionCount: size.columns, templates, clients: ['(other)'] },
  );
  const lifts = atOnce(
    findingLifts(counts, {
      columnOf: (entry) => counts.partition[entry] as number,
      effectiveFactor: 1,
      limits: ASSOCIATION_DEFAULTS,
    }),
  );
  const countOf = (isIn: (entry: number) => boolean): number =>
    counts.count.reduce((sum, count, entry) => sum + (isIn(entry) ? count : 0), 0);
  const sum = countOf(() => true);
  return [...lifts].flatMap(([row, ofRow]) =>
    Array.from(ofRow, ([column, told]) => {
      const share = (shares[row - 1] as number[])[column] as number;
      const isRow = (entry: number): boolean => counts.template[entry] === row;
      const isColumn = (entry: number): boolean => counts.partition[entry] === column;
      const count = countOf((entry) => isRow(entry) && isColumn(entry));
      return {
        told,
        trueLift: share / ((rowShares[row - 1] as number) * (columnShares[column] as number)),
        countedLift: (count * sum) / (countOf(isRow) * countOf(isColumn)),
      };
    }),
  );
}

for (const deviation of [0.1, 0.2, 0.3, 0.5, 1])
  test(`where every template has likings of exp(${deviation} z), none is told of what it avoids`, () => {
    const random = seededRandom(SEED).fork(`${deviation}`);
    const told = [5, 5, 5, 20, 20, 30].flatMap((rows) =>
      toldOf(random, { deviation, rows, columns: rows === 5 ? 8 : 64, queries: 200_000 }),
    );
    const avoided = told.filter(({ trueLift }) => trueLift < 1).length;
    // 0.05 of what is told, and three standard errors.
    const allowed = 0.05 * told.length + 3 * Math.sqrt(0.05 * 0.95 * told.length);
    check.ok(avoided <= allowed, `${avoided} of ${told.length}`);
    if (deviation >= 0.3) check.ok(told.length > 50, `${told.length}`);
    const median = told.map((one) => one.told / one.trueLift).sort((a, b) => a - b)[told.length >> 1] ?? 1;
    for (const one of told)
      check.ok(Math.abs(one.told / one.countedLift - 1) < 1e-9, `${one.told}, counted ${one.countedLift}`);
    // Who is told is so by luck as well: a little above the truth.
    check.ok(median > 0.9 && median < 1.25, `told lifts are ${median} of the true ones`);
  });

test('where all of one type is on one partition, the others do not seem to prefer the remaining ones', () => {
  const random = seededRandom(SEED);
  const analyzer = new PatternAnalyzer({ partitionCount: 8 }, { ownerOf: [0, 0, 0, 0, 1, 1, 1, 1] });
  for (let i = 0; i < 20_000; i++) {
    const isCart = i % 3 === 0;
    const query = isCart ? 'GET cart' : `GET ${['user', 'item', 'page', 'list'][random.nextBelow(4)]}`;
    const partitions = [isCart ? 1 : random.nextBelow(8)];
    analyzer.add({ timeMs: 1.7e12 + i * 100, kind: 'command', query, client: 'c', partitions });
  }
  const { partitions, nodes } = analyzer.finish().associations;
  check.equal(
    partitions.map(({ template, partner }) => [template, partner]),
    [['GET cart', 1]],
    'plain lifts of the others elsewhere are 1.5',
  );
  check.equal(
    nodes.map(({ template, partner }) => [template, partner]),
    [['GET cart', 0]],
  );
  check.ok(Math.abs((partitions[0]?.lift ?? 0) - 1 / (1 / 3 + 2 / 3 / 8)) < 0.2, `${partitions[0]?.lift}`);
});

test('of a table where tens of thousands of pairs pass, the largest are told, and few are looked at again', () => {
  const [rows, columns] = [200, 100];
  const cells = Array.from({ length: rows * columns }, (_, i) => ({
    row: Math.floor(i / columns),
    column: i % columns,
    // Half of all cells hold what the other half lacks; (7, 7) most of all.
    count: i === 707 ? 400 : (Math.floor(i / columns) + (i % columns)) % 2 === 0 ? 100 : 1,
  }));
  const sum = cells.reduce((total, { count }) => total + count, 0);
  let tested = 0;
  const found = findOwnAssociations(
    cells,
    () => (cell) => {
      tested++;
      return { ...cell, expectedShare: 1 / cells.length };
    },
    { sum, effectiveFactor: 1, testCount: cells.length },
    { ...ASSOCIATION_DEFAULTS, listedMax: Number.POSITIVE_INFINITY },
  );
  check.equal([found[0]?.row, found[0]?.column], [7, 7]);
  check.is(found.length, 2_048);
  check.ok(tested < 2 * cells.length, `${tested} tests`);
});

test('pairs of partitions that are rarer than others are not told as asked for together', () => {
  const random = seededRandom(SEED).fork('pairs');
  const partitionCount = 24;
  let [told, rarer] = [0, 0];
  for (const deviation of [0.3, 0.6]) {
    const coAccess = new CoAccess({ ...CO_ACCESS_DEFAULTS, partitionCount });
    const weights = new Map<string, number>();
    let timeMs = 0;
    const degrees = new Float64Array(partitionCount);
    for (let a = 0; a < partitionCount; a++)
      for (let b = a + 1; b < partitionCount; b++) {
        const weight = Math.exp(deviation * normal(random));
        weights.set(`${a}-${b}`, weight);
        for (const end of [a, b]) degrees[end] = (degrees[end] as number) + weight;
        // Minutes apart: one query has nothing to do with the next one.
        for (let left = drawn(random, 400 * weight); left > 0; left--) {
          timeMs += 60_000;
          coAccess.add({ timeMs, client: 'c', partitions: [a, b], weight: 1 });
        }
      }
    const total = degrees.reduce((sum, degree) => sum + degree, 0);
    for (const { row, column } of coAccess.report(1).together) {
      const expected = ((degrees[row] as number) * (degrees[column] as number)) / total;
      told++;
      rarer += Number((weights.get(`${row}-${column}`) as number) < expected);
    }
  }
  check.ok(told > 50 && rarer <= 0.05 * told, `${rarer} of ${told}`);
});

test.run();
