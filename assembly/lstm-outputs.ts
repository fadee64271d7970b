// What the head of the LSTM says: corrections by step, and how far to lean to each seasonal forecast by band of steps.

/** Seasonal forecasts less one: the last contrast follows from the others. */
export const CONTRASTS: i32 = 3;
/** Steps that share the weights of a mixture. */
export const BAND: i32 = 8;

/** Steps of the horizon, padded: outputs r of the head. */
// @ts-ignore: decorator
@inline
export function paddedHorizon(horizon: i32): i32 {
  return (horizon + 15) & ~15;
}

/** Outputs of the head for a horizon: r f32[padded], w f32[3][padded / BAND], zeros up to a multiple of 16. */
export function lstmOutputCount(horizon: i32): i32 {
  const padded = paddedHorizon(horizon);
  return (padded + CONTRASTS * (padded / BAND) + 15) & ~15;
}
