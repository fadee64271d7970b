import type { PlacementInstance } from './instance.ts';
import { movePriceTo } from './move-price.ts';
import { LINEAR_ABOVE, phi, SLOPE_AT_LINEAR } from './phi.ts';
import { forbidden } from './rule-state.ts';

/** About 1 ms each at 256 partitions x 8 nodes x 168 slots; more make the bound tighter by less and less. */
const DUAL_STEPS = 8;

/**
 * A value no map can fall below, in O(depth x (partitions + nodes log nodes)): moving is taken to be free and errors between
 * partitions to cancel. Latency: the load of all partitions is poured, as if it were water, over the nodes to one
 * common utilisation, since marginal costs are equal there and the cost is convex. Overload: what exceeds the safe
 * utilisation of all nodes goes to the largest, where it shows least. The sum of two minima is below the minimum of the sum.
 */
export function pouredBound(instance: PlacementInstance): number {
  const { partitionCount, depth, slotStride, slotCount, resourceCount } = instance;
  let bound = 0;
  for (let r = 0; r < resourceCount; r++) {
    for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
      let water = 0;
      for (let p = 0; p < partitionCount; p++) water += instance.load[p * depth + d] as number;
      bound += (instance.slotWeight[d] as number) * slotBound(instance, d, r, water);
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
 * A value no map can fall below that counts prices, rules of who may go where, and the load of single partitions.
 *
 * A convex cost lies above its tangent: f_n(L) >= f_n(l) + mu_n (L - l) for any l, so that every map costs at least
 *   sum over n of [ f_n(l_n) - mu_n l_n ] + sum over p of min over n of [ mu_n a_p + price(p, n) ].
 * The loads of a good map are a good l; conditional-gradient steps towards the assignment that attains the minima make it
 * better, and the best value is kept. Errors between partitions are taken to cancel, since their square root is not convex.
 * O(steps x partitions x nodes x depth).
 *
 * @see Frank & Wolfe, "An algorithm for quadratic programming", 1956
 */
export function dualBound(instance: PlacementInstance, ownerOf: Int32Array, steps: number): number {
  const { partitionCount, nodeCount, depth, load } = instance;
  const point = new Float64Array(nodeCount * depth);
  const gradient = new Float64Array(nodeCount * depth);
  const addTo = (target: Float64Array, p: number, n: number): void => {
    for (let d = 0; d < depth; d++) target[n * depth + d]! += load[p * depth + d] as number;
  };
  for (let p = 0; p < partitionCount; p++) addTo(point, p, ownerOf[p] as number);
  let best = Number.NEGATIVE_INFINITY;
  const corner = new Float64Array(nodeCount * depth);
  for (let step = 0; step <= steps; step++) {
    let bound = linearise(instance, point, gradient);
    corner.fill(0);
    for (let p = 0; p < partitionCount; p++) {
      const { node, cost } = cheapestNode(instance, gradient, p);
      bound += cost;
      addTo(corner, p, node);
    }
    best = Math.max(best, bound);
    // The best step soon gets stuck between corners; a small one that falls slowly goes on from there.
    const least = step < STUCK_AFTER ? 0 : 1 / (step + SLOWNESS);
    const share = Math.max(least, bestShare(instance, point, corner));
    for (let i = 0; i < point.length; i++)
      point[i]! += share * ((corner[i] as number) - (point[i] as number));
  }
  return best;
}

/** Fills the gradient at `point`, f64[node][depth], and returns the sum of f - gradient x point. */
function linearise(instance: PlacementInstance, point: Float64Array, gradient: Float64Array): number {
  const { nodeCount, depth, slotStride, slotCount, resourceCount, slotWeight, safeUtilisation } = instance;
  const allowance = 1 + instance.riskZ * instance.commonError;
  let sum = 0;
  for (let n = 0; n < nodeCount; n++)
    for (let r = 0; r < resourceCount; r++) {
      const perLoad = allowance / (instance.capacity[n * resourceCount + r] as number);
      const overload = instance.overloadFactor[r] as number;
      for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
        const at = n * depth + d;
        const used = (instance.background[at] as number) + (point[at] as number);
        const rho = used * perLoad;
        gradient[at] = marginalCost(instance, n, r, d, point[at] as number);
        sum += (slotWeight[d] as number) * (used * phi(rho) + overload * Math.max(0, rho - safeUtilisation));
        sum -= (gradient[at] as number) * (point[at] as number);
      }
    }
  return sum;
}

/** Both found by trial on the bench's instances. */
const STUCK_AFTER = 12;
const SLOWNESS = 200;

/** Halvings of the interval in which the best step is looked for: 2^-14 of the way is near enough. */
const HALVINGS = 14;

/** How far to go from `point` towards `corner`, 0..1, for the least cost: where the slope along the way changes sign. */
function bestShare(instance: PlacementInstance, point: Float64Array, corner: Float64Array): number {
  const { nodeCount, depth, slotStride, slotCount, resourceCount } = instance;
  const isDownhillAt = (share: number): boolean => {
    let slope = 0;
    for (let n = 0; n < nodeCount; n++)
      for (let r = 0; r < resourceCount; r++)
        for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
          const at = n * depth + d;
          const way = (corner[at] as number) - (point[at] as number);
          slope += way * marginalCost(instance, n, r, d, (point[at] as number) + share * way);
        }
    return slope < 0;
  };
  let low = 0;
  let high = 1;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (isDownhillAt(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** Derivative of a node's cost by its load. */
function marginalCost(instance: PlacementInstance, n: number, r: number, d: number, load: number): number {
  const perLoad =
    (1 + instance.riskZ * instance.commonError) /
    (instance.capacity[n * instance.resourceCount + r] as number);
  const rho = ((instance.background[n * instance.depth + d] as number) + load) * perLoad;
  const slope = rho <= LINEAR_ABOVE ? 1 / (1 - rho) ** 2 : SLOPE_AT_LINEAR;
  const overload = rho > instance.safeUtilisation ? (instance.overloadFactor[r] as number) * perLoad : 0;
  return (instance.slotWeight[d] as number) * (phi(rho) + rho * slope + overload);
}

/** Where a partition would go if load had the prices of `gradient`. */
function cheapestNode(
  instance: PlacementInstance,
  gradient: Float64Array,
  p: number,
): { node: number; cost: number } {
  const { nodeCount, depth, load, home, isMovable, stayPenalty, holdPenalty, memberCount } = instance;
  let best = { node: home[p] as number, cost: Number.POSITIVE_INFINITY };
  for (let n = 0; n < nodeCount; n++) {
    const isHome = n === home[p];
    if (!isHome && (isMovable[p] === 0 || forbidden(instance, p, n) !== null)) continue;
    let cost = (holdPenalty[n] as number) * (memberCount[p] as number);
    cost += isHome ? (stayPenalty[p] as number) : movePriceTo(instance, p, n);
    for (let d = 0; d < depth; d++)
      cost += (gradient[n * depth + d] as number) * (load[p * depth + d] as number);
    if (cost < best.cost) best = { node: n, cost };
  }
  return best;
}

/**
 * What the highest utilisation cannot fall below: poured, all nodes would be at one level, but for those whose background
 * is above it; and every partition is somewhere, at best alone on the largest node.
 */
export function peakBound(instance: PlacementInstance): number {
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
    }
  }
  return peak;
}

/** The better of the two bounds; `ownerOf` is a good map, the better the tighter. */
export function lowerBound(instance: PlacementInstance, ownerOf: Int32Array, steps = DUAL_STEPS): number {
  const peak = instance.peakWeight === 0 ? 0 : instance.peakWeight * peakBound(instance);
  return Math.max(pouredBound(instance), dualBound(instance, ownerOf, steps)) + peak;
}
