/** True (or not 0) where a window is to be looked away from: an outage, an event. */
export type WindowMask = { readonly length: number; readonly [window: number]: boolean | number };

/** A series that periods can be looked for in: mean 0, no straight trend, variance 1 over its known windows. */
export interface PreparedRow {
  /** f64[window], 0 where nothing is known. */
  readonly values: Float64Array;
  /** f64[window]: 1 where the value is known, else 0. */
  readonly weights: Float64Array;
  /** f64[window + 1]: sums of both up to each window, so that the mean of any stretch is a subtraction. */
  readonly valueSums: Float64Array;
  readonly weightSums: Float64Array;
}

export function withSums(values: Float64Array, weights: Float64Array): PreparedRow {
  const valueSums = new Float64Array(values.length + 1);
  const weightSums = new Float64Array(values.length + 1);
  for (let t = 0; t < values.length; t++) {
    valueSums[t + 1] = (valueSums[t] as number) + (values[t] as number) * (weights[t] as number);
    weightSums[t + 1] = (weightSums[t] as number) + (weights[t] as number);
  }
  return { values, weights, valueSums, weightSums };
}

interface Known {
  readonly values: Float64Array;
  readonly weights: Float64Array;
}

/** Fewer known values than this hold no cycle worth the name. */
const KNOWN_MIN = 12;
/** What lies beyond so many times the 95 % quantile of the deviations is a spike; a job once a week stays one in 168. */
const SPIKE_FACTOR = 3;

/**
 * Takes out a straight trend and the tops of spikes, and scales.
 *
 * @returns undefined where there is nothing to find: too few known values, or all the same.
 */
export function prepareRow(values: Float64Array, mask?: WindowMask): PreparedRow | undefined {
  const n = values.length;
  const weights = new Float64Array(n);
  let known = 0;
  for (let t = 0; t < n; t++)
    if (Number.isFinite(values[t]) && !mask?.[t]) {
      weights[t] = 1;
      known++;
    }
  if (known < KNOWN_MIN) return undefined;
  const row = { values: values.map((value, t) => (weights[t] ? value : 0)), weights };
  const scale = row.values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  removeTrend(row);
  clipSpikes(row, known);
  removeTrend(row);
  const deviation = Math.sqrt(row.values.reduce((sum, value) => sum + value * value, 0) / known);
  // What is left of a constant after taking its mean out is rounding, not load.
  if (!(deviation > 1e-9 * scale)) return undefined;
  return withSums(
    row.values.map((value) => value / deviation),
    weights,
  );
}

/** Least squares line through the known values. */
function removeTrend({ values, weights }: Known): void {
  let [count, sumT, sumTT, sumY, sumTY] = [0, 0, 0, 0, 0];
  for (let t = 0; t < values.length; t++) {
    const w = weights[t] as number;
    const y = values[t] as number;
    count += w;
    sumT += w * t;
    sumTT += w * t * t;
    sumY += w * y;
    sumTY += w * t * y;
  }
  const spread = sumTT - (sumT * sumT) / count;
  const slope = spread > 0 ? (sumTY - (sumT * sumY) / count) / spread : 0;
  const level = (sumY - slope * sumT) / count;
  for (let t = 0; t < values.length; t++)
    values[t] = weights[t] ? (values[t] as number) - level - slope * t : 0;
}

function clipSpikes({ values, weights }: Known, known: number): void {
  const sizes = values
    .filter((_, t) => weights[t] === 1)
    .map(Math.abs)
    .sort();
  const bound = SPIKE_FACTOR * (sizes[Math.floor(0.95 * (known - 1))] as number);
  if (!(bound > 0)) return;
  for (let t = 0; t < values.length; t++) values[t] = Math.min(bound, Math.max(-bound, values[t] as number));
}
