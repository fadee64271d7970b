import { PlacementState } from '../cost-model.ts';
import { type Excess, stillFull } from '../exchange.ts';
import { arrivalAfter, type Candidate, inTimeOrder, type Placed } from './candidate.ts';
import type { TimetableProblem } from './problem.ts';

/** A node above its limit since a move has arrived. */
interface PassingExcess extends Excess {
  readonly since: Placed;
}

/**
 * The first move, in order of time, whose map with those before it breaks a rule or is worse than the present one: so that
 * whoever stops after any move, or loses the rest of the plan, has lost nothing.
 *
 * Costs and rules are judged as if the map were kept for the whole horizon, capacity by the map in effect in each slot: a node
 * may be above its limit in slots that come only when a later move has ended that (`exchange.ts`).
 *
 * @param mayExchange false: in no slot may it.
 */
export function firstBadPrefix(
  { instance, slotSeconds }: TimetableProblem,
  candidates: readonly Candidate[],
  mayExchange: boolean,
): Candidate | null {
  const state = new PlacementState(instance);
  const atStart = state.cost();
  // What rounding may add over as many moves.
  const costMax = atStart + 1e-9 * Math.abs(atStart);
  let excess: readonly PassingExcess[] = [];
  for (const candidate of inTimeOrder(candidates)) {
    const cells = state.excessWith(candidate.partition, candidate.target, excess);
    if (cells === null || (!mayExchange && cells.length > 0)) return candidate;
    state.move(candidate.partition, candidate.target);
    if (state.cost() > costMax) return candidate;
    const left = stillFull(state, excess);
    for (const over of excess) {
      if (left.includes(over)) continue;
      const slot = over.cell % instance.slotStride;
      const isInEffect =
        slot >= over.since.run.endSlot && slot <= arrivalAfter(over.since.run, candidate.run, slotSeconds);
      if (isInEffect) return over.since;
    }
    excess = [...left, ...cells.map((cell) => ({ node: candidate.target, cell, since: candidate }))];
  }
  return excess[0]?.since ?? null;
}

/** The last start of a move that was planned before `bad` and starts after it; 0 when there is none. */
export const lastStartBefore = (bad: Candidate, candidates: readonly Candidate[]): number =>
  candidates.reduce((last, { order, run }) => {
    const isPlannedBefore = order < bad.order && run !== null && run.startSlot > (bad.run?.startSlot ?? 0);
    return isPlannedBefore ? Math.max(last, run.startSlot) : last;
  }, 0);
