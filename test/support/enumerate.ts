import { PlacementState } from '../../src/affinity/cost-model.ts';
import type { PlacementInstance } from '../../src/affinity/instance.ts';

/** The best of all maps that the rules allow, by looking at every one: for problems of a few thousand maps. */
export function bestOfAllMaps(instance: PlacementInstance): { ownerOf: Int32Array; cost: number } {
  const { partitionCount, nodeCount } = instance;
  const state = new PlacementState(instance);
  let best = { ownerOf: state.ownerOf.slice(), cost: state.cost() };
  const place = (p: number): void => {
    if (p === partitionCount) {
      // Summed afresh: after thousands of moves the running sums have drifted.
      const cost = new PlacementState(instance, state.ownerOf).cost();
      if (cost < best.cost) best = { ownerOf: state.ownerOf.slice(), cost };
      return;
    }
    place(p + 1);
    const home = instance.home[p] as number;
    for (let n = 0; n < nodeCount; n++) {
      if (n === home || !state.canMove(p, n)) continue;
      state.move(p, n);
      place(p + 1);
      state.move(p, home);
    }
  };
  place(0);
  return best;
}
