/** Load over partitions and time as a picture of bounded size: pure. */

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
  /** Of a column: one window, or several where a picture has fewer columns than there are windows. */
  readonly stepMs: number;
  readonly columnCount: number;
  readonly first: number;
  readonly partitionsPerRow: number;
  readonly rowCount: number;
  /** What level 254 stands for, queries a window. */
  readonly queriesMax: number;
  /** u8[row][column]: 0..254 on a log scale; {@link NOTHING_RECORDED} where nobody looked. */
  readonly levels: Uint8Array;
}

export const NOTHING_RECORDED = 255;
const LEVEL_MAX = 254;
/** Of one picture, a byte each: half a mebibyte. */
const CELLS_MAX = 524_288;

/**
 * A cell shows the hottest of its partitions in the hottest of its windows, since one that is hot among many that are cool is what
 * people look for.
 *
 * @param parts that follow each other on one grid; where two say something of one window, the earlier in the list holds.
 */
export function heatMatrix(parts: readonly LoadColumns[], request: HeatRequest): HeatMatrix {
  const windowMs = (parts[0] as LoadColumns).stepMs;
  const columnsMax = Math.floor(CELLS_MAX / request.rowsMax);
  // One more than the span holds: it need not begin with a window.
  const windowCount = Math.ceil((request.toMs - request.fromMs) / windowMs) + 1;
  const stepMs = windowMs * Math.ceil(windowCount / columnsMax);
  const startMs = Math.floor(request.fromMs / stepMs) * stepMs;
  const columnCount = Math.min(columnsMax, Math.max(0, Math.ceil((request.toMs - startMs) / stepMs)));
  const partitionsPerRow = Math.ceil((request.last - request.first + 1) / request.rowsMax);
  const rowCount = Math.ceil((request.last - request.first + 1) / partitionsPerRow);
  const hottest = new Float32Array(rowCount * columnCount).fill(Number.NaN);
  const endMs = startMs + columnCount * stepMs;
  parts.forEach((part, index) => {
    const from = Math.max(0, Math.ceil((startMs - part.startMs) / part.stepMs));
    const until = Math.min(part.columnCount, Math.ceil((endMs - part.startMs) / part.stepMs));
    for (let window = from; window < until; window++) {
      const atMs = part.startMs + window * part.stepMs;
      if (parts.slice(0, index).some((earlier) => covers(earlier, atMs))) continue;
      const column = Math.floor((atMs - startMs) / stepMs);
      for (let row = 0; row < rowCount; row++) {
        const first = request.first + row * partitionsPerRow;
        const cell = row * columnCount + column;
        let most = hottest[cell] as number;
        for (let p = first; p <= Math.min(request.last, first + partitionsPerRow - 1); p++) {
          const queries = part.at(p, window);
          if (!(queries <= most) && !Number.isNaN(queries)) most = queries;
        }
        hottest[cell] = most;
      }
    }
  });
  return {
    ...{ startMs, stepMs, columnCount, first: request.first, partitionsPerRow, rowCount },
    ...asLevels(hottest),
  };
}

const covers = ({ startMs, stepMs, columnCount }: LoadColumns, atMs: number): boolean =>
  atMs >= startMs && atMs < startMs + columnCount * stepMs;

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
