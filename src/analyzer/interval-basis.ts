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
  /** f32[level][side][partition of the range], factors. */
  readonly corrections: Float32Array;
  /** f32[partition of the range], log units: how far forecasts of the last hours have gone astray, 0 where that may be noise. */
  readonly drift: Float32Array;
}

/**
 * Distance of a bound from the point forecast, <= 0 below and >= 0 above, in log units over the noise's shape at that hour and load
 * (`NoiseShape`): its factor brings it to log units. `tailIndex` = level x 2 + side,
 * `partition` counts from the first of the basis.
 */
export function boundOf(
  { expected, ratio, quantiles, corrections, drift }: IntervalBasis,
  { tailIndex, band, partition }: { tailIndex: number; band: number; partition: number },
): number {
  if (ratio[partition] === 0) return 0;
  const quantile = quantiles[tailIndex * BAND_COUNT + band] as number;
  if (Number.isNaN(quantile)) return tailIndex % 2 === 0 ? -UNKNOWN_RESIDUAL : UNKNOWN_RESIDUAL;
  const own = (ratio[partition] as number) * (corrections[tailIndex * ratio.length + partition] as number);
  // If the last hours were the beginning of another level, the bounds should hold there too.
  const astray = drift[partition] as number;
  const outward = tailIndex % 2 === 0 ? Math.min(0, astray) : Math.max(0, astray);
  return quantile * (expected[band] as number) * own + outward;
}
