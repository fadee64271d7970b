import { LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import { BAND_COUNT, bandOf } from './bands.ts';
import type { History } from './history.ts';
import { hourFactor } from './hour-corrections.ts';
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
  /** f32[partition][step], by how much errors there are larger than usual. */
  readonly noise: Float32Array;
  /** f32[partition][step], log loads of the driver. */
  readonly combined: Float32Array;
  readonly horizonSteps: number;
}

/** The point forecast, f64[step][partition][dimension]. */
export const pointLoads = (input: BoundedLoadsInput): Float64Array =>
  loadsOf(input, (_, __, point) => Math.expm1(point));

/** @param factors f64[partition], mean / point. */
export const meanLoads = (input: BoundedLoadsInput, factors: Float64Array): Float64Array =>
  loadsOf(input, (p, _, point) => Math.expm1(point) * (factors[p] as number));

/** One of the bounds (`tailIndex` = level x 2 + side). */
export const boundLoads = (input: BoundedLoadsInput, tailIndex: number): Float64Array => {
  const { history, basis } = input;
  const tailCount = basis.quantiles.length / BAND_COUNT;
  const { dayWindows } = history.shape;
  const first = history.dropped + history.length;
  const hours = Float64Array.from({ length: input.horizonSteps }, (_, step) =>
    hourFactor(basis.hours, { tailIndex, tailCount, window: first + step, dayWindows }),
  );
  return loadsOf(input, (partition, step, point) => {
    const hour = hours[step] as number;
    const noise = input.noise[partition * input.horizonSteps + step] as number;
    const bound = point + boundOf(basis, { tailIndex, band: bandOf(step), partition, noise, hour });
    const most = Math.max(point, (input.highest[partition] as number) + BOUND_MARGIN_MAX);
    return Math.expm1(Math.max(0, Math.min(bound, most)));
  });
};

/**
 * Loads of every dimension from what is said of the driver: others follow it by their recent ratio.
 *
 * @param driverLoad natural units, from the combined log load of a partition at a step
 */
function loadsOf(
  { history, combined, horizonSteps }: BoundedLoadsInput,
  driverLoad: (partition: number, step: number, logLoad: number) => number,
): Float64Array {
  const { partitionCount } = history.shape;
  const loads = new Float64Array(horizonSteps * partitionCount * LOAD_DIMENSION_COUNT);
  const { ratio, flat } = history.ratios();
  for (let p = 0; p < partitionCount; p++)
    for (let step = 0; step < horizonSteps; step++) {
      const load = driverLoad(p, step, combined[p * (combined.length / partitionCount) + step] as number);
      for (let d = 0; d < LOAD_DIMENSION_COUNT; d++) {
        const cell = p * LOAD_DIMENSION_COUNT + d;
        loads[(step * partitionCount + p) * LOAD_DIMENSION_COUNT + d] =
          load * (ratio[cell] as number) + (flat[cell] as number);
      }
    }
  return loads;
}
