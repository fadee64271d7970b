import { PlacementState } from './cost-model.ts';
import type { PlacementInstance } from './instance.ts';

/**
 * Whether a set of partitions may come together on a node as things stand: it takes them, its disk and its capacity have
 * room besides what is there, and those that rest are there already. Budgets do not count: a set may be gathered over
 * several plans.
 *
 * @param makeBare the instance before rules are laid over it; asked for when the first question comes.
 */
export function roomIn(
  makeBare: () => PlacementInstance,
): (members: readonly number[], node: number) => boolean {
  let state: PlacementState | undefined;
  return (members, node) => {
    state ??= new PlacementState(withoutBudgets(makeBare()));
    const comers: number[] = [];
    for (const p of members) {
      if (!state.canMove(p, node)) break;
      state.move(p, node);
      comers.push(p);
    }
    for (const p of comers) state.move(p, state.instance.home[p] as number);
    return comers.length === members.length;
  };
}

const withoutBudgets = (instance: PlacementInstance): PlacementInstance => ({
  ...instance,
  movesMax: Number.POSITIVE_INFINITY,
  nodeMovesMax: Number.POSITIVE_INFINITY,
  bytesMovedMax: Number.POSITIVE_INFINITY,
});
