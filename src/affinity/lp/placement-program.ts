import type { LinearProgram } from '../../ports/linear-solver.ts';
import type { PlacementInstance } from '../instance.ts';
import { CellCost } from './cell-cost.ts';
import type { Choices } from './choices.ts';

export interface ProgramOptions {
  /** Loads (background included) at which each node's cost gets a tangent: one array of f64[node][depth] for each. */
  readonly tangentsAt: readonly Float64Array[];
  /** Whether a partition must be whole. */
  readonly isInteger: boolean;
}

/** A placement problem as a linear programme, and where to find things in it. */
export interface PlacementProgram {
  readonly program: LinearProgram;
  /** Row of each cell's load balance, i32[node][depth]; -1 for padding. Rows before them are the partitions'. */
  readonly loadRow: Int32Array;
}

interface Entry {
  readonly row: number;
  readonly value: number;
}

/**
 * The outer approximation of the placement problem: each cell's convex cost becomes the largest of its tangents, so that the
 * optimum is a lower bound of the placement's.
 *
 * ```
 * columns  x[choice] in 0..1      cost: its price
 *          s[cell][segment] >= 0  load between two tangents' crossings; cost: the tangent's slope, which rises
 *          peak                   cost: peakWeight
 * rows     sum of x of a partition = 1
 *          sum of load x on the cell - sum of s = 0
 *          utilisation of background and sum of s - peak <= 0
 * ```
 * Segments as bounded columns instead of one row for each tangent keep the basis small: rows are partitions + cells.
 */
export function placementProgram(
  instance: PlacementInstance,
  choices: Choices,
  options: ProgramOptions,
): PlacementProgram {
  const { partitionCount, nodeCount, depth, load } = instance;
  const builder = new ProgramBuilder();
  for (let p = 0; p < partitionCount; p++) builder.addRow(1, 1);
  const cells = liveCells(instance);
  const loadRow = new Int32Array(nodeCount * depth).fill(-1);
  for (const { at } of cells) loadRow[at] = builder.addRow(0, 0);

  for (let p = 0; p < partitionCount; p++)
    for (let c = choices.startOf[p] as number; c < (choices.startOf[p + 1] as number); c++) {
      const entries: Entry[] = [{ row: p, value: 1 }];
      const first = (choices.nodeOf[c] as number) * depth;
      for (let d = 0; d < depth; d++) {
        const own = load[p * depth + d] as number;
        const row = loadRow[first + d] as number;
        if (row >= 0 && own !== 0) entries.push({ row, value: own });
      }
      builder.addColumn({
        cost: choices.priceOf[c] as number,
        upper: 1,
        entries,
        isInteger: options.isInteger,
      });
    }

  const costs = new CellCost(instance);
  const peakRow = new Map<Cell, number>();
  if (instance.peakWeight > 0) {
    for (const cell of cells) {
      const least = costs.utilisation(cell.n, cell.r) * (instance.background[cell.at] as number);
      peakRow.set(cell, builder.addRow(Number.NEGATIVE_INFINITY, -least));
    }
    builder.addColumn({
      cost: instance.peakWeight,
      upper: Number.POSITIVE_INFINITY,
      entries: Array.from(peakRow.values(), (row) => ({ row, value: -1 })),
      isInteger: false,
    });
  }
  for (const cell of cells) {
    const { segments, base } = segmentsOf(
      costs,
      cell,
      instance.background[cell.at] as number,
      options.tangentsAt,
    );
    builder.offset += base;
    const onPeak = peakRow.get(cell);
    for (const { slope, width } of segments)
      builder.addColumn({
        cost: slope,
        upper: width,
        entries: [
          { row: loadRow[cell.at] as number, value: -1 },
          ...(onPeak === undefined ? [] : [{ row: onPeak, value: costs.utilisation(cell.n, cell.r) }]),
        ],
        isInteger: false,
      });
  }
  return { program: builder.build(options.isInteger), loadRow };
}

interface Cell {
  readonly n: number;
  readonly r: number;
  readonly d: number;
  readonly at: number;
}

function liveCells({ nodeCount, depth, resourceCount, slotStride, slotCount }: PlacementInstance): Cell[] {
  const cells: Cell[] = [];
  for (let n = 0; n < nodeCount; n++)
    for (let r = 0; r < resourceCount; r++)
      for (let d = r * slotStride; d < r * slotStride + slotCount; d++)
        cells.push({ n, r, d, at: n * depth + d });
  return cells;
}

/** Tangents nearer to each other than this share of a unit of load say the same. */
const TANGENT_DISTANCE_MIN = 1e-6;

/** The largest of the tangents, as its value at the background and the pieces of load above, each with its slope. */
function segmentsOf(
  costs: CellCost,
  { n, r, d, at }: Cell,
  background: number,
  tangentsAt: readonly Float64Array[],
): { base: number; segments: { slope: number; width: number }[] } {
  const points = tangentsAt.map((loads) => Math.max(background, loads[at] as number)).sort((a, b) => a - b);
  const tangents: { slope: number; atZero: number }[] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    if (point - last < TANGENT_DISTANCE_MIN) continue;
    last = point;
    const slope = costs.slope(n, r, d, point);
    const previous = tangents[tangents.length - 1];
    if (previous !== undefined && slope <= previous.slope) continue;
    tangents.push({ slope, atZero: costs.value(n, r, d, point) - slope * point });
  }
  const segments: { slope: number; width: number }[] = [];
  let from = background;
  tangents.forEach((tangent, i) => {
    const next = tangents[i + 1];
    const end =
      next === undefined
        ? Number.POSITIVE_INFINITY
        : (tangent.atZero - next.atZero) / (next.slope - tangent.slope);
    // A crossing below the background: the first tangents are nowhere the largest.
    if (end <= from) return;
    segments.push({ slope: tangent.slope, width: end - from });
    from = end;
  });
  const base = Math.max(...tangents.map(({ slope, atZero }) => atZero + slope * background));
  return { base, segments };
}

/** Rows first, then columns with their entries. */
class ProgramBuilder {
  offset = 0;
  readonly #rowLower: number[] = [];
  readonly #rowUpper: number[] = [];
  readonly #cost: number[] = [];
  readonly #upper: number[] = [];
  readonly #isInteger: number[] = [];
  readonly #columnStart: number[] = [0];
  readonly #rowIndex: number[] = [];
  readonly #coefficient: number[] = [];

  addRow(lower: number, upper: number): number {
    this.#rowLower.push(lower);
    return this.#rowUpper.push(upper) - 1;
  }

  addColumn(column: { cost: number; upper: number; entries: readonly Entry[]; isInteger: boolean }): void {
    this.#cost.push(column.cost);
    this.#upper.push(column.upper);
    this.#isInteger.push(column.isInteger ? 1 : 0);
    for (const { row, value } of column.entries) {
      this.#rowIndex.push(row);
      this.#coefficient.push(value);
    }
    this.#columnStart.push(this.#rowIndex.length);
  }

  build(isInteger: boolean): LinearProgram {
    return {
      columnCount: this.#cost.length,
      rowCount: this.#rowLower.length,
      cost: Float64Array.from(this.#cost),
      offset: this.offset,
      columnLower: new Float64Array(this.#cost.length),
      columnUpper: Float64Array.from(this.#upper),
      rowLower: Float64Array.from(this.#rowLower),
      rowUpper: Float64Array.from(this.#rowUpper),
      columnStart: Int32Array.from(this.#columnStart),
      rowIndex: Int32Array.from(this.#rowIndex),
      coefficient: Float64Array.from(this.#coefficient),
      ...(isInteger ? { isInteger: Uint8Array.from(this.#isInteger) } : {}),
    };
  }
}
