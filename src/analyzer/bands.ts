/** First step of each horizon band: what is near is forecast by other members, and with other errors, than what is far. */
const BAND_STARTS = [0, 6, 24, 48] as const;
export const BAND_COUNT = BAND_STARTS.length;

/**
 * Of each band every so many steps are judged. Errors of neighbouring steps of one forecast are nearly the same error, and
 * every judged step of every member is kept until it has come true. No stride divides a day, so that all hours get their turn.
 */
const JUDGED_STRIDES = [1, 2, 3, 7] as const;

/** The horizon band of a step. */
export function bandOf(step: number): number {
  let band = BAND_COUNT - 1;
  while ((BAND_STARTS[band] as number) > step) band--;
  return band;
}

/** The steps of a forecast that are judged, ascending. */
export function judgedSteps(horizon: number): Int32Array {
  return Int32Array.from({ length: horizon }, (_, step) => step).filter((step) => {
    const band = bandOf(step);
    return (step - (BAND_STARTS[band] as number)) % (JUDGED_STRIDES[band] as number) === 0;
  });
}
