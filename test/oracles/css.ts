/** Slow, obvious twins of assembly/css.ts, one lane at a time with the same order of operations: equal bit for bit. */

export interface CssOptions {
  /** f64[count], differenced. */
  readonly series: ArrayLike<number>;
  readonly first: number;
  readonly season: number;
  /** f64[7] each, by lag 1, 2, 3, season, .. season + 3. */
  readonly ar: ArrayLike<number>;
  readonly ma: ArrayLike<number>;
}

const lagOf = (k: number, season: number): number => (k < 3 ? k + 1 : season + k - 3);

/** The order in which lags are subtracted: the far ones first. */
const ORDER = [6, 5, 4, 3, 2, 1, 0];

export function cssResiduals({ series, first, season, ar, ma }: CssOptions): {
  residuals: Float64Array;
  sum: number;
} {
  const residuals = new Float64Array(series.length);
  for (let t = first; t < series.length; t++) {
    let value = series[t]!;
    // A lag without a coefficient may reach before the series.
    for (const k of ORDER) if (ar[k] !== 0) value -= ar[k]! * series[t - lagOf(k, season)]!;
    for (const k of ORDER) if (ma[k] !== 0) value -= ma[k]! * (residuals[t - lagOf(k, season)] ?? 0);
    residuals[t] = value;
  }
  return { residuals, sum: pairedSquares(residuals.subarray(first)) };
}

/** The kernel takes two rows a turn, after the odd one. */
function pairedSquares(residuals: Float64Array): number {
  const odd = residuals.length % 2;
  let sum = odd === 1 ? residuals[0]! ** 2 : 0;
  for (let t = odd; t < residuals.length; t += 2) sum += residuals[t]! ** 2 + residuals[t + 1]! ** 2;
  return sum;
}

/** @returns f64[8][8], columns >= row */
export function cssGram(columns: readonly ArrayLike<number>[]): Float64Array {
  const base = columns[0]!;
  const z = columns.map((column, i) =>
    Float64Array.from({ length: column.length }, (_, t) => (i === 0 ? base[t]! : column[t]! - base[t]!)),
  );
  const gram = new Float64Array(64);
  for (let i = 0; i < 8; i++)
    for (let j = i; j < 8; j++) {
      let sum = 0;
      for (let t = 0; t < base.length; t++) sum += z[i]![t]! * z[j]![t]!;
      gram[i * 8 + j] = sum;
    }
  return gram;
}

export function cssForecast(options: CssOptions & { readonly horizon: number }): Float64Array {
  const { series, season, ar, ma, horizon } = options;
  const count = series.length;
  const values = [...Array.from(series)];
  const errors = [...cssResiduals(options).residuals];
  for (let t = count; t < count + horizon; t++) {
    let moving = 0;
    let known = 0;
    for (const k of ORDER) {
      moving += ma[k]! * errors[t - lagOf(k, season)]!;
      known += ar[k]! * values[t - lagOf(k, season)]!;
    }
    const value = moving + known;
    values.push(value);
    errors.push(0);
  }
  return Float64Array.from(values.slice(count));
}
