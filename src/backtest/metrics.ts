import { phi } from '../affinity/phi.ts';
import { ForeshardError } from '../base/errors.ts';

/** Utilisation above which a node-hour counts as overloaded, whatever a policy's own settings say. */
export const OVERLOAD_ABOVE = 0.8;

/** What every policy is measured by, on the same measured load. */
export interface PolicyMetrics {
  /** Load-weighted mean of rho / (1 - rho), its tangent beyond 0.95: waiting in service times. */
  readonly latencyIndex: number;
  readonly overloadNodeHours: number;
  readonly peakUtilisation: number;
  /** Mean over nodes and hours. */
  readonly meanUtilisation: number;
  /** Changes of owner since the first map, those before `fromHour` included. */
  readonly moves: number;
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
  /** The owners that carried the load of an hour, i32[partition]. */
  ownerOfAt(hour: number): Int32Array;
}

/** Moves that put a partition back on a node that it left less than `withinHours` before. */
export function countReturns(timeline: OwnershipTimeline, hourCount: number, withinHours: number): number {
  const leftAt = new Map<string, number>();
  let previous = timeline.startOwnerOf;
  let returns = 0;
  for (let hour = 0; hour < hourCount; hour++) {
    const ownerOf = timeline.ownerOfAt(hour);
    for (let p = 0; p < ownerOf.length; p++) {
      if (ownerOf[p] === previous[p]) continue;
      const left = leftAt.get(`${p} ${ownerOf[p]}`);
      if (left !== undefined && hour - left < withinHours) returns++;
      leftAt.set(`${p} ${previous[p]}`, hour);
    }
    previous = ownerOf;
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
  const { load, hourCount, partitionCount, capacity, partitionBytes } = measured;
  if (load.length < hourCount * partitionCount) throw badInput('load is shorter than its hours');
  if (!(fromHour >= 0 && fromHour < hourCount))
    throw badInput(`hour ${fromHour} of ${hourCount} cannot be first`);
  for (const own of capacity) if (!(own > 0)) throw badInput(`a node's capacity is ${own}`);
  let loadSum = 0;
  let waitSum = 0;
  let overloadNodeHours = 0;
  let peakUtilisation = 0;
  let utilisationSum = 0;
  let moves = 0;
  let bytesMoved = 0;
  let previous = timeline.startOwnerOf;
  const used = new Float64Array(capacity.length);
  for (let hour = 0; hour < hourCount; hour++) {
    const ownerOf = timeline.ownerOfAt(hour);
    used.fill(0);
    for (let p = 0; p < partitionCount; p++) {
      const owner = ownerOf[p] as number;
      const own = load[hour * partitionCount + p] as number;
      if (!(owner >= 0 && owner < capacity.length)) throw badInput(`partition ${p} belongs to node ${owner}`);
      if (!(own >= 0 && Number.isFinite(own)))
        throw badInput(`load of partition ${p} in hour ${hour} is ${own}`);
      used[owner]! += own;
      if (owner !== previous[p]) {
        moves++;
        bytesMoved += partitionBytes[p] as number;
      }
    }
    previous = ownerOf;
    if (hour < fromHour) continue;
    used.forEach((own, n) => {
      const rho = own / (capacity[n] as number);
      loadSum += own;
      waitSum += own * phi(rho);
      utilisationSum += rho;
      if (rho > OVERLOAD_ABOVE) overloadNodeHours++;
      peakUtilisation = Math.max(peakUtilisation, rho);
    });
  }
  return {
    latencyIndex: loadSum > 0 ? waitSum / loadSum : 0,
    overloadNodeHours,
    peakUtilisation,
    meanUtilisation: utilisationSum / ((hourCount - fromHour) * capacity.length),
    moves,
    bytesMoved,
  };
}
