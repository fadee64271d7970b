import { CANCELLED, type Pace, paced, untilCancelled } from '../base/slices.ts';
import type { Refusal } from '../model/proposal.ts';
import { bounding, pouredBound } from './bound.ts';
import { PlacementState } from './cost-model.ts';
import type { PlacementInstance } from './instance.ts';
import { withRaisedPrices } from './move-price.ts';
import { descend, greedy } from './optimisers/greedy.ts';
import type { Optimiser, SearchContext } from './optimisers/optimiser.ts';
import { leaveOutWhatDoesNotPay, orderMoves } from './order-moves.ts';
import { joinUnits, mergeUnits, type UnitInstance } from './units.ts';

export interface PlanOptions {
  /** Searches on from what the greedy descent found. */
  readonly optimiser: Optimiser;
  readonly context: SearchContext;
  /** See the settings of the same names. */
  readonly benefitCostRatio: number;
  readonly boundTolerance: number;
  /**
   * How much work goes into the lower bound. The poured one is rough and costs next to nothing: for many plans of which nobody
   * asks how far they are from the best. 'tight' if absent.
   */
  readonly bound?: BoundEffort;
  /** Where it is given, work beside the searches rests as well, and of a plan that is cancelled nothing is wanted. */
  readonly pace?: Pace;
  /** Partitions that move as one; none if absent. */
  readonly units?: readonly (readonly number[])[];
  /** i32[partition]: what is still to be done of the last plan; kept unless another map is better by `boundTolerance`. */
  readonly lastPlan?: Int32Array;
}

export type BoundEffort = 'tight' | 'poured';

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
  /** Whether nothing is left of a map that would have paid, and that keeps the rules once it is reached. */
  readonly isOutOfReach: boolean;
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
  const { optimiser, context } = options;
  return (await preparePlan(partitions, options)).search(optimiser, context);
}

/**
 * Computes what all searches of an instance share: its bound, and the greedy map.
 *
 * Where time may be over before it is done, the map comes first, and whether staying is near enough to the bound is asked of
 * the poured one alone: what a longer wait finds out may not make the answer "stay".
 */
export async function preparePlan(
  partitions: PlacementInstance,
  options: Omit<PlanOptions, 'optimiser'>,
): Promise<PreparedPlan> {
  const unit = mergeUnits(partitions, options.units ?? []);
  const { instance, membersOf } = unit;
  const lastPlan = options.lastPlan && joinUnits(membersOf, instance.home, options.lastPlan);
  const { context, pace, bound: effort = 'tight' } = options;
  const isHurried = context.isCancelled !== undefined && pace === undefined;
  const isPoured = isHurried || effort === 'poured';
  const bound = isPoured ? pouredBound(instance) : await paced(bounding(instance, instance.home), pace);
  const prepared = new PreparedPlan({ partitions, unit, lastPlan, bound }, options);
  await prepared.descend(context);
  if (isHurried) await prepared.tighten(instance.home, context);
  return prepared;
}

/** An instance on which searches may follow one another, none of which does again what the others did. */
export class PreparedPlan {
  readonly #partitions: PlacementInstance;
  readonly #unit: UnitInstance;
  readonly #lastPlan: Int32Array | undefined;
  readonly #options: Pick<PlanOptions, 'benefitCostRatio' | 'boundTolerance' | 'bound'>;
  readonly #raised: PlacementInstance;
  readonly #costBefore: number;
  /** Why nothing is searched for. */
  readonly #refusal: Refusal | null;
  #bound: number;
  #fromGreedy: Int32Array;
  #greedyPlan: FinishedPlan | null = null;

  constructor(
    ground: {
      readonly partitions: PlacementInstance;
      readonly unit: UnitInstance;
      readonly lastPlan: Int32Array | undefined;
      readonly bound: number;
    },
    options: Pick<PlanOptions, 'benefitCostRatio' | 'boundTolerance' | 'bound'>,
  ) {
    const { instance } = ground.unit;
    this.#partitions = ground.partitions;
    this.#unit = ground.unit;
    this.#lastPlan = ground.lastPlan;
    this.#options = options;
    this.#bound = ground.bound;
    this.#raised = withRaisedPrices(instance, options.benefitCostRatio);
    this.#costBefore = new PlacementState(instance).cost();
    this.#fromGreedy = instance.home;
    const isNear = this.#costBefore - ground.bound <= this.#tolerance() && !isInBreach(instance);
    if (isNear) this.#refusal = 'near-bound';
    else if (!instance.isMovable.includes(1)) this.#refusal = 'residence';
    // Every node is to be emptied: there is nowhere to go.
    else this.#refusal = instance.isTarget.includes(1) ? null : 'breach-stays';
  }

  /** Whether no search can add anything. */
  get isDecided(): boolean {
    return this.#refusal !== null;
  }

  async descend(context: SearchContext): Promise<void> {
    if (this.#refusal !== null) return;
    this.#fromGreedy = (await greedy.optimise(this.#raised, this.#raised.home, context)).ownerOf;
  }

  /** Looks for a better bound from a good map, as far as there is time. */
  async tighten(ownerOf: Int32Array, { clock, isCancelled }: SearchContext): Promise<void> {
    if (this.#options.bound === 'poured') return;
    const work = bounding(this.#unit.instance, ownerOf);
    const found = await untilCancelled(work, { clock, isCancelled: () => isCancelled?.() ?? false });
    if (found !== CANCELLED) this.#bound = Math.max(this.#bound, found);
  }

  /** Of the greedy descent alone. */
  greedyPlan(): InstancePlan {
    return this.#planOf([this.#finishedGreedy()], 0);
  }

  /** On from the greedy map; never worse than its plan. Null for a search that was cancelled and is wanted whole. */
  async search(optimiser: Optimiser, context: SearchContext, isWanted: 'whole'): Promise<InstancePlan | null>;
  async search(optimiser: Optimiser, context: SearchContext): Promise<InstancePlan>;
  async search(
    optimiser: Optimiser,
    context: SearchContext,
    isWanted?: 'whole',
  ): Promise<InstancePlan | null> {
    if (this.#refusal !== null) return this.#stay(this.#refusal, 0);
    const found = await optimiser.optimise(this.#raised, this.#fromGreedy, context);
    if (isWanted === 'whole' && context.isCancelled?.() === true) return null;
    const best = cheaperOf(this.#raised, this.#fromGreedy, found.ownerOf);
    await this.tighten(best, context);
    return this.#planOf([this.#finished(found.ownerOf), this.#finishedGreedy()], found.iterations);
  }

  #planOf(plans: readonly FinishedPlan[], iterations: number): InstancePlan {
    if (this.#refusal !== null) return this.#stay(this.#refusal, iterations);
    const { instance } = this.#unit;
    const cheapest = plans.reduce((best, plan) => (plan.cost < best.cost ? plan : best));
    const last = finishPlan(instance, this.#raised, this.#lastPlan ?? instance.home);
    // A plan that changes with every forecast comes to no end.
    const isLastKept = last.order.length > 0 && last.cost <= cheapest.cost + this.#tolerance();
    const best = isLastKept ? last : cheapest;
    if (best.order.length === 0 || !earnsItsPrice(this.#raised, best.ownerOf))
      return this.#stay(whyNothing(instance, plans), iterations);
    return this.#ofPartitions(best, iterations);
  }

  #stay(refusal: Refusal, iterations: number): InstancePlan {
    return { ...this.#ofPartitions({ order: [], ownerOf: this.#unit.instance.home }, iterations), refusal };
  }

  #ofPartitions(
    { order, ownerOf }: Pick<FinishedPlan, 'order' | 'ownerOf'>,
    iterations: number,
  ): InstancePlan {
    const { membersOf, split } = this.#unit;
    const owners = split(ownerOf);
    return {
      order: order.flatMap((unit) => membersOf[unit] as readonly number[]),
      ownerOf: owners,
      costBefore: new PlacementState(this.#partitions).cost(),
      costAfter: new PlacementState(this.#partitions, owners).cost(),
      lowerBound: this.#bound,
      iterations,
    };
  }

  #finishedGreedy(): FinishedPlan {
    this.#greedyPlan ??= this.#finished(this.#fromGreedy);
    return this.#greedyPlan;
  }

  #finished(ownerOf: Int32Array): FinishedPlan {
    const { instance } = this.#unit;
    return mended(instance, this.#raised, finishPlan(instance, this.#raised, ownerOf));
  }

  #tolerance(): number {
    return this.#options.boundTolerance * (this.#bound - unavoidable(this.#unit.instance));
  }
}

/** Each lowers the cost, the first by most. */
const MENDS_MAX = 4;

/** Leaves out moves until all that are left pay and can be carried out one after the other. */
export function finishPlan(
  instance: PlacementInstance,
  raised: PlacementInstance,
  suggested: Int32Array,
  options: { readonly mayExchange?: boolean } = {},
): FinishedPlan {
  let cut: PlacementState | null = null;
  for (let ownerOf = suggested; ; ) {
    const pruned = leaveOutWhatDoesNotPay(raised, ownerOf);
    const { order, state, left } = orderMoves(instance, pruned.ownerOf, options);
    if (left.size === 0) {
      const isOutOfReach = order.length === 0 && cut !== null && isSound(raised, cut);
      return { order, ownerOf: state.ownerOf, cost: state.cost(), isCut: cut !== null, isOutOfReach };
    }
    ownerOf = state.ownerOf;
    cut = pruned;
  }
}

/**
 * Whether a map earns its price and keeps the capacities, which the search does not see. That it keeps groups apart need not be asked: one
 * more breach costs more than any map can gain (`breach-price.ts`).
 */
function isSound(raised: PlacementInstance, map: PlacementState): boolean {
  return map.cost() < new PlacementState(raised).cost() && map.isWithinCapacity();
}

/** Why nothing moves, though staying is not near the bound. */
function whyNothing(instance: PlacementInstance, plans: readonly FinishedPlan[]): Refusal {
  if (isInBreach(instance)) return 'breach-stays';
  return plans.some((plan) => plan.isOutOfReach) ? 'no-order' : 'below-minimum-gain';
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
