import { binomialTail, cellTail, falseDiscoveryRates } from './significance.ts';

/** What goes together more often than chance: a template and a partition, two partitions, … */
export interface Association {
  readonly row: number;
  readonly column: number;
  /** Observations, weighted by age. */
  readonly count: number;
  /** What it would be if rows did not care about columns. */
  readonly expected: number;
  /** count / expected. */
  readonly lift: number;
  /** Of the binomial tail, before and after the correction for the number of tests. */
  readonly pValue: number;
  readonly qValue: number;
}

/** One cell of a table of counts, with what is expected of it: by its row and column, or by a model of the whole table. */
export type Cell = { readonly row: number; readonly column: number; readonly count: number } & (
  | { readonly rowSum: number; readonly columnSum: number }
  | { /** As a share of the table's sum, 0..1. */ readonly expectedShare: number }
);

export interface AssociationLimits {
  /** Of those that are told, so many are expected to be chance. */
  readonly falseDiscoveryRate: number;
  /** With enough queries a lift of 1.01 is certain, and of no use. */
  readonly liftMin: number;
  /** Told, the largest excess over what is expected first. */
  readonly listedMax: number;
}

export const ASSOCIATION_DEFAULTS: AssociationLimits = {
  falseDiscoveryRate: 0.05,
  // Arbitrary: a fifth more than by chance is what one would move a partition for.
  liftMin: 1.2,
  listedMax: 256,
};

/** Fewer observations than this never make a pattern, however surprising: one client asking twice in a row does that. */
const EFFECTIVE_COUNT_MIN = 5;

/**
 * Tests every cell of a table for more than chance, one-sided, on counts scaled to their effective sample size: by Fisher's exact
 * test where margins are given, else by the binomial tail; then Benjamini-Hochberg over all cells, also those that are not in
 * the table.
 *
 * Queries count as independent of each other. Where one client asks the same a hundred times in a row they are not: then the
 * count is true, its surprise is overrated.
 *
 * @param table.sum of all cells, also those that were forgotten; @param table.effectiveFactor see `SparseCounts`.
 */
export function findAssociations(
  cells: Iterable<Cell>,
  table: { readonly sum: number; readonly effectiveFactor: number; readonly testCount: number },
  limits: AssociationLimits,
): Association[] {
  const { sum, effectiveFactor, testCount } = table;
  const tested: Omit<Association, 'qValue'>[] = [];
  for (const cell of cells) {
    const { row, column, count } = cell;
    const expected = 'rowSum' in cell ? (cell.rowSum * cell.columnSum) / sum : cell.expectedShare * sum;
    if (!(expected > 0) || count <= expected || count * effectiveFactor < EFFECTIVE_COUNT_MIN) continue;
    const pValue = tailOf(cell, { sum, effectiveFactor });
    tested.push({ row, column, count, expected, lift: count / expected, pValue });
  }
  const rates = falseDiscoveryRates(
    tested.map(({ pValue }) => pValue),
    Math.max(testCount, tested.length),
  );
  return tested
    .map((association, i): Association => ({ ...association, qValue: rates[i] as number }))
    .filter(({ qValue, lift }) => qValue <= limits.falseDiscoveryRate && lift >= limits.liftMin)
    .sort((a, b) => b.count - b.expected - (a.count - a.expected) || a.row - b.row || a.column - b.column)
    .slice(0, limits.listedMax);
}

function tailOf(cell: Cell, { sum, effectiveFactor }: { sum: number; effectiveFactor: number }): number {
  const count = cell.count * effectiveFactor;
  if (!('rowSum' in cell)) return binomialTail(count, sum * effectiveFactor, cell.expectedShare);
  return cellTail(count, {
    rowSum: cell.rowSum * effectiveFactor,
    columnSum: cell.columnSum * effectiveFactor,
    sum: sum * effectiveFactor,
  });
}
