import { LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import { BAND_COUNT, bandOf } from './bands.ts';
import type { History } from './history.ts';
import type { MemberForecasts } from './members/roster.ts';
import { cellOf } from './residuals.ts';
import type { TrackRecord } from './track-record.ts';

/**
 * Weighted mean of the members' log loads, never below 0.
 *
 * @param weights f64[partition of the range][band][member], from TrackRecord.weights
 * @param combined f32[partition][step], of all partitions: those of the range are written
 */
export function combine(
  { range, logLoads, isAvailable }: MemberForecasts,
  weights: Float64Array,
  combined: Float32Array,
): void {
  const memberCount = isAvailable.length;
  const horizon = logLoads.length / (memberCount * range.count);
  const bands = Uint8Array.from({ length: horizon }, (_, step) => bandOf(step));
  for (let p = 0; p < range.count; p++)
    for (let step = 0; step < horizon; step++) {
      const shares = (p * BAND_COUNT + (bands[step] as number)) * memberCount;
      let sum = 0;
      for (let member = 0; member < memberCount; member++) {
        const share = weights[shares + member] as number;
        // Each member is cut at 0 by itself: a negative log load has no meaning that could balance another member.
        if (share > 0)
          sum += share * Math.max(0, logLoads[(member * range.count + p) * horizon + step] as number);
      }
      combined[(range.first + p) * horizon + step] = sum;
    }
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

/**
 * Adds each member's weights, to be averaged over partitions and horizon bands.
 *
 * @param totals f64[member]
 */
export function addShares(weights: Float64Array, totals: Float64Array): void {
  weights.forEach((weight, index) => {
    const member = index % totals.length;
    totals[member] = (totals[member] as number) + weight;
  });
}

/** Each member's mean weight, of those that have any. */
export function memberShares(
  names: readonly string[],
  totals: Float64Array,
): { name: string; weight: number }[] {
  const sum = totals.reduce((total, weight) => total + weight, 0);
  return names
    .map((name, member) => ({ name, weight: (totals[member] as number) / sum }))
    .filter(({ weight }) => weight > 0);
}
