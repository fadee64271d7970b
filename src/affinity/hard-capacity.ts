import type { PlacementInstance } from './instance.ts';

/** Rounding of sums over many partitions must not refuse what fits exactly. */
const ROUNDING = 1e-9;

/** Loads and variances, f64[node][depth], of the map that is judged. */
export interface NodeSums {
  readonly load: Float64Array;
  readonly variance: Float64Array;
}

/**
 * Capacity as a rule: no node above it at the upper quantile, in any resource and slot. A node that is above at home may
 * stay so, but not rise. A transient resource, such as memory, is taken on both nodes until the plan is done, so that what
 * leaves frees none of it.
 *
 * An overload may be shared: a node may take a partition above its capacity in slots in which the partition's node is fuller
 * than it will be. Overload goes down by every such move. Without them a cluster whose nodes are all well used has no way
 * out: what overloads one node fits nowhere else either (256 partitions of the flights log on 16 nodes, the hottest two on
 * one, stayed there for eight days at 0.9 to 1.07 of its capacity).
 *
 * @see Cohen, Keller, Mirrokni, Zadimoghaddam, "Overcommitment in cloud services: bin packing with chance constraints",
 *   2019: the load at a quantile instead of the mean.
 */
export class HardCapacity {
  readonly #instance: PlacementInstance;
  readonly #capacityZ: number;
  /** f64[node][depth]: the most that may be there, deviations included, in the units of the loads. Made when it is asked for. */
  #limit: Float64Array | null = null;
  /** What partitions that are away still hold at home; null if no resource is transient. */
  readonly #held: NodeSums | null;

  constructor(instance: PlacementInstance, capacityZ: number) {
    const { nodeCount, depth } = instance;
    this.#instance = instance;
    this.#capacityZ = capacityZ;
    this.#held = instance.isTransient.includes(1)
      ? { load: new Float64Array(nodeCount * depth), variance: new Float64Array(nodeCount * depth) }
      : null;
  }

  /** Notes that a partition has left its home (1) or come back (-1). */
  noteAway(partition: number, sign: 1 | -1): void {
    if (this.#held === null) return;
    addPartition(this.#instance, this.#held, partition, this.#instance.home[partition] as number, sign);
  }

  /** Whether `node` has room for a partition of `source` more than `sums` says it has, or is fuller by less than that one. */
  hasRoom(
    sums: NodeSums,
    partition: number,
    { source, node }: { readonly source: number; readonly node: number },
  ): boolean {
    const instance = this.#instance;
    const { depth, slotStride, slotCount, resourceCount, isTransient, load, variance } = instance;
    const isHome = instance.home[partition] === node;
    this.#limit ??= this.#limits();
    const limit = this.#limit;
    for (let r = 0; r < resourceCount; r++) {
      const held = isTransient[r] === 1 ? this.#held : null;
      const relative =
        (instance.capacity[node * resourceCount + r] as number) /
        (instance.capacity[source * resourceCount + r] as number);
      // What a partition holds at home while it is away is there already.
      if (held !== null && isHome) continue;
      for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
        const at = node * depth + d;
        let mean = (sums.load[at] as number) + (load[partition * depth + d] as number);
        let spread = (sums.variance[at] as number) + (variance[partition * depth + d] as number);
        if (held !== null) {
          mean += held.load[at] as number;
          spread += held.variance[at] as number;
        }
        const after = this.#atQuantile(mean, spread);
        if (after <= (limit[at] as number)) continue;
        if (held !== null) return false;
        const from = source * depth + d;
        const now = this.#atQuantile(sums.load[from] as number, sums.variance[from] as number);
        if (after >= now * relative * (1 - ROUNDING)) return false;
      }
    }
    return true;
  }

  /** Capacity, or what is there with every partition at home where that is more. */
  #limits(): Float64Array {
    const { nodeCount, depth, background, partitionCount, home: homeOf } = this.#instance;
    const home = { load: background.slice(), variance: new Float64Array(nodeCount * depth) };
    for (let p = 0; p < partitionCount; p++) addPartition(this.#instance, home, p, homeOf[p] as number, 1);
    const limits = new Float64Array(nodeCount * depth);
    this.#forEachCell((at, capacity) => {
      const most = Math.max(capacity, this.#atQuantile(home.load[at] as number, home.variance[at] as number));
      limits[at] = most * (1 + ROUNDING);
    });
    return limits;
  }

  #atQuantile(mean: number, variance: number): number {
    const common = this.#instance.commonError * mean;
    return mean + this.#capacityZ * Math.sqrt(Math.max(0, variance) + common * common);
  }

  #forEachCell(visit: (at: number, capacity: number) => void): void {
    const { nodeCount, depth, slotStride, resourceCount, capacity } = this.#instance;
    for (let n = 0; n < nodeCount; n++)
      for (let d = 0; d < depth; d++)
        visit(n * depth + d, capacity[n * resourceCount + Math.floor(d / slotStride)] as number);
  }
}

/** Adds a partition's load and variance to a node, or takes them away. */
export function addPartition(
  instance: PlacementInstance,
  sums: NodeSums,
  partition: number,
  node: number,
  sign: 1 | -1,
): void {
  const { depth, load, variance } = instance;
  const from = partition * depth;
  const to = node * depth;
  for (let d = 0; d < depth; d++) {
    sums.load[to + d]! += sign * (load[from + d] as number);
    sums.variance[to + d]! += sign * (variance[from + d] as number);
  }
}
