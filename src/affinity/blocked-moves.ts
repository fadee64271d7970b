import type { PlacementState } from './cost-model.ts';
import type { MoveRefusal } from './refusals.ts';

/** A move that would lower the cost, and that the rules do not allow. */
export interface BlockedMove {
  readonly partition: number;
  readonly target: number;
  readonly refusal: MoveRefusal;
  /** What it would lower the cost by, its price taken off; index points. */
  readonly gain: number;
}

/** Looked at: the costliest nodes, and of each the partitions that carry most. More would take longer than the plan. */
const NODES_MAX = 3;
const PARTITIONS_MAX = 64;

/**
 * Answers why nothing (more) moves: the moves from the costliest nodes that would pay on the map as it is, and what keeps
 * each from being made. One for each partition, the most useful first.
 */
export function blockedMoves(state: PlacementState, countMax = 10): BlockedMove[] {
  const { instance } = state;
  const nodes = [...instance.isTarget.keys()]
    .sort((a, b) => state.nodeCost(b) - state.nodeCost(a) || a - b)
    .slice(0, NODES_MAX);
  const blocked: BlockedMove[] = [];
  for (const node of nodes)
    for (const partition of heaviest(state, node)) {
      let best: BlockedMove | null = null;
      for (let target = 0; target < instance.nodeCount; target++) {
        if (target === node) continue;
        const refusal = state.refusal(partition, target);
        const gain = gainOf(state, partition, target);
        if (refusal !== null && gain > (best?.gain ?? 0)) best = { partition, target, refusal, gain };
      }
      if (best !== null) blocked.push(best);
    }
  return blocked.sort((a, b) => b.gain - a.gain || a.partition - b.partition).slice(0, countMax);
}

/** As if the target were there to stay: that nothing may go to a node that is to be emptied is what is to be said. */
function gainOf(state: PlacementState, partition: number, target: number): number {
  const { holdPenalty, memberCount } = state.instance;
  const held = (holdPenalty[target] as number) * (memberCount[partition] as number);
  return held - state.moveDelta(partition, target);
}

function heaviest(state: PlacementState, node: number): number[] {
  const { load, depth, slotWeight } = state.instance;
  const held: { partition: number; weight: number }[] = [];
  state.ownerOf.forEach((owner, partition) => {
    if (owner !== node) return;
    let weight = 0;
    for (let d = 0; d < depth; d++)
      weight += (slotWeight[d] as number) * (load[partition * depth + d] as number);
    held.push({ partition, weight });
  });
  held.sort((a, b) => b.weight - a.weight || a.partition - b.partition);
  return held.slice(0, PARTITIONS_MAX).map(({ partition }) => partition);
}

/** A partition that no node could carry alone, however the map. */
export interface OversizedPartition {
  readonly partition: number;
  readonly resource: number;
  /** The first in which it is too large. */
  readonly slot: number;
  /** Its load at the upper quantile over the largest node's capacity. */
  readonly utilisation: number;
}

/** What no map can mend: such a partition has to be split, or a larger node added. */
export function oversizedPartitions(state: PlacementState): OversizedPartition[] {
  const { partitionCount, nodeCount, resourceCount, slotCount, slotStride, depth, capacity, load, variance } =
    state.instance;
  const deviations = state.instance.capacityZ ?? 0;
  const found: OversizedPartition[] = [];
  for (let p = 0; p < partitionCount; p++)
    search: for (let r = 0; r < resourceCount; r++) {
      let capacityMax = 0;
      for (let n = 0; n < nodeCount; n++)
        capacityMax = Math.max(capacityMax, capacity[n * resourceCount + r] as number);
      for (let t = 0; t < slotCount; t++) {
        const at = p * depth + r * slotStride + t;
        const mean = load[at] as number;
        const common = state.instance.commonError * mean;
        const upper = mean + deviations * Math.sqrt((variance[at] as number) + common * common);
        if (upper <= capacityMax) continue;
        found.push({ partition: p, resource: r, slot: t, utilisation: upper / capacityMax });
        break search;
      }
    }
  return found;
}
