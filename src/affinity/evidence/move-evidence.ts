import { asNodeId, asPartitionId } from '../../model/ids.ts';
import type { FrontierPoint, MoveEvidence, NodeMoment } from '../../model/proposal-evidence.ts';
import { PlacementState } from '../cost-model.ts';
import type { PlacementInstance } from '../instance.ts';
import { movePriceTo } from '../move-price.ts';
import { orderMoves } from '../order-moves.ts';
import { phi } from '../phi.ts';
import { groupsOf } from '../rules/rule-state.ts';
import type { PlannedMove } from '../timetable/problem.ts';
import type { Horizon } from './utilisation-table.ts';

/** @param lower the same instance with load at the lower bound of the forecast. */
export function explainMoves(
  instance: PlacementInstance,
  moves: readonly PlannedMove[],
  context: Horizon & { readonly lower: PlacementInstance; readonly skill: Float64Array },
): MoveEvidence[] {
  const home = new PlacementState(instance);
  const now = new PlacementState(instance);
  const ownerOf = instance.home.slice();
  for (const { partition, target } of moves) ownerOf[partition] = target;
  const finalLower = new PlacementState(context.lower, ownerOf);
  return moves.map((move, i): MoveEvidence => {
    const { partition, source, target } = move;
    const relief = mostRelief(now, move, context);
    const after = neededBefore(now, move, moves.slice(0, i));
    now.move(partition, target);
    const skill = context.skill[partition] as number;
    return {
      partitionId: asPartitionId(partition),
      relief,
      gainAlone: -home.loadDelta(partition, target),
      gainLower: finalLower.loadDelta(partition, source),
      after: after.map(asPartitionId),
      skill: Number.isNaN(skill) ? null : skill,
    };
  });
}

/** The slot and resource in which leaving relieves the source most. */
function mostRelief(now: PlacementState, { partition, source }: PlannedMove, horizon: Horizon): NodeMoment {
  const { instance } = now;
  const { slotCount, slotStride, depth, resourceCount, capacity, load } = instance;
  let best = { relief: Number.NEGATIVE_INFINITY, r: 0, t: 0, utilisation: 0 };
  for (let r = 0; r < resourceCount; r++)
    for (let t = 0; t < slotCount; t++) {
      const utilisation = now.utilisation(source, r, t);
      const share =
        (load[partition * depth + r * slotStride + t] as number) /
        (capacity[source * resourceCount + r] as number);
      const relief = phi(utilisation) - phi(Math.max(0, utilisation - share));
      if (relief > best.relief) best = { relief, r, t, utilisation };
    }
  return {
    nodeId: asNodeId(source),
    dimension: horizon.dimensions[best.r] as Horizon['dimensions'][number],
    atMs: horizon.startMs + best.t * horizon.stepMs,
    utilisation: best.utilisation,
  };
}

/**
 * Of the moves before it those that make room on its target, and without which it would be refused or do harm; and those by whose
 * arrival its source is overloaded so that it may share, or its group is in zones enough without it, without which it would be refused.
 *
 * As few as are enough: the others are taken back one after the other, the latest first, and stay so. Where either of two makes
 * room, neither is missed as long as the other is there, and yet one of them has to go before.
 */
export function neededBefore(
  now: PlacementState,
  { partition, source, target }: PlannedMove,
  before: readonly PlannedMove[],
): number[] {
  const needed: PlannedMove[] = [];
  const takenBack: PlannedMove[] = [];
  const groups = groupsOf(now.instance, partition);
  // Of an exchange the first is refused until the others have gone: nothing before it can help that.
  const isAllowed = now.canMove(partition, target);
  for (const earlier of [...before].reverse()) {
    const makesRoom = earlier.source === target;
    const isOfGroup = groups.some((group) => groupsOf(now.instance, earlier.partition).includes(group));
    if (!makesRoom && !isOfGroup && earlier.target !== source) continue;
    now.move(earlier.partition, earlier.source);
    const isRefused = isAllowed && !now.canMove(partition, target);
    const isMissed = isRefused || (makesRoom && now.loadDelta(partition, target) > 0);
    if (isMissed) now.move(earlier.partition, earlier.target);
    (isMissed ? needed : takenBack).unshift(earlier);
  }
  for (const earlier of takenBack) now.move(earlier.partition, earlier.target);
  return needed.map((move) => move.partition);
}

/** The cheapest plans of 0, 1, 2 … moves among those of the plan: the most useful first. */
export function frontierOf(instance: PlacementInstance, moves: readonly PlannedMove[]): FrontierPoint[] {
  const ownerOf = instance.home.slice();
  for (const { partition, target } of moves) ownerOf[partition] = target;
  const state = new PlacementState(instance);
  const points: FrontierPoint[] = [{ moveCount: 0, sizeBytes: 0, cost: state.cost(), price: 0 }];
  let sizeBytes = 0;
  let price = 0;
  for (const p of orderMoves(instance, ownerOf).order) {
    const target = ownerOf[p] as number;
    state.move(p, target);
    sizeBytes += instance.bytes[p] as number;
    price += movePriceTo(instance, p, target);
    points.push({ moveCount: points.length, sizeBytes, cost: state.cost(), price });
  }
  return points;
}
