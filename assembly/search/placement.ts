/**
 * Placement of partitions on nodes as a problem of the annealing loop: state and control block. What a change costs stands
 * in `placement-cost.ts`, what the rules let through in `placement-rules.ts`, which changes are tried in
 * `placement-moves.ts`.
 *
 * Rows of loads are f32, `depth` = resources x slots padded to fours. After the partitions come two rows more: the null
 * partition, zeros, which a shift is swapped with; and the bundle, the sum of several that move as one.
 */
import { attempt } from "./placement-moves";
import { rebuild } from "./placement-rebuild";
import { SearchState } from "./state";

@unmanaged
export class Placement extends SearchState {
  nodeCount: u32;
  depth: u32;
  /** A multiple of 4. */
  slotStride: u32;
  resourceCount: u32;
  /** f32[partition + 2][depth]; variance 0 if riskZ is 0. */
  load: usize;
  variance: usize;
  /** f32[node][depth]; nodeVariance 0 if riskZ is 0. */
  nodeLoad: usize;
  nodeVariance: usize;
  /** f32[node][depth]: what `placement-screen.ts` knows of a node; none unless isScreened, nodeDoubt only with risk. */
  nodeSlope: usize;
  nodeBend: usize;
  nodeDoubt: usize;
  /** 1 if proposals are screened: rows are long enough, and no peak is priced. */
  isScreened: u32;
  /** f32[node][depth] */
  background: usize;
  /** f32[node]: latency and overload of the node, and its highest utilisation (kept only if peakWeight is above 0). */
  nodeCost: usize;
  nodePeak: usize;
  /** f32[depth] */
  slotWeight: usize;
  /** f32[node][resource] */
  inverseCapacity: usize;
  /** f32[resource] */
  overloadFactor: usize;
  riskZ: f32;
  commonErrorSquared: f32;
  safeUtilisation: f32;
  peakWeight: f32;
  /** The four nodes of the highest utilisation, highest first; fewer nodes repeat the last. */
  highest0: u32;
  highest1: u32;
  highest2: u32;
  highest3: u32;

  /** i32[partition] */
  home: usize;
  /** f32[partition][node]: what the rules charge for it being there; Infinity where it must not be. */
  placePrice: usize;
  /** i32[partition]: how many moves its move counts as. */
  memberCount: usize;
  /** f64[partition] */
  bytes: usize;
  /** f64[node]: what it can receive, -1 for a node that must not; and what is left of that. */
  bytesRoom: usize;
  bytesFree: usize;
  movesMax: u32;
  movedCount: u32;

  /** i32[movableCount], i32[targetCount] */
  movable: usize;
  movableCount: u32;
  targets: usize;
  targetCount: u32;
  /** f32[partition]: load weighed over resources and slots; i32[movableCount]: the movable ones, smallest first. */
  size: usize;
  bySize: usize;
  /** i32[partition]: where it stands in bySize, -1 if it is pinned. */
  rankOf: usize;
  /** i32[partition + node]: rings of a node's movable partitions; entry partitionCount + n closes node n's ring. */
  next: usize;
  previous: usize;
  /** i32[node]: where the next draw from the node's ring begins. */
  cursor: usize;

  /** Which of the rules below there are: GROUPS, NODE_MOVES, BYTES_MOVED of placement-rules. */
  ruleFlags: u32;
  /** i32[partition], -1 for none. */
  groupOf: usize;
  groupCount: u32;
  zoneCount: u32;
  /** i32[node] */
  zoneOf: usize;
  /** i32[group] */
  groupZonesMin: usize;
  /** u16[group][node]: members there whose home it is, and 256 x the others. */
  groupOnNode: usize;
  /** u16[group][zone], u16[group]: members in a zone, zones with members. */
  groupInZone: usize;
  groupZones: usize;
  /** i32[node]: moves out and in. */
  nodeMoves: usize;
  nodeMovesMax: i32;
  bytesMoved: f64;
  bytesMovedMax: f64;

  /** f64[node][depth] */
  scratch: usize;

  // The proposal under way: what its nodes would cost, and what the rules would count.
  costA: f32;
  costB: f32;
  costC: f32;
  peakA: f32;
  peakB: f32;
  peakC: f32;
  movedDelta: i32;
  bytesDelta: f64;
  /** u32[STEPS_MAX][3]: partition, source, target. */
  steps: usize;
  stepCount: u32;

  @inline
  attempt(operator: u32): f64 {
    return attempt(this, operator);
  }

  rebuild(): void {
    rebuild(this);
  }

  @inline
  loadRow(partition: u32): usize {
    return this.load + ((<usize>(partition * this.depth)) << 2);
  }

  @inline
  homeOf(partition: u32): u32 {
    return load<u32>(this.home + ((<usize>partition) << 2));
  }

  /** 1 if the node is not the partition's home. */
  @inline
  away(partition: u32, node: u32): i32 {
    return this.homeOf(partition) == node ? 0 : 1;
  }

  @inline
  bytesOf(partition: u32): f64 {
    return load<f64>(this.bytes + ((<usize>partition) << 3));
  }

  /** Moves that count, of a partition being on a node: none at home. */
  @inline
  movesFor(partition: u32, node: u32): i32 {
    return this.homeOf(partition) == node ? 0 : load<i32>(this.memberCount + ((<usize>partition) << 2));
  }

  @inline
  priceAt(partition: u32, node: u32): f32 {
    return load<f32>(this.placePrice + ((<usize>(partition * this.nodeCount + node)) << 2));
  }
}
