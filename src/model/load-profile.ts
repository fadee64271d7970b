/** What a partition costs, per window. The order is the layout of every [dimension] axis, kernels included. */
export const LOAD_DIMENSIONS = ['queries', 'cpuSeconds', 'readBytes', 'writeBytes'] as const;
export type LoadDimension = (typeof LOAD_DIMENSIONS)[number];
export const LOAD_DIMENSION_COUNT = LOAD_DIMENSIONS.length;
export const dimensionIndex = (dimension: LoadDimension): number => LOAD_DIMENSIONS.indexOf(dimension);

/**
 * The largest load of a partition in a window: more is a broken meter. Sums and products of such loads, and what a model
 * adds to their logarithm, stay far below the largest number there is.
 */
export const LOAD_MAX = 1e100;

/** Measured load: partition x window x dimension. Windows are equal, contiguous and closed. */
export interface LoadProfile {
  /** Wall clock of the start of window 0, milliseconds. */
  readonly startMs: number;
  readonly windowMs: number;
  readonly windowCount: number;
  readonly partitionCount: number;
  /** f64[window][partition][dimension]; units per window: count, seconds, bytes, bytes. 0..LOAD_MAX. */
  readonly values: Float64Array;
  /** f64[window]: captured / offered, 1 when nothing was dropped; 0 marks an outage (nothing was recorded). */
  readonly coverage: Float64Array;
}
