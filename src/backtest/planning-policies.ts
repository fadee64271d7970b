import { buildInstance } from '../affinity/instance.ts';
import { naiveHillClimb } from '../affinity/optimisers/naive-hill-climb.ts';
import type { Optimiser } from '../affinity/optimisers/optimiser.ts';
import type { RememberedMove } from '../affinity/plan-memory.ts';
import { AffinityManager } from '../affinity/planner.ts';
import { ForeshardError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Forecast } from '../model/forecast.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import type { Move } from '../model/proposal.ts';
import {
  type KnownState,
  type PlanningContext,
  type ReplayContext,
  type ReplayedTimeline,
  replanHourly,
} from './hourly.ts';
import type { MoveOrder } from './migration-model.ts';
import { ordersOf, reliefAt } from './relief-policies.ts';

const HOUR_MS = 3_600_000;

export interface PlannerComponents {
  readonly optimiser: Optimiser;
  readonly logger: Logger;
}

/**
 * The planner as it runs in a cluster, without one: moves begin in the hour that the timetable gives them, each cycle's plan
 * goes on from the one before, and nodes outside their comfort zone are relieved every hour.
 */
export function simulatedPredictivePolicy(
  context: PlanningContext,
  components: PlannerComponents,
): Promise<ReplayedTimeline> {
  const { startMs, cycleHours = 1 } = context;
  let planned: readonly Move[] = [];
  return replanHourly(context, async (state, hour) => {
    if (hour % cycleHours === 0) planned = await planAt(context, components, state, hour);
    const nowMs = startMs + hour * HOUR_MS;
    const dueMoves = planned.filter((move) => isDue(move, nowMs));
    const relief = reliefAt(context, state, { hour, dueMoves });
    const hourOfPolicy = {
      orders: ordersOf([...relief, ...dueMoves]),
      planned: planned.map(remembered),
    };
    planned = planned.filter((move) => !isDue(move, nowMs));
    return hourOfPolicy;
  });
}

const isDue = ({ schedule }: Move, nowMs: number): boolean => (schedule?.startMs ?? 0) <= nowMs;

async function planAt(
  context: PlanningContext,
  components: PlannerComponents,
  state: KnownState,
  hour: number,
): Promise<readonly Move[]> {
  const manager = new AffinityManager(context.settings, {
    ...components,
    random: context.random.fork(`predictive/${hour}`),
    copiesPerNodeMax: context.migration.copiesPerNodeMax,
    // Most of a plan's time goes into the tight one, which decides next to nothing here.
    bound: 'poured',
  });
  const forecast = await context.forecastAt(hour);
  const hourMs = context.startMs + hour * HOUR_MS;
  if (forecast.startMs !== hourMs)
    throw new ForeshardError(
      'FORESHARD_CORRUPT',
      'report',
      `backtest input: the forecast of hour ${hour} begins at ${forecast.startMs} ms and the hour at ${hourMs}; on different clocks no planned move would ever begin`,
    );
  const { moves } = await manager.propose({ ...state, forecast });
  return moves;
}

/** What is known is known: plans that are made oftener hardly differ, and a quarter of a day later their timetables begin anew. */
const ORACLE_CYCLE_HOURS = 6;

/**
 * The same planner, told the load to come instead of a forecast. It searches and looks no farther ahead than the other one: what it gains is
 * no upper bound, and another policy can do better. What its settings keep back for
 * the doubt of a forecast it does not keep back.
 *
 * @param horizonHours as far as it knows, and no farther than the log goes.
 */
export const oraclePolicy = (
  context: ReplayContext & { readonly horizonHours: number },
  components: PlannerComponents,
): Promise<ReplayedTimeline> =>
  simulatedPredictivePolicy(
    {
      ...context,
      cycleHours: ORACLE_CYCLE_HOURS,
      settings: { ...context.settings, riskZ: 0, commonError: 0, benefitCostRatio: 1 },
      forecastAt: (hour) => perfectForecast(context, hour),
    },
    components,
  );

/** The measured load as its own forecast. */
export function perfectForecast(
  {
    measured,
    startMs,
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
export function naiveHillClimbPolicy(context: PlanningContext): Promise<ReplayedTimeline> {
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
