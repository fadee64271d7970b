import { backgroundOf, localLevels } from './background.ts';
import { autocorrelationOf, type FourierPlan, powerSpectrum } from './fourier.ts';
import type { PreparedRow } from './prepared-row.ts';

/** Share of the series that the taper rounds off, both ends together. */
const TAPER_SHARE = 0.2;
/** The taper's main lobe reaches so far, in natural frequencies: below, the series' own level leaks in. */
const LOWEST_FREQUENCY = 1.5;

/** The rows as frequencies and lags, averaged over them. */
export interface View {
  readonly length: number;
  /** f64[j]: power over that of the noise around it, at j / size cycles a window; 0 below LOWEST_FREQUENCY. */
  readonly ratio: Float64Array;
  readonly size: number;
  /** f64[lag] of the series with its noise made white, so that hills stand on level ground. */
  readonly autocorrelation: Float64Array;
  /** Exponentials averaged in an ordinate of noise. */
  readonly shape: number;
}

export function lookAt(rows: readonly PreparedRow[], plan: FourierPlan): View {
  const length = (rows[0] as PreparedRow).values.length;
  const { size } = plan;
  const power = new Float64Array(size / 2 + 1);
  for (const { values } of rows) {
    const own = powerSpectrum(plan, tapered(values));
    const total = own.reduce((sum, value) => sum + value, 0) || 1;
    for (let j = 0; j < power.length; j++) power[j] = (power[j] as number) + (own[j] as number) / total;
  }
  const oversampling = size / length;
  const shape = independentCount(rows);
  const mean = power.map((sum) => sum / rows.length);
  const background = backgroundOf(mean, { oversampling, lowest: LOWEST_FREQUENCY, count: length / 2, shape });
  const first = Math.ceil(LOWEST_FREQUENCY * oversampling);
  const overBands = mean.map((value, j) => (j < first ? 0 : value / (background[j] as number)));
  const local = localLevels(overBands, { oversampling, count: length / 2, shape });
  const ratio = overBands.map((value, j) => value / (local[Math.round(j / oversampling)] ?? 1));
  const autocorrelation = autocorrelationOf(plan, ratio).map(
    (value, lag) => (value * length) / Math.max(1, length - lag),
  );
  return { length, size, ratio, autocorrelation, shape };
}

/**
 * How many independent rows these are worth as far as power is concerned: noise that all partitions share, such as a slow
 * network, is one noise and not many.
 */
function independentCount(rows: readonly PreparedRow[]): number {
  const norms = rows.map(({ values }) => Math.sqrt(dot(values, values)) || 1);
  let squares = rows.length;
  for (let a = 0; a < rows.length; a++)
    for (let b = 0; b < a; b++) {
      const product = dot((rows[a] as PreparedRow).values, (rows[b] as PreparedRow).values);
      squares += 2 * (product / (norms[a] as number) / (norms[b] as number)) ** 2;
    }
  return rows.length ** 2 / squares;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

/** Cosine bell over both ends: sharp peaks keep to themselves without growing much wider. */
function tapered(values: Float64Array): Float64Array {
  const n = values.length;
  const ramp = Math.max(1, Math.floor((TAPER_SHARE / 2) * n));
  return values.map((value, t) => {
    const fromEnd = Math.min(t, n - 1 - t);
    return fromEnd >= ramp ? value : (value * (1 - Math.cos((Math.PI * (fromEnd + 0.5)) / ramp))) / 2;
  });
}
