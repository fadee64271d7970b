import { balanceByMeanLoad } from '../affinity/static-balance.ts';
import { type ReplayContext, type ReplayedTimeline, replanHourly } from './hourly.ts';
import type { OwnershipTimeline } from './metrics.ts';

/** Nothing moves, ever. */
export const stayPolicy = (startOwnerOf: Int32Array): OwnershipTimeline => ({
  startOwnerOf,
  ownerOfAt: () => startOwnerOf,
});

/**
 * One map, balanced by the mean load of the history, as soon as its moves are made.
 *
 * @param context.history f64[hour][partition], of at least an hour.
 */
export function staticPolicy(context: ReplayContext): Promise<ReplayedTimeline> {
  const { measured, history = new Float64Array() } = context;
  const { partitionCount, capacity } = measured;
  const mean = new Float64Array(partitionCount);
  const hourCount = history.length / partitionCount;
  history.forEach((load, i) => {
    mean[i % partitionCount]! += load / hourCount;
  });
  return towards(context, balanceByMeanLoad(mean, capacity), 'balance of the mean load');
}

/**
 * Nodes get partitions in proportion to their capacity, whatever these carry: what rebalancing by slots does
 * (`redis-cli --cluster rebalance`). Of what a node has too much the first go, to whoever has least for its size.
 */
export function slotCountPolicy(context: ReplayContext): Promise<ReplayedTimeline> {
  const { measured, startOwnerOf } = context;
  return towards(context, balanceByCount(startOwnerOf, measured.capacity), 'balance of the number of slots');
}

/** @returns i32[partition]: as few moves as lead to counts in proportion to capacity. */
export function balanceByCount(ownerOf: Int32Array, capacity: Float64Array): Int32Array {
  const capacitySum = capacity.reduce((sum, own) => sum + own, 0);
  const counts = new Float64Array(capacity.length);
  for (const n of ownerOf) counts[n]!++;
  const excess = (n: number): number =>
    (counts[n] as number) - (ownerOf.length * (capacity[n] as number)) / capacitySum;
  const nodes = [...capacity.keys()];
  const balanced = ownerOf.slice();
  for (;;) {
    const fullest = nodes.reduce((best, n) => (excess(n) > excess(best) ? n : best));
    const emptiest = nodes.reduce((best, n) => (excess(n) < excess(best) ? n : best));
    // Less than a whole partition cannot be moved.
    if (excess(fullest) - excess(emptiest) <= 1) return balanced;
    balanced[balanced.indexOf(fullest)] = emptiest;
    counts[fullest]!--;
    counts[emptiest]!++;
  }
}

const towards = (context: ReplayContext, wanted: Int32Array, reason: string): Promise<ReplayedTimeline> =>
  replanHourly(context, ({ map }) => {
    const orders = [];
    for (let p = 0; p < wanted.length; p++)
      if (map.ownerOf[p] !== wanted[p]) orders.push({ partition: p, target: wanted[p] as number, reason });
    return { orders, planned: [] };
  });
