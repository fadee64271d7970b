import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  ASSOCIATION_DEFAULTS,
  type Association,
  type Cell,
  findAssociations,
} from '../../../../src/analyzer/patterns/associations.ts';
import { ForwardDecay } from '../../../../src/analyzer/patterns/decay.ts';
import {
  binomialTail,
  cellTail,
  falseDiscoveryRates,
} from '../../../../src/analyzer/patterns/significance.ts';
import { SparseCounts } from '../../../../src/analyzer/patterns/sparse-counts.ts';
import { type Random, seededRandom } from '../../../../src/base/random.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('patterns/significance');
const SEED = testSeed('patterns/significance');

/** The plain sum over the outcomes, by ratios of neighbours. */
function tailBySum(count: number, trials: number, probability: number): number {
  let logChance = trials * Math.log1p(-probability);
  let tail = 0;
  for (let k = 0; k <= trials; k++) {
    if (k >= count) tail += Math.exp(logChance);
    logChance += Math.log((trials - k) / (k + 1)) + Math.log(probability / (1 - probability));
  }
  return tail;
}

test('the binomial tail is the sum of its chances', () => {
  for (const [count, trials, probability] of [
    [1, 10, 0.1],
    [5, 10, 0.5],
    [10, 10, 0.3],
    [30, 1000, 0.01],
    [2999, 20_000, 0.14],
    [3001, 20_000, 0.14],
    [3001, 20_000, 0.155],
    [4000, 8_000, 0.49],
  ] as const) {
    const exact = tailBySum(count, trials, probability);
    // The normal tail of large counts is a few percent off, which moves no decision.
    const tolerance = count > 3000 ? 0.05 : 1e-6;
    const found = binomialTail(count, trials, probability);
    check.ok(Math.abs(found / exact - 1) < tolerance, `${count} of ${trials}: ${found}, not ${exact}`);
  }
  check.is(binomialTail(0, 10, 0.5), 1);
  check.is(binomialTail(11, 10, 0.5), 0);
  check.ok(binomialTail(1e8, 1e9, 0.09) === 0, 'no more than a double can hold');
  const between = binomialTail(5.5, 100, 0.03);
  check.ok(between < binomialTail(5, 100, 0.03) && between > binomialTail(6, 100, 0.03));
});

/** The plain sum of hypergeometric chances, by ratios of neighbours from the smallest count on. */
function cellTailBySum(count: number, { rowSum, columnSum, sum }: Parameters<typeof cellTail>[1]): number {
  const first = Math.max(0, rowSum + columnSum - sum);
  const weights = [1];
  for (let k = first; k < Math.min(rowSum, columnSum); k++)
    weights.push(
      ((weights.at(-1) as number) * (rowSum - k) * (columnSum - k)) /
        ((k + 1) * (sum - rowSum - columnSum + k + 1)),
    );
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.slice(count - first).reduce((a, b) => a + b, 0) / total;
}

test('the tail of a cell is the sum of its chances', () => {
  // Fisher's tea: all four of four cups.
  check.ok(Math.abs(cellTail(4, { rowSum: 4, columnSum: 4, sum: 8 }) - 1 / 70) < 1e-9);
  for (const [count, rowSum, columnSum, sum] of [
    [20, 30, 20, 40],
    [9, 20, 30, 200],
    [40, 300, 60, 1000],
    [3, 4, 5, 500],
  ] as const) {
    const exact = cellTailBySum(count, { rowSum, columnSum, sum });
    const found = cellTail(count, { rowSum, columnSum, sum });
    check.ok(
      Math.abs(found / exact - 1) < 1e-6,
      `${count} in ${rowSum} x ${columnSum}: ${found}, not ${exact}`,
    );
  }
  check.is(cellTail(20, { rowSum: 50, columnSum: 50, sum: 100 }), 1, 'fewer than expected');
  check.is(cellTail(25, { rowSum: 50, columnSum: 50, sum: 100 }), 1, 'as many as expected');
  const [below, above] = [2999, 3001].map((count) =>
    cellTail(count, { rowSum: 10_000, columnSum: 9_000, sum: 31_000 }),
  );
  check.ok(
    Math.abs((below as number) / (above as number) - 1) < 0.3,
    `${below} and ${above}: no step where the formula changes`,
  );
});

test('Benjamini and Hochberg believe what their paper believes', () => {
  // The example of their section 3.2: 15 tests, of which four are believed at a rate of 0.05.
  const pValues = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528,
    0.759, 1,
  ];
  const rates = falseDiscoveryRates(pValues, 15);
  check.is(rates.filter((rate) => rate <= 0.05).length, 4);
  check.equal([...falseDiscoveryRates([...pValues].reverse(), 15)], [...rates].reverse());
  check.is(
    falseDiscoveryRates(pValues.slice(0, 9), 15).filter((rate) => rate <= 0.05).length,
    4,
    'the rest is 1',
  );
});

const ROWS = 20;
const COLUMNS = 32;

/** Rows and columns of very different frequency; optionally cell (3, 7) is asked for on purpose now and then. */
function randomTable(random: Random, options: { queries: number; plantedShare: number; halfLifeMs: number }) {
  const counts = new SparseCounts({ columnsMax: COLUMNS, entriesMax: 10_000 });
  const decay = new ForwardDecay(options.halfLifeMs);
  const skewed = (count: number): number => Math.floor(count * random.nextFloat() ** 2);
  for (let i = 0; i < options.queries; i++) {
    const isPlanted = random.nextFloat() < options.plantedShare;
    const row = isPlanted ? 3 : skewed(ROWS);
    counts.add(row, isPlanted ? 7 : skewed(COLUMNS), decay.weightAt(i));
  }
  return counts;
}

function found(counts: SparseCounts): Association[] {
  const cells: Cell[] = [];
  counts.forEach((row, column, count) => {
    const rowSum = counts.rowSums.get(row) as number;
    cells.push({
      row,
      column,
      count,
      rowSum,
      columnSum: counts.columnSums.get(column) as number,
      sum: counts.sum,
    });
  });
  const { sum, effectiveFactor } = counts;
  return findAssociations(cells, { sum, effectiveFactor, testCount: ROWS * COLUMNS }, ASSOCIATION_DEFAULTS);
}

for (const halfLifeMs of [Number.POSITIVE_INFINITY, 1_000])
  test(`among what is told no more is chance than promised; half-life ${halfLifeMs} of 5,000 queries`, () => {
    const random = seededRandom(SEED);
    const runs = 100;
    let chanceRuns = 0;
    let plantedFound = 0;
    let falseShares = 0;
    for (let run = 0; run < runs; run++) {
      // Without anything to be found, every find is false: the rate is the share of tables with one.
      chanceRuns += Number(
        found(randomTable(random, { queries: 5_000, plantedShare: 0, halfLifeMs })).length > 0,
      );
      const told = found(randomTable(random, { queries: 5_000, plantedShare: 0.02, halfLifeMs }));
      plantedFound += Number(told.some(({ row, column }) => row === 3 && column === 7));
      const falseCount = told.filter(({ row, column }) => row !== 3 || column !== 7).length;
      falseShares += told.length > 0 ? falseCount / told.length : 0;
    }
    // 0.05, and three standard errors of 100 runs.
    check.ok(
      chanceRuns / runs <= 0.05 + 3 * Math.sqrt((0.05 * 0.95) / runs),
      `${chanceRuns} of ${runs} tables`,
    );
    check.ok(falseShares / runs <= 0.05 + 0.065, `${falseShares / runs} of what is told is chance`);
    check.is(plantedFound, runs, 'what was planted is always found');
  });

test('with a hundred million queries a lift of nothing much is certain, and still not told', () => {
  const cell: Cell = { row: 0, column: 0, count: 1.05e7, rowSum: 5e7, columnSum: 2e7, sum: 1e8 };
  const table = { sum: 1e8, effectiveFactor: 1, testCount: 100 };
  check.equal(findAssociations([cell], table, ASSOCIATION_DEFAULTS), []);
  const [told] = findAssociations([cell], table, { ...ASSOCIATION_DEFAULTS, liftMin: 1 });
  check.is(told?.qValue, 0);
  check.ok(Math.abs((told?.lift as number) - 1.05) < 1e-9);
});

test('counts are bounded: frequent pairs stay, and how much was forgotten is said', () => {
  const random = seededRandom(SEED);
  const counts = new SparseCounts({ columnsMax: 1_000_000, entriesMax: 100 });
  for (let i = 0; i < 100_000; i++) counts.add(i % 3, i % 2 === 0 ? i % 5 : random.nextBelow(1_000_000), 1);
  check.ok(counts.size <= 101, `${counts.size}`);
  let kept = 0;
  counts.forEach((_row, column, count) => {
    if (column < 5) kept += count;
  });
  check.ok(kept > 49_000, `${kept} of the 50,000 queries of the 15 frequent pairs`);
  check.ok(Math.abs(counts.sum - 100_000) < 1e-6);
  let all = 0;
  counts.forEach((_row, _column, count) => {
    all += count;
  });
  check.is(all + counts.forgotten, 100_000);
});

test('decay: after a half-life a query counts half; moving the landmark changes nothing', () => {
  const decay = new ForwardDecay(1_000);
  let sum = decay.weightAt(5_000) * 8;
  decay.weightAt(6_000);
  check.is(sum * decay.scale, 4);
  check.not(decay.isBeyond(6_000));
  check.ok(decay.isBeyond(70_000));
  sum *= decay.moveLandmark(70_000);
  sum += decay.weightAt(70_000);
  check.ok(Math.abs(sum * decay.scale - 1) < 1e-12, 'the old ones are 2^-65 each');
});

test.run();
