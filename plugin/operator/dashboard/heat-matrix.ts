/** Load over partitions and time as a picture of bounded size: pure. */
import { ForeshardError } from '../../../src/base/errors.ts';

/** Columns of one width that follow each other in time. */
export interface LoadColumns {
  /** Wall clock of the first column's start, milliseconds. */
  readonly startMs: number;
  readonly stepMs: number;
  readonly columnCount: number;
  readonly partitionCount: number;
  /** Queries of a partition in a column; NaN where nothing was recorded. */
  at(partition: number, column: number): number;
}

export interface HeatRequest {
  readonly fromMs: number;
  readonly toMs: number;
  /** Partitions, both included. */
  readonly first: number;
  readonly last: number;
  /** Rows at most: several partitions share one where they are more. */
  readonly rowsMax: number;
}

export interface HeatMatrix {
  readonly startMs: number;
  readonly stepMs: number;
  readonly columnCount: number;
  readonly first: number;
  readonly partitionsPerRow: number;
  readonly rowCount: number;
  /** What level 254 stands for, queries a column. */
  readonly queriesMax: number;
  /** u8[row][column]: 0..254 on a log scale; {@link NOTHING_RECORDED} where nobody looked. */
  readonly levels: Uint8Array;
}

export const NOTHING_RECORDED = 255;
const LEVEL_MAX = 254;
/** Of one picture, a byte each: half a mebibyte. */
const CELLS_MAX = 524_288;

/**
 * A row shows the hottest of its partitions, since one hot partition among many cool ones is what people look for.
 *
 * @throws ForeshardError FORESHARD_CONFIG for more columns than one picture has.
 * @param parts that follow each other on one grid; where two say something of one column, the earlier in the list holds.
 */
export function heatMatrix(parts: readonly LoadColumns[], request: HeatRequest): HeatMatrix {
  const { stepMs } = parts[0] as LoadColumns;
  const columnsMax = Math.floor(CELLS_MAX / request.rowsMax);
  if ((request.toMs - request.fromMs) / stepMs > columnsMax)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `at most ${columnsMax} columns of ${stepMs / 1000} s are shown at once: ask for less time`,
    );
  const startMs = Math.floor(request.fromMs / stepMs) * stepMs;
  const columnCount = Math.max(0, Math.ceil((request.toMs - startMs) / stepMs));
  const partitionsPerRow = Math.ceil((request.last - request.first + 1) / request.rowsMax);
  const rowCount = Math.ceil((request.last - request.first + 1) / partitionsPerRow);
  const hottest = new Float32Array(rowCount * columnCount).fill(Number.NaN);
  for (let column = 0; column < columnCount; column++) {
    const found = columnAt(parts, startMs + column * stepMs);
    if (found === null) continue;
    for (let row = 0; row < rowCount; row++) {
      const first = request.first + row * partitionsPerRow;
      const last = Math.min(request.last, first + partitionsPerRow - 1);
      let most = Number.NaN;
      for (let p = first; p <= last; p++) {
        const queries = found.part.at(p, found.column);
        if (!(queries <= most)) most = queries;
      }
      hottest[row * columnCount + column] = most;
    }
  }
  return {
    ...{ startMs, stepMs, columnCount, first: request.first, partitionsPerRow, rowCount },
    ...asLevels(hottest),
  };
}

function columnAt(parts: readonly LoadColumns[], atMs: number): { part: LoadColumns; column: number } | null {
  for (const part of parts) {
    const column = Math.floor((atMs - part.startMs) / part.stepMs);
    if (column >= 0 && column < part.columnCount) return { part, column };
  }
  return null;
}

/** Loads of a cluster span orders of magnitude: on a linear scale all but the hottest would be one colour. */
function asLevels(values: Float32Array): Pick<HeatMatrix, 'queriesMax' | 'levels'> {
  let queriesMax = 0;
  for (const value of values) if (value > queriesMax) queriesMax = value;
  const scale = queriesMax > 0 ? LEVEL_MAX / Math.log1p(queriesMax) : 0;
  const levels = Uint8Array.from(values, (value) =>
    Number.isNaN(value) ? NOTHING_RECORDED : Math.round(scale * Math.log1p(value)),
  );
  return { queriesMax, levels };
}
