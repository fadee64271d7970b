import type { LoadDimension } from '../../model/load-profile.ts';
import type { PlacementState } from '../cost-model.ts';
import type { PlacementInstance } from '../instance.ts';
import { movePriceTo } from '../move-price.ts';
import type { PlannedMove } from '../timetable/problem.ts';
import { type ReliefSettings, zoneOf } from './settings.ts';

/** A node outside its comfort zone. */
export interface Stress {
  readonly node: number;
  readonly resource: number;
  /** Measured in the last window. */
  readonly utilisation: number;
  readonly high: number;
}

export interface ReliefMove extends PlannedMove {
  readonly stress: Stress;
  /** Of the source and the target in the last window, if it had been there. */
  readonly sourceAfter: number;
  readonly targetAfter: number;
  readonly gain: number;
  readonly price: number;
}

export interface ReliefTerms {
  readonly relief: ReliefSettings;
  readonly benefitCostRatio: number;
}

/** Slot 0 of a measured instance is the last window. */
const NOW = 0;

/**
 * Nodes that were above their comfort zone in the last window, the most stressed first.
 *
 * @param nodeIds the others are left as they are; all without it.
 */
export function stressedNodes(
  state: PlacementState,
  dimensions: readonly LoadDimension[],
  settings: ReliefSettings,
  nodeIds?: ReadonlySet<number>,
): Stress[] {
  const found: Stress[] = [];
  for (let node = 0; node < state.instance.nodeCount; node++) {
    if (nodeIds?.has(node) === false) continue;
    dimensions.forEach((dimension, resource) => {
      const { high } = zoneOf(settings, node, dimension);
      const utilisation = state.utilisation(node, resource, NOW, 0);
      if (utilisation > high) found.push({ node, resource, utilisation, high });
    });
  }
  return found.sort((a, b) => b.utilisation - b.high - (a.utilisation - a.high) || a.node - b.node);
}

/**
 * Moves that bring stressed nodes back into their comfort zone now: the one that lowers the objective most, over and over,
 * until the node is `margin` below the high end of its zone, or nothing pays.
 *
 * What keeps it from thrashing: only stressed nodes give anything away; a target stays `margin` below the high end of its
 * own zone in every hour of the last day, or where it was above that already, gets no fuller there; a move earns
 * `benefitCostRatio` times its price on the load of the whole day, not of the hour that is hot.
 *
 * @param state on the load of the last day, its last window first, with the moves that begin now carried out; changed.
 * @param stresses as {@link stressedNodes}.
 */
export function relieve(
  state: PlacementState,
  stresses: readonly Stress[],
  dimensions: readonly LoadDimension[],
  { relief: settings, benefitCostRatio }: ReliefTerms,
): ReliefMove[] {
  const moves: ReliefMove[] = [];
  for (const stress of stresses) {
    const { node, resource, high } = stress;
    while (
      moves.length < settings.movesMax &&
      state.utilisation(node, resource, NOW, 0) > high - settings.margin
    ) {
      const best = bestRelief(state, stress, { dimensions, settings, benefitCostRatio });
      if (best === null) break;
      state.move(best.partition, best.target);
      moves.push({
        ...best,
        source: node,
        stress,
        sourceAfter: state.utilisation(node, resource, NOW, 0),
        targetAfter: state.utilisation(best.target, resource, NOW, 0),
      });
    }
  }
  return moves;
}

function bestRelief(
  state: PlacementState,
  { node, resource }: Stress,
  options: {
    readonly dimensions: readonly LoadDimension[];
    readonly settings: ReliefSettings;
    readonly benefitCostRatio: number;
  },
): { partition: number; target: number; gain: number; price: number } | null {
  const { instance } = state;
  const { partitionCount, nodeCount, depth, slotStride, load, home } = instance;
  let best: { partition: number; target: number; gain: number; price: number } | null = null;
  let marginMax = 0;
  for (let p = 0; p < partitionCount; p++) {
    // Somebody who has just been told to go does not go on.
    if (state.ownerOf[p] !== node || home[p] !== node) continue;
    if ((load[p * depth + resource * slotStride + NOW] as number) === 0) continue;
    for (let target = 0; target < nodeCount; target++) {
      if (target === node || !state.canMove(p, target)) continue;
      if (!isComfortable(state, p, target, options)) continue;
      const gain = -state.loadDelta(p, target);
      const price = movePriceTo(instance, p, target);
      const margin = gain - options.benefitCostRatio * price;
      if (margin <= marginMax) continue;
      marginMax = margin;
      best = { partition: p, target, gain, price };
    }
  }
  return best;
}

/** Whether `target` with `partition` stays in its zone in every hour of the last day in which the partition would add to it. */
function isComfortable(
  state: PlacementState,
  partition: number,
  target: number,
  {
    dimensions,
    settings,
  }: { readonly dimensions: readonly LoadDimension[]; readonly settings: ReliefSettings },
): boolean {
  const { slotCount, slotStride, depth, resourceCount, load, capacity }: PlacementInstance = state.instance;
  return dimensions.every((dimension, r) => {
    const own = capacity[target * resourceCount + r] as number;
    const most = zoneOf(settings, target, dimension).high - settings.margin;
    for (let t = 0; t < slotCount; t++) {
      const added = (load[partition * depth + r * slotStride + t] as number) / own;
      if (added > 0 && state.utilisation(target, r, t, 0) + added > most) return false;
    }
    return true;
  });
}
