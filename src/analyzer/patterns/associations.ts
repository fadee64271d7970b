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
  | { readonly rowSum: number; readonly columnSum: number; readonly sum: number }
  | { /** As a share of the sum of the table, 0..1. */ readonly expectedShare: number }
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

/** So many standard deviations above what is expected may still be chance one time in six: not worth an exact test. */
const DEVIATIONS_MIN = 1;

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
    const expected = 'rowSum' in cell ? (cell.rowSum * cell.columnSum) / cell.sum : cell.expectedShare * sum;
    if (!(expected > 0) || count * effectiveFactor < EFFECTIVE_COUNT_MIN) continue;
    if ((count - expected) * effectiveFactor < DEVIATIONS_MIN * Math.sqrt(expected * effectiveFactor))
      continue;
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
    .sort(byExcess)
    .slice(0, limits.listedMax);
}

/** In one round all are believed whose excess is at least this share of the largest: two sides of one coin are equal. */
const ROUND_SHARE = 0.75;
/** Each round looks for a quarter less: enough from a million queries down to the fewest that count. */
const ROUNDS_MAX = 40;

/**
 * `findAssociations` without echoes. A strong association swells its row and column, so that less is expected of all other cells
 * than there should be, and they seem associated as well: where carts live on one partition, everything else seems to prefer the
 * others. So the strongest are believed and set aside, the rest is judged without them, and so on until nothing new is found.
 *
 * @param tableWithout the table as it looks to each cell when all others of those given are set aside.
 */
export function findOwnAssociations(
  tableWithout: (aside: readonly Association[]) => {
    readonly cells: Iterable<Cell>;
    readonly sum: number;
    readonly effectiveFactor: number;
    readonly testCount: number;
  },
  limits: AssociationLimits,
): Association[] {
  const unlimited = { ...limits, listedMax: Number.POSITIVE_INFINITY };
  const believed: Association[] = [];
  const known = new Set<string>();
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const { cells, ...table } = tableWithout(believed);
    const fresh = findAssociations(cells, table, unlimited).filter((found) => !known.has(nameOf(found)));
    const [strongest] = fresh;
    if (strongest === undefined) break;
    for (const found of fresh) {
      if (excessOf(found) < ROUND_SHARE * excessOf(strongest)) break;
      believed.push(found);
      known.add(nameOf(found));
    }
  }
  return believed.sort(byExcess).slice(0, limits.listedMax);
}

const excessOf = ({ count, expected }: Association): number => count - expected;
const nameOf = ({ row, column }: { readonly row: number; readonly column: number }): string =>
  `${row} ${column}`;
const byExcess = (a: Association, b: Association): number =>
  excessOf(b) - excessOf(a) || a.row - b.row || a.column - b.column;

/** How much is set aside by row, by column and in all. */
export class SetAside {
  readonly #rows = new Map<number, number>();
  readonly #columns = new Map<number, number>();
  readonly #cells = new Map<string, number>();
  readonly sum: number = 0;

  constructor(aside: readonly Association[]) {
    for (const { row, column, count } of aside) {
      this.#rows.set(row, (this.#rows.get(row) ?? 0) + count);
      this.#columns.set(column, (this.#columns.get(column) ?? 0) + count);
      this.#cells.set(nameOf({ row, column }), count);
      this.sum += count;
    }
  }

  /** Margins and sum of a table as they are for one cell when all others are taken out. */
  without(cell: {
    readonly row: number;
    readonly column: number;
    readonly rowSum: number;
    readonly columnSum: number;
    readonly sum: number;
  }): { readonly rowSum: number; readonly columnSum: number; readonly sum: number } {
    const own = this.#cells.get(nameOf(cell)) ?? 0;
    return {
      rowSum: cell.rowSum - (this.#rows.get(cell.row) ?? 0) + own,
      columnSum: cell.columnSum - (this.#columns.get(cell.column) ?? 0) + own,
      sum: cell.sum - this.sum + own,
    };
  }
}

function tailOf(cell: Cell, { sum, effectiveFactor }: { sum: number; effectiveFactor: number }): number {
  const count = cell.count * effectiveFactor;
  if (!('rowSum' in cell)) return binomialTail(count, sum * effectiveFactor, cell.expectedShare);
  return cellTail(count, {
    rowSum: cell.rowSum * effectiveFactor,
    columnSum: cell.columnSum * effectiveFactor,
    sum: cell.sum * effectiveFactor,
  });
}
