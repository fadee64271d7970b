import { type PreparedRow, withSums } from './prepared-row.ts';

/** How well a row repeats itself every so many windows. */
export interface Fold {
  /** Variance of the profile over the row, less what noise alone would give. */
  readonly variance: number;
  /** 1 - error of telling each cycle from the other ones / error of telling it from the level: <= 0 for noise and for one burst. */
  readonly predictedShare: number;
}

/** Sums by phase of what stands out against the local level. */
interface PhaseSums {
  readonly sum: Float64Array;
  readonly square: Float64Array;
  readonly count: Float64Array;
}

/** Folds a row at a period: takes out the moving average over one period, and compares what is left by phase. */
export function foldRow(row: PreparedRow, period: number): Fold {
  const { sum, square, count } = phaseSums(row, period);
  let [total, explained, error, known] = [0, 0, 0, 0];
  for (let phase = 0; phase < period; phase++) {
    const c = count[phase] as number;
    if (c === 0) continue;
    const s = sum[phase] as number;
    const q = square[phase] as number;
    known += c;
    total += q;
    explained += (s * s) / c;
    // Sum over y of (y - (s - y) / (c - 1))^2, each value told by the mean of the others; of a phase seen once by the level.
    error += c > 1 ? (c * c * q - c * s * s) / ((c - 1) * (c - 1)) : q;
  }
  const noise = known > period ? (total - explained) / (known - period) : total / Math.max(1, known);
  return {
    variance: Math.max(0, explained - noise * period) / Math.max(1, known),
    predictedShare: total > 0 ? 1 - error / total : 0,
  };
}

/** @returns f64[phase]: mean of what stands out against the local level, at windows phase, phase + period, ... */
export function profileOf(row: PreparedRow, period: number): Float64Array {
  const { sum, count } = phaseSums(row, period);
  return sum.map((s, phase) => s / Math.max(1, count[phase] as number));
}

/** The row without a season. */
export function withoutProfile({ values, weights }: PreparedRow, profile: Float64Array): PreparedRow {
  const rest = values.map((value, t) =>
    weights[t] === 1 ? value - (profile[t % profile.length] as number) : value,
  );
  return withSums(rest, weights);
}

/** The local level is the centred moving average over one period; at the ends the nearest whole window of it. */
function phaseSums({ values, weights, valueSums, weightSums }: PreparedRow, period: number): PhaseSums {
  const n = values.length;
  const sum = new Float64Array(period);
  const square = new Float64Array(period);
  const count = new Float64Array(period);
  const half = period >> 1;
  const lastFirst = Math.max(0, n - period);
  let phase = 0;
  for (let t = 0; t < n; t++) {
    if (weights[t] === 1) {
      const first = Math.min(Math.max(0, t - half), lastFirst);
      const end = Math.min(n, first + period);
      const level =
        ((valueSums[end] as number) - (valueSums[first] as number)) /
        ((weightSums[end] as number) - (weightSums[first] as number));
      const y = (values[t] as number) - level;
      sum[phase] = (sum[phase] as number) + y;
      square[phase] = (square[phase] as number) + y * y;
      count[phase] = (count[phase] as number) + 1;
    }
    if (++phase === period) phase = 0;
  }
  return { sum, square, count };
}
