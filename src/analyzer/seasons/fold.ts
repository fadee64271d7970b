import type { PreparedRow } from './prepared-row.ts';

/** What a row repeats every `period` windows, and how well that holds. */
export interface Fold {
  /** f64[phase]: mean of what stands out against the local level. */
  readonly profile: Float64Array;
  /** Variance of the profile over the row, less what noise alone would give. */
  readonly variance: number;
  /** 1 - error of telling each cycle from the other ones / error of telling it from the level: <= 0 for noise and for one burst. */
  readonly predictedShare: number;
}

/**
 * Folds a row at a period: takes out the moving average over one period and averages what is left by phase.
 */
export function foldRow(row: PreparedRow, period: number): Fold {
  const { values, weights } = row;
  const rest = lessLocalLevel(row, period);
  const sum = new Float64Array(period);
  const count = new Float64Array(period);
  let total = 0;
  let known = 0;
  for (let t = 0; t < values.length; t++) {
    if (weights[t] === 0) continue;
    const y = rest[t] as number;
    const phase = t % period;
    sum[phase] = (sum[phase] as number) + y;
    count[phase] = (count[phase] as number) + 1;
    total += y * y;
    known++;
  }
  const profile = sum.map((s, phase) => s / Math.max(1, count[phase] as number));
  let explained = 0;
  for (let phase = 0; phase < period; phase++)
    explained += (count[phase] as number) * (profile[phase] as number) ** 2;
  const noise = known > period ? (total - explained) / (known - period) : total / Math.max(1, known);
  const variance = Math.max(0, explained - noise * period) / Math.max(1, known);
  return {
    profile,
    variance,
    predictedShare: total > 0 ? 1 - errorFromOtherCycles(row, rest, { sum, count }) / total : 0,
  };
}

/** Squared error of telling each value by the mean of the other cycles at its phase; of a phase seen once by the level. */
function errorFromOtherCycles(
  { weights }: PreparedRow,
  rest: Float64Array,
  { sum, count }: { sum: Float64Array; count: Float64Array },
): number {
  const period = sum.length;
  let error = 0;
  for (let t = 0; t < rest.length; t++) {
    if (weights[t] === 0) continue;
    const phase = t % period;
    const y = rest[t] as number;
    const others = (count[phase] as number) - 1;
    error += (y - (others > 0 ? ((sum[phase] as number) - y) / others : 0)) ** 2;
  }
  return error;
}

/** The row less its centred moving average over one period; at the ends the nearest whole window of it. */
function lessLocalLevel({ values, weights }: PreparedRow, period: number): Float64Array {
  const n = values.length;
  const sums = new Float64Array(n + 1);
  const counts = new Float64Array(n + 1);
  for (let t = 0; t < n; t++) {
    sums[t + 1] = (sums[t] as number) + (values[t] as number);
    counts[t + 1] = (counts[t] as number) + (weights[t] as number);
  }
  const rest = new Float64Array(n);
  for (let t = 0; t < n; t++) {
    if (weights[t] === 0) continue;
    const first = Math.max(0, Math.min(t - (period >> 1), n - period));
    const end = Math.min(n, first + period);
    const count = (counts[end] as number) - (counts[first] as number);
    rest[t] = (values[t] as number) - ((sums[end] as number) - (sums[first] as number)) / count;
  }
  return rest;
}

/** Takes a season out of a row, in place. */
export function removeProfile({ values, weights }: PreparedRow, profile: Float64Array): void {
  for (let t = 0; t < values.length; t++)
    if (weights[t] === 1) values[t] = (values[t] as number) - (profile[t % profile.length] as number);
}
