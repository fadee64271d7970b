import { BAND_COUNT } from './bands.ts';

/** With nothing known a load may be four times more or less: wide enough to keep a planner from trusting it. */
const UNKNOWN_RESIDUAL = Math.log(4);

/** What bounds were made of when a forecast was issued: enough to tell later which values they missed. */
export interface IntervalBasis {
  /** f64[band]: the mean absolute residual usual then. */
  readonly expected: Float64Array;
  /** f32[partition of the range]: how noisy against the others. */
  readonly ratio: Float32Array;
  /** f64[level][side][band] in units of expected x ratio; NaN while nothing is known. */
  readonly quantiles: Float64Array;
  /** f64[level][side][part of the day], factors (`HourCorrections`). */
  readonly hours: Float64Array;
  /** f32[level][side][partition of the range], factors. */
  readonly corrections: Float32Array;
  /**
   * f32[partition of the range], log units over the noise's shape: how far forecasts of the last hours have gone astray, 0 where that
   * may be noise.
   */
  readonly drift: Float32Array;
  /** f32[partition of the range], log units: how far the level may have shifted, 0 where nothing says so. */
  readonly suspected: Float32Array;
}

/** Which bound of which step. */
export interface BoundPlace {
  /** level x 2 + side. */
  readonly tailIndex: number;
  readonly band: number;
  /** Counts from the first of the basis. */
  readonly partition: number;
  /** By how much errors at that hour and load are larger than usual (`NoiseShape`). */
  readonly noise: number;
  /** The factor of the basis for that tail and hour (`hourFactor`); 1 by default. */
  readonly hour?: number;
}

/** Distance of a bound from the point forecast in log units, <= 0 below and >= 0 above. */
export function boundOf(
  { expected, ratio, quantiles, corrections, drift, suspected }: IntervalBasis,
  { tailIndex, band, partition, noise, hour = 1 }: BoundPlace,
): number {
  if (ratio[partition] === 0) return 0;
  const isLower = tailIndex % 2 === 0;
  const quantile = quantiles[tailIndex * BAND_COUNT + band] as number;
  if (Number.isNaN(quantile)) return isLower ? -UNKNOWN_RESIDUAL : UNKNOWN_RESIDUAL;
  const own = (ratio[partition] as number) * (corrections[tailIndex * ratio.length + partition] as number);
  // If the last hours were the beginning of another level, the bounds should hold there too. A level is the same at noisy hours.
  const astray = noise * (drift[partition] as number);
  const shift = suspected[partition] as number;
  const reach = Math.abs(shift) > Math.abs(astray) ? shift : astray;
  const outward = isLower ? Math.min(0, reach) : Math.max(0, reach);
  return hour * noise * quantile * (expected[band] as number) * own + outward;
}
