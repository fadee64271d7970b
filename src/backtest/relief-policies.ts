import { planRelief } from '../affinity/relief/plan-relief.ts';
import { zoneOf } from '../affinity/relief/settings.ts';
import { dimensionIndex, LOAD_DIMENSION_COUNT, type LoadProfile } from '../model/load-profile.ts';
import type { Move } from '../model/proposal.ts';
import { type KnownState, type ReplayContext, type ReplayedTimeline, replanHourly } from './hourly.ts';
import { type MeasuredLoad, OVERLOAD_ABOVE } from './metrics.ts';
import type { MoveOrder } from './migration-model.ts';

const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;
const QUERIES = dimensionIndex('queries');

/** Relief alone, as when no forecast is any good: by what was measured in the hours before. */
export const reliefPolicy = (context: ReplayContext): Promise<ReplayedTimeline> =>
  replanHourly(context, (state, hour) => ({
    orders: ordersOf(reliefAt(context, state, { hour, dueMoves: [] })),
    planned: [],
  }));

export const ordersOf = (moves: readonly Move[]): MoveOrder[] =>
  moves.map(({ partitionId, targetNodeId, reason }) => ({
    partition: partitionId,
    target: targetNodeId,
    reason,
  }));

/** What nodes need at once that were outside their comfort zone, beside moves of a plan that begin now. */
export function reliefAt(
  context: ReplayContext,
  state: KnownState,
  { hour, dueMoves }: { readonly hour: number; readonly dueMoves: readonly Move[] },
): readonly Move[] {
  if (!isAnyStressed(context, state, { hour, dueMoves })) return [];
  const profile = measuredBefore(context, hour, DAY_HOURS);
  return profile === null ? [] : planRelief(state, profile, context.settings, { dueMoves }).moves;
}

/** Sums are added up in another order than in the cost model: whoever is this near to the end of his zone is looked at there. */
const ROUNDING = 1e-9;

/** Whether any node was above its comfort zone in the last hour. In most hours none was, and no problem has to be built to see that. */
function isAnyStressed(
  context: ReplayContext,
  { map, openMigrations }: KnownState,
  { hour, dueMoves }: { readonly hour: number; readonly dueMoves: readonly Move[] },
): boolean {
  const last = measuredBefore(context, hour, 1);
  if (last === null) return false;
  const { capacity } = context.measured;
  const ownerOf = map.ownerOf.slice();
  for (const [partition, target] of openMigrations ?? []) ownerOf[partition] = target;
  for (const { partitionId, targetNodeId } of dueMoves) ownerOf[partitionId] = targetNodeId;
  const used = new Float64Array(capacity.length);
  ownerOf.forEach((n, p) => {
    used[n]! += last.values[p * LOAD_DIMENSION_COUNT + QUERIES] as number;
  });
  return used.some((load, n) => {
    const { high } = zoneOf(context.settings.relief, n, 'queries');
    return load > high * (capacity[n] as number) * (1 - ROUNDING);
  });
}

/** As many hours before `hour` as there are, at most `hoursMax`; null where nothing came before it. */
export function measuredBefore(
  { measured, history, startMs: zeroMs }: Pick<ReplayContext, 'measured' | 'history' | 'startMs'>,
  hour: number,
  hoursMax: number,
): LoadProfile | null {
  const { partitionCount } = measured;
  const historyHours = (history?.length ?? 0) / partitionCount;
  const windowCount = Math.min(hoursMax, hour + historyHours);
  if (windowCount === 0) return null;
  const values = new Float64Array(windowCount * partitionCount * LOAD_DIMENSION_COUNT);
  for (let w = 0; w < windowCount; w++) {
    const at = hour - windowCount + w;
    const load =
      at >= 0 ? loadOfHour(measured, at) : loadIn(history as Float64Array, historyHours + at, partitionCount);
    load.forEach((own, p) => {
      values[(w * partitionCount + p) * LOAD_DIMENSION_COUNT + QUERIES] = own;
    });
  }
  const coverage = new Float64Array(windowCount).fill(1);
  const startMs = zeroMs + (hour - windowCount) * HOUR_MS;
  return { startMs, windowMs: HOUR_MS, windowCount, partitionCount, values, coverage };
}

const loadIn = (load: Float64Array, hour: number, partitionCount: number): Float64Array =>
  load.subarray(hour * partitionCount, (hour + 1) * partitionCount);

const loadOfHour = ({ load, partitionCount }: MeasuredLoad, hour: number): Float64Array =>
  loadIn(load, hour, partitionCount);

/**
 * What one writes first: of a node that was above 80 % in the last hour, the hottest partition that fits goes to the coolest
 * node. On record because it thrashes.
 */
export function hottestToCoolestPolicy(context: ReplayContext): Promise<ReplayedTimeline> {
  const { capacity } = context.measured;
  return replanHourly(context, ({ map, restingPartitions }, hour) => {
    const ownerOf = map.ownerOf.slice();
    const load = hour > 0 ? loadOfHour(context.measured, hour - 1) : new Float64Array(ownerOf.length);
    const orders: MoveOrder[] = [];
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
        orders.push({ partition: p, target: coolest, reason: `node ${n} was above 80 %` });
      }
    }
    return { orders, planned: [] };
  });
}
