/** Bounds of one step at one nominal level. */
export interface StepBounds {
  readonly level: number;
  readonly lower: number;
  readonly upper: number;
}

/**
 * How probably a count is inside the central interval of a level when its place in the forecast distribution is drawn at random
 * among all places that the count may have: between what is forecast to lie below it and what is forecast to lie up to it. Of counts
 * that are mostly 0, [0, 0] holds more than 80 %, however right; this share is 80 % whenever the distribution is right.
 *
 * The distribution is linear between the bounds of all levels given, and the point, its median.
 *
 * @param count a whole number.
 * @see Czado, Gneiting & Held, "Predictive model assessment for count data", 2009 (randomised PIT; here its mean over the draw)
 */
export function randomisedInside(
  count: number,
  level: number,
  { point, bounds }: { readonly point: number; readonly bounds: readonly StepBounds[] },
): number {
  const rising = bounds.toSorted((a, b) => a.level - b.level);
  const places = [
    ...rising.toReversed().map(({ level: of, lower }) => ({ load: lower, share: (1 - of) / 2 })),
    { load: point, share: 0.5 },
    ...rising.map(({ level: of, upper }) => ({ load: upper, share: (1 + of) / 2 })),
  ];
  // Nothing lies below 0.
  const below = count === 0 ? 0 : shareBelow(places, count);
  const upTo = shareBelow(places, count + 1);
  const [low, high] = [(1 - level) / 2, (1 + level) / 2];
  if (!(upTo > below)) return below >= low && below <= high ? 1 : 0;
  return Math.max(0, Math.min(upTo, high) - Math.max(below, low)) / (upTo - below);
}

/** Share of the distribution below a load: beyond its outermost bounds nothing, and all. */
function shareBelow(places: readonly { load: number; share: number }[], load: number): number {
  const next = places.findIndex((place) => place.load >= load);
  if (next < 0) return 1;
  if (next === 0) return 0;
  const [before, after] = [places[next - 1], places[next]] as unknown as [
    (typeof places)[0],
    (typeof places)[0],
  ];
  return before.share + ((after.share - before.share) * (load - before.load)) / (after.load - before.load);
}
