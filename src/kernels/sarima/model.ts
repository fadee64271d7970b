/** Orders of a seasonal ARIMA model, and its parameters on the way between the optimiser and the kernel. */

/** SARIMA(ar, difference, ma)(seasonalAr, seasonalDifference, seasonalMa), in the usual letters (p,d,q)(P,D,Q). */
export interface SarimaOrder {
  /** 0..3. */
  readonly ar: number;
  /** 0 or 1. */
  readonly difference: number;
  /** 0..3. */
  readonly ma: number;
  /** 0 or 1. */
  readonly seasonalAr: number;
  readonly seasonalDifference: number;
  readonly seasonalMa: number;
}

/** Series, or parameter vectors of one series, in a tile (assembly/css.ts). */
export const LANES = 8;
/** Lags of each polynomial: 1, 2, 3, season, season + 1, season + 2, season + 3. */
export const LAG_COUNT = 7;
export const SHORT_MAX = 3;
/** f64[2][LAG_COUNT][LANES]. */
export const COEFFICIENT_COUNT = 2 * LAG_COUNT * LANES;
/** One lane is the point itself and each other lane a step along one parameter: more of them do not fit. */
export const PARAMETERS_MAX = LANES - 1;

export const parameterCount = (order: SarimaOrder): number =>
  order.ar + order.ma + order.seasonalAr + order.seasonalMa;

/**
 * Writes the polynomials of one lane: what has to be subtracted from a value at each lag.
 *
 * Parameters are free numbers; tanh makes partial autocorrelations of them, and every set of those inside (-1, 1) is a
 * stationary AR polynomial, or an invertible MA one. So no step of the optimiser can leave the region where a model is one.
 *
 * @param free ar, ma, seasonalAr, seasonalMa numbers, in this order, from `from` on
 * @param coefficients f64[2][LAG_COUNT][LANES]
 * @see Monahan, "A note on enforcing stationarity in autoregressive-moving average models", 1984
 */
export function writeCoefficients(
  order: SarimaOrder,
  free: Float64Array,
  from: number,
  coefficients: Float64Array,
  lane: number,
): void {
  const { ar, ma, seasonalAr, seasonalMa } = order;
  const seasonal = from + ar + ma;
  const seasonalPhi = seasonalAr > 0 ? Math.tanh(free[seasonal] as number) : 0;
  const seasonalTheta = seasonalMa > 0 ? Math.tanh(free[seasonal + seasonalAr] as number) : 0;
  const maLane = LAG_COUNT * LANES + lane;
  writeShort(free, from, ar, 1, coefficients, lane);
  // 1 + theta B is invertible where 1 - phi B with phi = -theta is stationary.
  writeShort(free, from + ar, ma, -1, coefficients, maLane);
  for (let k = 0; k < LAG_COUNT - SHORT_MAX; k++) {
    const slot = (SHORT_MAX + k) * LANES;
    const short = (k - 1) * LANES;
    // (1 - phi B)(1 - Phi B^m) and (1 + theta B)(1 + Theta B^m): the products have opposite signs.
    coefficients[slot + lane] = k === 0 ? seasonalPhi : -seasonalPhi * (coefficients[short + lane] as number);
    coefficients[slot + maLane] =
      k === 0 ? seasonalTheta : seasonalTheta * (coefficients[short + maLane] as number);
  }
}

/** Durbin's recursion from partial autocorrelations to coefficients, in place. */
function writeShort(
  free: Float64Array,
  from: number,
  count: number,
  sign: number,
  coefficients: Float64Array,
  lane: number,
): void {
  for (let k = count; k < SHORT_MAX; k++) coefficients[k * LANES + lane] = 0;
  for (let k = 0; k < count; k++) {
    const partial = Math.tanh(free[from + k] as number);
    // Coefficients k-1-j and j change each other: pairs from the outside in.
    for (let j = 0, i = k - 1; j <= i; j++, i--) {
      const left = coefficients[j * LANES + lane] as number;
      const right = coefficients[i * LANES + lane] as number;
      coefficients[j * LANES + lane] = left - sign * partial * right;
      coefficients[i * LANES + lane] = right - sign * partial * left;
    }
    coefficients[k * LANES + lane] = partial;
  }
}

/** Corrected Akaike criterion from a sum of squares over `count` residuals; the variance is a parameter, too. */
export function aicc(sum: number, count: number, parameters: number): number {
  const k = parameters + 1;
  return count * Math.log(sum / count) + (2 * k * count) / (count - k - 1);
}
