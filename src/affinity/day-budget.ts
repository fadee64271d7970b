import type { PlacementInputs, PlacementInstance } from './instance.ts';
import { mustGo } from './must-go.ts';
import type { InstancePlan } from './plan-instance.ts';
import { NO_MEMORY } from './plan-memory.ts';
import type { AffinitySettings } from './settings.ts';
import type { PlannedMove } from './timetable/problem.ts';

const DAY_MS = 86_400_000;

type Budget = Pick<AffinitySettings, 'movesPerDay' | 'urgentGain'>;

/**
 * How many moves a plan may have now, so that no 24 hours see more than `movesPerDay`: those that ended within the last day
 * count, whoever asked for them, and those that run. What is planned now and begins later is planned anew until then.
 *
 * A move that ended more than a day after the forecast begins is stamped by another clock, that of the machine beside a replay's:
 * nobody knows when that was in the days of the replay.
 */
export function movesLeft(
  { forecast, openMigrations, memory = NO_MEMORY }: PlacementInputs,
  { movesPerDay }: Budget,
): number {
  const isOfToday = (endedAtMs: number): boolean => Math.abs(forecast.startMs - endedAtMs) < DAY_MS;
  const done = memory.recentMoves.filter(({ endedAtMs }) => endedAtMs !== undefined && isOfToday(endedAtMs));
  return Math.max(0, movesPerDay - done.length - (openMigrations?.size ?? 0));
}

/** A move that would pay, and is put off to another day. */
export type WaitingMove = PlannedMove & { readonly code: 'moves-per-day' };

/**
 * A plan with no more moves than the day has left, unless it is urgent. Of more, the search is asked again for as many: the best
 * few are not the first of many.
 *
 * @param planFor plans within the rules of an instance, the same in all but its budget of moves.
 */
export async function planWithinDay(
  instance: PlacementInstance,
  planFor: (instance: PlacementInstance) => Promise<InstancePlan>,
  { movesLeft, settings }: { readonly movesLeft: number; readonly settings: Budget },
): Promise<{ readonly plan: InstancePlan; readonly waiting: readonly WaitingMove[] }> {
  const whole = await planFor(instance);
  if (whole.order.length <= movesLeft || isUrgent(instance, whole, settings))
    return { plan: whole, waiting: [] };
  const found =
    movesLeft > 0 ? await planFor({ ...instance, movesMax: movesLeft }) : stayingHome(instance, whole);
  const plan: InstancePlan = found.order.length > 0 ? found : { ...found, refusal: 'moves-per-day' };
  const waiting = whole.order
    .filter((p) => plan.ownerOf[p] === instance.home[p])
    .map((p): WaitingMove => {
      const [source, target] = [instance.home[p] as number, whole.ownerOf[p] as number];
      return { partition: p, source, target, code: 'moves-per-day' };
    });
  return { plan, waiting };
}

const stayingHome = ({ home }: PlacementInstance, plan: InstancePlan): InstancePlan => ({
  ...plan,
  order: [],
  ownerOf: home,
  costAfter: plan.costBefore,
});

/**
 * Whether a plan may have all its moves at once: it lowers the cost by much, as the first one does, or the one after a node has
 * joined, or it empties a node or mends a breach of a rule.
 */
const isUrgent = (
  instance: PlacementInstance,
  { order, costBefore, costAfter }: InstancePlan,
  { urgentGain }: Budget,
): boolean => costBefore - costAfter >= urgentGain * costBefore || order.some((p) => mustGo(instance, p));
