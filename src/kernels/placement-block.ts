import { atOnce, type Sliced } from '../base/slices.ts';
import { sorting } from '../base/sorting.ts';
import type { Arena } from './arena.ts';
import { loopArrays, type SearchArray, SearchBlock, searchBlockBytes } from './search-block.ts';
import { PLACEMENT_FIELDS, PLACEMENT_OPERATORS, RULE_FLAGS } from './search-layout.ts';

/** What the placement kernel has to know of a problem; a PlacementInstance is one. */
export interface PlacementNumbers {
  readonly partitionCount: number;
  readonly nodeCount: number;
  readonly slotStride: number;
  readonly resourceCount: number;
  readonly depth: number;
  readonly load: Float64Array;
  readonly variance: Float64Array;
  readonly background: Float64Array;
  readonly capacity: Float64Array;
  readonly slotWeight: Float64Array;
  readonly overloadFactor: Float64Array;
  readonly riskZ: number;
  readonly commonError: number;
  readonly safeUtilisation: number;
  readonly peakWeight: number;
  readonly home: Int32Array;
  /** f32[partition][node]: what the rules charge for it being there; Infinity where it must not be. */
  readonly placePrice: Float32Array;
  /** i32[partition]: how many moves its move counts as. */
  readonly memberCount: Int32Array;
  readonly isMovable: Uint8Array;
  readonly isTarget: Uint8Array;
  readonly bytes: Float64Array;
  readonly bytesFree: Float64Array;
  readonly movesMax: number;
  readonly groupOf: Int32Array;
  readonly groupZonesMin: Int32Array;
  readonly zoneOf: Int32Array;
  readonly nodeMovesMax: number;
  readonly bytesMovedMax: number;
}

export type PlacementBlock = SearchBlock<typeof PLACEMENT_FIELDS>;

/** Steps of a proposal, at most, as in assembly/search/placement-rules.ts. */
const STEPS_MAX = 5;
/** Counts of moves are i32. */
const COUNT_MAX = 0x7fffffff;

/** With shorter rows a price is found as fast as a screen. A peak may fall by more than the screen's bound knows of. */
export const SCREENED_DEPTH_MIN = 16;

/** What the size of a placement's arrays depends on. */
export interface PlacementShape {
  readonly partitionCount: number;
  readonly nodeCount: number;
  readonly resourceCount: number;
  readonly depth: number;
  readonly isRisky: boolean;
}

/** Kernel memory of a placement without groups, bytes. */
export function placementBytes(shape: PlacementShape): number {
  return searchBlockBytes(PLACEMENT_FIELDS, shapedArrays(shape, shape.partitionCount, shape.nodeCount));
}

/**
 * A problem in kernel memory, rounded to f32, with every partition at its `start`.
 *
 * @param seed u32[4], not all zero.
 */
export function placementBlock(
  arena: Pick<Arena, 'uncleared' | 'free'>,
  numbers: PlacementNumbers,
  start: Int32Array,
  seed: readonly number[],
): PlacementBlock {
  const block = unfilledPlacementBlock(arena, numbers, {
    start,
    seed,
    order: atOnce(orderingBySize(numbers)),
  });
  atOnce(block.filling());
  return block;
}

/** {@link placementBlock} for whoever does its longer parts in slices: `order` before it, `filling()` after it. */
export function unfilledPlacementBlock(
  arena: Pick<Arena, 'uncleared' | 'free'>,
  numbers: PlacementNumbers,
  {
    start,
    seed,
    order,
  }: { readonly start: Int32Array; readonly seed: readonly number[]; readonly order: SizeOrder },
): PlacementBlock {
  const isRisky = numbers.riskZ > 0;
  const movable = indexesOf(numbers.isMovable);
  const targets = indexesOf(numbers.isTarget);
  const shaped = shapedArrays({ ...numbers, isRisky }, movable.length, targets.length);
  const ruled = ruleArrays(numbers);
  const arrays = filled(
    { ...shaped, ...ruled.arrays },
    { ...loadValues(numbers, isRisky), ...order, movable, targets, owner: start, bestOwner: start },
  );
  const block = new SearchBlock(arena, PLACEMENT_FIELDS, arrays, PLACEMENT_OPERATORS);
  // Sums of f32 costs of about 1 are no better than that.
  block.set('bestMargin', 1e-9);
  block.set('nodeCount', numbers.nodeCount);
  block.set('depth', numbers.depth);
  block.set('slotStride', numbers.slotStride);
  block.set('resourceCount', numbers.resourceCount);
  block.set('riskZ', numbers.riskZ);
  block.set('commonErrorSquared', numbers.commonError ** 2);
  block.set('safeUtilisation', numbers.safeUtilisation);
  block.set('peakWeight', numbers.peakWeight);
  block.set('movesMax', Math.min(numbers.movesMax, COUNT_MAX));
  block.set('movableCount', movable.length);
  block.set('targetCount', targets.length);
  block.set('ruleFlags', ruled.flags);
  block.set('groupCount', numbers.groupZonesMin.length);
  block.set('zoneCount', zoneCountOf(numbers));
  block.set('nodeMovesMax', Math.min(numbers.nodeMovesMax, COUNT_MAX));
  block.set('bytesMovedMax', numbers.bytesMovedMax);
  block.set('isScreened', numbers.depth >= SCREENED_DEPTH_MIN && numbers.peakWeight === 0 ? 1 : 0);
  block.set('isLearning', 1);
  (['random0', 'random1', 'random2', 'random3'] as const).forEach((field, i) => {
    block.set(field, seed[i] as number);
  });
  return block;
}

function indexesOf(flags: Uint8Array): number[] {
  const indexes: number[] = [];
  flags.forEach((flag, index) => {
    if (flag === 1) indexes.push(index);
  });
  return indexes;
}

const zoneCountOf = ({ zoneOf }: PlacementNumbers): number =>
  zoneOf.reduce((max, zone) => Math.max(max, zone + 1), 0);

/** Arrays that every placement has, without their values. */
function shapedArrays(
  { partitionCount, nodeCount, resourceCount, depth, isRisky }: PlacementShape,
  movableCount: number,
  targetCount: number,
): Record<string, SearchArray> {
  const f32 = (count: number): SearchArray => ({ kind: 'f32', count });
  const f64 = (count: number): SearchArray => ({ kind: 'f64', count });
  const i32 = (count: number): SearchArray => ({ kind: 'i32', count });
  const rows = (partitionCount + 2) * depth;
  const nodeRows = nodeCount * depth;
  return {
    ...loopArrays({ itemCount: partitionCount, operatorCount: PLACEMENT_OPERATORS.length }),
    load: f32(rows),
    nodeLoad: f32(nodeRows),
    ...(isRisky ? { variance: f32(rows), nodeVariance: f32(nodeRows), nodeDoubt: f32(nodeRows) } : {}),
    nodeSlope: f32(nodeRows),
    nodeBend: f32(nodeRows),
    background: f32(nodeRows),
    nodeCost: f32(nodeCount),
    nodePeak: f32(nodeCount),
    slotWeight: f32(depth),
    inverseCapacity: f32(nodeCount * resourceCount),
    overloadFactor: f32(resourceCount),
    home: i32(partitionCount),
    placePrice: f32(partitionCount * nodeCount),
    memberCount: i32(partitionCount),
    bytes: f64(partitionCount),
    bytesRoom: f64(nodeCount),
    bytesFree: f64(nodeCount),
    movable: i32(movableCount),
    targets: i32(targetCount),
    size: f32(partitionCount),
    bySize: i32(movableCount),
    rankOf: i32(partitionCount),
    next: i32(partitionCount + nodeCount),
    previous: i32(partitionCount + nodeCount),
    cursor: i32(nodeCount),
    nodeMoves: i32(nodeCount),
    scratch: f64(nodeRows),
    steps: i32(3 * STEPS_MAX),
  };
}

/** Arrays of the rules that this problem has, and which they are. */
function ruleArrays(numbers: PlacementNumbers): { arrays: Record<string, SearchArray>; flags: number } {
  const { nodeCount, partitionCount, groupOf, groupZonesMin, zoneOf } = numbers;
  const arrays: Record<string, SearchArray> = {};
  let flags = 0;
  if (groupOf.some((group) => group >= 0)) {
    flags |= RULE_FLAGS.groups;
    const groupCount = groupZonesMin.length;
    arrays.groupOf = { kind: 'i32', count: partitionCount, values: groupOf };
    arrays.groupZonesMin = { kind: 'i32', count: groupCount, values: groupZonesMin };
    arrays.zoneOf = { kind: 'i32', count: nodeCount, values: zoneOf };
    arrays.groupOnNode = { kind: 'u16', count: groupCount * nodeCount };
    arrays.groupInZone = { kind: 'u16', count: groupCount * zoneCountOf(numbers) };
    arrays.groupZones = { kind: 'u16', count: groupCount };
  }
  if (Number.isFinite(numbers.nodeMovesMax)) flags |= RULE_FLAGS.nodeMoves;
  if (Number.isFinite(numbers.bytesMovedMax)) flags |= RULE_FLAGS.bytesMoved;
  return { arrays, flags };
}

function loadValues(numbers: PlacementNumbers, isRisky: boolean): Record<string, ArrayLike<number>> {
  return {
    load: numbers.load,
    ...(isRisky ? { variance: numbers.variance } : {}),
    background: numbers.background,
    slotWeight: numbers.slotWeight,
    inverseCapacity: numbers.capacity.map((own) => 1 / own),
    overloadFactor: numbers.overloadFactor,
    home: numbers.home,
    placePrice: numbers.placePrice,
    memberCount: numbers.memberCount,
    bytes: numbers.bytes,
    // A node that must not receive has less than no room.
    bytesRoom: numbers.bytesFree.map((free, n) => (numbers.isTarget[n] === 1 ? free : -1)),
  };
}

/** Those that may move by their size; of the others none has a rank. */
interface SizeOrder extends Record<string, ArrayLike<number>> {
  /** f32[partition]: load weighed over resources and slots. */
  readonly size: Float32Array;
  /** i32[movable]. */
  readonly bySize: Int32Array;
  /** i32[partition]; -1 where it may not move. */
  readonly rankOf: Int32Array;
}

export function* orderingBySize(numbers: PlacementNumbers): Sliced<SizeOrder> {
  const size = yield* sizing(numbers);
  const movable = Int32Array.from(indexesOf(numbers.isMovable));
  const bySize = yield* sorting(movable, (p, q) => (size[p] as number) - (size[q] as number) || p - q);
  const rankOf = new Int32Array(numbers.partitionCount).fill(-1);
  bySize.forEach((p, rank) => {
    rankOf[p] = rank;
  });
  return { size, bySize, rankOf };
}

/** f32[partition]: load weighed over resources and slots. */
export const sizesOf = (numbers: PlacementNumbers): Float32Array => atOnce(sizing(numbers));

/** Partitions between two yields: a fraction of a millisecond at 24 slots. */
const PARTITIONS_OF_SLICE = 128;

function* sizing({ partitionCount, depth, load, slotWeight }: PlacementNumbers): Sliced<Float32Array> {
  const sizes = new Float32Array(partitionCount);
  for (let p = 0; p < partitionCount; p++) {
    let sum = 0;
    for (let d = 0; d < depth; d++) sum += (slotWeight[d] as number) * (load[p * depth + d] as number);
    sizes[p] = sum;
    if ((p + 1) % PARTITIONS_OF_SLICE === 0) yield;
  }
  return sizes;
}

function filled(
  arrays: Record<string, SearchArray>,
  values: Record<string, ArrayLike<number>>,
): Record<string, SearchArray> {
  const all = { ...arrays };
  for (const [name, own] of Object.entries(values))
    all[name] = { ...(all[name] as SearchArray), values: own };
  return all;
}
