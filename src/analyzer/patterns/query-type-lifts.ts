import type { AffinityCounts } from '../../model/affinity-matrix.ts';
import { type AssociationLimits, type Cell, findOwnAssociations, SetAside } from './associations.ts';

/** Lift by column (partition, node or client) by template, of those that go together more often than chance. */
export type Lifts = ReadonlyMap<number, ReadonlyMap<number, number>>;

/**
 * Which templates touch which columns more often than chance, under a false-discovery bound over all pairs.
 *
 * @param options.columnOf the column of an entry; below 0: none. @param options.effectiveFactor see `SparseCounts`.
 */
export function liftsOf(
  counts: AffinityCounts,
  options: {
    readonly columnOf: (entry: number) => number;
    readonly effectiveFactor: number;
    readonly limits: AssociationLimits;
  },
): Lifts {
  const { columnOf, effectiveFactor, limits } = options;
  const cells = new Map<number, Map<number, number>>();
  const rowSums = new Map<number, number>();
  const columnSums = new Map<number, number>();
  let sum = 0;
  counts.count.forEach((count, entry) => {
    const column = columnOf(entry);
    if (column < 0) return;
    const row = counts.template[entry] as number;
    const ofRow = cells.get(row) ?? new Map<number, number>();
    cells.set(row, ofRow);
    ofRow.set(column, (ofRow.get(column) ?? 0) + count);
    rowSums.set(row, (rowSums.get(row) ?? 0) + count);
    columnSums.set(column, (columnSums.get(column) ?? 0) + count);
    sum += count;
  });
  const lifts = new Map<number, Map<number, number>>();
  const testCount = rowSums.size * columnSums.size;
  const found = findOwnAssociations(
    (aside) => ({
      cells: cellsOf(cells, { rowSums, columnSums, sum }, new SetAside(aside)),
      sum,
      effectiveFactor,
      testCount,
    }),
    { ...limits, listedMax: Number.POSITIVE_INFINITY },
  );
  for (const { row, column, lift } of found) lifts.set(row, (lifts.get(row) ?? new Map()).set(column, lift));
  return lifts;
}

/** Cells of a table of templates, as they look when some associations are set aside. */
export function* cellsOf(
  cells: ReadonlyMap<number, ReadonlyMap<number, number>>,
  margins: {
    readonly rowSums: ReadonlyMap<number, number>;
    readonly columnSums: ReadonlyMap<number, number>;
    readonly sum: number;
  },
  aside: SetAside,
): Iterable<Cell> {
  const { rowSums, columnSums, sum } = margins;
  for (const [row, ofRow] of cells) {
    // Index 0 is "(other)": no kind of query, so what it likes says nothing.
    if (row === 0) continue;
    const rowSum = rowSums.get(row) as number;
    for (const [column, count] of ofRow) {
      const columnSum = columnSums.get(column) as number;
      yield { row, column, count, ...aside.without({ row, column, rowSum, columnSum, sum }) };
    }
  }
}
