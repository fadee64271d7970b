import { PlacementState } from './cost-model.ts';
import type { PlacementInstance } from './instance.ts';
import type { Optimiser } from './optimiser.ts';

/** Gains below this are rounding. */
const GAIN_MIN = 1e-12;

/**
 * Hot-first descent: the costliest node gives away the partition whose move gains most, until no node can gain. Nodes to
 * be emptied come first, since their penalty is part of their cost.
 *
 * @param stepsMax one partition can move more than once, so a limit ends it: every step lowers the cost, but in theory by
 *   ever less.
 */
export function descend(
  instance: PlacementInstance,
  start: Int32Array,
  stepsMax = 4 * instance.partitionCount,
): { ownerOf: Int32Array; steps: number } {
  const state = new PlacementState(instance, start);
  const deltas = new DeltaCache(state);
  const { nodeCount } = instance;
  // A node that found nothing to give stays settled until something it could use has changed: any move unsettles all.
  const isSettled = new Uint8Array(nodeCount);
  let steps = 0;
  while (steps < stepsMax) {
    const node = hottestUnsettled(state, isSettled);
    if (node < 0) break;
    const found = bestMoveFrom(state, deltas, node, steps);
    if (found === null) {
      isSettled[node] = 1;
      continue;
    }
    state.move(found.partition, found.target);
    deltas.noteMove(found.partition, node, found.target, steps);
    isSettled.fill(0);
    steps++;
  }
  return { ownerOf: state.ownerOf, steps };
}

function hottestUnsettled(state: PlacementState, isSettled: Uint8Array): number {
  const { nodeCount, holdPenalty } = state.instance;
  let hottest = -1;
  let costMax = Number.NEGATIVE_INFINITY;
  for (let n = 0; n < nodeCount; n++) {
    if (isSettled[n] === 1) continue;
    const cost = (holdPenalty[n] as number) > 0 ? Number.MAX_VALUE : state.nodeCost(n);
    if (cost > costMax) {
      costMax = cost;
      hottest = n;
    }
  }
  return hottest;
}

/**
 * What leaving its node and joining another would change, for each partition and node, kept while neither node changes: a
 * step changes two nodes, so that most of what was computed for the last step still holds.
 */
class DeltaCache {
  readonly #state: PlacementState;
  /** Steps so far when a node last changed. */
  readonly #changedAt: Int32Array;
  readonly #leave: Float64Array;
  readonly #leaveAt: Int32Array;
  /** [partition][node] */
  readonly #join: Float64Array;
  readonly #joinAt: Int32Array;

  constructor(state: PlacementState) {
    const { partitionCount, nodeCount } = state.instance;
    this.#state = state;
    this.#changedAt = new Int32Array(nodeCount);
    this.#leave = new Float64Array(partitionCount);
    this.#leaveAt = new Int32Array(partitionCount).fill(-1);
    this.#join = new Float64Array(partitionCount * nodeCount);
    this.#joinAt = new Int32Array(partitionCount * nodeCount).fill(-1);
  }

  /** PlacementState.moveDelta. */
  moveDelta(partition: number, node: number, step: number): number {
    const { nodeCount } = this.#state.instance;
    const source = this.#state.ownerOf[partition] as number;
    const at = partition * nodeCount + node;
    if ((this.#leaveAt[partition] as number) < (this.#changedAt[source] as number)) {
      this.#leave[partition] = this.#state.leaveDelta(partition);
      this.#leaveAt[partition] = step;
    }
    if ((this.#joinAt[at] as number) < (this.#changedAt[node] as number)) {
      this.#join[at] = this.#state.joinDelta(partition, node);
      this.#joinAt[at] = step;
    }
    return (
      (this.#leave[partition] as number) + (this.#join[at] as number) + this.#state.ruleDelta(partition, node)
    );
  }

  /** A partition has gone from one to the other in `step`; what was computed before it no longer holds for them. */
  noteMove(partition: number, source: number, target: number, step: number): void {
    this.#changedAt[source] = step + 1;
    this.#changedAt[target] = step + 1;
    this.#leaveAt[partition] = -1;
  }
}

function bestMoveFrom(
  state: PlacementState,
  deltas: DeltaCache,
  node: number,
  step: number,
): { partition: number; target: number } | null {
  const { partitionCount, nodeCount } = state.instance;
  let best: { partition: number; target: number } | null = null;
  let deltaMin = -GAIN_MIN;
  for (let p = 0; p < partitionCount; p++) {
    if (state.ownerOf[p] !== node) continue;
    for (let n = 0; n < nodeCount; n++) {
      if (n === node || !state.canMove(p, n)) continue;
      const delta = deltas.moveDelta(p, n, step);
      if (delta < deltaMin) {
        deltaMin = delta;
        best = { partition: p, target: n };
      }
    }
  }
  return best;
}

export const greedy: Optimiser = {
  name: 'greedy',
  optimise(instance, start) {
    const { ownerOf, steps } = descend(instance, start);
    return Promise.resolve({ ownerOf, iterations: steps });
  },
};
