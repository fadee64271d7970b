/** Slow, obvious twins of assembly/ridge.ts, with the same order of operations: equal bit for bit. */
export interface RowOptions {
  readonly series: Float64Array;
  readonly stride: number;
  readonly list: ArrayLike<number>;
  readonly origin: number;
  readonly lagCount: number;
  readonly horizon: number;
  readonly inputs: number;
  readonly columns: number;
  readonly spreadMin: number;
  readonly spreadFloor: number;
}

const WEEK = 168;

export function ridgeRows(options: RowOptions): { rows: Float64Array; level: Float64Array; written: number } {
  const { series, stride, list, origin, lagCount, horizon, inputs, columns } = options;
  const rows = new Float64Array(list.length * columns);
  const level = new Float64Array(list.length * 2);
  let written = 0;
  for (let index = 0; index < list.length; index++) {
    const at = list[index]! * stride + origin;
    const mean = interleavedSum(WEEK, (i) => series[at - WEEK + i]!) / WEEK;
    const spread = interleavedSum(WEEK, (i) => Math.abs(series[at - WEEK + i]! - mean)) / WEEK;
    if (horizon > 0 && !(spread >= options.spreadMin)) continue;
    const scale = spread + options.spreadFloor;
    const row = written * columns;
    rows[row] = 1;
    for (let i = 0; i < lagCount; i++) rows[row + 1 + i] = (series[at - lagCount + i]! - mean) / scale;
    for (let i = 0; i < horizon; i++) rows[row + inputs + i] = (series[at + i]! - mean) / scale;
    level[written * 2] = mean;
    level[written * 2 + 1] = scale;
    written++;
  }
  return { rows, level, written };
}

/** The order in which two SIMD lanes add. */
function interleavedSum(count: number, valueAt: (index: number) => number): number {
  let even = 0;
  let odd = 0;
  for (let i = 0; i < count; i += 2) {
    even += valueAt(i);
    odd += valueAt(i + 1);
  }
  return even + odd;
}

/** Only columns j >= i are meaningful. */
export function ridgeAccumulate(
  sums: Float64Array,
  options: { rows: Float64Array; rowCount: number; inputs: number; columns: number; weight: number },
): void {
  const { rows, rowCount, inputs, columns, weight } = options;
  for (let i = 0; i < inputs; i++)
    for (let j = i; j < columns; j++) {
      let sum = 0;
      for (let r = 0; r < rowCount; r++) sum += rows[r * columns + i]! * rows[r * columns + j]!;
      sums[i * columns + j] = sums[i * columns + j]! + weight * sum;
    }
}

/** In place; returns 0 or 1 + the row without a positive pivot. Only the upper triangle is read. */
export function ridgeSolve(
  sums: Float64Array,
  options: { inputs: number; columns: number; lambda: number },
): number {
  const { inputs, columns, lambda } = options;
  const at = (row: number, column: number): number => sums[row * columns + column]!;
  const penalty = lambda * at(0, 0) + 1e-9;
  for (let i = 0; i < inputs; i++) sums[i * columns + i] = at(i, i) + penalty;
  for (let i = 0; i < inputs; i++) {
    for (let k = 0; k < i; k++) {
      const factor = at(k, i);
      for (let j = i; j < columns; j++) sums[i * columns + j] = at(i, j) - factor * at(k, j);
    }
    const pivot = at(i, i);
    if (!(pivot > 0)) return i + 1;
    const inverse = 1 / Math.sqrt(pivot);
    for (let j = i; j < columns; j++) sums[i * columns + j] = at(i, j) * inverse;
  }
  for (let i = inputs - 1; i >= 0; i--) {
    for (let k = i + 1; k < inputs; k++) {
      const factor = at(i, k);
      for (let j = inputs; j < columns; j++) sums[i * columns + j] = at(i, j) - factor * at(k, j);
    }
    const inverse = 1 / at(i, i);
    for (let j = inputs; j < columns; j++) sums[i * columns + j] = at(i, j) * inverse;
  }
  return 0;
}

export function ridgePredict(
  out: Float64Array,
  options: {
    rows: Float64Array;
    level: Float64Array;
    list: ArrayLike<number>;
    inputs: number;
    columns: number;
    horizon: number;
    share: number;
    weights: Float64Array;
  },
): void {
  const { rows, level, list, inputs, columns, horizon, share, weights } = options;
  for (let r = 0; r < list.length; r++)
    for (let step = 0; step < horizon; step++) {
      let even = 0;
      let odd = 0;
      for (let i = 0; i < inputs; i += 2) {
        even += rows[r * inputs + i]! * weights[i * columns + inputs + step]!;
        odd += rows[r * inputs + i + 1]! * weights[(i + 1) * columns + inputs + step]!;
      }
      const value = share * ((even + odd) * level[r * 2 + 1]! + level[r * 2]!);
      out[list[r]! * horizon + step] = out[list[r]! * horizon + step]! + value;
    }
}

export interface Block {
  /** Windows first - lagCount .. first + count + horizon - 2. */
  readonly values: Float64Array;
  readonly count: number;
  readonly scale: number;
  readonly weight: number;
}

/**
 * The normal equations of all origins of some blocks, row by row: [1, lags, 0.., targets, 0..], each less the mean of the
 * last week of lags and over the block's scale. Only columns j >= i are meaningful.
 */
export function normalEquations(
  blocks: readonly Block[],
  options: { lagCount: number; horizon: number; inputs: number; outputs: number },
): Float64Array {
  const { lagCount, horizon, inputs, outputs } = options;
  const columns = inputs + outputs;
  const sums = new Float64Array(inputs * columns);
  for (const { values, count, scale, weight } of blocks)
    for (let origin = 0; origin < count; origin++) {
      const row = new Float64Array(columns);
      let mean = 0;
      for (let i = lagCount - WEEK; i < lagCount; i++) mean += values[origin + i]! / WEEK;
      row[0] = 1;
      for (let i = 0; i < lagCount; i++) row[1 + i] = (values[origin + i]! - mean) / scale;
      for (let k = 0; k < horizon; k++) row[inputs + k] = (values[origin + lagCount + k]! - mean) / scale;
      for (let i = 0; i <= lagCount; i++)
        for (let j = i; j < columns; j++) sums[i * columns + j]! += weight * row[i]! * row[j]!;
    }
  return sums;
}
