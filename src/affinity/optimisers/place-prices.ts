import { atOnce, type Sliced } from '../../base/slices.ts';
import type { PlacementInstance } from '../instance.ts';
import { movePriceTo } from '../move-price.ts';
import { forbidden } from '../rules/rule-state.ts';

/**
 * f32[partition][node]: what the rules charge for a partition being on a node, Infinity where no rule lets it go. Everything
 * that depends on one partition and one node alone, so that a kernel reads one number.
 */
export const placePrices = (instance: PlacementInstance): Float32Array => atOnce(pricingPlaces(instance));

/** Prices between two yields: a fraction of a millisecond. */
const PRICES_OF_SLICE = 1024;

/** {@link placePrices} in slices. */
export function* pricingPlaces(instance: PlacementInstance): Sliced<Float32Array> {
  const { partitionCount, nodeCount, home, stayPenalty, spreadPenalty, holdPenalty } = instance;
  const { memberCount, isMovable } = instance;
  const prices = new Float32Array(partitionCount * nodeCount);
  const partitionsOfSlice = Math.ceil(PRICES_OF_SLICE / nodeCount);
  for (let p = 0; p < partitionCount; p++) {
    if (p % partitionsOfSlice === 0) yield;
    for (let n = 0; n < nodeCount; n++) {
      const hold = (holdPenalty[n] as number) * (memberCount[p] as number);
      const at = p * nodeCount + n;
      if (n === home[p]) prices[at] = (stayPenalty[p] as number) + (spreadPenalty[p] as number) + hold;
      // A pinned partition is where it is, home or not, and nobody asks for its other prices.
      else if (isMovable[p] === 1 && forbidden(instance, p, n) !== null)
        prices[at] = Number.POSITIVE_INFINITY;
      else prices[at] = movePriceTo(instance, p, n) + hold;
    }
  }
  return prices;
}
