import type { PlacementState } from './cost-model.ts';
import { phi } from './phi.ts';

/** What is said about a move, for people. */
export interface MoveFacts {
  readonly partition: number;
  readonly source: number;
  readonly target: number;
  readonly isSourceDown: boolean;
  /** Wall clock of slot 0, and a slot's length, milliseconds. */
  readonly startMs: number;
  readonly stepMs: number;
  readonly dimensions: readonly string[];
}

/**
 * One sentence on why a move is proposed: the slot in which it relieves its source most, and what it does to both nodes
 * there.
 *
 * @param state the map just before the move, in the order of the proposal.
 */
export function explainMove(state: PlacementState, facts: MoveFacts): string {
  const { partition, source, target } = facts;
  if (facts.isSourceDown)
    return `node ${source} takes no writes: partition ${partition} goes to node ${target}`;
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
  const at = new Date(facts.startMs + t * facts.stepMs).toISOString().slice(0, 16).replace('T', ' ');
  return (
    `relieves node ${source} in ${facts.dimensions[r]}, most at ${at} UTC: about ${percent(before)} -> ` +
    `${percent(before - added(source))}; node ${target}: ${percent(targetBefore)} -> ${percent(targetBefore + added(target))}`
  );
}

const percent = (share: number): string => `${(100 * Math.max(0, share)).toFixed(1)} %`;
