/** Halvings, at worst, of the interval in which the best step lies; regula falsi needs three or four as a rule. */
const STEPS_MAX = 12;

/** A step is good enough once the slope has fallen to this share of what it was: the next sweep comes anyway. */
const SLOPE_LEFT = 0.02;

/** The step in 0..most at which a rising slope, below 0 at 0, comes to 0: regula falsi with the Illinois rule. */
export function bestStep(most: number, slopeAtZero: number, slopeAt: (step: number) => number): number {
  let highSlope = slopeAt(most);
  if (highSlope <= 0) return most;
  let low = 0;
  let lowSlope = slopeAtZero;
  let high = most;
  let step = most;
  for (let i = 0; i < STEPS_MAX; i++) {
    step = low + ((high - low) * lowSlope) / (lowSlope - highSlope);
    const slope = slopeAt(step);
    if (Math.abs(slope) < -SLOPE_LEFT * slopeAtZero) break;
    // The end that stays is halved, so that it cannot stall.
    if (slope < 0) {
      low = step;
      lowSlope = slope;
      highSlope /= 2;
    } else {
      high = step;
      highSlope = slope;
      lowSlope /= 2;
    }
  }
  return step;
}
