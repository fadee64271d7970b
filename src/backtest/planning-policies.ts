import { buildInstance } from '../affinity/instance.ts';
import { naiveHillClimb } from '../affinity/naive-hill-climb.ts';
import type { Optimiser } from '../affinity/optimiser.ts';
import type { RememberedMove } from '../affinity/plan-memory.ts';
import { AffinityManager } from '../affinity/planner.ts';
import type { Logger } from '../base/logger.ts';
import type { Forecast } from '../model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import type { Move } from '../model/proposal.ts';
import { type PlanningContext, type ReplayContext, replanHourly } from './hourly.ts';
import type { OwnershipTimeline } from './metrics.ts';
import type { MoveOrder } from './migration-model.ts';
import { ordersOf, reliefAt } from './relief-policies.ts';

const HOUR_MS = 3_600_000;

export interface PlannerComponents {
  readonly optimiser: Optimiser;
  readonly logger: Logger;
}

/**
 * The planner as it runs in a cluster, without one: moves begin in the hour that the timetable gives them, each hour's plan
 * goes on from the one before, and nodes outside their comfort zone are relieved.
 */
export const simulatedPredictivePolicy = (
  context: PlanningContext,
  components: PlannerComponents,
): Promise<OwnershipTimeline> =>
  replanHourly(context, async (state, hour) => {
    const forecast = await context.forecastAt(hour);
    const random = context.random.fork(`predictive/${hour}`);
    const manager = new AffinityManager(context.settings, {
      ...components,
      random,
      copiesPerNodeMax: context.migration.copiesPerNodeMax,
    });
    const { moves } = await manager.propose({ ...state, forecast });
    const dueMoves = moves.filter(({ schedule }) => (schedule?.startMs ?? 0) <= forecast.startMs);
    const relief = reliefAt(context, state, { hour, dueMoves });
    return { orders: ordersOf([...relief, ...dueMoves]), planned: moves.map(remembered) };
  });

/**
 * The same planner, told the load to come instead of a forecast: what it could gain at most. What its settings keep back for
 * the doubt of a forecast it does not keep back.
 *
 * @param horizonHours as far as it knows, and no farther than the log goes.
 */
export const oraclePolicy = (
  context: ReplayContext & { readonly horizonHours: number },
  components: PlannerComponents,
): Promise<OwnershipTimeline> =>
  simulatedPredictivePolicy(
    {
      ...context,
      settings: { ...context.settings, riskZ: 0, commonError: 0, benefitCostRatio: 1 },
      forecastAt: (hour) => perfectForecast(context, hour),
    },
    components,
  );

/** The measured load as its own forecast. */
export function perfectForecast(
  {
    measured,
    startMs = 0,
    horizonHours,
  }: Pick<ReplayContext, 'measured' | 'startMs'> & { readonly horizonHours: number },
  hour: number,
): Forecast {
  const { load, hourCount, partitionCount } = measured;
  const horizonSteps = Math.min(horizonHours, hourCount - hour);
  const values = new Float64Array(horizonSteps * partitionCount * LOAD_DIMENSION_COUNT);
  const queries = dimensionIndex('queries');
  for (let cell = 0; cell < horizonSteps * partitionCount; cell++)
    values[cell * LOAD_DIMENSION_COUNT + queries] = load[hour * partitionCount + cell] as number;
  return {
    startMs: startMs + hour * HOUR_MS,
    stepMs: HOUR_MS,
    horizonSteps,
    partitionCount,
    level: 0.8,
    point: values,
    mean: values,
    lower: values,
    upper: values,
    skill: new Float64Array(partitionCount).fill(1),
    members: [{ name: 'oracle', weight: 1 }],
  };
}

/** The sketch, replanned each hour from the same forecasts. */
export function naiveHillClimbPolicy(context: PlanningContext): Promise<OwnershipTimeline> {
  const optimiser = naiveHillClimb();
  return replanHourly(context, async (state, hour) => {
    const instance = buildInstance({ ...state, forecast: await context.forecastAt(hour) }, context.settings);
    const random = context.random.fork(`naive-hill-climb/${hour}`);
    const { ownerOf } = await optimiser.optimise(instance, instance.home, { random });
    const orders: MoveOrder[] = [];
    for (let p = 0; p < ownerOf.length; p++)
      if (ownerOf[p] !== instance.home[p])
        orders.push({ partition: p, target: ownerOf[p] as number, reason: 'hill climb' });
    return { orders, planned: [] };
  });
}

const remembered = ({ partitionId, sourceNodeId, targetNodeId, schedule }: Move): RememberedMove => ({
  partitionId,
  sourceNodeId,
  targetNodeId,
  startMs: schedule?.startMs ?? 0,
});
