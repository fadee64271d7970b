/** The forecast a second time: would a cycle that comes later take a move back? Pure. */

const DAY_SECONDS = 86_400;

/** A move among the others of its timetable. */
export interface ReplayedMove {
  /** f64[slot]: what each slot gains by it, with the others where they are at the time; negative where it does harm. */
  readonly gains: Float64Array;
  /** The same with all others arrived. */
  readonly settledGains: Float64Array;
  /** The slot in which it arrives. */
  readonly endSlot: number;
  /** What the way back would have to earn, in the same unit. */
  readonly pricePerReturn: number;
}

/**
 * Whether a cycle in any slot after its arrival would find that going back earns its price.
 *
 * Such a cycle looks as far ahead as this one. Of a horizon of whole days it is known what comes after its end: the season
 * begins again, with everybody where the plan leaves him. Of any other the rest is all there is to judge by, as long as
 * it is a day at least: one night says nothing of a map that lasts.
 */
export function isTakenBack(
  { gains, settledGains, endSlot, pricePerReturn }: ReplayedMove,
  slotSeconds: number,
): boolean {
  const slotCount = gains.length;
  const isSeason = (slotCount * slotSeconds) % DAY_SECONDS === 0;
  let rest = 0;
  let again = isSeason ? settledGains.reduce((sum, gain) => sum + gain, 0) : 0;
  for (let slot = slotCount - 1; slot > endSlot; slot--) {
    rest += gains[slot] as number;
    if (isSeason) again -= settledGains[slot] as number;
    const isLongEnough = isSeason || (slotCount - slot) * slotSeconds >= DAY_SECONDS;
    if (isLongEnough && -(rest + again) > pricePerReturn) return true;
  }
  return false;
}
