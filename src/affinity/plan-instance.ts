import type { Refusal } from '../model/proposal.ts';
import { lowerBound } from './bound.ts';
import { PlacementState } from './cost-model.ts';
import { descend, greedy } from './greedy.ts';
import type { PlacementInstance } from './instance.ts';
import { withRaisedPrices } from './move-price.ts';
import type { Optimiser, SearchContext } from './optimiser.ts';
import { leaveOutWhatDoesNotPay, orderMoves } from './order-moves.ts';
import { joinUnits, mergeUnits } from './units.ts';

export interface PlanOptions {
  /** Searches on from what the greedy descent found. */
  readonly optimiser: Optimiser;
  readonly context: SearchContext;
  /** See the settings of the same names. */
  readonly benefitCostRatio: number;
  readonly boundTolerance: number;
  /** Partitions that move as one; none if absent. */
  readonly units?: readonly (readonly number[])[];
  /** i32[partition]: what is still to be done of the last plan; kept unless another map is better by `boundTolerance`. */
  readonly lastPlan?: Int32Array;
}

/** A plan for an instance, in its own numbers. */
export interface InstancePlan {
  /**
   * Partitions in the order of their moves, each from home to `ownerOf`; members of a unit follow each other, and the plan
   * is worth its price where a unit ends. Empty if there is a refusal.
   */
  readonly order: readonly number[];
  readonly ownerOf: Int32Array;
  readonly costBefore: number;
  readonly costAfter: number;
  readonly lowerBound: number;
  readonly refusal?: Refusal;
  /** Of the optimiser, in its own unit. */
  readonly iterations: number;
}

/** What is left of a suggested map when it has been repaired, pruned and ordered. */
export interface FinishedPlan {
  readonly order: readonly number[];
  readonly ownerOf: Int32Array;
  readonly cost: number;
  /** Whether moves that would have paid had to be left out. */
  readonly isCut: boolean;
}

/**
 * Plans an instance: greedy descent, search, and of each what the rules and the prices leave; then the cheaper of the two.
 *
 * Whatever the optimiser suggests, the plan keeps every hard rule at every step, and costs no more than staying or than what
 * the greedy descent alone leads to. The search sees prices raised by the ratio that a plan has to earn, so that it does
 * not look for what will be left out.
 */
export async function planInstance(
  partitions: PlacementInstance,
  options: PlanOptions,
): Promise<InstancePlan> {
  const { instance, membersOf, split } = mergeUnits(partitions, options.units ?? []);
  const lastPlan = options.lastPlan && joinUnits(membersOf, instance.home, options.lastPlan);
  const plan = await planUnits(instance, { ...options, ...(lastPlan === undefined ? {} : { lastPlan }) });
  const ownerOf = split(plan.ownerOf);
  return {
    ...plan,
    order: plan.order.flatMap((unit) => membersOf[unit] as readonly number[]),
    ownerOf,
    costBefore: new PlacementState(partitions).cost(),
    costAfter: new PlacementState(partitions, ownerOf).cost(),
  };
}

async function planUnits(instance: PlacementInstance, options: PlanOptions): Promise<InstancePlan> {
  const { optimiser, context, benefitCostRatio, boundTolerance } = options;
  const costBefore = new PlacementState(instance).cost();
  let bound = lowerBound(instance, instance.home);
  const stay = (refusal: Refusal, iterations = 0): InstancePlan => ({
    order: [],
    ownerOf: instance.home,
    costBefore,
    costAfter: costBefore,
    lowerBound: bound,
    refusal,
    iterations,
  });
  const tolerance = (): number => boundTolerance * (bound - unavoidable(instance));
  if (costBefore - bound <= tolerance() && !isInBreach(instance)) return stay('near-bound');
  if (!instance.isMovable.includes(1)) return stay('residence');

  const raised = withRaisedPrices(instance, benefitCostRatio);
  const fromGreedy = await greedy.optimise(raised, raised.home, context);
  const found = await optimiser.optimise(raised, fromGreedy.ownerOf, context);
  bound = Math.max(bound, lowerBound(instance, cheaperOf(raised, fromGreedy.ownerOf, found.ownerOf)));
  const plans = [found, fromGreedy].map(({ ownerOf }) =>
    mended(instance, raised, finishPlan(instance, raised, ownerOf)),
  );
  const cheapest = plans.reduce((best, plan) => (plan.cost < best.cost ? plan : best));
  const last = finishPlan(instance, raised, options.lastPlan ?? instance.home);
  // A plan that changes with every forecast comes to no end.
  const isLastKept = last.order.length > 0 && last.cost <= cheapest.cost + tolerance();
  const best = isLastKept ? last : cheapest;
  if (best.order.length === 0 || !earnsItsPrice(raised, best.ownerOf))
    return stay(isInBreach(instance) ? 'breach-stays' : 'below-minimum-gain', found.iterations);
  return {
    order: best.order,
    ownerOf: best.ownerOf,
    costBefore,
    costAfter: best.cost,
    lowerBound: bound,
    iterations: found.iterations,
  };
}

/** Each lowers the cost, the first by most. */
const MENDS_MAX = 4;

/** Leaves out moves until all that are left pay and can be carried out one after the other. */
export function finishPlan(
  instance: PlacementInstance,
  raised: PlacementInstance,
  suggested: Int32Array,
): FinishedPlan {
  let isCut = false;
  for (let ownerOf = suggested; ; ) {
    const pruned = leaveOutWhatDoesNotPay(raised, ownerOf);
    const { order, state, left } = orderMoves(instance, pruned.ownerOf);
    if (left.size === 0) return { order, ownerOf: state.ownerOf, cost: state.cost(), isCut };
    ownerOf = state.ownerOf;
    isCut = true;
  }
}

/** What rules took out of a plan leaves gaps, which descents from there fill as far as they allow. */
function mended(instance: PlacementInstance, raised: PlacementInstance, plan: FinishedPlan): FinishedPlan {
  let best = plan;
  for (let round = 0; best.isCut && round < MENDS_MAX; round++) {
    const again = finishPlan(instance, raised, descend(raised, best.ownerOf).ownerOf);
    if (again.cost >= best.cost) return best;
    best = again;
  }
  return best;
}

/** Whether anything that may move is where rules or a drain do not want it: then a cost near the bound is not enough. */
const isInBreach = (instance: PlacementInstance): boolean =>
  instance.home.some(
    (owner, p) =>
      instance.isMovable[p] === 1 &&
      ((instance.stayPenalty[p] as number) > 0 ||
        (instance.spreadPenalty[p] as number) > 0 ||
        (instance.holdPenalty[owner] as number) > 0),
  );

/** What the bound holds of partitions that may not move, and stay in breach whatever is planned: no tolerance is taken of it. */
function unavoidable({ home, isMovable, stayPenalty, holdPenalty, memberCount }: PlacementInstance): number {
  let sum = 0;
  home.forEach((owner, p) => {
    if (isMovable[p] === 1) return;
    sum += (stayPenalty[p] as number) + (holdPenalty[owner] as number) * (memberCount[p] as number);
  });
  return sum;
}

function cheaperOf(instance: PlacementInstance, first: Int32Array, second: Int32Array): Int32Array {
  const cost = (ownerOf: Int32Array): number => new PlacementState(instance, ownerOf).cost();
  return cost(second) < cost(first) ? second : first;
}

const earnsItsPrice = (raised: PlacementInstance, ownerOf: Int32Array): boolean =>
  new PlacementState(raised, ownerOf).cost() < new PlacementState(raised).cost();
