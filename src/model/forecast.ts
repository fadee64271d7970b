/** Bounds of a forecast that hold a share of what comes: f64[step][partition][dimension] each, as Forecast.point. */
export interface Interval {
  /** Nominal coverage of [lower, upper], such as 0.8. */
  readonly level: number;
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

/** Predicted load with bounds: the same axes as a LoadProfile, for windows that have not come yet. */
export interface Forecast {
  /** Wall clock of the start of step 0, milliseconds. */
  readonly startMs: number;
  readonly stepMs: number;
  readonly horizonSteps: number;
  readonly partitionCount: number;
  /** Nominal coverage of [lower, upper], such as 0.8. */
  readonly level: number;
  /** f64[step][partition][dimension] each, units of LoadProfile.values; lower <= point <= upper, all >= 0. */
  readonly point: Float64Array;
  /**
   * What to expect on average, >= 0: what sums over partitions are made of. A point is the middle of what may come, and of a load
   * that is mostly silent far less than its mean, which may even lie above `upper`.
   */
  readonly mean: Float64Array;
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  /** Bounds at the levels that were asked for. */
  readonly intervals?: readonly Interval[];
  /**
   * f64[partition]: 1 - (mean absolute error of this forecast / of the weekly seasonal naive), from a rolling-origin
   * backtest on the profile itself. 0 = no better, negative = worse, NaN = too little history to tell.
   */
  readonly skill: Float64Array;
  /** f64[partition][dimension]: the same of each dimension, where they are forecast by themselves; a follower has its driver's. */
  readonly dimensionSkill?: Float64Array;
  /** Which members made it, and with what weight: for people, not for code. */
  readonly members: readonly { readonly name: string; readonly weight: number }[];
}
