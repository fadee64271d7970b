import { atOnce, type Sliced } from '../base/slices.ts';
import type { PlacementInstance } from './instance.ts';
import { CellCost } from './lp/cell-cost.ts';
import { type Choices, listingChoices } from './lp/choices.ts';
import { Relaxation } from './lp/relaxation.ts';
import { phi } from './phi.ts';

/** A few milliseconds each at 256 partitions x 8 nodes x 168 slots; after these the bound rises by less than 0.1 % as a rule. */
const ROUNDS_MIN = 6;
/** Small problems with nodes beyond their capacity take more, up to 7 % for 10 partitions, and each costs next to nothing. */
const ROUNDS_MAX = 100;
/** Partitions x nodes x slots that all rounds together may look at beyond the first ones: about those of that problem. */
const CELLS_MAX = 2e6;

/** See {@link Relaxation.cellsDone}. About a second: thousands of partitions on hundreds of nodes over a week of hours get what is ready by then, or the poured bound. */
const RELAXED_CELLS_MAX = 6e8;

/** Relative: nobody decides by less. */
const GAP_ENOUGH = 1e-4;

/**
 * A value no map can fall below, in O(depth x (partitions + nodes log nodes)): moving is taken to be free and errors between
 * partitions to cancel. Latency: the load of all partitions is poured, as if it were water, over the nodes to one
 * common utilisation, since marginal costs are equal there and the cost is convex. Overload: what exceeds the safe
 * utilisation of all nodes goes to the largest, where it shows least. The sum of two minima is below the minimum of the sum.
 */
export const pouredBound = (instance: PlacementInstance): number => atOnce(pouring(instance));

function* pouring(instance: PlacementInstance): Sliced<number> {
  const { partitionCount, depth, slotStride, slotCount, resourceCount } = instance;
  let bound = 0;
  for (let r = 0; r < resourceCount; r++) {
    for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
      let water = 0;
      for (let p = 0; p < partitionCount; p++) water += instance.load[p * depth + d] as number;
      bound += (instance.slotWeight[d] as number) * slotBound(instance, d, r, water);
      yield;
    }
  }
  return bound;
}

function slotBound(instance: PlacementInstance, d: number, r: number, water: number): number {
  const { nodeCount, depth, resourceCount, safeUtilisation } = instance;
  const allowance = 1 + instance.riskZ * instance.commonError;
  const level = pourLevel(instance, d, r, water);
  let latency = 0;
  let overload = 0;
  let excess = water;
  let capacityMax = 0;
  for (let n = 0; n < nodeCount; n++) {
    const own = instance.capacity[n * resourceCount + r] as number;
    const floor = (instance.background[n * depth + d] as number) / own;
    const rho = Math.max(floor, level);
    latency += rho * own * phi(rho * allowance);
    overload += Math.max(0, floor * allowance - safeUtilisation);
    excess -= Math.max(0, safeUtilisation / allowance - floor) * own;
    capacityMax = Math.max(capacityMax, own);
  }
  if (excess > 0) overload += (excess * allowance) / capacityMax;
  return latency + (instance.overloadFactor[r] as number) * overload;
}

/**
 * The utilisation to which `water` fills the nodes, whose floors are their background. Nodes that must not receive are
 * filled as well: what they hold may stay there.
 */
function pourLevel(instance: PlacementInstance, d: number, r: number, water: number): number {
  const { nodeCount, depth, resourceCount, capacity, background } = instance;
  const floors: { floor: number; own: number }[] = [];
  for (let n = 0; n < nodeCount; n++) {
    const own = capacity[n * resourceCount + r] as number;
    floors.push({ floor: (background[n * depth + d] as number) / own, own });
  }
  floors.sort((a, b) => a.floor - b.floor);
  let width = 0;
  let left = water;
  let level = 0;
  for (const { floor, own } of floors) {
    if (width > 0 && left <= (floor - level) * width) break;
    left -= (floor - level) * width;
    level = floor;
    width += own;
  }
  return level + left / width;
}

/**
 * A value no map can fall below that counts prices, rules of who may go where, and the load of single partitions; `ownerOf` is
 * a map to begin from, the better the fewer rounds it takes. See {@link Relaxation}. -Infinity for a problem so large that
 * not one round came to its end.
 */
export const relaxedBound = (instance: PlacementInstance, ownerOf: Int32Array, roundsMax: number): number =>
  atOnce(relaxing(instance, { ownerOf, roundsMax }));

function* relaxing(
  instance: PlacementInstance,
  {
    ownerOf,
    roundsMax,
    choices,
  }: { readonly ownerOf: Int32Array; readonly roundsMax: number; readonly choices?: Choices },
): Sliced<number> {
  const relaxation = yield* Relaxation.building(instance, ownerOf, choices);
  yield;
  for (let round = 0; round < roundsMax; round++) {
    for (const _ of relaxation.pieces()) {
      if (relaxation.cellsDone >= RELAXED_CELLS_MAX) return relaxation.lowerBound;
      yield;
    }
    yield;
    if (relaxation.gap <= GAP_ENOUGH * Math.abs(relaxation.lowerBound)) break;
  }
  return relaxation.lowerBound;
}

/**
 * What the highest utilisation cannot fall below: poured, all nodes would be at one level, but for those whose background
 * is above it; and every partition is somewhere, at best alone on the largest node.
 */
function* boundingPeak(instance: PlacementInstance): Sliced<number> {
  const { partitionCount, nodeCount, depth, slotStride, slotCount, resourceCount, capacity } = instance;
  const allowance = 1 + instance.riskZ * instance.commonError;
  let peak = 0;
  for (let r = 0; r < resourceCount; r++) {
    let capacityMax = 0;
    for (let n = 0; n < nodeCount; n++)
      capacityMax = Math.max(capacityMax, capacity[n * resourceCount + r] as number);
    for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
      let water = 0;
      for (let p = 0; p < partitionCount; p++) {
        const own = instance.load[p * depth + d] as number;
        water += own;
        peak = Math.max(peak, (own / capacityMax) * allowance);
      }
      peak = Math.max(peak, pourLevel(instance, d, r, water) * allowance);
      for (let n = 0; n < nodeCount; n++) {
        const floor =
          (instance.background[n * depth + d] as number) / (capacity[n * resourceCount + r] as number);
        peak = Math.max(peak, floor * allowance);
      }
      yield;
    }
  }
  return peak;
}

/** Cells of choices that are looked at; about 50 ms. */
const ALONE_CELLS_MAX = 4e6;

/**
 * Every partition as if it were alone, where that costs least: what is added to a node costs the more the fuller it is, so
 * together they cost no less. The other bounds may split a partition over many nodes, which is worth nothing where nodes are
 * many and partitions few. -Infinity for a problem that is too large; there it would be the least of the three.
 */
export const aloneBound = (instance: PlacementInstance): number =>
  atOnce(boundingAlone(instance, atOnce(listingChoices(instance))));

function* boundingAlone(instance: PlacementInstance, choices: Choices): Sliced<number> {
  const { partitionCount, nodeCount, depth, slotStride, slotCount, resourceCount, background, load } =
    instance;
  if (partitionCount * nodeCount * depth > ALONE_CELLS_MAX) return Number.NEGATIVE_INFINITY;
  const cost = new CellCost(instance);
  const costOf = (n: number, p: number): number => {
    let sum = 0;
    for (let r = 0; r < resourceCount; r++)
      for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
        const own = p < 0 ? 0 : (load[p * depth + d] as number);
        sum += cost.value(n, r, d, (background[n * depth + d] as number) + own);
      }
    return sum;
  };
  const empty = Float64Array.from({ length: nodeCount }, (_, n) => costOf(n, -1));
  const { startOf, nodeOf, priceOf } = choices;
  let bound = empty.reduce((sum, own) => sum + own, 0);
  for (let p = 0; p < partitionCount; p++) {
    let least = Number.POSITIVE_INFINITY;
    for (let c = startOf[p] as number; c < (startOf[p + 1] as number); c++) {
      const n = nodeOf[c] as number;
      least = Math.min(least, costOf(n, p) - (empty[n] as number) + (priceOf[c] as number));
    }
    bound += least;
    yield;
  }
  return bound;
}

/** The best of the three bounds; `ownerOf` is a good map. */
export const lowerBound = (instance: PlacementInstance, ownerOf: Int32Array, roundsMax?: number): number =>
  atOnce(bounding(instance, ownerOf, roundsMax));

/** {@link lowerBound} in slices. */
export function* bounding(
  instance: PlacementInstance,
  ownerOf: Int32Array,
  roundsMax = roundsFor(instance),
): Sliced<number> {
  const peak = instance.peakWeight === 0 ? 0 : instance.peakWeight * (yield* boundingPeak(instance));
  const poured = yield* pouring(instance);
  const choices = yield* listingChoices(instance);
  const whole = Math.max(poured, yield* boundingAlone(instance, choices)) + peak;
  return Math.max(whole, yield* relaxing(instance, { ownerOf, roundsMax, choices }));
}

function roundsFor({ partitionCount, nodeCount, depth }: PlacementInstance): number {
  const affordable = Math.floor(CELLS_MAX / Math.max(1, partitionCount * nodeCount * depth));
  return Math.min(ROUNDS_MAX, Math.max(ROUNDS_MIN, affordable));
}
