import { atOnce, type Sliced } from '../../base/slices.ts';
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

/** One cell of a table of counts. */
export interface CountCell {
  readonly row: number;
  readonly column: number;
  readonly count: number;
}

/** With what is expected of it: by its row and column, or by a model of the whole table. */
export type Cell = CountCell &
  (
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

/** What is no more than so many standard deviations above the expected is never believed: not worth an exact test. */
const DEVIATIONS_MIN = 1.5;

/** Fewer observations than this never make a pattern, however surprising: one client asking twice in a row does that. */
const EFFECTIVE_COUNT_MIN = 5;

/**
 * Tests every cell of a table for more than chance, one-sided, on counts scaled to their effective sample size: by Fisher's exact
 * test where margins are given, else by the binomial tail; then Benjamini-Hochberg over all cells, also those that are not in
 * the table.
 *
 * Queries count as independent of each other. Where one client asks the same a hundred times in a row they are not: then the
 * count is true, its surprise is overrated.
 */
export function findAssociations(
  cells: Iterable<Cell>,
  table: AssociationTable,
  limits: AssociationLimits,
): Association[] {
  return believable(atOnce(testing(cells, table)), { ...table, believedCount: 0 }, limits).slice(
    0,
    limits.listedMax,
  );
}

export interface AssociationTable {
  /** Of all cells, also those that were forgotten. */
  readonly sum: number;
  /** See `SparseCounts`. */
  readonly effectiveFactor: number;
  /** All cells there could be. */
  readonly testCount: number;
}

type Tested = Omit<Association, 'qValue'>;

/** Some tests take 10 us: so many at most between two rests, some milliseconds. */
const TESTS_A_SLICE = 256;

function* testing(cells: Iterable<Cell>, { sum, effectiveFactor }: AssociationTable): Sliced<Tested[]> {
  const tested: Tested[] = [];
  let seen = 0;
  for (const cell of cells) {
    if (++seen % TESTS_A_SLICE === 0) yield;
    const { row, column, count } = cell;
    const expected = 'rowSum' in cell ? (cell.rowSum * cell.columnSum) / cell.sum : cell.expectedShare * sum;
    if (!(expected > 0) || count * effectiveFactor < EFFECTIVE_COUNT_MIN) continue;
    const variance =
      'rowSum' in cell ? expected * (1 - cell.rowSum / cell.sum) * (1 - cell.columnSum / cell.sum) : expected;
    const deviations = ((count - expected) * effectiveFactor) / Math.sqrt(variance * effectiveFactor);
    if (!(deviations > DEVIATIONS_MIN)) continue;
    const pValue = tailOf(cell, { sum, effectiveFactor });
    tested.push({ row, column, count, expected, lift: count / expected, pValue });
  }
  return tested;
}

/** The largest excess first. @param table.believedCount cells that are believed already, and not among the tested. */
function believable(
  tested: readonly Tested[],
  { testCount, believedCount }: AssociationTable & { readonly believedCount: number },
  limits: AssociationLimits,
): Association[] {
  const pValues = [...tested.map(({ pValue }) => pValue), ...new Array<number>(believedCount).fill(0)];
  const rates = falseDiscoveryRates(pValues, Math.max(testCount, pValues.length));
  const passing: Association[] = [];
  tested.forEach((association, i) => {
    const qValue = rates[i] as number;
    if (qValue <= limits.falseDiscoveryRate && association.lift >= limits.liftMin)
      passing.push({ ...association, qValue });
  });
  return passing.sort(byExcess);
}

/** In one round all are believed whose excess is at least this share of the largest: two sides of one coin are equal. */
const ROUND_SHARE = 0.75;
/** Each round looks for a quarter less. What is left then has 3 % of the strongest one's excess, and distorts little. */
const ROUNDS_MAX = 12;
/** Of what passes, so many are looked at: a table of 65,536 entries may hold tens of thousands, and each costs a test a round. */
const CANDIDATES_MAX = 2048;

/**
 * `findAssociations` without echoes. Where all carts live on one partition, less is expected of everything else on the others
 * than there should be, and everything else seems to prefer them. So the strongest are believed and set aside, the rest has to
 * stand without them as well, the strongest of these is set aside too, and so on.
 *
 * Setting aside only ever takes away: what is told is told of the table as it stands, with its figures. What is seen without
 * the others alone is not to be believed: in a table where every row has mild likings, the more of a row is set aside the less
 * is expected of the rest, until the very cells that a row avoids seem to be liked.
 *
 * @param seenWithout how a cell looks when all others of those given are set aside.
 */
export const findOwnAssociations = (...of: Parameters<typeof findingOwnAssociations>): Association[] =>
  atOnce(findingOwnAssociations(...of));

/** The same with rests. */
export function* findingOwnAssociations(
  cells: readonly CountCell[],
  seenWithout: (aside: readonly Association[]) => (cell: CountCell) => Cell,
  table: AssociationTable,
  limits: AssociationLimits,
): Sliced<Association[]> {
  const believed: Association[] = [];
  const asItStands = yield* testing(eachSeen(cells, seenWithout([])), table);
  let candidates = believable(asItStands, { ...table, believedCount: 0 }, limits).slice(0, CANDIDATES_MAX);
  for (let round = 0; candidates.length > 0; round++) {
    const strongest = candidates[0] as Association;
    const isStrong = (found: Association): boolean =>
      round === ROUNDS_MAX || excessOf(found) >= ROUND_SHARE * excessOf(strongest);
    believed.push(...candidates.filter(isStrong));
    const rest = candidates.filter((found) => !isStrong(found));
    const seen = yield* testing(eachSeen(rest, seenWithout(believed)), table);
    const standing = believable(seen, { ...table, believedCount: believed.length }, limits).map(keyOf);
    const isStanding = new Set(standing);
    candidates = rest.filter((found) => isStanding.has(keyOf(found)));
  }
  return believed.sort(byExcess).slice(0, limits.listedMax);
}

function* eachSeen(cells: readonly CountCell[], seenAs: (cell: CountCell) => Cell): Generator<Cell> {
  for (const cell of cells) yield seenAs(cell);
}

const excessOf = ({ count, expected }: Association): number => count - expected;
/** Columns are partitions, nodes or clients: far fewer than this. */
const COLUMNS_MAX = 2 ** 24;
const keyOf = ({ row, column }: { readonly row: number; readonly column: number }): number =>
  row * COLUMNS_MAX + column;
const byExcess = (a: Association, b: Association): number =>
  excessOf(b) - excessOf(a) || a.row - b.row || a.column - b.column;

/** How much is set aside by row, by column and in all. */
export class SetAside {
  readonly #rows = new Map<number, number>();
  readonly #columns = new Map<number, number>();
  readonly #cells = new Map<number, number>();
  readonly sum: number = 0;

  constructor(aside: readonly Association[]) {
    for (const { row, column, count } of aside) {
      this.#rows.set(row, (this.#rows.get(row) ?? 0) + count);
      this.#columns.set(column, (this.#columns.get(column) ?? 0) + count);
      this.#cells.set(keyOf({ row, column }), count);
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
    const own = this.#cells.get(keyOf(cell)) ?? 0;
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
