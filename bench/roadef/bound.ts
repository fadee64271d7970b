import type { Model } from './model.ts';

/**
 * A cost that no solution can fall below, in O(processes x resources): machines poured into one, where the whole usage
 * meets the whole safety capacity, and what is free of one resource the target of another. Moves are free. max(0, x) is
 * convex and vanishes at 0, so the sum over machines is at least its value at the sum.
 */
export function lowerBound(model: Model): bigint {
  const { resourceCount } = model;
  const total = (rows: Float64Array): bigint[] => {
    const sums = new Array<bigint>(resourceCount).fill(0n);
    for (let i = 0; i < rows.length; i++) sums[i % resourceCount]! += BigInt(rows[i] as number);
    return sums;
  };
  const used = total(model.requirement);
  const safety = total(model.safetyCapacity);
  const capacity = total(model.capacity);
  let bound = 0n;
  for (let r = 0; r < resourceCount; r++) {
    const over = (used[r] as bigint) - (safety[r] as bigint);
    if (over > 0n) bound += BigInt(model.loadWeight[r] as number) * over;
  }
  for (const { firstResource, secondResource, target, weight } of model.balances) {
    const available = (r: number): bigint => (capacity[r] as bigint) - (used[r] as bigint);
    const short = BigInt(target) * available(firstResource) - available(secondResource);
    if (short > 0n) bound += BigInt(weight) * short;
  }
  return bound;
}
