import type { Sliced } from '../../base/slices.ts';
import type { AffinityCounts } from '../../model/affinity-matrix.ts';
import {
  type Association,
  type AssociationLimits,
  type Cell,
  type CountCell,
  findingOwnAssociations,
  SetAside,
} from './associations.ts';

/** Lift by column (partition, node or client) by template, of those that go together more often than chance. */
export type Lifts = ReadonlyMap<number, ReadonlyMap<number, number>>;

/** Of those that are summed up by maps, some 0.2 us each. */
export const ENTRIES_A_SLICE = 4_096;

/**
 * Which templates touch which columns more often than chance, under a false-discovery bound over all pairs.
 *
 * @param options.columnOf the column of an entry; below 0: none. @param options.effectiveFactor see `SparseCounts`.
 */
export function* findingLifts(
  counts: AffinityCounts,
  options: {
    readonly columnOf: (entry: number) => number;
    readonly effectiveFactor: number;
    readonly limits: AssociationLimits;
  },
): Sliced<Lifts> {
  const { columnOf, effectiveFactor, limits } = options;
  const cells = new Map<number, Map<number, number>>();
  const rowSums = new Map<number, number>();
  const columnSums = new Map<number, number>();
  let sum = 0;
  for (let entry = 0; entry < counts.count.length; entry++) {
    if (entry % ENTRIES_A_SLICE === 0) yield;
    const count = counts.count[entry] as number;
    const column = columnOf(entry);
    if (column < 0) continue;
    const row = counts.template[entry] as number;
    const ofRow = cells.get(row) ?? new Map<number, number>();
    cells.set(row, ofRow);
    ofRow.set(column, (ofRow.get(column) ?? 0) + count);
    rowSums.set(row, (rowSums.get(row) ?? 0) + count);
    columnSums.set(column, (columnSums.get(column) ?? 0) + count);
    sum += count;
  }
  const lifts = new Map<number, Map<number, number>>();
  const testCount = rowSums.size * columnSums.size;
  const found = yield* findingOwnAssociations(
    cellsOf(cells),
    seenIn({ rowSums, columnSums, sum }),
    { sum, effectiveFactor, testCount },
    { ...limits, listedMax: Number.POSITIVE_INFINITY },
  );
  for (const { row, column, lift } of found) lifts.set(row, (lifts.get(row) ?? new Map()).set(column, lift));
  return lifts;
}

/** Row 0 is "(other)": no kind of query, so what it likes says nothing. */
function cellsOf(cells: ReadonlyMap<number, ReadonlyMap<number, number>>): CountCell[] {
  return [...cells].flatMap(([row, ofRow]) =>
    row === 0 ? [] : Array.from(ofRow, ([column, count]) => ({ row, column, count })),
  );
}

/** How the cells of a table look when some associations are set aside. */
export function seenIn(table: {
  readonly rowSums: ReadonlyMap<number, number>;
  readonly columnSums: ReadonlyMap<number, number>;
  readonly sum: number;
}): (aside: readonly Association[]) => (cell: CountCell) => Cell {
  const { rowSums, columnSums, sum } = table;
  return (aside) => {
    const setAside = new SetAside(aside);
    return ({ row, column, count }) => {
      const margins = {
        row,
        column,
        rowSum: rowSums.get(row) ?? 0,
        columnSum: columnSums.get(column) ?? 0,
        sum,
      };
      return { row, column, count, ...setAside.without(margins) };
    };
  };
}
