import { BAND_COUNT, bandOf } from './bands.ts';
import type { MemberForecasts } from './members/roster.ts';

/**
 * The middle of the members' weight that is averaged. A mean of all bends to the one that errs wildly, a median jumps from
 * member to member; on M4's training part this half loses least (OWA 0.401; mean 0.406, median 0.406).
 */
const MIDDLE_FIRST = 0.25;
const MIDDLE_END = 0.75;

/**
 * Mean of the middle half of the members' log loads by weight.
 *
 * @param weights f64[partition of the range][band][member], from Losses.weights
 * @param steps the steps wanted, ascending
 * @param combined out, f32[partition of the range][step wanted]
 */
export function combine(
  { range, logLoads, isAvailable }: MemberForecasts,
  options: { readonly weights: Float64Array; readonly steps: Int32Array; readonly combined: Float32Array },
): void {
  const { weights, steps, combined } = options;
  const memberCount = isAvailable.length;
  const horizon = logLoads.length / (memberCount * range.count);
  const bands = Uint8Array.from(steps, bandOf);
  const values = new Float64Array(memberCount);
  const shares = new Float64Array(memberCount);
  for (let p = 0; p < range.count; p++)
    for (let index = 0; index < steps.length; index++) {
      const first = (p * BAND_COUNT + (bands[index] as number)) * memberCount;
      let count = 0;
      for (let member = 0; member < memberCount; member++) {
        const share = weights[first + member] as number;
        if (!(share > 0)) continue;
        const value = logLoads[(member * range.count + p) * horizon + (steps[index] as number)] as number;
        // Sorted by insertion: there are a dozen members at most.
        let at = count++;
        for (; at > 0 && (values[at - 1] as number) > value; at--) {
          values[at] = values[at - 1] as number;
          shares[at] = shares[at - 1] as number;
        }
        values[at] = value;
        shares[at] = share;
      }
      combined[p * steps.length + index] = middleMean(values, shares, count);
    }
}

/** @param values ascending, @param shares adding up to 1 */
function middleMean(values: Float64Array, shares: Float64Array, count: number): number {
  let below = 0;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const above = below + (shares[i] as number);
    const inside = Math.min(above, MIDDLE_END) - Math.max(below, MIDDLE_FIRST);
    if (inside > 0) sum += inside * (values[i] as number);
    below = above;
  }
  return sum / (MIDDLE_END - MIDDLE_FIRST);
}

/**
 * Adds each member's weights, to be averaged over partitions and horizon bands.
 *
 * @param totals f64[member]
 */
export function addShares(weights: Float64Array, totals: Float64Array): void {
  weights.forEach((weight, index) => {
    const member = index % totals.length;
    totals[member] = (totals[member] as number) + weight;
  });
}

/** Each member's mean weight, of those that have any. */
export function memberShares(
  names: readonly string[],
  totals: Float64Array,
): { name: string; weight: number }[] {
  const sum = totals.reduce((total, weight) => total + weight, 0);
  return names
    .map((name, member) => ({ name, weight: (totals[member] as number) / sum }))
    .filter(({ weight }) => weight > 0);
}
