import { assert } from '../base/assert.ts';
import { atOnce, type Sliced } from '../base/slices.ts';
import { addPartition, HardCapacity, type NodeSums, summing } from './hard-capacity.ts';
import type { PlacementInstance } from './instance.ts';
import { movePriceTo } from './move-price.ts';
import { phi } from './phi.ts';
import type { MoveRefusal } from './refusals.ts';
import { RuleState } from './rules/rule-state.ts';

/** What one node adds to the objective. */
export interface NodeCost {
  /** Latency and overload, index points. */
  readonly cost: number;
  /** Its highest utilisation over resources and slots; counted in the objective only where `peakWeight` is above 0. */
  readonly peak: number;
}

/**
 * The objective, in f64: the oracle of the search kernel, and the only judge of what is proposed.
 *
 * ```
 * U_nd = background + sum of mean load of the partitions on n          d = resource x slot
 * V_nd = sum of their variances + (commonError U_nd)^2
 * rho_nd = (U_nd + riskZ sqrt(V_nd)) / capacity
 * J = sum_nd slotWeight_d [ U_nd phi(rho_nd) + overloadFactor max(0, rho_nd - safe) ] + peakWeight max_nd rho_nd
 *   + sum over p of (at home: stayPenalty; elsewhere: movePriceTo) + sum over nodes of holdPenalty x partitions held
 *   + breachPrice x (members of groups that share a node, all but one, and zones that groups lack)
 * ```
 * The background errs together with the partitions: it is measured now and assumed to go on, a forecast as well.
 */
export class PlacementState {
  readonly instance: PlacementInstance;
  /** i32[partition]; change it through {@link move}. */
  readonly ownerOf: Int32Array;
  /** Partitions away from home. */
  movedCount = 0;
  readonly #sums: NodeSums;
  /** Held up to date. */
  readonly #nodeCosts: NodeCost[];
  readonly #rules: RuleState;
  readonly #hardCapacity: HardCapacity | null;
  #ruleCost = 0;

  /** {@link PlacementState} in slices: thousands of partitions take milliseconds to sum. */
  static *building(instance: PlacementInstance, ownerOf: Int32Array = instance.home): Sliced<PlacementState> {
    const ground = yield* layingGround(instance, ownerOf);
    yield;
    return new PlacementState(instance, ownerOf, ground);
  }

  /**
   * @param ownerOf starts there; home if absent.
   * @param ground of that map, which becomes the state's own.
   */
  constructor(
    instance: PlacementInstance,
    ownerOf: Int32Array = instance.home,
    { sums, rules }: Ground = atOnce(layingGround(instance, ownerOf)),
  ) {
    const { partitionCount, nodeCount, capacityZ } = instance;
    assert(ownerOf.length === partitionCount, 'a map has one owner for each partition');
    this.instance = instance;
    this.ownerOf = ownerOf.slice();
    this.#sums = sums;
    this.#rules = rules;
    this.#hardCapacity = capacityZ === null ? null : new HardCapacity(instance, capacityZ);
    for (let p = 0; p < partitionCount; p++) {
      const n = ownerOf[p] as number;
      this.#ruleCost += this.#rulePrice(p, n);
      if (n !== instance.home[p]) {
        this.#hardCapacity?.noteAway(p, 1);
        this.movedCount++;
      }
    }
    if (this.movedCount === 0) this.#hardCapacity?.noteHome(sums);
    this.#ruleCost += instance.breachPrice * this.#rules.breachCount();
    this.#nodeCosts = Array.from({ length: nodeCount }, (_, n) => this.#costWith(n, -1, -1));
  }

  /** J, index points. */
  cost(): number {
    return this.loadCost() + this.#ruleCost;
  }

  /** Latency, overload and peak alone, without prices and penalties. */
  loadCost(): number {
    let sum = 0;
    for (const { cost } of this.#nodeCosts) sum += cost;
    return sum + this.instance.peakWeight * this.peak();
  }

  /** The highest utilisation of any node, with its allowance for error. */
  peak(): number {
    let peak = 0;
    for (const node of this.#nodeCosts) peak = Math.max(peak, node.peak);
    return peak;
  }

  nodeCost(node: number): number {
    return (this.#nodeCosts[node] as NodeCost).cost;
  }

  /** Mean load, in units of the instance, without an allowance for error. */
  nodeLoad(node: number, resource: number, slot: number): number {
    const { depth, slotStride } = this.instance;
    return this.#sums.load[node * depth + resource * slotStride + slot] as number;
  }

  /** Utilisation as the objective sees it, with its allowance for error; of `deviations` instead of riskZ where given. */
  utilisation(node: number, resource: number, slot: number, deviations = this.instance.riskZ): number {
    const { depth, slotStride, resourceCount, capacity } = this.instance;
    const at = node * depth + resource * slotStride + slot;
    const load = this.#sums.load[at] as number;
    const spread = this.#spread(load, this.#sums.variance[at] as number);
    return (load + deviations * spread) / (capacity[node * resourceCount + resource] as number);
  }

  /** Whether the rules let `partition` go to `node`. */
  canMove(partition: number, node: number): boolean {
    return this.refusal(partition, node) === null;
  }

  /** Why `partition` may not go to `node` from where it is now; null if it may. */
  refusal(partition: number, node: number): MoveRefusal | null {
    const source = this.ownerOf[partition] as number;
    if (source === node) return null;
    const refusal = this.#rules.refusal(partition, source, node);
    if (refusal !== null || this.#hardCapacity === null) return refusal;
    return this.#hardCapacity.hasRoom(this.#sums, partition, { source, node }) ? null : 'capacity';
  }

  /**
   * Cells, resource x slot, in which `node` would be above its limit with `partition`, though nothing else forbids it: none if it
   * may go there. Null where another rule forbids it, or what is missing is memory, which both hold until the plan is done.
   *
   * @param passing what nodes are above their limits on paper alone, until a later move ends that.
   */
  excessWith(
    partition: number,
    node: number,
    passing: readonly { readonly node: number; readonly cell: number }[],
  ): readonly number[] | null {
    const source = this.ownerOf[partition] as number;
    if (source === node) return [];
    if (this.#rules.refusal(partition, source, node) !== null) return null;
    if (this.#hardCapacity === null) return [];
    const { depth } = this.instance;
    const cells = new Set(passing.map((over) => over.node * depth + over.cell));
    return this.#hardCapacity.excess(this.#sums, partition, { source, node }, cells);
  }

  /** Whether a node is above its limit in a cell, resource x slot. */
  isFull(node: number, cell: number): boolean {
    return this.#hardCapacity?.isFull(this.#sums, node, cell) ?? false;
  }

  /** Whether this map as it stands is within all capacities, by whatever way it came about. */
  isWithinCapacity(): boolean {
    return this.#hardCapacity?.holds(this.#sums) ?? true;
  }

  /** Change of J if `partition` goes to `node`. */
  moveDelta(partition: number, node: number): number {
    const source = this.ownerOf[partition] as number;
    if (source === node) return 0;
    return this.loadDelta(partition, node) + this.ruleDelta(partition, node);
  }

  /** Change of latency, overload and peak alone. */
  loadDelta(partition: number, node: number): number {
    const source = this.ownerOf[partition] as number;
    if (source === node) return 0;
    return this.pairDelta(source, this.costWithout(partition), node, this.costJoined(partition, node));
  }

  /** Its owner without `partition`. */
  costWithout(partition: number): NodeCost {
    return this.#costWith(this.ownerOf[partition] as number, partition, -1);
  }

  /** `node` with `partition` besides what it holds. */
  costJoined(partition: number, node: number): NodeCost {
    return this.#costWith(node, -1, partition);
  }

  /** Change of latency, overload and peak if two nodes were to cost so much. */
  pairDelta(first: number, newFirst: NodeCost, second: number, newSecond: NodeCost): number {
    const { peakWeight } = this.instance;
    const delta =
      newFirst.cost -
      (this.#nodeCosts[first] as NodeCost).cost +
      (newSecond.cost - (this.#nodeCosts[second] as NodeCost).cost);
    if (peakWeight === 0) return delta;
    let before = 0;
    let after = Math.max(newFirst.peak, newSecond.peak);
    for (let n = 0; n < this.#nodeCosts.length; n++) {
      const { peak } = this.#nodeCosts[n] as NodeCost;
      before = Math.max(before, peak);
      if (n !== first && n !== second) after = Math.max(after, peak);
    }
    return delta + peakWeight * (after - before);
  }

  /** Change of J if the two change places. */
  swapDelta(first: number, second: number): number {
    const a = this.ownerOf[first] as number;
    const b = this.ownerOf[second] as number;
    if (a === b) return 0;
    // One after the other: members of one group that change places meet nobody.
    let breaches = this.#rules.breachDelta(first, a, b);
    this.#rules.move(first, a, b);
    breaches += this.#rules.breachDelta(second, b, a);
    this.#rules.move(first, b, a);
    return (
      this.pairDelta(a, this.#costWith(a, first, second), b, this.#costWith(b, second, first)) +
      this.#priceDelta(first, b) +
      this.#priceDelta(second, a) +
      this.instance.breachPrice * breaches
    );
  }

  /** Whether a partition is where the rules do not want it, or on a node that is to be emptied. */
  isInBreach(partition: number): boolean {
    const owner = this.ownerOf[partition] as number;
    return this.#penalty(partition, owner) > 0 || this.#rules.isInBreach(partition, owner);
  }

  /** What is charged for breaches of rules: a part of J. */
  penaltyCost(): number {
    let sum = this.instance.breachPrice * this.#rules.breachCount();
    this.ownerOf.forEach((owner, p) => {
      sum += this.#penalty(p, owner);
    });
    return sum;
  }

  /** The highest utilisation of any node by its mean load alone. */
  meanPeak(): number {
    const { nodeCount, resourceCount, slotCount } = this.instance;
    let peak = 0;
    for (let n = 0; n < nodeCount; n++)
      for (let r = 0; r < resourceCount; r++)
        for (let t = 0; t < slotCount; t++) peak = Math.max(peak, this.utilisation(n, r, t, 0));
    return peak;
  }

  /** Carries a move out. The caller has asked {@link canMove} where the rules matter. */
  move(partition: number, node: number): void {
    const { home } = this.instance;
    const source = this.ownerOf[partition] as number;
    if (source === node) return;
    this.#ruleCost += this.ruleDelta(partition, node);
    addPartition(this.instance, this.#sums, partition, source, -1);
    addPartition(this.instance, this.#sums, partition, node, 1);
    this.#rules.move(partition, source, node);
    if (source === home[partition]) {
      this.movedCount++;
      this.#hardCapacity?.noteAway(partition, 1);
    } else if (node === home[partition]) {
      this.movedCount--;
      this.#hardCapacity?.noteAway(partition, -1);
    }
    this.ownerOf[partition] = node;
    this.#nodeCosts[source] = this.#costWith(source, -1, -1);
    this.#nodeCosts[node] = this.#costWith(node, -1, -1);
  }

  /** Change of prices and penalties alone. */
  ruleDelta(partition: number, node: number): number {
    const source = this.ownerOf[partition] as number;
    if (source === node) return 0;
    return (
      this.#priceDelta(partition, node) +
      this.instance.breachPrice * this.#rules.breachDelta(partition, source, node)
    );
  }

  /** Fall of penalties alone: above 0 if the move mends a breach of a rule. */
  penaltyRelief(partition: number, node: number): number {
    const source = this.ownerOf[partition] as number;
    if (source === node) return 0;
    const own = this.#penalty(partition, source) - this.#penalty(partition, node);
    return own - this.instance.breachPrice * this.#rules.breachDelta(partition, source, node);
  }

  /** What ruleDelta says but for groups. */
  #priceDelta(partition: number, node: number): number {
    return this.#rulePrice(partition, node) - this.#rulePrice(partition, this.ownerOf[partition] as number);
  }

  #rulePrice(partition: number, node: number): number {
    return this.#penalty(partition, node) + movePriceTo(this.instance, partition, node);
  }

  /** What the rules of this partition, and the emptying of nodes, charge for it being there. */
  #penalty(partition: number, node: number): number {
    const { home, stayPenalty, holdPenalty, memberCount } = this.instance;
    const stay = node === home[partition] ? (stayPenalty[partition] as number) : 0;
    return stay + (holdPenalty[node] as number) * (memberCount[partition] as number);
  }

  /** The standard deviation of a node's load. Rounding may leave a variance a hair below zero after many moves. */
  #spread(load: number, variance: number): number {
    const common = this.instance.commonError * load;
    return Math.sqrt(Math.max(0, variance) + common * common);
  }

  /** Cost of a node without partition `minus` and with `plus`; -1 stands for none. */
  #costWith(node: number, minus: number, plus: number): NodeCost {
    const { instance } = this;
    const { depth, slotStride, slotCount, resourceCount, slotWeight, safeUtilisation, riskZ } = instance;
    const sums = this.#sums;
    let cost = 0;
    let peak = 0;
    for (let r = 0; r < resourceCount; r++) {
      const inverse = 1 / (instance.capacity[node * resourceCount + r] as number);
      const overload = instance.overloadFactor[r] as number;
      for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
        let load = sums.load[node * depth + d] as number;
        let variance = sums.variance[node * depth + d] as number;
        if (minus >= 0) {
          load -= instance.load[minus * depth + d] as number;
          variance -= instance.variance[minus * depth + d] as number;
        }
        if (plus >= 0) {
          load += instance.load[plus * depth + d] as number;
          variance += instance.variance[plus * depth + d] as number;
        }
        // A root for each slot is most of the work: where nothing is allowed for errors there is none.
        const allowance = riskZ === 0 ? 0 : riskZ * this.#spread(load, variance);
        const rho = (load + allowance) * inverse;
        if (rho > peak) peak = rho;
        cost += (slotWeight[d] as number) * (load * phi(rho) + overload * Math.max(0, rho - safeUtilisation));
      }
    }
    return { cost, peak };
  }
}

/** What of a state takes milliseconds for thousands of partitions. */
interface Ground {
  readonly sums: NodeSums;
  readonly rules: RuleState;
}

function* layingGround(instance: PlacementInstance, ownerOf: Int32Array): Sliced<Ground> {
  const sums = yield* summing(instance, ownerOf);
  yield;
  return { sums, rules: yield* RuleState.building(instance, ownerOf) };
}
