import { LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import { bandOf } from './bands.ts';
import type { History } from './history.ts';
import { boundOf, type IntervalBasis } from './interval-basis.ts';

/**
 * Log units above all that was seen in weeks: an upper bound beyond four and a half times that is of no use to a plan, and
 * exp would make it infinite sooner or later.
 */
const BOUND_MARGIN_MAX = 1.5;

export interface BoundedLoadsInput {
  readonly history: History;
  /** f64[partition], the highest log load of late. */
  readonly highest: Float64Array;
  readonly basis: IntervalBasis;
  /** f32[partition][step], log loads of the driver. */
  readonly combined: Float32Array;
  readonly horizonSteps: number;
}

/**
 * From log loads of the driver to loads of every dimension, f64[step][partition][dimension]: the point forecast itself, or
 * one of its bounds (`tailIndex` = level x 2 + side). Other dimensions follow the driver by their recent ratio.
 */
export function loadsOf(input: BoundedLoadsInput, tailIndex?: number): Float64Array {
  const { history, highest, basis, combined, horizonSteps } = input;
  const { partitionCount } = history.shape;
  const loads = new Float64Array(horizonSteps * partitionCount * LOAD_DIMENSION_COUNT);
  const { ratio, flat } = history.ratios();
  for (let p = 0; p < partitionCount; p++)
    for (let step = 0; step < horizonSteps; step++) {
      const point = combined[p * (combined.length / partitionCount) + step] as number;
      let logLoad = point;
      if (tailIndex !== undefined) {
        const bound = point + boundOf(basis, { tailIndex, band: bandOf(step), partition: p });
        const most = Math.max(point, (highest[p] as number) + BOUND_MARGIN_MAX);
        logLoad = Math.max(0, Math.min(bound, most));
      }
      const load = Math.expm1(logLoad);
      for (let d = 0; d < LOAD_DIMENSION_COUNT; d++) {
        const cell = p * LOAD_DIMENSION_COUNT + d;
        loads[(step * partitionCount + p) * LOAD_DIMENSION_COUNT + d] =
          load * (ratio[cell] as number) + (flat[cell] as number);
      }
    }
  return loads;
}
