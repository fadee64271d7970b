import { assert } from '../base/assert.ts';
import type { PlacementInstance } from './instance.ts';

/** An instance in which partitions that move together are one, and the way back. */
export interface UnitInstance {
  readonly instance: PlacementInstance;
  /** Members of each unit, in ascending order; one for most. */
  readonly membersOf: readonly (readonly number[])[];
  /** i32[partition]: the owners that a map of units gives to partitions. */
  split(unitOwnerOf: Int32Array): Int32Array;
}

/**
 * Merges partitions into units before the search: loads, variances, bytes and prices add up, and a unit may do only what all
 * of its members may. So no optimiser needs to know of co-location. Without units the instance itself comes back.
 *
 * @param units disjoint; the members of each share a home.
 */
export function mergeUnits(instance: PlacementInstance, units: readonly (readonly number[])[]): UnitInstance {
  const { partitionCount, nodeCount, depth } = instance;
  const unitOf = new Int32Array(partitionCount).fill(-1);
  const membersOf: (readonly number[])[] = [];
  for (const members of units) {
    assert(
      members.every((p) => instance.home[p] === instance.home[members[0] as number]),
      'the members of a unit share a home',
    );
    for (const p of members) unitOf[p] = membersOf.length;
    membersOf.push(members);
  }
  for (let p = 0; p < partitionCount; p++) if (unitOf[p] === -1) unitOf[p] = membersOf.push([p]) - 1;
  const split = (unitOwnerOf: Int32Array): Int32Array =>
    unitOf.map((unit) => unitOwnerOf[unit] as number) as Int32Array;
  if (units.length === 0) return { instance, membersOf, split: (ownerOf) => ownerOf };

  const count = membersOf.length;
  const total = (values: Float64Array, width = 1): Float64Array => {
    const sums = new Float64Array(count * width);
    for (let p = 0; p < partitionCount; p++)
      for (let i = 0; i < width; i++)
        sums[(unitOf[p] as number) * width + i]! += values[p * width + i] as number;
    return sums;
  };
  /** Per unit and node: what each member's row says, joined. */
  const joined = (rows: Uint8Array | null, join: (a: number, b: number) => number): Uint8Array | null =>
    rows === null
      ? null
      : Uint8Array.from({ length: count * nodeCount }, (_, at) =>
          (membersOf[Math.floor(at / nodeCount)] as readonly number[])
            .map((p) => rows[p * nodeCount + (at % nodeCount)] as number)
            .reduce((one, other) => join(one, other)),
        );
  const perUnit = (count: (members: readonly number[]) => number): Int32Array =>
    Int32Array.from(membersOf, count);
  const groups = membersOf.map((members) => [
    ...new Set(members.flatMap((p) => instance.groupsOf.get(p) ?? ownGroup(instance, p))),
  ]);
  return {
    membersOf,
    split,
    instance: {
      ...instance,
      partitionCount: count,
      load: total(instance.load, depth),
      variance: total(instance.variance, depth),
      home: perUnit(([first]) => instance.home[first as number] as number),
      isMovable: Uint8Array.from(membersOf, (members) =>
        members.every((p) => instance.isMovable[p] === 1) ? 1 : 0,
      ),
      bytes: total(instance.bytes),
      movePrice: total(instance.movePrice),
      leastCopyPrice: total(instance.leastCopyPrice),
      // Members are copied one after the other: what is too hot for one of them is so for all. For prices that is a little too much.
      dirtyRate: Float64Array.from(membersOf, (members) =>
        Math.max(...members.map((p) => instance.dirtyRate[p] as number)),
      ),
      stayPenalty: total(instance.stayPenalty),
      spreadPenalty: total(instance.spreadPenalty),
      memberCount: perUnit((members) =>
        members.reduce((sum, p) => sum + (instance.memberCount[p] as number), 0),
      ),
      allowed: joined(instance.allowed, Math.min),
      zoneForbidden: joined(instance.zoneForbidden, Math.max),
      groupOf: Int32Array.from(groups, (own) => own[0] ?? -1),
      groupsOf: new Map(
        groups.flatMap((own, unit): [number, readonly number[]][] => (own.length > 1 ? [[unit, own]] : [])),
      ),
    },
  };
}

/** i32[unit]: where a map of partitions puts whole units; one whose members it parts is at home. */
export function joinUnits(
  membersOf: UnitInstance['membersOf'],
  home: Int32Array,
  ownerOf: Int32Array,
): Int32Array {
  return Int32Array.from(membersOf, (members, unit) => {
    const owner = ownerOf[members[0] as number] as number;
    return members.every((p) => ownerOf[p] === owner) ? owner : (home[unit] as number);
  });
}

function ownGroup({ groupOf }: PlacementInstance, partition: number): number[] {
  const group = groupOf[partition] as number;
  return group < 0 ? [] : [group];
}
