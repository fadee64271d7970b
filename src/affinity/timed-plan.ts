import { withRaisedPrices } from './move-price.ts';
import { finishPlan, type InstancePlan } from './plan-instance.ts';
import type { RememberedMove } from './plan-memory.ts';
import { keepsCapacities } from './timetable/maps-in-effect.ts';
import type {
  PlannedMove,
  PriceParts,
  ScheduledMove,
  Timetable,
  TimetableProblem,
} from './timetable/problem.ts';
import { schedule } from './timetable/schedule.ts';
import { joinUnits, type UnitInstance } from './units.ts';

/** A map, and the hours in which its moves are done; of partitions, not of units. */
export interface TimedPlan {
  readonly ownerOf: Int32Array;
  /** In order of time. */
  readonly moves: readonly ScheduledMove[];
  readonly leftOut: Timetable['leftOut'];
  /** The objective with each partition where it is at the time. */
  readonly cost: number;
}

/**
 * Gives the moves of a plan their hours. Those that find none go home, and with them whatever pays only beside them. Where an
 * exchange turns out to bring a node above its capacity at any time, all is done again without exchanges.
 *
 * @param problem of units: the members of one start together.
 */
export function timePlan(
  problem: TimetableProblem,
  { instance, membersOf, split }: UnitInstance,
  plan: InstancePlan,
  options: {
    readonly benefitCostRatio: number;
    /** Their starts are kept where they are still good. */
    readonly lastMoves: readonly RememberedMove[];
    readonly startKeepShare: number;
  },
): TimedPlan {
  const raised = withRaisedPrices(instance, options.benefitCostRatio);
  const leftOut: Timetable['leftOut'][number][] = [];
  const ofMembers = <Planned extends PlannedMove>(moves: readonly Planned[]): Planned[] =>
    moves.flatMap((move) => shared(move, membersOf[move.partition] as readonly number[]));
  let { order, ownerOf } = inUnits(plan, membersOf, instance.home);
  let mayExchange = true;
  // Each round has fewer moves than the one before, or is the first without exchanges.
  for (;;) {
    const planned = order.map((unit): PlannedMove => {
      return { partition: unit, source: instance.home[unit] as number, target: ownerOf[unit] as number };
    });
    const keptSlots = Int32Array.from(planned, ({ partition: unit, target }) =>
      keptSlot(problem, options.lastMoves, { partition: membersOf[unit]?.[0] as number, target }),
    );
    const { startKeepShare, benefitCostRatio } = options;
    const timetable = schedule(problem, planned, {
      keptSlots,
      startKeepShare,
      benefitCostRatio,
      mayExchange,
    });
    leftOut.push(...ofMembers(timetable.leftOut));
    // Together late moves may gain less than each of them beside the others.
    const isWorthIt = timetable.cost < timetable.costStay;
    const moves = isWorthIt ? timetable.moves : [];
    const left = finishPlan(instance, raised, mapOf(instance.home, moves), { mayExchange });
    const isDone = left.order.length === moves.length;
    if (isDone && mayExchange && !keepsCapacities(problem, moves)) {
      mayExchange = false;
      leftOut.length = 0;
      const whole = inUnits(plan, membersOf, instance.home);
      ({ order, ownerOf } = finishPlan(instance, raised, whole.ownerOf, { mayExchange }));
      continue;
    }
    if (isDone)
      return {
        ownerOf: split(left.ownerOf),
        moves: ofMembers(moves),
        leftOut,
        cost: isWorthIt ? timetable.cost : timetable.costStay,
      };
    ({ order, ownerOf } = left);
  }
}

function inUnits(
  plan: InstancePlan,
  membersOf: UnitInstance['membersOf'],
  home: Int32Array,
): Pick<InstancePlan, 'order' | 'ownerOf'> {
  const unitOf = new Map(membersOf.flatMap((members, unit) => members.map((p) => [p, unit] as const)));
  const order = [...new Set(plan.order.map((p) => unitOf.get(p) as number))];
  return { order, ownerOf: joinUnits(membersOf, home, plan.ownerOf) };
}

/** A unit's move as that of each member, which bears its part of price and gain. */
function shared<Planned extends PlannedMove>(move: Planned, members: readonly number[]): Planned[] {
  if (members.length === 1) return [{ ...move, partition: members[0] as number }];
  const own = move as Partial<ScheduledMove>;
  const part = (value: number): number => value / members.length;
  const price = own.price && (mapValues(own.price, part) as unknown as PriceParts);
  return members.map((partition) => ({
    ...move,
    partition,
    ...(price === undefined ? {} : { price, gain: part(own.gain as number) }),
  }));
}

const mapValues = (values: object, change: (value: number) => number): Record<string, number> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value as number)]));

function mapOf(home: Int32Array, moves: readonly ScheduledMove[]): Int32Array {
  const ownerOf = home.slice();
  for (const { partition, target } of moves) ownerOf[partition] = target;
  return ownerOf;
}

/** The slot that the last plan gave to the same move; the first one where its time has come and it has not begun. */
function keptSlot(
  { startMs, slotSeconds }: TimetableProblem,
  lastMoves: readonly RememberedMove[],
  { partition, target }: Pick<PlannedMove, 'partition' | 'target'>,
): number {
  const last = lastMoves.find(
    ({ partitionId, targetNodeId }) => partitionId === partition && targetNodeId === target,
  );
  return last === undefined ? -1 : Math.max(0, Math.round((last.startMs - startMs) / (slotSeconds * 1000)));
}
