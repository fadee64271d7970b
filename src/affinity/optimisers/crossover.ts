import type { Random } from '../../base/random.ts';
import type { Sliced } from '../../base/slices.ts';
import { PlacementState } from '../cost-model.ts';
import type { PlacementInstance } from '../instance.ts';

/**
 * A child of two maps: where they agree it is like both, elsewhere each partition follows one of them by the toss of a coin.
 * Repair: what the rules then forbid stays home. So a child differs from its parents only where they differ from each other,
 * or home.
 *
 * @see Syswerda, "Uniform crossover in genetic algorithms", 1989
 * @returns the child, and the partitions the parents disagree on.
 */
export function* crossing(
  instance: PlacementInstance,
  parents: { readonly first: Int32Array; readonly second: Int32Array },
  random: Random,
): Sliced<{ child: PlacementState; disputed: number[] }> {
  const { first, second } = parents;
  const disputed: number[] = [];
  const suggested = first.slice();
  for (let p = 0; p < instance.partitionCount; p++) {
    if (first[p] === second[p]) continue;
    disputed.push(p);
    if (random.nextFloat() < 0.5) suggested[p] = second[p] as number;
  }
  return { child: yield* movingLegally(instance, suggested), disputed };
}

/** Moves between two rests: a fraction of a millisecond at 24 slots. */
const MOVES_BETWEEN_RESTS = 64;

/** Carries the moves out from home in any order that the rules allow; what cannot be carried out stays home. */
export function* movingLegally(instance: PlacementInstance, suggested: Int32Array): Sliced<PlacementState> {
  const state = yield* PlacementState.building(instance);
  let open = [...suggested.keys()].filter((p) => suggested[p] !== instance.home[p]);
  let tried = 0;
  for (let before = -1; open.length !== before; ) {
    before = open.length;
    const refused: number[] = [];
    for (const p of open) {
      if (++tried % MOVES_BETWEEN_RESTS === 0) yield;
      const target = suggested[p] as number;
      if (state.canMove(p, target)) state.move(p, target);
      else refused.push(p);
    }
    open = refused;
  }
  return state;
}

/** Gains below this are rounding. */
const GAIN_MIN = 1e-12;

/**
 * Moves each of the partitions to where it costs least, in turn, until none gains or so many turns are over. The state is
 * whole at every yield.
 *
 * @returns moves made.
 */
export function* settling(
  state: PlacementState,
  partitions: readonly number[],
  turnsMax: number,
): Sliced<number> {
  let moves = 0;
  for (let turn = 0; turn < turnsMax; turn++) {
    const before = moves;
    for (const p of partitions) {
      yield;
      const target = cheapestNode(state, p);
      if (target < 0) continue;
      state.move(p, target);
      moves++;
    }
    if (moves === before) break;
  }
  return moves;
}

/** Where the move of p gains most; -1 if no legal move gains. */
function cheapestNode(state: PlacementState, p: number): number {
  let target = -1;
  let deltaMin = -GAIN_MIN;
  for (let n = 0; n < state.instance.nodeCount; n++) {
    if (n === state.ownerOf[p] || !state.canMove(p, n)) continue;
    const delta = state.moveDelta(p, n);
    if (delta < deltaMin) {
      deltaMin = delta;
      target = n;
    }
  }
  return target;
}
