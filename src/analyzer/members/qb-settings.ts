/** What the two regressions of QueryBot 5000 share: the published code's settings, and bounds on the work. */

/** Days of training data (`training_intervals`). */
export const QB_TRAINING_DAYS = 25;

/** A day of quarter hours. The paper's day of minutes, 1,440 inputs, is beyond what a partition may cost. */
export const QB_INPUTS_MAX = 96;

/** More than 25 days of quarter hours. */
export const QB_WINDOWS_MAX = 4096;
