import { asNodeId, asPartitionId } from '../model/ids.ts';
import type { LoadDimension } from '../model/load-profile.ts';
import type { GrowthAdvice } from '../model/proposal.ts';
import type { PlacementState } from './cost-model.ts';
import { type ComfortZones, zoneOf } from './relief/settings.ts';

export interface GrowthContext<Dimension extends string = LoadDimension> {
  readonly dimensions: readonly Dimension[];
  readonly relief: ComfortZones;
  /** Wall clock of slot 0, and a slot's length, milliseconds. */
  readonly startMs: number;
  readonly stepMs: number;
}

/** With the load of all partitions, f64[depth]. */
interface Context<Dimension extends string> extends GrowthContext<Dimension> {
  readonly totals: Float64Array;
}

/** Partitions named, the hottest first: of more, the remedy is the same. */
const HOT_PARTITIONS_MAX = 8;

/**
 * Whether any map could keep every node inside its comfort zone over the horizon, and if not, what would help; and whether
 * nodes could go.
 *
 * More nodes and smaller partitions are said to be needed only where it is proven: load is poured over the live nodes as if
 * it were water, and one partition is held against every node alone. Utilisations are as the objective sees them, with the
 * error that all partitions share; errors between partitions are taken to cancel.
 *
 * @param state the map that is proposed.
 */
export function adviseGrowth<Dimension extends string>(
  state: PlacementState,
  options: GrowthContext<Dimension>,
): GrowthAdvice<Dimension>[] {
  const context = { ...options, totals: totalLoads(state) };
  const proven = [addNodes(state, context), ...splitPartitions(state, context)].filter((own) => own !== null);
  if (proven.length > 0) return proven;
  const advice = stillStressed(state, context) ?? removeNodes(state, context);
  return advice === null ? [] : [advice];
}

/** What a node can take of partitions in a slot and stay below `most` of its capacity. */
function roomOf(state: PlacementState, node: number, r: number, t: number, most: number): number {
  const { capacity, resourceCount, background, depth, slotStride, riskZ, commonError } = state.instance;
  const usable = (most * (capacity[node * resourceCount + r] as number)) / (1 + riskZ * commonError);
  return usable - (background[node * depth + r * slotStride + t] as number);
}

const liveNodes = ({ instance }: PlacementState): number[] =>
  [...instance.isTarget.keys()].filter((n) => instance.isTarget[n] === 1);

function totalLoads({ instance }: PlacementState): Float64Array {
  const { partitionCount, load, depth } = instance;
  const totals = new Float64Array(depth);
  for (let p = 0; p < partitionCount; p++)
    for (let d = 0; d < depth; d++) totals[d]! += load[p * depth + d] as number;
  return totals;
}

function addNodes<Dimension extends string>(
  state: PlacementState,
  context: Context<Dimension>,
): GrowthAdvice<Dimension> | null {
  const { slotCount, capacity, resourceCount, riskZ, commonError } = state.instance;
  const nodes = liveNodes(state);
  // Where all are to go, the new ones are taken to be of their kind.
  const kinds = nodes.length > 0 ? nodes : [...state.instance.isTarget.keys()];
  let worst: { r: number; first: number; nodeCount: number; utilisation: number } | null = null;
  context.dimensions.forEach((dimension, r) => {
    const high = (n: number): number => zoneOf(context.relief, n, dimension).high;
    const perNode = median(
      kinds.map((n) => (high(n) * (capacity[n * resourceCount + r] as number)) / (1 + riskZ * commonError)),
    );
    let first = -1;
    let missing = 0;
    let utilisation = 0;
    for (let t = 0; t < slotCount; t++) {
      const load = context.totals[r * state.instance.slotStride + t] as number;
      const room = nodes.reduce((sum, n) => sum + Math.max(0, roomOf(state, n, r, t, high(n))), 0);
      if (load <= room) continue;
      if (first < 0) first = t;
      missing = Math.max(missing, load - room);
      const most = kinds.reduce((sum, n) => sum + Math.max(0, roomOf(state, n, r, t, 1)), 0);
      utilisation = Math.max(utilisation, most > 0 ? load / most : Number.POSITIVE_INFINITY);
    }
    const nodeCount = Math.ceil(missing / perNode);
    if (first >= 0 && nodeCount > (worst?.nodeCount ?? 0)) worst = { r, first, nodeCount, utilisation };
  });
  if (worst === null) return null;
  const { r, first, nodeCount, utilisation } = worst as {
    r: number;
    first: number;
    nodeCount: number;
    utilisation: number;
  };
  return {
    kind: 'add-nodes',
    dimension: context.dimensions[r] as Dimension,
    nodeCount,
    atMs: context.startMs + first * context.stepMs,
    utilisation,
  };
}

function splitPartitions<Dimension extends string>(
  state: PlacementState,
  context: Context<Dimension>,
): GrowthAdvice<Dimension>[] {
  const { partitionCount, slotCount, slotStride, depth, load } = state.instance;
  const nodes = liveNodes(state);
  if (nodes.length === 0) return [];
  const found: Extract<GrowthAdvice<Dimension>, { kind: 'split-partition' }>[] = [];
  context.dimensions.forEach((dimension, r) => {
    const roomiest = (t: number, mostOf: (n: number) => number): number =>
      nodes.reduce((most, n) => Math.max(most, roomOf(state, n, r, t, mostOf(n))), 0);
    for (let t = 0; t < slotCount; t++) {
      const room = roomiest(t, (n) => zoneOf(context.relief, n, dimension).high);
      for (let p = 0; p < partitionCount; p++) {
        const own = load[p * depth + r * slotStride + t] as number;
        if (own <= room || found.some(({ partitionId }) => partitionId === p)) continue;
        found.push({
          kind: 'split-partition',
          dimension,
          partitionId: asPartitionId(p),
          atMs: context.startMs + t * context.stepMs,
          utilisation: own / roomiest(t, () => 1),
        });
      }
    }
  });
  return found.sort((a, b) => b.utilisation - a.utilisation).slice(0, HOT_PARTITIONS_MAX);
}

/** The node that is left furthest outside its zone. */
function stillStressed<Dimension extends string>(
  state: PlacementState,
  context: Context<Dimension>,
): GrowthAdvice<Dimension> | null {
  let worst: GrowthAdvice<Dimension> | null = null;
  let excessMax = 0;
  for (const n of liveNodes(state))
    context.dimensions.forEach((dimension, r) => {
      const { high } = zoneOf(context.relief, n, dimension);
      for (let t = 0; t < state.instance.slotCount; t++) {
        const utilisation = state.utilisation(n, r, t);
        if (utilisation - high <= excessMax) continue;
        excessMax = utilisation - high;
        worst = {
          kind: 'still-stressed',
          dimension,
          nodeId: asNodeId(n),
          atMs: context.startMs + t * context.stepMs,
          utilisation,
        };
      }
    });
  return worst;
}

/**
 * The smallest nodes first, while all of the load together stays below the low end of the zones with all nodes, and below
 * the middle between low and high without them: so that those who go are not missed at once. Zones and groups are not
 * looked at: the plan that empties them is.
 */
function removeNodes<Dimension extends string>(
  state: PlacementState,
  context: Context<Dimension>,
): GrowthAdvice<Dimension> | null {
  const { capacity, resourceCount, bytes, bytesFree, home } = state.instance;
  // Capacities are in units of their resource's mean, so that they add up.
  const size = (n: number): number =>
    capacity.subarray(n * resourceCount, (n + 1) * resourceCount).reduce((sum, own) => sum + own, 0);
  const nodes = liveNodes(state).sort((a, b) => size(b) - size(a) || a - b);
  if (peakWithout(state, nodes, context, ({ low }) => low) > 1) return null;
  const bytesIn = new Float64Array(state.instance.nodeCount);
  home.forEach((n, p) => {
    bytesIn[n]! += bytes[p] as number;
  });
  const bytesTotal = bytesIn.reduce((sum, own) => sum + own, 0);
  let nodeCount = 0;
  while (nodeCount < nodes.length - 1) {
    const left = nodes.slice(0, nodes.length - nodeCount - 1);
    const roomForBytes = left.reduce((sum, n) => sum + (bytesFree[n] as number) + (bytesIn[n] as number), 0);
    const isEnough =
      roomForBytes >= bytesTotal &&
      peakWithout(state, left, context, ({ low, high }) => (low + high) / 2) <= 1;
    if (!isEnough) break;
    nodeCount++;
  }
  if (nodeCount === 0) return null;
  const left = nodes.slice(0, nodes.length - nodeCount);
  return { kind: 'remove-nodes', nodeCount, utilisation: peakWithout(state, left, context, () => 1) };
}

/** The highest share, over slots and resources, of what `nodes` can take below `mostOf` their zones. */
function peakWithout<Dimension extends string>(
  state: PlacementState,
  nodes: readonly number[],
  context: Context<Dimension>,
  mostOf: (zone: { readonly low: number; readonly high: number }) => number,
): number {
  let peak = 0;
  context.dimensions.forEach((dimension, r) => {
    for (let t = 0; t < state.instance.slotCount; t++) {
      const load = context.totals[r * state.instance.slotStride + t] as number;
      const room = nodes.reduce(
        (sum, n) => sum + Math.max(0, roomOf(state, n, r, t, mostOf(zoneOf(context.relief, n, dimension)))),
        0,
      );
      if (load > 0) peak = Math.max(peak, room > 0 ? load / room : Number.POSITIVE_INFINITY);
    }
  });
  return peak;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}
