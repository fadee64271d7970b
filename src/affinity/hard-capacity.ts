import { atOnce, type Sliced } from '../base/slices.ts';
import type { PlacementInstance } from './instance.ts';

/** Rounding of sums over many partitions must not refuse what fits exactly. */
const ROUNDING = 1e-9;

/** Loads and variances, f64[node][depth], of the map that is judged. */
export interface NodeSums {
  readonly load: Float64Array;
  readonly variance: Float64Array;
}

interface Way {
  readonly source: number;
  readonly node: number;
  readonly passing?: ReadonlySet<number> | undefined;
}

/**
 * Capacity as a rule: no node above it at the upper quantile, in any resource and slot. A node that is above at home may
 * stay so, but not rise. A transient resource, such as memory, is taken on both nodes until the plan is done, so that what
 * leaves frees none of it.
 *
 * An overload may be shared: a node may take a partition above its capacity in slots in which the partition's node is fuller
 * than it will be. The fuller of the two is less full after every such move. Without them a cluster whose nodes are all well used has no way
 * out: what overloads one node fits nowhere else either (256 partitions of the flights log on 16 nodes, the hottest two on
 * one, stayed there for eight days at 0.9 to 1.07 of its capacity).
 *
 * And it may be exchanged for a lesser one at another time: a node may take a partition above its capacity in slots in which
 * its own partitions are busy, if the two nodes together have less overload than before: load above capacity times how far
 * above in shares of the capacity, summed over all slots. Without that two nodes that are both above their capacity, one on
 * weekdays and one at weekends, could give each other nothing, as whichever partition goes first brings its few queries of the
 * other days along. The sum falls by every exchange, wherever somebody stops or plans anew, so that they come to an end; its
 * square makes an hour far above capacity count more than many that are hardly above.
 *
 * @see Cohen, Keller, Mirrokni, Zadimoghaddam, "Overcommitment in cloud services: bin packing with chance constraints",
 *   2019: the load at a quantile instead of the mean.
 */
export class HardCapacity {
  readonly #instance: PlacementInstance;
  readonly #capacityZ: number;
  /**
   * f64[node][depth]: the most that may be there, deviations included, in the units of the loads. Made when it is asked for, unless
   * {@link noteHome} has.
   */
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

  /** Tells the sums of the map with every partition at home, which limits are made of, to spare their being summed again. */
  noteHome(sums: NodeSums): void {
    this.#limit = this.#limitsOf(sums);
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
    way: { readonly source: number; readonly node: number },
  ): boolean {
    return this.#fits(sums, partition, way, null);
  }

  /**
   * Cells, resource x slot, in which `node` has no room for a partition of `source`; none if it has. Null where that is so of a
   * transient resource, which no later move gives back.
   *
   * @param passing cells, node x depth + cell, in which a node is above its limit on paper alone, until a later move ends that: an
   *   overload that nobody will see gives no right to share it, nor to exchange it.
   */
  excess(
    sums: NodeSums,
    partition: number,
    way: { readonly source: number; readonly node: number },
    passing: ReadonlySet<number>,
  ): readonly number[] | null {
    const cells: number[] = [];
    return this.#fits(sums, partition, { ...way, passing }, cells) ? cells : null;
  }

  /** Whether a node is above its limit in a cell. */
  isFull({ load, variance }: NodeSums, node: number, d: number): boolean {
    this.#limit ??= this.#limits();
    const at = node * this.#instance.depth + d;
    return this.#isAbove(load[at] as number, variance[at] as number, this.#limit[at] as number);
  }

  /** @param excess gets the cells without room, other than of transient resources; where it is null the first one ends it. */
  #fits(sums: NodeSums, partition: number, { source, node, passing }: Way, excess: number[] | null): boolean {
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
      let isRelief: boolean | undefined;
      for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
        const at = node * depth + d;
        let mean = (sums.load[at] as number) + (load[partition * depth + d] as number);
        let spread = (sums.variance[at] as number) + (variance[partition * depth + d] as number);
        if (held !== null) {
          mean += held.load[at] as number;
          spread += held.variance[at] as number;
        }
        if (!this.#isAbove(mean, spread, limit[at] as number)) continue;
        if (held !== null) return false;
        const after = this.#atQuantile(mean, spread);
        const from = source * depth + d;
        const now = this.#lasting(sums.load[from] as number, sums.variance[from] as number, from, passing);
        if (after < now * relative * (1 - ROUNDING)) continue;
        isRelief ??= this.#overloadDelta(sums, partition, { source, node, passing, resource: r }) < 0;
        if (isRelief) continue;
        if (excess === null) return false;
        excess.push(d);
      }
    }
    return true;
  }

  /** Change of both nodes' overload by a move: excess x excess / capacity, summed over all slots; 0 where it is but rounding. */
  #overloadDelta(
    { load, variance }: NodeSums,
    partition: number,
    { source, node, passing, resource }: Way & { readonly resource: number },
  ): number {
    const instance = this.#instance;
    const { depth, slotStride, slotCount, resourceCount, capacity } = instance;
    const overload = (n: number, sign: -1 | 0 | 1): number => {
      const most = capacity[n * resourceCount + resource] as number;
      let sum = 0;
      for (let d = resource * slotStride; d < resource * slotStride + slotCount; d++) {
        const mean =
          (load[n * depth + d] as number) + sign * (instance.load[partition * depth + d] as number);
        const spread =
          (variance[n * depth + d] as number) + sign * (instance.variance[partition * depth + d] as number);
        if (this.#isAbove(mean, spread, most)) {
          const above = this.#lasting(mean, spread, n * depth + d, passing) - most;
          sum += above ** 2 / most;
        }
      }
      return sum;
    };
    const ofSource = overload(source, 0);
    // Nothing to relieve: most of what is asked ends here.
    if (ofSource === 0) return 0;
    const before = ofSource + overload(node, 0);
    const after = overload(source, -1) + overload(node, 1);
    return Math.abs(after - before) <= ROUNDING * before ? 0 : after - before;
  }

  /** Whether no node is above its capacity, or above what it has at home where that is more. */
  holds({ load, variance }: NodeSums): boolean {
    this.#limit ??= this.#limits();
    const { depth, slotStride, slotCount, isTransient } = this.#instance;
    for (const [at, limit] of this.#limit.entries()) {
      const d = at % depth;
      if (d % slotStride >= slotCount) continue;
      const held = isTransient[Math.floor(d / slotStride)] === 1 ? this.#held : null;
      const mean = (load[at] as number) + (held?.load[at] ?? 0);
      const spread = (variance[at] as number) + (held?.variance[at] ?? 0);
      if (this.#isAbove(mean, spread, limit)) return false;
    }
    return true;
  }

  /** Capacity, or what is there with every partition at home where that is more. */
  #limits(): Float64Array {
    return this.#limitsOf(atOnce(summing(this.#instance, this.#instance.home)));
  }

  #limitsOf(home: NodeSums): Float64Array {
    const limits = new Float64Array(home.load.length);
    this.#forEachCell((at, capacity) => {
      const most = Math.max(capacity, this.#atQuantile(home.load[at] as number, home.variance[at] as number));
      limits[at] = most * (1 + ROUNDING);
    });
    return limits;
  }

  /** Whether the quantile is above a limit, without its root: that is asked of every slot. */
  #isAbove(mean: number, variance: number, limit: number): boolean {
    const gap = limit - mean;
    if (gap < 0) return true;
    const common = this.#instance.commonError * mean;
    return this.#capacityZ ** 2 * (Math.max(0, variance) + common * common) > gap * gap;
  }

  /** The quantile without what passes. */
  #lasting(mean: number, variance: number, at: number, passing: ReadonlySet<number> | undefined): number {
    const all = this.#atQuantile(mean, variance);
    return passing?.has(at) ? Math.min(all, this.#limit?.[at] as number) : all;
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

/** Partitions between two yields: a fraction of a millisecond, also over a week of hours, and before the compiler has looked at it. */
const PARTITIONS_OF_SLICE = 128;

/** The sums of a map, in slices. */
export function* summing(instance: PlacementInstance, ownerOf: Int32Array): Sliced<NodeSums> {
  const { partitionCount, nodeCount, depth, background } = instance;
  const sums = { load: background.slice(), variance: new Float64Array(nodeCount * depth) };
  for (let p = 0; p < partitionCount; p++) {
    addPartition(instance, sums, p, ownerOf[p] as number, 1);
    if ((p + 1) % PARTITIONS_OF_SLICE === 0) yield;
  }
  return sums;
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
