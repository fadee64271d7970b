import { assert } from '../base/assert.ts';
import type { PlacementInstance } from './instance.ts';

/** Where the queueing curve gives way to its tangent: finite beyond, so that search can repair an overload. */
export const LINEAR_ABOVE = 0.95;
const PHI_AT_LINEAR = LINEAR_ABOVE / (1 - LINEAR_ABOVE);
export const SLOPE_AT_LINEAR = 1 / (1 - LINEAR_ABOVE) ** 2;

/** Mean waiting time of an M/M/1 queue in service times, rho / (1 - rho), continued by its tangent above 0.95. */
export function phi(rho: number): number {
  return rho <= LINEAR_ABOVE ? rho / (1 - rho) : PHI_AT_LINEAR + SLOPE_AT_LINEAR * (rho - LINEAR_ABOVE);
}

/**
 * The objective, in f64: the oracle of the search kernel, and the only judge of what is proposed.
 *
 * ```
 * U_nd = background + sum of mean load of the partitions on n          d = resource x slot
 * V_nd = sum of their variances + (commonError U_nd)^2
 * rho_nd = (U_nd + riskZ sqrt(V_nd)) / capacity
 * J = sum_nd slotWeight_d [ U_nd phi(rho_nd) + overloadFactor max(0, rho_nd - safe) ]
 *   + sum over partitions away from home of movePrice + sum over nodes of holdPenalty x partitions held
 * ```
 * The background errs together with the partitions: it is measured now and assumed to go on, a forecast as well.
 */
export class PlacementState {
  readonly instance: PlacementInstance;
  /** i32[partition]; change it through {@link move}. */
  readonly ownerOf: Int32Array;
  /** Partitions away from home. */
  movedCount = 0;
  readonly #load: Float64Array;
  readonly #variance: Float64Array;
  /** f64[node]: latency and overload of the node; held up to date. */
  readonly #nodeCost: Float64Array;
  readonly #bytesFree: Float64Array;
  #ruleCost = 0;

  /** @param ownerOf starts there; home if absent. */
  constructor(instance: PlacementInstance, ownerOf: Int32Array = instance.home) {
    const { partitionCount, nodeCount, depth } = instance;
    assert(ownerOf.length === partitionCount, 'a map has one owner for each partition');
    this.instance = instance;
    this.ownerOf = ownerOf.slice();
    this.#load = instance.background.slice();
    this.#variance = new Float64Array(nodeCount * depth);
    this.#nodeCost = new Float64Array(nodeCount);
    this.#bytesFree = instance.bytesFree.slice();
    for (let p = 0; p < partitionCount; p++) {
      const n = ownerOf[p] as number;
      for (let d = 0; d < depth; d++) {
        this.#load[n * depth + d]! += instance.load[p * depth + d] as number;
        this.#variance[n * depth + d]! += instance.variance[p * depth + d] as number;
      }
      this.#ruleCost += instance.holdPenalty[n] as number;
      if (n !== instance.home[p]) {
        this.#ruleCost += instance.movePrice[p] as number;
        this.#bytesFree[n]! -= instance.bytes[p] as number;
        this.movedCount++;
      }
    }
    for (let n = 0; n < nodeCount; n++) this.#nodeCost[n] = this.#costWith(n, -1, -1);
  }

  /** J, index points. */
  cost(): number {
    return this.loadCost() + this.#ruleCost;
  }

  /** Latency and overload alone, without prices and penalties. */
  loadCost(): number {
    let sum = 0;
    for (const cost of this.#nodeCost) sum += cost;
    return sum;
  }

  nodeCost(node: number): number {
    return this.#nodeCost[node] as number;
  }

  /** Utilisation as the objective sees it, with its allowance for error. */
  utilisation(node: number, resource: number, slot: number): number {
    const { depth, slotStride, resourceCount, capacity } = this.instance;
    const at = node * depth + resource * slotStride + slot;
    return (
      this.#allowFor(this.#load[at] as number, this.#variance[at] as number) /
      (capacity[node * resourceCount + resource] as number)
    );
  }

  /** Whether the rules let `partition` go to `node` (its home is always allowed). */
  canMove(partition: number, node: number): boolean {
    const { home, isMovable, isTarget, bytes, movesMax } = this.instance;
    if (isMovable[partition] === 0) return false;
    if (node === home[partition]) return true;
    if (isTarget[node] === 0 || (this.#bytesFree[node] as number) < (bytes[partition] as number))
      return false;
    return this.ownerOf[partition] !== home[partition] || this.movedCount < movesMax;
  }

  /** Change of J if `partition` goes to `node`. */
  moveDelta(partition: number, node: number): number {
    const source = this.ownerOf[partition] as number;
    if (source === node) return 0;
    return this.loadDelta(partition, node) + this.ruleDelta(partition, node);
  }

  /** Change of latency and overload alone. */
  loadDelta(partition: number, node: number): number {
    const source = this.ownerOf[partition] as number;
    if (source === node) return 0;
    return this.leaveDelta(partition) + this.joinDelta(partition, node);
  }

  /** Change of its owner's latency and overload if `partition` left. */
  leaveDelta(partition: number): number {
    const source = this.ownerOf[partition] as number;
    return this.#costWith(source, partition, -1) - (this.#nodeCost[source] as number);
  }

  /** Change of the latency and overload of `node` if `partition` came. */
  joinDelta(partition: number, node: number): number {
    return this.#costWith(node, -1, partition) - (this.#nodeCost[node] as number);
  }

  /** Change of J if the two change places. */
  swapDelta(first: number, second: number): number {
    const a = this.ownerOf[first] as number;
    const b = this.ownerOf[second] as number;
    if (a === b) return 0;
    return (
      this.#costWith(a, first, second) -
      (this.#nodeCost[a] as number) +
      this.#costWith(b, second, first) -
      (this.#nodeCost[b] as number) +
      this.ruleDelta(first, b) +
      this.ruleDelta(second, a)
    );
  }

  /** Carries a move out. The caller has asked {@link canMove} where the rules matter. */
  move(partition: number, node: number): void {
    const { depth, home, bytes } = this.instance;
    const source = this.ownerOf[partition] as number;
    if (source === node) return;
    this.#ruleCost += this.ruleDelta(partition, node);
    for (let d = 0; d < depth; d++) {
      const load = this.instance.load[partition * depth + d] as number;
      const variance = this.instance.variance[partition * depth + d] as number;
      this.#load[source * depth + d]! -= load;
      this.#load[node * depth + d]! += load;
      this.#variance[source * depth + d]! -= variance;
      this.#variance[node * depth + d]! += variance;
    }
    if (source === home[partition]) this.movedCount++;
    else this.#bytesFree[source]! += bytes[partition] as number;
    if (node === home[partition]) this.movedCount--;
    else this.#bytesFree[node]! -= bytes[partition] as number;
    this.ownerOf[partition] = node;
    this.#nodeCost[source] = this.#costWith(source, -1, -1);
    this.#nodeCost[node] = this.#costWith(node, -1, -1);
  }

  /** Change of prices and penalties alone. */
  ruleDelta(partition: number, node: number): number {
    const { home, movePrice, holdPenalty } = this.instance;
    const source = this.ownerOf[partition] as number;
    const price = movePrice[partition] as number;
    return (
      (node === home[partition] ? 0 : price) -
      (source === home[partition] ? 0 : price) +
      (holdPenalty[node] as number) -
      (holdPenalty[source] as number)
    );
  }

  #allowFor(load: number, variance: number): number {
    const { riskZ, commonError } = this.instance;
    const common = commonError * load;
    // Rounding may leave a variance a hair below zero after many moves.
    return load + riskZ * Math.sqrt(Math.max(0, variance) + common * common);
  }

  /** Cost of a node without partition `minus` and with `plus`; -1 stands for none. */
  #costWith(node: number, minus: number, plus: number): number {
    const { instance } = this;
    const { depth, slotStride, slotCount, resourceCount, slotWeight, safeUtilisation } = instance;
    let sum = 0;
    for (let r = 0; r < resourceCount; r++) {
      const inverse = 1 / (instance.capacity[node * resourceCount + r] as number);
      const overload = instance.overloadFactor[r] as number;
      for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
        let load = this.#load[node * depth + d] as number;
        let variance = this.#variance[node * depth + d] as number;
        if (minus >= 0) {
          load -= instance.load[minus * depth + d] as number;
          variance -= instance.variance[minus * depth + d] as number;
        }
        if (plus >= 0) {
          load += instance.load[plus * depth + d] as number;
          variance += instance.variance[plus * depth + d] as number;
        }
        const rho = this.#allowFor(load, variance) * inverse;
        sum += (slotWeight[d] as number) * (load * phi(rho) + overload * Math.max(0, rho - safeUtilisation));
      }
    }
    return sum;
  }
}
