import type { Sliced } from '../../base/slices.ts';
import type { PlacementInstance } from '../instance.ts';
import { copySeconds } from '../move-price.ts';
import type { MoveRefusal } from '../refusals.ts';

/** Partitions between two yields: a tenth of a millisecond, and a few before V8 has compiled it. */
const PARTITIONS_OF_SLICE = 1024;

/**
 * What a map has used up of its rules, kept up to date under moves: budgets, room on disks, members of groups by node and
 * zone. Capacity is not here: it needs loads (`hard-capacity.ts`).
 *
 * Whatever held at home goes on being legal, and nothing may get worse than it was there: two members of a group that begin
 * on one node may stay, a third may not join them.
 */
export class RuleState {
  readonly #instance: PlacementInstance;
  readonly #bytesFree: Float64Array;
  readonly #nodeMoves: Int32Array;
  readonly #groups: readonly GroupSpread[];
  #movedCount = 0;
  #bytesMoved = 0;

  /** The state of a map, in slices. */
  static *building(instance: PlacementInstance, ownerOf: Int32Array): Sliced<RuleState> {
    const state = new RuleState(instance);
    for (let p = 0; p < instance.partitionCount; p++) {
      const home = instance.home[p] as number;
      for (const g of groupsOf(instance, p)) (state.#groups[g] as GroupSpread).start(home);
      if ((p + 1) % PARTITIONS_OF_SLICE === 0) yield;
    }
    for (let p = 0; p < instance.partitionCount; p++) {
      state.move(p, instance.home[p] as number, ownerOf[p] as number);
      if ((p + 1) % PARTITIONS_OF_SLICE === 0) yield;
    }
    return state;
  }

  private constructor(instance: PlacementInstance) {
    this.#instance = instance;
    this.#bytesFree = instance.bytesFree.slice();
    this.#nodeMoves = new Int32Array(instance.nodeCount);
    this.#groups = groupSpreads(instance);
  }

  /** Why `partition` may not go from `source` to `node`; null if no rule forbids it. */
  refusal(partition: number, source: number, node: number): MoveRefusal | null {
    if (source === node) return null;
    const instance = this.#instance;
    if (instance.isMovable[partition] === 0) return 'pinned';
    if (node !== instance.home[partition]) {
      const refusal = forbidden(instance, partition, node) ?? this.#budget(partition, source, node);
      if (refusal !== null) return refusal;
    }
    for (const g of groupsOf(instance, partition)) {
      const refusal = (this.#groups[g] as GroupSpread).refusal(source, node);
      if (refusal !== null) return refusal;
    }
    return null;
  }

  /** Members that share a node with others of their group, and zones that groups lack: what a move would change in their count. */
  breachDelta(partition: number, source: number, node: number): number {
    let delta = 0;
    for (const g of groupsOf(this.#instance, partition))
      delta += (this.#groups[g] as GroupSpread).breachDelta(source, node);
    return delta;
  }

  /** Whether a partition shares `node` with its group, or belongs to one that lacks a zone. */
  isInBreach(partition: number, node: number): boolean {
    return groupsOf(this.#instance, partition).some((g) => (this.#groups[g] as GroupSpread).isInBreach(node));
  }

  /** Their count over all groups. */
  breachCount(): number {
    return this.#groups.reduce((sum, group) => sum + group.breachCount(), 0);
  }

  /** Notes that a partition has gone from one node to another. */
  move(partition: number, source: number, node: number): void {
    if (source === node) return;
    const { home, bytes, memberCount } = this.#instance;
    const size = bytes[partition] as number;
    const members = memberCount[partition] as number;
    const own = home[partition] as number;
    if (source === own) {
      this.#movedCount += members;
      this.#bytesMoved += size;
      this.#nodeMoves[own]! += members;
    } else {
      this.#bytesFree[source]! += size;
      this.#nodeMoves[source]! -= members;
    }
    if (node === own) {
      this.#movedCount -= members;
      this.#bytesMoved -= size;
      this.#nodeMoves[own]! -= members;
    } else {
      this.#bytesFree[node]! -= size;
      this.#nodeMoves[node]! += members;
    }
    for (const g of groupsOf(this.#instance, partition)) (this.#groups[g] as GroupSpread).move(source, node);
  }

  /** What a plan has only so much of. A partition that is away already has paid its share, but for the node it comes to. */
  #budget(partition: number, source: number, node: number): MoveRefusal | null {
    const { home, bytes, memberCount, movesMax, bytesMovedMax, nodeMovesMax } = this.#instance;
    const size = bytes[partition] as number;
    const members = memberCount[partition] as number;
    if ((this.#bytesFree[node] as number) < size) return 'bytes';
    if ((this.#nodeMoves[node] as number) + members > nodeMovesMax) return 'node-moves';
    if (source !== home[partition]) return null;
    if (this.#movedCount + members > movesMax) return 'budget-moves';
    if (this.#bytesMoved + size > bytesMovedMax) return 'budget-bytes';
    return (this.#nodeMoves[source] as number) + members > nodeMovesMax ? 'node-moves' : null;
  }
}

/** Rules of one partition and one node that no other move changes. */
export function forbidden(instance: PlacementInstance, partition: number, node: number): MoveRefusal | null {
  const { nodeCount, allowed, zoneForbidden, isTarget, home } = instance;
  if (isTarget[node] === 0) return 'node-down';
  const at = partition * nodeCount + node;
  if (allowed !== null && allowed[at] === 0) return zoneForbidden?.[at] === 1 ? 'zone' : 'forbidden';
  return Number.isFinite(copySeconds(instance, partition, home[partition] as number, node))
    ? null
    : 'dirty-rate';
}

const NO_GROUPS: readonly number[] = [];

/** The groups that a partition is to be apart in. */
export function groupsOf(instance: PlacementInstance, partition: number): readonly number[] {
  const first = instance.groupOf[partition] as number;
  if (first < 0) return NO_GROUPS;
  return instance.groupsOf.get(partition) ?? [first];
}

function groupSpreads(instance: PlacementInstance): GroupSpread[] {
  return Array.from(instance.groupZonesMin, (zonesMin) => new GroupSpread(instance.zoneOf, zonesMin));
}

function add(counts: Map<number, number>, key: number, change: number): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

/** Members of one group by node and by zone, now and at home. */
class GroupSpread {
  readonly #zoneOf: Int32Array;
  readonly #zonesMin: number;
  readonly #onNode = new Map<number, number>();
  readonly #inZone = new Map<number, number>();
  readonly #onNodeAtHome = new Map<number, number>();

  constructor(zoneOf: Int32Array, zonesMin: number) {
    this.#zoneOf = zoneOf;
    this.#zonesMin = zonesMin;
  }

  start(home: number): void {
    add(this.#onNodeAtHome, home, 1);
    this.#add(home, 1);
  }

  move(source: number, node: number): void {
    this.#add(source, -1);
    this.#add(node, 1);
  }

  refusal(source: number, node: number): MoveRefusal | null {
    const onNode = this.#onNode.get(node) ?? 0;
    if (onNode + 1 > Math.max(1, this.#onNodeAtHome.get(node) ?? 0)) return 'apart';
    const leaving = this.#zoneOf[source] as number;
    const coming = this.#zoneOf[node] as number;
    if (leaving === coming || this.#inZone.get(leaving) !== 1 || !this.#inZone.has(coming)) return null;
    // The only member in its zone joins another zone's: one zone fewer.
    return this.#inZone.size - 1 < this.#zonesMin ? 'zones-min' : null;
  }

  breachDelta(source: number, node: number): number {
    const meets = (this.#onNode.get(node) ?? 0) > 0 ? 1 : 0;
    const parts = (this.#onNode.get(source) ?? 0) > 1 ? 1 : 0;
    const leaving = this.#zoneOf[source] as number;
    const coming = this.#zoneOf[node] as number;
    if (leaving === coming) return meets - parts;
    const gained = this.#inZone.has(coming) ? 0 : 1;
    const lost = this.#inZone.get(leaving) === 1 ? 1 : 0;
    const missingAfter = Math.max(0, this.#zonesMin - (this.#inZone.size + gained - lost));
    return meets - parts + missingAfter - this.#missingZones();
  }

  isInBreach(node: number): boolean {
    return (this.#onNode.get(node) ?? 0) > 1 || this.#missingZones() > 0;
  }

  breachCount(): number {
    let count = this.#missingZones();
    for (const members of this.#onNode.values()) count += members - 1;
    return count;
  }

  #missingZones(): number {
    return Math.max(0, this.#zonesMin - this.#inZone.size);
  }

  #add(node: number, sign: 1 | -1): void {
    add(this.#onNode, node, sign);
    add(this.#inZone, this.#zoneOf[node] as number, sign);
  }
}
