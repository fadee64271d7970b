import { PlacementState } from './cost-model.ts';
import { neededBefore } from './evidence/move-evidence.ts';
import type { PlacementInputs, PlacementInstance } from './instance.ts';
import { orderMoves } from './order-moves.ts';
import type { InstancePlan } from './plan-instance.ts';
import { NO_MEMORY } from './plan-memory.ts';
import type { AffinitySettings } from './settings.ts';
import type { PlannedMove } from './timetable/problem.ts';

const DAY_MS = 86_400_000;

type Budget = Pick<AffinitySettings, 'movesPerDay' | 'movesPerNodeAndDay' | 'urgentGain'>;

/** What a day may have: more in a cluster of many nodes, where a few moves are nothing. */
const movesOfDay = (
  nodes: PlacementInputs['nodes'],
  { movesPerDay, movesPerNodeAndDay }: Pick<Budget, 'movesPerDay' | 'movesPerNodeAndDay'>,
): number =>
  Math.max(movesPerDay, Math.floor(movesPerNodeAndDay * nodes.filter((node) => node.isAlive).length));

/**
 * How many moves a plan may have now, so that no 24 hours see more than a day may have: those that ended within the last day
 * count, whoever asked for them, and those that run. What is planned now and begins later is planned anew until then.
 *
 * A move that ended more than a day after the forecast begins is stamped by another clock, that of the machine beside a replay's:
 * nobody knows when that was in the days of the replay.
 */
export function movesLeft(
  { forecast, nodes, openMigrations, memory = NO_MEMORY }: PlacementInputs,
  settings: Budget,
): number {
  const isOfToday = (endedAtMs: number): boolean => Math.abs(forecast.startMs - endedAtMs) < DAY_MS;
  const done = memory.recentMoves.filter(({ endedAtMs }) => endedAtMs !== undefined && isOfToday(endedAtMs));
  return Math.max(0, movesOfDay(nodes, settings) - done.length - (openMigrations?.size ?? 0));
}

/** A move that would pay, and is put off to another day. */
export type WaitingMove = PlannedMove & { readonly code: 'moves-per-day' };

export interface DayPlan {
  readonly plan: InstancePlan;
  readonly waiting: readonly WaitingMove[];
  /** Whether it gains so much that no day is asked. */
  readonly isUrgent: boolean;
}

/**
 * A plan with no more moves than the day has left, unless it is urgent. Of more, the search is asked again for as many: the best
 * few are not the first of many. Those that have to go whatever the load, and what makes room for them, are not counted; they free
 * no others, so that a breach that lasts for days does not lift the limit for as long. Where the search makes others of the moves
 * that it has for their sake, a part of the whole plan is taken: those, and the first of the others.
 *
 * @param planFor plans within the rules of an instance, the same in all but its budget of moves.
 */
export async function planWithinDay(
  instance: PlacementInstance,
  planFor: (instance: PlacementInstance) => Promise<InstancePlan>,
  {
    movesLeft,
    settings,
    units = [],
  }: {
    readonly movesLeft: number;
    readonly settings: Budget;
    /** Partitions that move as one. */
    readonly units?: readonly (readonly number[])[];
  },
): Promise<DayPlan> {
  const whole = await planFor(instance);
  if (whole.order.length <= movesLeft) return { plan: whole, waiting: [], isUrgent: false };
  const needs = needsOf(instance, whole, units);
  const having = thoseThatHaveTo(instance, whole, needs);
  const movesMax = movesLeft + having.size;
  const isUrgent = gainsMuch(instance, whole, settings);
  if (whole.order.length <= movesMax || isUrgent) return { plan: whole, waiting: [], isUrgent };
  const found = movesMax > 0 ? await planFor({ ...instance, movesMax }) : stayingHome(instance, whole);
  const ordinary =
    found.order.length - thoseThatHaveTo(instance, found, needsOf(instance, found, units)).size;
  const part = partOf(instance, whole, { having, needs, movesLeft });
  // A search that may make few moves may make others than those for whose sake it may make them.
  const isPart = part !== null && (ordinary > movesLeft || part.costAfter < found.costAfter);
  const best = isPart ? part : found;
  return { ...putOff(instance, whole, best), isUrgent };
}

/**
 * The same of a plan once its moves have their hours: what made room for one that found none had to go no more than any other. Null where
 * the day has enough for what is left.
 *
 * @param ownerOf the map that moves with an hour lead to.
 */
export function withinDayAsTimed(
  instance: PlacementInstance,
  plan: InstancePlan,
  {
    ownerOf,
    movesLeft,
    units,
  }: {
    readonly ownerOf: Int32Array;
    readonly movesLeft: number;
    readonly units: readonly (readonly number[])[];
  },
): Omit<DayPlan, 'isUrgent'> | null {
  const timed = { ...plan, ownerOf, order: plan.order.filter((p) => ownerOf[p] !== instance.home[p]) };
  const needs = needsOf(instance, timed, units);
  const having = thoseThatHaveTo(instance, timed, needs);
  if (timed.order.length - having.size <= movesLeft) return null;
  for (let left = movesLeft; left >= 0; left--) {
    const part = partOf(instance, timed, { having, needs, movesLeft: left });
    if (part !== null) return putOff(instance, timed, part);
  }
  return putOff(instance, timed, stayingHome(instance, timed));
}

/** A part of a plan, and of the whole what waits. */
function putOff(
  instance: PlacementInstance,
  whole: InstancePlan,
  part: InstancePlan,
): Omit<DayPlan, 'isUrgent'> {
  const plan: InstancePlan = part.order.length > 0 ? part : { ...part, refusal: 'moves-per-day' };
  const waiting = whole.order
    .filter((p) => plan.ownerOf[p] === instance.home[p])
    .map((p): WaitingMove => ({ ...asMove(instance, whole, p), code: 'moves-per-day' }));
  return { plan, waiting };
}

const asMove = ({ home }: PlacementInstance, { ownerOf }: InstancePlan, partition: number): PlannedMove => ({
  partition,
  source: home[partition] as number,
  target: ownerOf[partition] as number,
});

const stayingHome = ({ home }: PlacementInstance, plan: InstancePlan): InstancePlan => ({
  ...plan,
  order: [],
  ownerOf: home,
  costAfter: plan.costBefore,
});

/** Of each move of a plan those that have to go with it: what makes room for it, or moves as one with it. */
function needsOf(
  instance: PlacementInstance,
  plan: InstancePlan,
  units: readonly (readonly number[])[],
): ReadonlyMap<number, readonly number[]> {
  const now = new PlacementState(instance);
  const before: PlannedMove[] = [];
  const needs = new Map<number, readonly number[]>();
  for (const p of plan.order) {
    const move = asMove(instance, plan, p);
    const members = units.find((unit) => unit.includes(p))?.filter((q) => plan.order.includes(q)) ?? [];
    needs.set(p, [...members, ...neededBefore(now, move, before)]);
    now.move(p, move.target);
    before.push(move);
  }
  return needs;
}

/** Adds a move to a set, with all that it needs. */
function include(p: number, needs: ReadonlyMap<number, readonly number[]>, to: Set<number>): void {
  if (to.has(p)) return;
  to.add(p);
  for (const q of needs.get(p) ?? []) include(q, needs, to);
}

/**
 * Moves of a plan that empty a node or mend a breach of a rule, on the map that those before leave, and those that one of them needs.
 * Of partitions that are to be apart it is whichever the plan lets go: any of them mends it, and only the first.
 */
function thoseThatHaveTo(
  instance: PlacementInstance,
  plan: InstancePlan,
  needs: ReadonlyMap<number, readonly number[]>,
): Set<number> {
  const having = new Set<number>();
  const now = new PlacementState(instance);
  for (const p of plan.order) {
    const target = plan.ownerOf[p] as number;
    if (now.penaltyRelief(p, target) > 0) include(p, needs, having);
    now.move(p, target);
  }
  return having;
}

/** Of a plan what has to go, and of the rest the first that the day has left, each with what it needs; null if that has no order. */
function partOf(
  instance: PlacementInstance,
  whole: InstancePlan,
  {
    having,
    needs,
    movesLeft,
  }: {
    readonly having: ReadonlySet<number>;
    readonly needs: ReadonlyMap<number, readonly number[]>;
    readonly movesLeft: number;
  },
): InstancePlan | null {
  let going = new Set(having);
  for (const p of whole.order) {
    const more = new Set(going);
    include(p, needs, more);
    if (more.size <= having.size + movesLeft) going = more;
  }
  const wanted = instance.home.map((owner, p) => (going.has(p) ? (whole.ownerOf[p] as number) : owner));
  const { order } = orderMoves(instance, wanted);
  if (order.length < going.size) return null;
  // Afresh: what the state has summed up depends on its way.
  const costAfter = new PlacementState(instance, wanted).cost();
  return { ...whole, order, ownerOf: wanted, costAfter };
}

/** Whether a plan lowers the cost by much, as the first one does, or the one after a node has joined. Breaches are no gain here. */
function gainsMuch(instance: PlacementInstance, { ownerOf }: InstancePlan, { urgentGain }: Budget): boolean {
  const costOf = (state: PlacementState): number => state.cost() - state.penaltyCost();
  const before = costOf(new PlacementState(instance));
  return before - costOf(new PlacementState(instance, ownerOf)) >= urgentGain * before;
}
