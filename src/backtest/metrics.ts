import { ForeshardError } from '../base/errors.ts';
import type { MigratedHour, MigrationModel, OwnerChange } from './migration-model.ts';
import { WaitDistribution } from './wait-distribution.ts';

/** Utilisation above which a node-hour counts as overloaded, whatever a policy's own settings say. */
export const OVERLOAD_ABOVE = 0.8;

/** A move that goes back to a node that its partition left so lately was undone. */
const UNDONE_WITHIN_HOURS = 168;

/** What every policy is measured by, on the same measured load. */
export interface PolicyMetrics {
  /** Load-weighted mean of rho / (1 - rho), its tangent beyond 0.95: waiting in service times. */
  readonly latencyIndex: number;
  /** What 99 of 100 queries wait less than, in service times. */
  readonly p99Index: number;
  readonly overloadNodeHours: number;
  readonly peakUtilisation: number;
  /** Mean over nodes and hours. */
  readonly meanUtilisation: number;
  /** Changes of owner since the first map, those before `fromHour` included. */
  readonly moves: number;
  /** Those of them that went back within a week. */
  readonly movesUndone: number;
  readonly bytesMoved: number;
}

/** Load as it was measured. */
export interface MeasuredLoad {
  /** f64[hour][partition], >= 0. */
  readonly load: Float64Array;
  readonly hourCount: number;
  readonly partitionCount: number;
  /** f64[node]: load an hour at utilisation 1. */
  readonly capacity: Float64Array;
  /** f64[partition]. */
  readonly partitionBytes: Float64Array;
}

/** Who owned what when. */
export interface OwnershipTimeline {
  /** i32[partition], before hour 0: moves are counted from there. */
  readonly startOwnerOf: Int32Array;
  /** i32[partition], the owners when an hour began. */
  ownerOfAt(hour: number): Int32Array;
  /** What moved within the hours, and what that took; where it is left out, moves are done between two hours and take nothing. */
  readonly migrations?: {
    readonly model: MigrationModel;
    within(hour: number): MigratedHour;
  };
}

/** A move, by the hour in which the partition was somewhere else for the first time. */
type TimedChange = Pick<OwnerChange, 'partition' | 'source' | 'target'> & { readonly hour: number };

/** Moves by time. */
export function* movesOf(timeline: OwnershipTimeline, hourCount: number): Generator<TimedChange> {
  let previous = timeline.startOwnerOf;
  for (let hour = 0; hour < hourCount; hour++) {
    if (timeline.migrations !== undefined) {
      for (const change of timeline.migrations.within(hour).changes) yield { ...change, hour };
      continue;
    }
    const ownerOf = timeline.ownerOfAt(hour);
    if (ownerOf === previous) continue;
    for (let p = 0; p < ownerOf.length; p++) {
      const [source, target] = [previous[p] as number, ownerOf[p] as number];
      if (source !== target) yield { partition: p, source, target, hour };
    }
    previous = ownerOf;
  }
}

/** Moves that put a partition back on a node that it left less than `withinHours` before. */
export function countReturns(timeline: OwnershipTimeline, hourCount: number, withinHours: number): number {
  const leftAt = new Map<string, number>();
  let returns = 0;
  for (const { partition, source, target, hour } of movesOf(timeline, hourCount)) {
    const left = leftAt.get(`${partition} ${target}`);
    if (left !== undefined && hour - left < withinHours) returns++;
    leftAt.set(`${partition} ${source}`, hour);
  }
  return returns;
}

const badInput = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CORRUPT', 'report', `backtest input: ${message}`);

/**
 * Measures one ownership timeline against measured load.
 *
 * @param fromHour the first hour that counts for utilisation and latency.
 * @throws ForeshardError FORESHARD_CORRUPT for load or owners that cannot be.
 */
export function evaluateTimeline(
  measured: MeasuredLoad,
  timeline: OwnershipTimeline,
  fromHour = 0,
): PolicyMetrics {
  const { hourCount, capacity, partitionBytes } = measured;
  assertMeasured(measured, fromHour);
  const waits = new WaitDistribution();
  let overloadNodeHours = 0;
  let peakUtilisation = 0;
  let utilisationSum = 0;
  for (let hour = fromHour; hour < hourCount; hour++) {
    const { carried, utilisation, fenceWait } = nodesInHour(measured, timeline, hour);
    utilisation.forEach((rho, n) => {
      waits.add(carried[n] as number, rho);
      utilisationSum += rho;
      if (rho > OVERLOAD_ABOVE) overloadNodeHours++;
      peakUtilisation = Math.max(peakUtilisation, rho);
    });
    waits.addWait(fenceWait);
  }
  let moves = 0;
  let bytesMoved = 0;
  for (const { partition } of movesOf(timeline, hourCount)) {
    moves++;
    bytesMoved += partitionBytes[partition] as number;
  }
  return {
    latencyIndex: waits.mean,
    p99Index: waits.quantile(0.99),
    overloadNodeHours,
    peakUtilisation,
    meanUtilisation: utilisationSum / ((hourCount - fromHour) * capacity.length),
    moves,
    movesUndone: countReturns(timeline, hourCount, UNDONE_WITHIN_HOURS),
    bytesMoved,
  };
}

/** How an hour was for the nodes. */
export interface NodesInHour {
  /** f64[node]: queries. */
  readonly carried: Float64Array;
  /** f64[node]: what they took, and what migrations took beside them. */
  readonly utilisation: Float64Array;
  /** Queries x service times that were waited behind fences. */
  readonly fenceWait: number;
}

/** A partition that changes its owner within the hour loads each for its part of it. */
export function nodesInHour(
  { load, partitionCount, capacity }: MeasuredLoad,
  timeline: OwnershipTimeline,
  hour: number,
): NodesInHour {
  const ownerOf = timeline.ownerOfAt(hour);
  const carried = new Float64Array(capacity.length);
  for (let p = 0; p < partitionCount; p++) {
    const owner = ownerOf[p] as number;
    const own = load[hour * partitionCount + p] as number;
    if (!(owner >= 0 && owner < capacity.length)) throw badInput(`partition ${p} belongs to node ${owner}`);
    if (!(own >= 0 && Number.isFinite(own)))
      throw badInput(`load of partition ${p} in hour ${hour} is ${own}`);
    carried[owner]! += own;
  }
  const migrated = timeline.migrations?.within(hour);
  let fenceWait = 0;
  for (const { partition, source, target, endHour } of migrated?.changes ?? []) {
    const own = load[hour * partitionCount + partition] as number;
    const after = own * (hour + 1 - endHour);
    carried[source]! -= after;
    carried[target]! += after;
    fenceWait += own * meanFenceWait(timeline);
  }
  const utilisation = Float64Array.from(carried, (own, n) => {
    const copies = (timeline.migrations?.model.copyUtilisation ?? 0) * (migrated?.busyShare[n] ?? 0);
    return Math.max(0, own) / (capacity[n] as number) + copies;
  });
  return { carried, utilisation, fenceWait };
}

/** Service times that a query of an hour waits behind the fence that stands in it, on average. */
function meanFenceWait({ migrations }: OwnershipTimeline): number {
  if (migrations === undefined) return 0;
  const { fenceSeconds, serviceSeconds } = migrations.model;
  // So many queries come while it stands, and wait half of it.
  return (fenceSeconds / 3600) * (fenceSeconds / 2 / serviceSeconds);
}

function assertMeasured({ load, hourCount, partitionCount, capacity }: MeasuredLoad, fromHour: number): void {
  if (load.length < hourCount * partitionCount) throw badInput('load is shorter than its hours');
  if (!(fromHour >= 0 && fromHour < hourCount))
    throw badInput(`hour ${fromHour} of ${hourCount} cannot be first`);
  for (const own of capacity) if (!(own > 0)) throw badInput(`a node's capacity is ${own}`);
}
