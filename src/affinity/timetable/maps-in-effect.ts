import { PlacementState } from '../cost-model.ts';
import { neededBefore } from '../evidence/move-evidence.ts';
import { fullCells } from '../exchange.ts';
import type { PlacementInstance } from '../instance.ts';
import type { PlannedMove, ScheduledMove, TimetableProblem } from './problem.ts';

/**
 * Whether no node is above its capacity, or above what it has at home where that is more, in any slot, with each partition where
 * it is at the time: when each move ends as planned, and when each begins as soon as its hour has come, those that make its room
 * have gone, and a place for its copy is free. A last look at the whole, by plain sums: nothing that lets a single move
 * overload its target counts here.
 *
 * Moves each of which keeps the capacities for the whole horizon are not looked at: they are no exchange.
 *
 * @param moves in order of time.
 */
export function keepsCapacities(problem: TimetableProblem, moves: readonly ScheduledMove[]): boolean {
  const state = new PlacementState(problem.instance);
  const isExchange = moves.some(({ partition, target }) => {
    const isRefused = !state.canMove(partition, target);
    state.move(partition, target);
    return isRefused;
  });
  if (!isExchange) return true;
  const makers = roomMakers(problem.instance, moves);
  return (
    keepsThemWithEnds(problem, moves, plannedEnds(problem, moves, makers)) &&
    keepsThemWithEnds(problem, moves, endsInTurn(problem, moves, makers))
  );
}

/** @param ends of each move, slots from the start of the horizon. */
function keepsThemWithEnds(
  { instance }: TimetableProblem,
  moves: readonly ScheduledMove[],
  ends: readonly number[],
): boolean {
  const state = new PlacementState(instance);
  const touched = new Set<number>();
  const byEnd = [...moves.keys()].sort((a, b) => (ends[a] as number) - (ends[b] as number));
  return byEnd.every((index, k) => {
    const { partition, source, target } = moves[index] as ScheduledMove;
    state.move(partition, target);
    touched.add(source).add(target);
    const first = Math.floor(ends[index] as number);
    const next = byEnd[k + 1];
    const last = next === undefined ? instance.slotCount : Math.ceil(ends[next] as number) - 1;
    return [...touched].every((node) =>
      fullCells(state, node).every((cell) => {
        const slot = cell % instance.slotStride;
        return slot < first || slot > last;
      }),
    );
  });
}

/** Of each move the ranks of those that have to go before it. */
function roomMakers(instance: PlacementInstance, moves: readonly PlannedMove[]): (readonly number[])[] {
  const now = new PlacementState(instance);
  const rankOf = new Map(moves.map(({ partition }, rank) => [partition, rank]));
  return moves.map((move, rank) => {
    const needed = neededBefore(now, move, moves.slice(0, rank));
    now.move(move.partition, move.target);
    return needed.map((partition) => rankOf.get(partition) as number);
  });
}

/** When each ends as planned, slots from the start of the horizon; within a slot after those that make its room. */
function plannedEnds(
  { slotSeconds }: TimetableProblem,
  moves: readonly ScheduledMove[],
  makers: readonly (readonly number[])[],
): number[] {
  const ends: number[] = [];
  for (const [rank, { endSlot, endShare, seconds }] of moves.entries()) {
    const after = (makers[rank] as readonly number[]).map((maker) => ends[maker] as number);
    ends.push(Math.max(endSlot + endShare, Math.max(0, ...after) + seconds / slotSeconds));
  }
  return ends;
}

/** When each would end, slots from the start of the horizon, if all are begun in turn and as soon as they may. */
function endsInTurn(
  { instance, slotSeconds, copiesPerNodeMax, copiesMax }: TimetableProblem,
  moves: readonly ScheduledMove[],
  makers: readonly (readonly number[])[],
): number[] {
  const places = (count: number): Float64Array[] =>
    Array.from({ length: count }, () => new Float64Array(copiesPerNodeMax));
  const outgoing = places(instance.nodeCount);
  const incoming = places(instance.nodeCount);
  const inCluster = new Float64Array(copiesMax);
  const ends: number[] = [];
  for (const [rank, { source, target, startSlot, seconds }] of moves.entries()) {
    const after = (makers[rank] as readonly number[]).map((maker) => ends[maker] as number);
    const taken = [outgoing[source] as Float64Array, incoming[target] as Float64Array, inCluster];
    const begin = Math.max(startSlot, ...after, ...taken.map((free) => Math.min(...free)));
    const end = begin + seconds / slotSeconds;
    for (const free of taken) free[free.indexOf(Math.min(...free))] = end;
    ends.push(end);
  }
  return ends;
}
