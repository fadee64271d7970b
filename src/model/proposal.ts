import type { NodeId, PartitionId } from './ids.ts';
import type { LoadDimension } from './load-profile.ts';

/** One partition that changes its owner. */
export interface Move {
  readonly partitionId: PartitionId;
  readonly sourceNodeId: NodeId;
  readonly targetNodeId: NodeId;
  readonly sizeBytes: number;
  /** Fall of the objective if the rest of the proposal is carried out, cost not yet subtracted; objective units. */
  readonly gain: number;
  /** Price of moving in the same units. */
  readonly cost: number;
  /** Of the partition, in the mean over what it was planned for. */
  readonly queriesPerSecond?: number;
  /** With the moves that would have to be left out with it, where there are any: what all of them gain and cost. */
  readonly unit?: {
    /** Itself the first. */
    readonly partitionIds: readonly PartitionId[];
    readonly gain: number;
    readonly cost: number;
  };
  /** Moves of the same proposal that make room for it: it does not begin before them. None where it is left out. */
  readonly after?: readonly PartitionId[];
  /** For people: which node, when, and what is relieved. */
  readonly reason: string;
  /** Null: as soon as there is a place. */
  readonly schedule: MoveSchedule | null;
}

/** When a move is carried out, and what it takes. */
export interface MoveSchedule {
  /** Wall clock before which it does not begin, milliseconds. */
  readonly startMs: number;
  /** When it should have ended, if it begins at the start of its slot. */
  readonly endMs: number;
  /** From the start of the copy to the switch. */
  readonly seconds: number;
  /** The most that its copy takes. */
  readonly bytesPerSecond: number;
  /** Its price at that hour, and the fall of the objective from its arrival on, among the other moves at their times. */
  readonly price: number;
  readonly gain: number;
}

/** A move that is worth while and finds no time. */
export interface LeftOutMove {
  readonly partitionId: PartitionId;
  readonly sourceNodeId: NodeId;
  readonly targetNodeId: NodeId;
  /** See `docs/affinity.md`. */
  readonly code: string;
}

/** Why a proposal is empty, or smaller than the search found. */
export type Refusal =
  | 'below-minimum-gain'
  | 'no-order'
  | 'near-bound'
  | 'migrations-open'
  | 'residence'
  | 'no-time'
  | 'breach-stays'
  | 'wide-bounds'
  | 'moves-per-day';

/** What no map can mend, or what the cluster could do without. */
export type GrowthAdvice<Dimension extends string = LoadDimension> =
  /** All load together is more than all nodes can hold in their comfort zones: no map satisfies. */
  | {
      readonly kind: 'add-nodes';
      readonly dimension: Dimension;
      /** Of the present median kind. */
      readonly nodeCount: number;
      /** The first step in which it is too much, wall clock. */
      readonly atMs: number;
      /** Of all nodes, if load were water. */
      readonly utilisation: number;
    }
  /** One partition is more than any node can hold in its comfort zone: only a smaller partition, or a cooler key, helps. */
  | {
      readonly kind: 'split-partition';
      readonly dimension: Dimension;
      readonly partitionId: PartitionId;
      readonly atMs: number;
      /** Of the roomiest node, if it carried nothing else. */
      readonly utilisation: number;
    }
  /** Neither is proven, and yet the proposed map leaves a node outside its comfort zone. */
  | {
      readonly kind: 'still-stressed';
      readonly dimension: Dimension;
      readonly nodeId: NodeId;
      readonly atMs: number;
      readonly utilisation: number;
    }
  /** So many nodes can go: the others would stay half-way between low and high at the highest. */
  | { readonly kind: 'remove-nodes'; readonly nodeCount: number; readonly utilisation: number };

/** The recommended map as an ordered difference from the current one. */
export interface Proposal {
  /** The ownership it starts from, i32[partition]: a proposal on another map is void. */
  readonly baseOwnerOf: Int32Array;
  readonly baseEpochOf: Uint32Array;
  readonly targetOwnerOf: Int32Array;
  /** In the order in which they should be carried out: no prefix is worse than the start. */
  readonly moves: readonly Move[];
  readonly leftOut: readonly LeftOutMove[];
  readonly growth: readonly GrowthAdvice[];
  /** Objective of staying, and of the target map, move price included. */
  readonly costBefore: number;
  readonly costAfter: number;
  /** Objective with each partition where the timetable has it at the time, and each move at the price of its hour. */
  readonly costOverTime: number;
  /** No map costs less than this. */
  readonly lowerBound: number;
  readonly refusal?: Refusal;
  readonly algorithm: string;
  /** What is needed to make the same bytes again: see `replay`. */
  readonly seed: bigint;
  readonly iterations: number;
  /** Present where a search ran out of time: iterations of each, in turn; with them the same plan is made again. */
  readonly endedAfter?: readonly number[];
}
