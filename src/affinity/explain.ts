import type { PlacementState } from './cost-model.ts';
import { phi } from './phi.ts';

/** What is said about a move, for people. */
export interface MoveFacts {
  readonly partition: number;
  readonly source: number;
  readonly target: number;
  readonly isSourceDown: boolean;
  /** Why all have to leave the source, if that is so; `takes no writes` if absent. */
  readonly downReason?: string;
  readonly dimensions: readonly string[];
  /** Such as `2026-01-01 13:00 UTC`. */
  slotName(slot: number): string;
  /** Such as `partition 3` and `node 1`. */
  partitionName(partition: number): string;
  nodeName(node: number): string;
}

/** How a cluster's own partitions, nodes and steps are called. */
export const numberedNames = (startMs: number, stepMs: number) => ({
  slotName: (slot: number) =>
    `${new Date(startMs + slot * stepMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`,
  partitionName: (partition: number) => `partition ${partition}`,
  nodeName: (node: number) => `node ${node}`,
});

/**
 * One sentence on why a move is proposed: the slot in which it relieves its source most, and what it does to both nodes
 * there.
 *
 * @param state the map just before the move, in the order of the proposal.
 */
export function explainMove(state: PlacementState, facts: MoveFacts): string {
  const { partition, source, target } = facts;
  if (facts.isSourceDown)
    return `${facts.nodeName(source)} ${facts.downReason ?? 'takes no writes'}: ${facts.partitionName(partition)} goes to ${facts.nodeName(target)}`;
  if (state.penaltyRelief(partition, target) > 0)
    return `the rules do not want ${facts.partitionName(partition)} on ${facts.nodeName(source)}: it goes to ${facts.nodeName(target)}`;
  const { instance } = state;
  const { resourceCount, slotCount, slotStride, depth, capacity, load } = instance;
  let best = { relief: Number.NEGATIVE_INFINITY, r: 0, t: 0 };
  for (let r = 0; r < resourceCount; r++) {
    const own = capacity[source * resourceCount + r] as number;
    for (let t = 0; t < slotCount; t++) {
      const share = (load[partition * depth + r * slotStride + t] as number) / own;
      const rho = state.utilisation(source, r, t);
      const relief = phi(rho) - phi(Math.max(0, rho - share));
      if (relief > best.relief) best = { relief, r, t };
    }
  }
  const { r, t } = best;
  const added = (n: number): number =>
    (load[partition * depth + r * slotStride + t] as number) / (capacity[n * resourceCount + r] as number);
  const before = state.utilisation(source, r, t);
  const targetBefore = state.utilisation(target, r, t);
  return (
    `relieves ${facts.nodeName(source)} in ${facts.dimensions[r]}, most at ${facts.slotName(t)}: about ${percent(before)} -> ` +
    `${percent(before - added(source))}; ${facts.nodeName(target)}: ${percent(targetBefore)} -> ${percent(targetBefore + added(target))}`
  );
}

const percent = (share: number): string => `${(100 * Math.max(0, share)).toFixed(1)} %`;
