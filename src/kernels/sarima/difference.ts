/** What a series needs before it is stationary: differences, and which. In place where it says so. */

/** Seasonal strength from which the season is differenced (Wang, Smith & Hyndman 2006; the threshold of R's nsdiffs). */
export const SEASONAL_STRENGTH_MIN = 0.64;

/** values[i] = values[i + lag] - values[i], in place; returns the new count. */
export function difference(values: Float64Array, count: number, lag: number): number {
  for (let i = 0; i + lag < count; i++) values[i] = (values[i + lag] as number) - (values[i] as number);
  return Math.max(0, count - lag);
}

/**
 * 1 - Var(remainder) / Var(seasonal + remainder) of a classical decomposition, 0..1: how much of what moves around the
 * trend is the season. The trend is a moving average over one season.
 */
export function seasonalStrength(values: Float64Array, count: number, season: number): number {
  const half = season >> 1;
  const detrendedCount = count - 2 * half;
  if (season < 2 || detrendedCount < 2 * season) return 0;
  const detrended = new Float64Array(detrendedCount);
  const phaseSum = new Float64Array(season);
  let window = 0;
  for (let i = 0; i < 2 * half; i++) window += values[i] as number;
  for (let i = 0; i < detrendedCount; i++) {
    // Of an even season both ends count half: the window is one longer than the season.
    window += values[i + 2 * half] as number;
    const ends = season % 2 === 0 ? ((values[i] as number) + (values[i + 2 * half] as number)) / 2 : 0;
    const value = (values[i + half] as number) - (window - ends) / season;
    detrended[i] = value;
    phaseSum[i % season] = (phaseSum[i % season] as number) + value;
    window -= values[i] as number;
  }
  const whole = Math.floor(detrendedCount / season);
  const rest = detrendedCount % season;
  let total = 0;
  let remainder = 0;
  let mean = 0;
  for (let i = 0; i < detrendedCount; i++) mean += (detrended[i] as number) / detrendedCount;
  for (let i = 0; i < detrendedCount; i++) {
    const phase = i % season;
    const seasonal = (phaseSum[phase] as number) / (whole + (phase < rest ? 1 : 0));
    total += ((detrended[i] as number) - mean) ** 2;
    remainder += ((detrended[i] as number) - seasonal) ** 2;
  }
  return total > 0 ? Math.max(0, 1 - remainder / total) : 0;
}

/**
 * KPSS statistic of level stationarity, with Bartlett weights over `3 sqrt(count) / 13` lags.
 *
 * @returns above 0.463 at a level of 5 % for a series that wanders; 0 for a constant one.
 * @see Kwiatkowski, Phillips, Schmidt & Shin, "Testing the null hypothesis of stationarity", 1992
 */
export function kpssStatistic(values: Float64Array, count: number): number {
  const mean = meanOf(values, count);
  const lags = Math.trunc((3 * Math.sqrt(count)) / 13);
  let partial = 0;
  let partialSquares = 0;
  for (let i = 0; i < count; i++) {
    partial += (values[i] as number) - mean;
    partialSquares += partial * partial;
  }
  let variance = 0;
  for (let lag = 0; lag <= lags; lag++) {
    let product = 0;
    for (let i = lag; i < count; i++)
      product += ((values[i] as number) - mean) * ((values[i - lag] as number) - mean);
    variance += (lag === 0 ? 1 : 2 * (1 - lag / (lags + 1))) * product;
  }
  return variance > 0 ? partialSquares / (count * variance) : 0;
}

export function meanOf(values: Float64Array, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += values[i] as number;
  return sum / count;
}

/** Autocorrelation at one lag, -1..1; 0 for a constant series. */
export function autocorrelation(values: Float64Array, count: number, lag: number): number {
  const mean = meanOf(values, count);
  let variance = 0;
  let product = 0;
  for (let i = 0; i < count; i++) {
    const value = (values[i] as number) - mean;
    variance += value * value;
    if (i >= lag) product += value * ((values[i - lag] as number) - mean);
  }
  return variance > 0 ? product / variance : 0;
}
