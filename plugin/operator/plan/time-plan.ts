import { PlacementState } from '../../../src/affinity/cost-model.ts';
import type { InstancePlan } from '../../../src/affinity/plan-instance.ts';
import type { AffinitySettings } from '../../../src/affinity/settings.ts';
import { timePlan } from '../../../src/affinity/timed-plan.ts';
import { timetableProblem } from '../../../src/affinity/timetable/make-problem.ts';
import { mergeUnits } from '../../../src/affinity/units.ts';
import type { NamedInstance } from './make-instance.ts';

/** A plan with the slots in which its moves begin. */
export interface ScheduledPlan extends InstancePlan {
  /** With each partition where it is at the time, and prices of the slots; `costAfter` takes the last map for the whole horizon. */
  readonly costOverTime: number;
  /** i32[partition]: 0 for what stays. */
  readonly startSlotOf: Int32Array;
  /** Moves for which the horizon has no slot, or none in time. */
  readonly leftOut: readonly {
    readonly partition: number;
    readonly source: number;
    readonly target: number;
    readonly code: LeftOutCode;
  }[];
}

export type LeftOutCode = ReturnType<typeof timePlan>['leftOut'][number]['code'];

/**
 * Gives a plan its hours. An instance of one slot has none: it is a load that goes on, and a map for it.
 *
 * @param copiesPerNodeMax copies out of a node, and as many into it, at one time.
 */
export function schedulePlan(
  { instance, units, slotSeconds, startMs, copiesPerNodeMax, windows }: NamedInstance,
  plan: InstancePlan,
  settings: AffinitySettings,
): ScheduledPlan {
  const startSlotOf = new Int32Array(instance.partitionCount);
  if (instance.slotCount === 1 || plan.order.length === 0)
    return { ...plan, costOverTime: plan.costAfter, startSlotOf, leftOut: [] };
  const merged = mergeUnits(instance, units);
  const problem = timetableProblem(merged, {
    startMs: startMs ?? 0,
    stepMs: 1000 * slotSeconds,
    settings: { ...settings, timetable: { ...settings.timetable, windows } },
    copiesPerNodeMax,
    dirtyRate: (p) => instance.dirtyRate[p] as number,
  });
  const { ownerOf, moves, leftOut, cost } = timePlan(problem, merged, plan, {
    benefitCostRatio: settings.benefitCostRatio,
    lastMoves: [],
    startKeepShare: settings.timetable.startKeepShare,
  });
  for (const { partition, startSlot } of moves) startSlotOf[partition] = startSlot;
  return {
    ...plan,
    order: moves.map(({ partition }) => partition),
    ownerOf,
    costAfter: new PlacementState(instance, ownerOf).cost(),
    costOverTime: cost,
    ...(moves.length === 0 ? { refusal: 'no-time' as const } : {}),
    startSlotOf,
    leftOut,
  };
}
