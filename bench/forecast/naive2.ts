/**
 * The baseline of the M4 competition: naive on the seasonally adjusted series, if it is seasonal.
 *
 * @see Makridakis, Spiliotis & Assimakopoulos, "The M4 Competition", 2020, and its published benchmarks' code
 */
export function naive2(history: Float64Array, season: number, horizon: number): Float64Array {
  const out = new Float64Array(horizon);
  const indices = isSeasonal(history, season) ? seasonalIndices(history, season) : undefined;
  const end = history.length;
  const last = (history[end - 1] as number) / (indices?.[(end - 1) % season] ?? 1);
  for (let step = 0; step < horizon; step++) out[step] = last * (indices?.[(end + step) % season] ?? 1);
  return out;
}

/** 90 % test of the autocorrelation at one season, with Bartlett's variance. */
function isSeasonal(history: Float64Array, season: number): boolean {
  if (history.length < 3 * season) return false;
  const mean = history.reduce((sum, value) => sum + value, 0) / history.length;
  const covariance = (lag: number): number => {
    let sum = 0;
    for (let t = lag; t < history.length; t++)
      sum += ((history[t] as number) - mean) * ((history[t - lag] as number) - mean);
    return sum;
  };
  const variance = covariance(0);
  if (variance === 0) return false;
  let squares = 0;
  for (let lag = 1; lag < season; lag++) squares += (covariance(lag) / variance) ** 2;
  const limit = 1.645 * Math.sqrt((1 + 2 * squares) / history.length);
  return Math.abs(covariance(season) / variance) > limit;
}

/** Classical multiplicative decomposition: ratios to a centred moving average, averaged by phase, mean 1. */
function seasonalIndices(history: Float64Array, season: number): Float64Array {
  const sums = new Float64Array(season);
  const counts = new Float64Array(season);
  const half = season / 2;
  for (let t = half; t < history.length - half; t++) {
    let average = ((history[t - half] as number) + (history[t + half] as number)) / 2;
    for (let i = t - half + 1; i < t + half; i++) average += history[i] as number;
    average /= season;
    sums[t % season] = (sums[t % season] as number) + (history[t] as number) / average;
    counts[t % season] = (counts[t % season] as number) + 1;
  }
  const indices = sums.map((sum, phase) => sum / (counts[phase] as number));
  const mean = indices.reduce((sum, value) => sum + value, 0) / season;
  return indices.map((index) => index / mean);
}
