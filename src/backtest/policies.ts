import { buildInstance, type PlacementInputs } from '../affinity/instance.ts';
import { naiveHillClimb } from '../affinity/naive-hill-climb.ts';
import type { Optimiser } from '../affinity/optimiser.ts';
import type { RememberedMove } from '../affinity/plan-memory.ts';
import { AffinityManager } from '../affinity/planner.ts';
import { planRelief } from '../affinity/relief/plan-relief.ts';
import type { AffinitySettings } from '../affinity/settings.ts';
import { balanceByMeanLoad } from '../affinity/static-balance.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import type { Forecast } from '../model/forecast.ts';
import { asNodeId } from '../model/ids.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadProfile } from '../model/load-profile.ts';
import type { NodeUtilisation } from '../model/node-utilisation.ts';
import type { Move } from '../model/proposal.ts';
import { type MeasuredLoad, OVERLOAD_ABOVE, type OwnershipTimeline } from './metrics.ts';

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
  /** f64[hour][partition]: what was measured before hour 0, for policies that look back. */
  readonly history?: Float64Array;
}

const HOUR_MS = 3_600_000;

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
    const { ownerOf } = await optimiser.optimise(instance, instance.home, { random });
    return { ownerOf, planned: [] };
  });
}

/**
 * The planner as it runs in a cluster, without one: moves begin in the hour that the timetable gives them, each hour's plan
 * goes on from the one before, and nodes outside their comfort zone are relieved.
 */
export async function simulatedPredictivePolicy(
  context: PlanningContext,
  components: { readonly optimiser: Optimiser; readonly logger: Logger },
): Promise<OwnershipTimeline> {
  return replanHourly(context, async (inputs, hour) => {
    const random = context.random.fork(`predictive/${hour}`);
    const manager = new AffinityManager(context.settings, { ...components, random });
    const { moves } = await manager.propose(inputs);
    const planned = moves.map(
      ({ partitionId, sourceNodeId, targetNodeId, schedule }): RememberedMove => ({
        partitionId,
        sourceNodeId,
        targetNodeId,
        startMs: schedule?.startMs ?? 0,
      }),
    );
    const dueMoves = moves.filter(({ schedule }) => (schedule?.startMs ?? 0) <= inputs.forecast.startMs);
    const relief = reliefAt(context, inputs, { hour, dueMoves });
    return { ownerOf: carriedOut(inputs.map.ownerOf, [...dueMoves, ...relief]), planned };
  });
}

/** Relief alone, as when no forecast is any good: by what was measured in the hours before. */
export async function reliefPolicy(context: PlanningContext): Promise<OwnershipTimeline> {
  return replanHourly(context, async (inputs, hour) => ({
    ownerOf: carriedOut(inputs.map.ownerOf, reliefAt(context, inputs, { hour, dueMoves: [] })),
    planned: [],
  }));
}

/**
 * What one writes first: of a node that was above 80 % in the last hour, the hottest partition that fits goes to the coolest
 * node. On record because it thrashes.
 */
export async function hottestToCoolestPolicy(context: PlanningContext): Promise<OwnershipTimeline> {
  const { capacity } = context.measured;
  return replanHourly(context, async ({ map, restingPartitions }, hour) => {
    const ownerOf = map.ownerOf.slice();
    const load = hour > 0 ? loadOfHour(context.measured, hour - 1) : new Float64Array(ownerOf.length);
    const used = new Float64Array(capacity.length);
    ownerOf.forEach((n, p) => {
      used[n]! += load[p] as number;
    });
    const rho = (n: number): number => (used[n] as number) / (capacity[n] as number);
    for (let n = 0; n < capacity.length; n++) {
      const byLoad = [...ownerOf.keys()]
        .filter((p) => ownerOf[p] === n && !restingPartitions.has(p))
        .sort((a, b) => (load[b] as number) - (load[a] as number));
      for (const p of byLoad) {
        if (rho(n) <= OVERLOAD_ABOVE) break;
        const coolest = [...used.keys()].reduce((best, own) => (rho(own) < rho(best) ? own : best));
        const own = load[p] as number;
        if (((used[coolest] as number) + own) / (capacity[coolest] as number) > OVERLOAD_ABOVE) continue;
        used[n]! -= own;
        used[coolest]! += own;
        ownerOf[p] = coolest;
      }
    }
    return { ownerOf, planned: [] };
  });
}

function reliefAt(
  { measured, history, settings }: PlanningContext,
  inputs: PlacementInputs,
  { hour, dueMoves }: { readonly hour: number; readonly dueMoves: readonly Move[] },
): readonly Move[] {
  const profile = lastDay(measured, hour, history);
  return profile === null ? [] : planRelief(inputs, profile, settings, { dueMoves }).moves;
}

const carriedOut = (
  from: Int32Array,
  moves: readonly Pick<Move, 'partitionId' | 'targetNodeId'>[],
): Int32Array => {
  const ownerOf = from.slice();
  for (const { partitionId, targetNodeId } of moves) ownerOf[partitionId] = targetNodeId;
  return ownerOf;
};

const loadOfHour = ({ load, partitionCount }: MeasuredLoad, hour: number): Float64Array =>
  load.subarray(hour * partitionCount, (hour + 1) * partitionCount);

/** The day before `hour`; null where nothing came before it. */
function lastDay(measured: MeasuredLoad, hour: number, history?: Float64Array): LoadProfile | null {
  const { partitionCount } = measured;
  const historyHours = (history?.length ?? 0) / partitionCount;
  const windowCount = Math.min(24, hour + historyHours);
  if (windowCount === 0) return null;
  const values = new Float64Array(windowCount * partitionCount * LOAD_DIMENSION_COUNT);
  const queries = dimensionIndex('queries');
  for (let w = 0; w < windowCount; w++) {
    const at = hour - windowCount + w;
    const load =
      at >= 0
        ? loadOfHour(measured, at)
        : (history as Float64Array).subarray(
            (historyHours + at) * partitionCount,
            (historyHours + at + 1) * partitionCount,
          );
    load.forEach((own, p) => {
      values[(w * partitionCount + p) * LOAD_DIMENSION_COUNT + queries] = own;
    });
  }
  const coverage = new Float64Array(windowCount).fill(1);
  return {
    startMs: (hour - windowCount) * HOUR_MS,
    windowMs: HOUR_MS,
    windowCount,
    partitionCount,
    values,
    coverage,
  };
}

/** What a policy does in an hour, and what it means to do later. */
interface HourOfPolicy {
  readonly ownerOf: Int32Array;
  readonly planned: readonly RememberedMove[];
}

/**
 * A plan made at the start of an hour takes effect with the next one: moving takes time, and what is moved during the
 * hour carries part of it in both places.
 */
async function replanHourly(
  { measured, startOwnerOf, forecastAt, residenceHours, settings }: PlanningContext,
  plan: (inputs: PlacementInputs, hour: number) => Promise<HourOfPolicy>,
): Promise<OwnershipTimeline> {
  const { hourCount, partitionCount, capacity, partitionBytes } = measured;
  const byHour: Int32Array[] = [];
  const done: { hour: number; partitionId: number; sourceNodeId: number }[] = [];
  let ownerOf = startOwnerOf;
  let lastMoves: readonly RememberedMove[] = [];
  for (let hour = 0; hour < hourCount; hour++) {
    byHour.push(ownerOf);
    const restingPartitions = new Set(
      done.filter((move) => hour - move.hour < residenceHours).map(({ partitionId }) => partitionId),
    );
    const recentMoves = done.filter((move) => hour - move.hour < settings.slotCountMax);
    const next = await plan(
      {
        map: { partitionCount, ownerOf, epochOf: new Uint32Array(partitionCount).fill(1) },
        forecast: await forecastAt(hour),
        nodes: idealNodes(capacity),
        partitionBytes,
        restingPartitions,
        memory: { lastMoves, recentMoves },
      },
      hour,
    );
    for (let p = 0; p < partitionCount; p++)
      if (next.ownerOf[p] !== ownerOf[p])
        done.push({ hour, partitionId: p, sourceNodeId: ownerOf[p] as number });
    ({ ownerOf } = next);
    lastMoves = next.planned;
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
