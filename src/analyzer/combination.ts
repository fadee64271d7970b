import { FORECAST_MEMBER_COUNT, FORECAST_MEMBERS } from '../kernels/forecast-jobs.ts';
import { LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import type { History } from './history.ts';
import { cellOf } from './residuals.ts';
import { bandOf, type TrackRecord } from './track-record.ts';

/**
 * Weighted mean of the members' log loads, never below 0.
 *
 * @param members f64[member][partition][step], log loads
 * @param weights f64[partition][band][member], from TrackRecord.weights
 * @returns f32[partition][step]
 */
export function combine(
  members: Float64Array,
  weights: Float64Array,
  { partitionCount, horizon }: { partitionCount: number; horizon: number },
): Float32Array {
  const combined = new Float32Array(partitionCount * horizon);
  const partitionSize = weights.length / partitionCount;
  const bands = Uint8Array.from({ length: horizon }, (_, step) => bandOf(step));
  for (let member = 0; member < FORECAST_MEMBER_COUNT; member++)
    for (let p = 0; p < partitionCount; p++) {
      const shares = p * partitionSize + member;
      const row = (member * partitionCount + p) * horizon;
      for (let step = 0; step < horizon; step++) {
        const share = weights[shares + (bands[step] as number) * FORECAST_MEMBER_COUNT] as number;
        if (share === 0) continue;
        const at = p * horizon + step;
        // Each member is cut at 0 by itself: a negative log load has no meaning that could balance another member.
        combined[at] = (combined[at] as number) + share * Math.max(0, members[row + step] as number);
      }
    }
  return combined;
}

/**
 * From log loads of the driver to loads of every dimension with bounds: f64[step][partition][dimension] each.
 * Other dimensions follow the driver by their recent ratio, bounds included.
 */
export function boundedLoads(
  { history, record }: { readonly history: History; readonly record: TrackRecord },
  combined: Float32Array,
  { horizon, horizonSteps, level }: { horizon: number; horizonSteps: number; level: number },
): { point: Float64Array; lower: Float64Array; upper: Float64Array } {
  const { partitionCount } = history.shape;
  const size = horizonSteps * partitionCount * LOAD_DIMENSION_COUNT;
  const point = new Float64Array(size);
  const lower = new Float64Array(size);
  const upper = new Float64Array(size);
  const { ratio, flat } = history.ratios();
  const bounds = record.bounds(level);
  for (let p = 0; p < partitionCount; p++) {
    const scale = record.scale(p);
    for (let step = 0; step < horizonSteps; step++) {
      const logLoad = combined[p * horizon + step] as number;
      const cell = cellOf(bandOf(step), logLoad);
      const middle = Math.expm1(logLoad);
      const low = Math.expm1(Math.max(0, logLoad + scale * Math.min(0, bounds.lower[cell] as number)));
      const high = Math.expm1(logLoad + scale * Math.max(0, bounds.upper[cell] as number));
      for (let d = 0; d < LOAD_DIMENSION_COUNT; d++) {
        const at = (step * partitionCount + p) * LOAD_DIMENSION_COUNT + d;
        const factor = ratio[p * LOAD_DIMENSION_COUNT + d] as number;
        const constant = flat[p * LOAD_DIMENSION_COUNT + d] as number;
        point[at] = middle * factor + constant;
        lower[at] = low * factor + constant;
        upper[at] = high * factor + constant;
      }
    }
  }
  return { point, lower, upper };
}

/** Each member's weight, averaged over partitions and horizon bands. */
export function memberShares(weights: Float64Array): { name: string; weight: number }[] {
  const shares = new Float64Array(FORECAST_MEMBER_COUNT);
  weights.forEach((weight, index) => {
    const member = index % FORECAST_MEMBER_COUNT;
    shares[member] = (shares[member] as number) + (weight * FORECAST_MEMBER_COUNT) / weights.length;
  });
  return FORECAST_MEMBERS.map((name, member) => ({ name, weight: shares[member] as number })).filter(
    ({ weight }) => weight > 0,
  );
}
