/**
 * What a map has to keep to, as plain numbers: one part of a placement problem, the same for every optimiser.
 *
 * Staying home is always legal, whatever the rules say: an instance may begin in breach of them, and then no move may make
 * a breach worse. Optimisers may ignore what they do not know of: the judge repairs what they suggest.
 */
export interface PlacementRules {
  /** u8[partition][node]: 1 where a partition may go; null if any partition may go to any node. */
  readonly allowed: Uint8Array | null;
  /** u8[partition][node]: 1 where it is a rule of zones that forbids; for explanations alone. */
  readonly zoneForbidden: Uint8Array | null;
  /** f64[partition]: index points for staying at a home that is not allowed; 0 at one that is. */
  readonly stayPenalty: Float64Array;
  /** Index points for each breach of a rule; see `breach-price.ts`. */
  readonly breachPrice: number;
  /**
   * f64[partition]: index points on members of a group that is to be apart and is not, for kernels alone: they know no group
   * as a whole, so one of those that share a node is told to leave. The judge charges the group, whoever leaves.
   */
  readonly spreadPenalty: Float64Array;
  /** i32[partition]: members of one group, such as replicas of the same data, never share a node; -1 for none. */
  readonly groupOf: Int32Array;
  /** All groups of a partition that is in more than one; kernels see the first only, the judge sees all. */
  readonly groupsOf: ReadonlyMap<number, readonly number[]>;
  /** i32[group]: zones its members have to be spread over, at least. */
  readonly groupZonesMin: Int32Array;
  /** i32[node]: its zone, counted from 0. */
  readonly zoneOf: Int32Array;
  /** i32[partition]: partitions it stands for, 1 but for a unit of co-located ones; budgets of moves count them. */
  readonly memberCount: Int32Array;
  /** Moves out of a node and into it, together, in one plan. */
  readonly nodeMovesMax: number;
  /** Bytes that one plan may move. */
  readonly bytesMovedMax: number;
  /** Index points for the highest utilisation over all nodes, resources and slots being 1; linear in it. */
  readonly peakWeight: number;
  /**
   * Deviations above the mean at which no node may be above its capacity in any slot; one that was above may only fall.
   * Null where capacity is a price alone.
   */
  readonly capacityZ: number | null;
  /** u8[resource]: 1 for a resource that a moving partition takes on both nodes until the plan is done, as memory is. */
  readonly isTransient: Uint8Array;
  /** f64[node]: bytes per second a migration may use into or out of it; a copy has the lesser of both ends. */
  readonly bandwidth: Float64Array;
  /** f64[partition]: bytes per second written to it, which have to be copied again. */
  readonly dirtyRate: Float64Array;
  /** f64[partition]: what of `movePrice` is for copying, to the target where that costs least; see `move-price.ts`. */
  readonly leastCopyPrice: Float64Array;
  /** f64[node]: index points for one second of copying, out of it or into it. */
  readonly secondPrice: Float64Array;
}

/** No rules at all: anything may go anywhere, as fast as it likes. */
export function neutralRules(shape: {
  readonly partitionCount: number;
  readonly nodeCount: number;
  readonly resourceCount: number;
}): PlacementRules {
  const { partitionCount, nodeCount, resourceCount } = shape;
  return {
    allowed: null,
    zoneForbidden: null,
    stayPenalty: new Float64Array(partitionCount),
    breachPrice: 1,
    spreadPenalty: new Float64Array(partitionCount),
    groupOf: new Int32Array(partitionCount).fill(-1),
    groupsOf: new Map(),
    groupZonesMin: new Int32Array(0),
    zoneOf: new Int32Array(nodeCount),
    memberCount: new Int32Array(partitionCount).fill(1),
    nodeMovesMax: Number.POSITIVE_INFINITY,
    bytesMovedMax: Number.POSITIVE_INFINITY,
    peakWeight: 0,
    capacityZ: null,
    isTransient: new Uint8Array(resourceCount),
    bandwidth: new Float64Array(nodeCount).fill(Number.POSITIVE_INFINITY),
    dirtyRate: new Float64Array(partitionCount),
    leastCopyPrice: new Float64Array(partitionCount),
    secondPrice: new Float64Array(nodeCount),
  };
}
