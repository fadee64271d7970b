import type { Sliced } from '../../base/slices.ts';
import type { PlacementInstance } from '../instance.ts';
import { movePriceTo } from '../move-price.ts';
import { forbidden } from '../rules/rule-state.ts';

/**
 * Where each partition may be, and what the rules charge for it there: the columns of the relaxation. Its home comes first,
 * so that a partition always has a choice.
 */
export interface Choices {
  /** i32[partition + 1]: where the choices of a partition begin in the two below. */
  readonly startOf: Int32Array;
  /** i32[choice]. */
  readonly nodeOf: Int32Array;
  /** f64[choice], index points: price of moving and penalty of holding. */
  readonly priceOf: Float64Array;
}

/** Choices looked at between two yields: a fraction of a millisecond. */
const CHOICES_OF_SLICE = 1024;

/** The choices that each are legal by themselves; limits on many moves together are not looked at. */
export function* listingChoices(instance: PlacementInstance): Sliced<Choices> {
  const { partitionCount, nodeCount, home, isMovable, stayPenalty, holdPenalty, memberCount } = instance;
  const startOf = new Int32Array(partitionCount + 1);
  const nodeOf = new Int32Array(partitionCount * nodeCount);
  const priceOf = new Float64Array(partitionCount * nodeCount);
  let count = 0;
  const partitionsOfSlice = Math.ceil(CHOICES_OF_SLICE / nodeCount);
  for (let p = 0; p < partitionCount; p++) {
    if (p % partitionsOfSlice === 0) yield;
    const members = memberCount[p] as number;
    const own = home[p] as number;
    nodeOf[count] = own;
    priceOf[count++] = (stayPenalty[p] as number) + members * (holdPenalty[own] as number);
    for (let n = 0; isMovable[p] === 1 && n < nodeCount; n++) {
      if (n === own || forbidden(instance, p, n) !== null) continue;
      if ((instance.bytesFree[n] as number) < (instance.bytes[p] as number)) continue;
      nodeOf[count] = n;
      priceOf[count++] = movePriceTo(instance, p, n) + members * (holdPenalty[n] as number);
    }
    startOf[p + 1] = count;
  }
  return { startOf, nodeOf: nodeOf.subarray(0, count), priceOf: priceOf.subarray(0, count) };
}
