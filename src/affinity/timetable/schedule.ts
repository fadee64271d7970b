import { PlacementState } from '../cost-model.ts';
import type { PlacementInstance } from '../instance.ts';
import { type Candidate, endOf, inTimeOrder, NO_PRICE, type Placed } from './candidate.ts';
import { type Group, groupsOf, singles } from './groups.ts';
import { Places } from './places.ts';
import { firstBadPrefix, lastStartBefore } from './prefixes.ts';
import {
  type PlannedMove,
  priceSum,
  type ScheduledMove,
  type Timetable,
  type TimetableProblem,
} from './problem.ts';
import { Scheduler } from './scheduler.ts';
import { type RelievingMove, Timeline } from './timeline.ts';

/**
 * Gives each move the slot in which it costs least: what its copy and its fence cost at that hour, plus the relief that is
 * missed by arriving later. A partition's load is on its source until its migration ends.
 *
 * All begin as early as they can, in the given order; then each is given a better start among all the others, in rounds,
 * until none changes: coordinate descent, which lowers the cost at every change. (Begun with the first move alone, it ends
 * in plans that are dearer than doing everything at once: a move that is no use before its fellows waits, and so do they.) Moves that find no place, or arrive too late to be
 * worth their price, or whose map would be worse than the present one when it is reached, or which a later cycle would take
 * back (`replay.ts`), are left out, each with a code. Moves of an exchange get their hours together.
 * O(rounds x moves x slots x resources).
 *
 * @param moves in the order in which they are most useful.
 * @param keptSlots i32[move]: the start that the last plan gave it, -1 where there was none; it stays unless another one is
 *   cheaper by `startKeepShare` of the move's price.
 * @param benefitCostRatio so many times its price the way back has to earn to be taken; without it none is looked at.
 * @param mayExchange false: each move keeps all capacities by itself.
 */
export function schedule(
  problem: TimetableProblem,
  moves: readonly PlannedMove[],
  options: {
    readonly keptSlots?: Int32Array;
    readonly startKeepShare?: number;
    readonly benefitCostRatio?: number;
    readonly mayExchange?: boolean;
  } = {},
): Timetable {
  const timeline = new Timeline(problem.instance);
  const atHome = new PlacementState(problem.instance);
  const penaltiesAtHome = atHome.cost() - atHome.loadCost();
  const costStay = timeline.loadCost() + penaltiesAtHome;
  const places = new Places(problem);
  const candidates = withReliefs(problem.instance, moves).map(
    (move, order): Candidate => ({
      ...move,
      order,
      keptSlot: options.keptSlots?.[order] ?? -1,
      firstSlot: 0,
      run: null,
      price: NO_PRICE,
      gain: 0,
      code: null,
    }),
  );
  const scheduler = new Scheduler(problem, timeline, places, options.startKeepShare ?? 0);
  const { mayExchange = true } = options;
  const groups = mayExchange ? groupsOf(problem.instance, candidates) : singles(candidates);
  for (const group of groups) scheduler.place(group, 'early');
  scheduler.settle(groups);
  // Ends: a move waits for others at most once, and is left out at most once.
  for (;;) {
    const worst = scheduler.leastWorthwhile(groups, candidates);
    const bad = worst === null ? firstBadPrefix(problem, candidates, mayExchange) : null;
    const returning =
      worst === null && bad === null ? scheduler.firstTakenBack(candidates, options.benefitCostRatio) : null;
    if (worst !== null) for (const member of worst) scheduler.leaveOut(member, 'gain-too-late');
    else if (bad !== null) {
      const { members } = groups.find((group) => group.members.includes(bad)) as Group;
      const first = members[0] as Candidate;
      const firstSlot = lastStartBefore(bad, candidates);
      if (firstSlot > 0 && first.firstSlot === 0) first.firstSlot = firstSlot;
      else for (const member of members) scheduler.leaveOut(member, 'prefix');
    } else if (returning !== null) scheduler.leaveOut(returning, 'taken-back');
    else break;
    scheduler.settle(groups);
  }
  // Afresh: the sums of the search depend on its way, and the same plan has to give the same bytes.
  const final = new Timeline(problem.instance);
  for (const { partition, source, target, run } of inTimeOrder(candidates))
    final.shift(partition, source, target, endOf(run));
  new Scheduler(problem, final, places, 0).measure(candidates);
  return {
    moves: inTimeOrder(candidates).map(asScheduled),
    leftOut: candidates.flatMap(({ partition, source, target, code }) =>
      code === null ? [] : [{ partition, source, target, code }],
    ),
    cost: penaltiesAtHome + timelineCost(problem, final, candidates),
    costStay,
  };
}

const asScheduled = ({ partition, source, target, run, price, gain }: Placed): ScheduledMove => ({
  partition,
  source,
  target,
  startSlot: run.startSlot,
  endSlot: run.endSlot,
  endShare: run.endShare,
  seconds: run.seconds,
  bytesPerSecond: run.bytesPerSecond,
  price,
  gain,
});

/** Penalties of groups belong to no single move: each gets what it mends on the map that the moves before it leave. */
function withReliefs(instance: PlacementInstance, moves: readonly PlannedMove[]): RelievingMove[] {
  const state = new PlacementState(instance);
  return moves.map((move) => {
    const relief = state.penaltyRelief(move.partition, move.target);
    state.move(move.partition, move.target);
    return { ...move, relief };
  });
}

/** Loads, prices, and what the moves mend. */
function timelineCost(
  { instance }: TimetableProblem,
  timeline: Timeline,
  candidates: readonly Candidate[],
): number {
  let cost = timeline.loadCost();
  for (const candidate of inTimeOrder(candidates)) {
    const { run, price } = candidate;
    const shareAway = (instance.slotCount - run.endSlot - run.endShare) / instance.slotCount;
    cost += priceSum(price) - shareAway * candidate.relief;
  }
  return cost;
}
