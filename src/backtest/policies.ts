import { buildInstance, type PlacementInputs } from '../affinity/instance.ts';
import { naiveHillClimb } from '../affinity/naive-hill-climb.ts';
import type { Optimiser } from '../affinity/optimiser.ts';
import { AffinityManager } from '../affinity/planner.ts';
import type { AffinitySettings } from '../affinity/settings.ts';
import { balanceByMeanLoad } from '../affinity/static-balance.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import type { Forecast } from '../model/forecast.ts';
import { asNodeId } from '../model/ids.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import type { NodeUtilisation } from '../model/node-utilisation.ts';
import type { MeasuredLoad, OwnershipTimeline } from './metrics.ts';

/** One trace hour of planning: what was known when the hour began. */
export interface PlanningContext {
  readonly measured: MeasuredLoad;
  readonly startOwnerOf: Int32Array;
  /** The forecast as of the start of `hour`, step 0 being that hour. */
  forecastAt(hour: number): Forecast | Promise<Forecast>;
  readonly settings: AffinitySettings;
  /** Hours a partition stays after a move. */
  readonly residenceHours: number;
  readonly random: Random;
}

const constant = (startOwnerOf: Int32Array, ownerOf: Int32Array): OwnershipTimeline => ({
  startOwnerOf,
  ownerOfAt: () => ownerOf,
});

/** Nothing moves. */
export const stayPolicy = (startOwnerOf: Int32Array): OwnershipTimeline =>
  constant(startOwnerOf, startOwnerOf);

/**
 * One map, balanced by the mean load of the history, in effect from hour 0 on.
 *
 * @param history f64[hour][partition].
 */
export function staticPolicy(
  startOwnerOf: Int32Array,
  history: Float64Array,
  capacity: Float64Array,
): OwnershipTimeline {
  const partitionCount = startOwnerOf.length;
  const mean = new Float64Array(partitionCount);
  const hourCount = history.length / partitionCount;
  history.forEach((load, i) => {
    mean[i % partitionCount]! += load / hourCount;
  });
  return constant(startOwnerOf, balanceByMeanLoad(mean, capacity));
}

/**
 * The sketch, replanned each hour from the same forecasts. Residence is kept, the caps on copies at one time are not: every
 * move is done by the next hour.
 */
export async function naiveHillClimbPolicy(context: PlanningContext): Promise<OwnershipTimeline> {
  const optimiser = naiveHillClimb();
  return replanHourly(context, async (inputs, hour) => {
    const instance = buildInstance(inputs, context.settings);
    const random = context.random.fork(`naive-hill-climb/${hour}`);
    return (await optimiser.optimise(instance, instance.home, { random })).ownerOf;
  });
}

/** The planner as it runs in a cluster, without one: every proposal is carried out within the hour it is made in. */
export async function simulatedPredictivePolicy(
  context: PlanningContext,
  components: { readonly optimiser: Optimiser; readonly logger: Logger },
): Promise<OwnershipTimeline> {
  return replanHourly(context, async (inputs, hour) => {
    const random = context.random.fork(`predictive/${hour}`);
    const manager = new AffinityManager(context.settings, { ...components, random });
    return (await manager.propose(inputs)).targetOwnerOf;
  });
}

/**
 * A plan made at the start of an hour takes effect with the next one: moving takes time, and what is moved during the
 * hour carries part of it in both places.
 */
async function replanHourly(
  { measured, startOwnerOf, forecastAt, residenceHours }: PlanningContext,
  plan: (inputs: PlacementInputs, hour: number) => Promise<Int32Array>,
): Promise<OwnershipTimeline> {
  const { hourCount, partitionCount, capacity, partitionBytes } = measured;
  const byHour: Int32Array[] = [];
  const lastMovedHour = new Float64Array(partitionCount).fill(Number.NEGATIVE_INFINITY);
  let ownerOf = startOwnerOf;
  for (let hour = 0; hour < hourCount; hour++) {
    byHour.push(ownerOf);
    const restingPartitions = new Set<number>();
    lastMovedHour.forEach((moved, p) => {
      if (hour - moved < residenceHours) restingPartitions.add(p);
    });
    const next = await plan(
      {
        map: { partitionCount, ownerOf, epochOf: new Uint32Array(partitionCount).fill(1) },
        forecast: await forecastAt(hour),
        nodes: idealNodes(capacity),
        partitionBytes,
        restingPartitions,
      },
      hour,
    );
    for (let p = 0; p < partitionCount; p++) if (next[p] !== ownerOf[p]) lastMovedHour[p] = hour;
    ownerOf = next;
  }
  return { startOwnerOf, ownerOfAt: (hour) => byHour[hour] as Int32Array };
}

/** Nodes that do nothing but carry queries, with all the room one could want. */
function idealNodes(capacity: Float64Array): NodeUtilisation[] {
  return Array.from(capacity, (own, n) => {
    const perDimension = new Float64Array(LOAD_DIMENSION_COUNT);
    perDimension[dimensionIndex('queries')] = own;
    return {
      nodeId: asNodeId(n),
      isAlive: true,
      capacity: perDimension,
      background: new Float64Array(LOAD_DIMENSION_COUNT),
      dataBytes: 0,
      dataBytesMax: Number.POSITIVE_INFINITY,
      bandwidthBytesPerSecond: 0,
    };
  });
}
