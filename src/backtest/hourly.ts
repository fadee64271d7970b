import type { PlacementInputs } from '../affinity/instance.ts';
import type { RecentMove, RememberedMove } from '../affinity/plan-memory.ts';
import type { AffinitySettings } from '../affinity/settings.ts';
import type { Random } from '../base/random.ts';
import type { Forecast } from '../model/forecast.ts';
import { asNodeId } from '../model/ids.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT } from '../model/load-profile.ts';
import type { NodeUtilisation } from '../model/node-utilisation.ts';
import type { MeasuredLoad, OwnershipTimeline } from './metrics.ts';
import {
  type MigratedHour,
  type MigrationModel,
  type MoveOrder,
  SimulatedMigrations,
} from './migration-model.ts';

const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;

/** What a policy lives in: what was measured, where everything was, and what moves take. */
export interface ReplayContext {
  readonly measured: MeasuredLoad;
  readonly startOwnerOf: Int32Array;
  /** Wall clock of hour 0, milliseconds: that of the forecasts, or what a timetable puts off would never begin. */
  readonly startMs: number;
  readonly settings: AffinitySettings;
  readonly migration: MigrationModel;
  /** Hours a partition stays after a move. */
  readonly residenceHours: number;
  /** Hours between two cycles of those that plan ahead; 1 if absent. What a plan has put off begins in its hour all the same. */
  readonly cycleHours?: number;
  readonly random: Random;
  /** f64[hour][partition]: what was measured before hour 0, for policies that look back. */
  readonly history?: Float64Array;
  /** After each hour. */
  readonly onHour?: (hour: number) => void;
}

/** Those that plan ahead get, with each hour, what was known when it began. */
export interface PlanningContext extends ReplayContext {
  /** The forecast as of the start of `hour`, step 0 being that hour. */
  forecastAt(hour: number): Forecast | Promise<Forecast>;
}

/** What is known of the cluster when an hour begins. */
export type KnownState = Omit<PlacementInputs, 'forecast'>;

/** What a policy does in an hour, and what it means to do later. */
export interface HourOfPolicy {
  /** In order; those that find no place for a copy within the hour are given up. */
  readonly orders: readonly MoveOrder[];
  readonly planned: readonly RememberedMove[];
}

/**
 * The one loop of all policies that move anything: each hour a policy says what is to be moved, and migrations carry it out on
 * the virtual clock beside the load of the hour. The policy sees its own moves as a planner sees them in a cluster: those under
 * way, those that rest, those of the last plan and those of the last weeks.
 */
export async function replanHourly(
  context: ReplayContext,
  decide: (state: KnownState, hour: number) => HourOfPolicy | Promise<HourOfPolicy>,
): Promise<ReplayedTimeline> {
  const { measured, startOwnerOf, startMs, migration, residenceHours, settings } = context;
  const { hourCount, partitionCount, capacity, partitionBytes } = measured;
  const rememberedHours = Math.max(settings.slotCountMax, DAY_HOURS);
  const nodes = idealNodes(capacity, migration);
  const migrations = new SimulatedMigrations(migration, {
    startOwnerOf,
    nodeCount: capacity.length,
    partitionBytes,
  });
  const migrated: MigratedHour[] = [];
  const done: (Required<RecentMove> & { hour: number })[] = [];
  let ownerOf = startOwnerOf;
  let lastMoves: readonly RememberedMove[] = [];
  for (let hour = 0; hour < hourCount; hour++) {
    const openMigrations = migrations.open;
    const lately = done.filter((move) => hour - move.hour < residenceHours);
    const state: KnownState = {
      map: { partitionCount, ownerOf, epochOf: new Uint32Array(partitionCount).fill(1) },
      nodes,
      partitionBytes,
      restingPartitions: new Set([...lately.map(({ partitionId }) => partitionId), ...openMigrations.keys()]),
      openMigrations,
      memory: { lastMoves, recentMoves: done.filter((move) => hour - move.hour < rememberedHours) },
    };
    const { orders, planned } = await decide(state, hour);
    const happened = migrations.runHour(hour, orders);
    migrated.push(happened);
    for (const { partition, source, endHour } of happened.changes)
      done.push({
        hour,
        partitionId: partition,
        sourceNodeId: source,
        endedAtMs: startMs + endHour * HOUR_MS,
      });
    if (happened.changes.length > 0) ownerOf = migrations.ownerOf.slice();
    lastMoves = planned;
    context.onHour?.(hour);
  }
  return timelineOf({ startOwnerOf, hours: migrated, model: migration });
}

/** What a replay was, as plain data. */
export interface ReplayedHours {
  /** i32[partition]. */
  readonly startOwnerOf: Int32Array;
  readonly hours: readonly MigratedHour[];
  readonly model: MigrationModel;
}

export interface ReplayedTimeline extends OwnershipTimeline {
  readonly replayed: ReplayedHours;
}

export function timelineOf(replayed: ReplayedHours): ReplayedTimeline {
  const { startOwnerOf, hours, model } = replayed;
  let ownerOf = startOwnerOf;
  const owners = hours.map(({ changes }) => {
    const before = ownerOf;
    if (changes.length > 0) ownerOf = before.slice();
    for (const { partition, target } of changes) ownerOf[partition] = target;
    return before;
  });
  return {
    startOwnerOf,
    replayed,
    ownerOfAt: (hour) => owners[hour] as Int32Array,
    migrations: { model, within: (hour) => hours[hour] as MigratedHour },
  };
}

/** Nodes that do nothing but carry queries, with all the room one could want. */
function idealNodes(capacity: Float64Array, { bytesPerSecond }: MigrationModel): NodeUtilisation[] {
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
      bandwidthBytesPerSecond: bytesPerSecond,
    };
  });
}
