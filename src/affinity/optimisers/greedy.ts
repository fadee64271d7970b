import { atOnce, CANCELLED, paced, type Sliced, unlessCancelled } from '../../base/slices.ts';
import { PlacementState } from '../cost-model.ts';
import { DeltaCache } from '../delta-cache.ts';
import type { PlacementInstance } from '../instance.ts';
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
export const descend = (instance: PlacementInstance, start: Int32Array, stepsMax?: number): Descent =>
  atOnce(descending(instance, start, { ...(stepsMax === undefined ? {} : { stepsMax }) }));

export interface Descent {
  readonly ownerOf: Int32Array;
  readonly steps: number;
}

/** Additions between two yields: a tenth of a millisecond, and with the questions of who may go a few. */
const CELLS_OF_SLICE = 10_000;

/**
 * {@link descend} in slices.
 *
 * @param options.isCancelled asked at every yield; once it is true, the map so far is the result.
 */
export function* descending(
  instance: PlacementInstance,
  start: Int32Array,
  options: { readonly stepsMax?: number; readonly isCancelled?: (() => boolean) | undefined } = {},
): Sliced<Descent> {
  const { stepsMax = 4 * instance.partitionCount, isCancelled } = options;
  const state = yield* unlessCancelled(PlacementState.building(instance, start), isCancelled);
  if (state === CANCELLED) return { ownerOf: start.slice(), steps: 0 };
  const deltas = new DeltaCache(state, state.instance.nodeCount);
  const { nodeCount } = instance;
  // A node that found nothing to give stays settled until something it could use has changed: any move unsettles all.
  const isSettled = new Uint8Array(nodeCount);
  let steps = 0;
  while (steps < stepsMax) {
    const node = hottestUnsettled(state, isSettled);
    if (node < 0) break;
    const found = yield* bestMoveFrom(state, deltas, { node, step: steps, isCancelled });
    yield;
    if (isCancelled?.()) break;
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

/** Of nodes to be emptied the costliest, then of all: what they are called decides nothing. */
function hottestUnsettled(state: PlacementState, isSettled: Uint8Array): number {
  const { nodeCount, holdPenalty } = state.instance;
  let hottest = -1;
  let costMax = Number.NEGATIVE_INFINITY;
  let isDraining = false;
  for (let n = 0; n < nodeCount; n++) {
    if (isSettled[n] === 1) continue;
    const cost = state.nodeCost(n);
    const isDrained = (holdPenalty[n] as number) > 0;
    if (isDrained === isDraining ? cost <= costMax : isDraining) continue;
    costMax = cost;
    isDraining = isDrained;
    hottest = n;
  }
  return hottest;
}

function* bestMoveFrom(
  state: PlacementState,
  deltas: DeltaCache,
  {
    node,
    step,
    isCancelled,
  }: { readonly node: number; readonly step: number; readonly isCancelled: (() => boolean) | undefined },
): Sliced<{ partition: number; target: number } | null> {
  const { partitionCount, nodeCount, depth } = state.instance;
  const partitionsOfSlice = Math.ceil(CELLS_OF_SLICE / (nodeCount * depth));
  let looked = 0;
  let best: { partition: number; target: number } | null = null;
  let deltaMin = -GAIN_MIN;
  for (let p = 0; p < partitionCount; p++) {
    if (state.ownerOf[p] !== node || state.instance.isMovable[p] === 0) continue;
    if (++looked % partitionsOfSlice === 0) {
      yield;
      if (isCancelled?.()) return null;
    }
    if (-deltas.leaveGain(p, step) + leastPriceOf(state, p) >= deltaMin) continue;
    for (let n = 0; n < nodeCount; n++) {
      if (n === node) continue;
      const delta = deltas.moveDelta(p, n, step);
      // Whether it may go is the dearer question: room at the quantile is asked of every slot.
      if (delta < deltaMin && state.canMove(p, n)) {
        deltaMin = delta;
        best = { partition: p, target: n };
      }
    }
  }
  return best;
}

/**
 * Prices and penalties change by no less if a partition goes elsewhere: most partitions carry too little to earn that, and their
 * targets need not be looked at. -Infinity where a breach may be mended, a peak lowered, or a price saved.
 */
function leastPriceOf({ instance, ownerOf }: PlacementState, p: number): number {
  const { home, movePrice, groupOf, stayPenalty, spreadPenalty, holdPenalty, peakWeight } = instance;
  const owner = ownerOf[p] as number;
  const isCalm =
    peakWeight === 0 &&
    owner === home[p] &&
    (groupOf[p] as number) < 0 &&
    stayPenalty[p] === 0 &&
    spreadPenalty[p] === 0 &&
    holdPenalty[owner] === 0;
  return isCalm ? (movePrice[p] as number) : Number.NEGATIVE_INFINITY;
}

export const greedy: Optimiser = {
  name: 'greedy',
  async optimise(instance, start, { clock, isCancelled }) {
    const work = descending(instance, start, { isCancelled: isCancelled && (() => isCancelled()) });
    const { ownerOf, steps } = await paced(work, clock && { clock });
    return { ownerOf, iterations: steps };
  },
};
