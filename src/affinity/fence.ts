import type { PlacementInstance } from './instance.ts';

type Loads = Pick<
  PlacementInstance,
  'partitionCount' | 'resourceCount' | 'slotCount' | 'slotStride' | 'depth' | 'load' | 'slotWeight'
>;

/**
 * How much of what the partitions do in a slot of the mean stands still while one of them is fenced. Resources and slots count
 * as they do in the objective: whichever is named first, and whatever happens to be hot in the first slot, does not decide.
 */
export interface FenceShares {
  /** 1: the mean of all slots, all partitions together; more where the slot is busier than that. */
  inSlot(partition: number, slot: number): number;
  /** In the mean of the slots: of a move whose hour is not known. */
  mean(partition: number): number;
}

export function fenceShares(instance: Loads): FenceShares {
  const { partitionCount, slotCount } = instance;
  const ofAll = (partition: number): number => {
    let sum = 0;
    for (let t = 0; t < slotCount; t++) sum += weighedLoad(instance, partition, t);
    return sum;
  };
  let total = 0;
  for (let p = 0; p < partitionCount; p++) total += ofAll(p);
  const share = (load: number): number => (total > 0 ? load / total : 0);
  return {
    inSlot: (partition, slot) => slotCount * share(weighedLoad(instance, partition, slot)),
    mean: (partition) => share(ofAll(partition)),
  };
}

/** In shares of what the objective weighs, so that queries and bytes add up. */
function weighedLoad(
  { depth, slotStride, resourceCount, load, slotWeight }: Loads,
  partition: number,
  slot: number,
): number {
  let sum = 0;
  for (let r = 0; r < resourceCount; r++) {
    const d = r * slotStride + slot;
    sum += (slotWeight[d] as number) * (load[partition * depth + d] as number);
  }
  return sum;
}
