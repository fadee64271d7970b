import { assert } from '../../base/assert.ts';
import type { PlacementInstance } from '../instance.ts';
import { phi } from '../phi.ts';

/** A time within the horizon: when `share` of `slot` is over. */
export interface Instant {
  readonly slot: number;
  readonly share: number;
}

/** A move, and what the whole horizon would gain by it in penalties: of nodes to be emptied, and of rules in breach. */
export interface RelievingMove {
  readonly partition: number;
  readonly source: number;
  readonly target: number;
  readonly relief: number;
}

/**
 * The load of every node in every slot, of partitions that change their owner between slots: PlacementState knows one map
 * for the whole horizon, this one a map for each slot. In f64, with the same cost of a node and slot.
 */
export class Timeline {
  readonly instance: PlacementInstance;
  /** f64[node][depth]. */
  readonly #load: Float64Array;
  readonly #variance: Float64Array;

  /** Every partition at home all the time. */
  constructor(instance: PlacementInstance) {
    const { partitionCount, nodeCount, depth } = instance;
    this.instance = instance;
    this.#load = instance.background.slice();
    this.#variance = new Float64Array(nodeCount * depth);
    for (let p = 0; p < partitionCount; p++) {
      const n = instance.home[p] as number;
      for (let d = 0; d < depth; d++) {
        this.#load[n * depth + d]! += instance.load[p * depth + d] as number;
        this.#variance[n * depth + d]! += instance.variance[p * depth + d] as number;
      }
    }
  }

  /**
   * `partition` goes from `source` to `target` when `share` of `slot` is over, and stays there; called with both nodes
   * changed, it is taken back. A slot in which it is on both carries the mean of the two.
   */
  shift(partition: number, source: number, target: number, { slot, share }: Instant): void {
    const { depth, slotStride, slotCount, resourceCount, load, variance } = this.instance;
    assert(source !== target, 'a shift needs two nodes');
    for (let r = 0; r < resourceCount; r++)
      for (let t = slot; t < slotCount; t++) {
        const d = r * slotStride + t;
        const part = t === slot ? 1 - share : 1;
        const own = part * (load[partition * depth + d] as number);
        const spread = part * (variance[partition * depth + d] as number);
        this.#load[source * depth + d]! -= own;
        this.#load[target * depth + d]! += own;
        this.#variance[source * depth + d]! -= spread;
        this.#variance[target * depth + d]! += spread;
      }
  }

  /**
   * What each slot would gain if the partition, which is on `source` in all of them, were on `target`; negative where it
   * is better off where it is.
   */
  gains(move: RelievingMove): Float64Array {
    const gains = new Float64Array(this.instance.slotCount);
    for (let t = 0; t < gains.length; t++) gains[t] = this.gainIn(t, move, 1);
    return gains;
  }

  /** The same for one slot, of which it spends `part` on the target. Penalties are spread over the slots. */
  gainIn(slot: number, { partition, source, target, relief }: RelievingMove, part: number): number {
    const { slotCount, slotStride, resourceCount, depth, load, variance } = this.instance;
    let gain = (part * relief) / slotCount;
    for (let r = 0; r < resourceCount; r++) {
      const d = r * slotStride + slot;
      const own = part * (load[partition * depth + d] as number);
      const spread = part * (variance[partition * depth + d] as number);
      gain +=
        this.#cellCost(source, r, d) +
        this.#cellCost(target, r, d) -
        this.#cellCost(source, r, d, -own, -spread) -
        this.#cellCost(target, r, d, own, spread);
    }
    return gain;
  }

  /** f64[slot]: what a copy that ran through the slot would cost the node's queries, by adding `share` of its capacity. */
  copyPrices(node: number, share: number): Float64Array {
    const { slotCount, slotStride, resourceCount, depth, slotWeight, overloadFactor, safeUtilisation } =
      this.instance;
    const prices = new Float64Array(slotCount);
    for (let r = 0; r < resourceCount; r++)
      for (let t = 0; t < slotCount; t++) {
        const d = r * slotStride + t;
        const rho = this.#utilisation(node, r, d);
        const load = this.#load[node * depth + d] as number;
        const hinge = Math.max(0, rho + share - safeUtilisation) - Math.max(0, rho - safeUtilisation);
        // The copy's own waiting does not count.
        prices[t]! +=
          (slotWeight[d] as number) *
          (load * (phi(rho + share) - phi(rho)) + (overloadFactor[r] as number) * hinge);
      }
    return prices;
  }

  /** Latency, overload and peak over all nodes and slots. */
  loadCost(): number {
    const { nodeCount, resourceCount, slotCount, slotStride, peakWeight } = this.instance;
    let sum = 0;
    let peak = 0;
    for (let n = 0; n < nodeCount; n++)
      for (let r = 0; r < resourceCount; r++)
        for (let t = 0; t < slotCount; t++) {
          sum += this.#cellCost(n, r, r * slotStride + t);
          if (peakWeight > 0) peak = Math.max(peak, this.#utilisation(n, r, r * slotStride + t));
        }
    return sum + peakWeight * peak;
  }

  #utilisation(node: number, resource: number, d: number, plus = 0, plusVariance = 0): number {
    const { depth, resourceCount, capacity, riskZ, commonError } = this.instance;
    const load = (this.#load[node * depth + d] as number) + plus;
    // Rounding may leave a variance a hair below zero.
    const variance = Math.max(0, (this.#variance[node * depth + d] as number) + plusVariance);
    const allowance = riskZ * Math.sqrt(variance + (commonError * load) ** 2);
    return (load + allowance) / (capacity[node * resourceCount + resource] as number);
  }

  #cellCost(node: number, resource: number, d: number, plus = 0, plusVariance = 0): number {
    const { depth, slotWeight, overloadFactor, safeUtilisation } = this.instance;
    const rho = this.#utilisation(node, resource, d, plus, plusVariance);
    const load = (this.#load[node * depth + d] as number) + plus;
    return (
      (slotWeight[d] as number) *
      (load * phi(rho) + (overloadFactor[resource] as number) * Math.max(0, rho - safeUtilisation))
    );
  }
}
