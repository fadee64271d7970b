import type { NodeId, PartitionId } from './ids.ts';
import type { LoadDimension } from './load-profile.ts';

/** A node and a time, and how full it is. */
export interface NodeMoment<Dimension extends string = LoadDimension> {
  readonly nodeId: NodeId;
  readonly dimension: Dimension;
  /** Wall clock of the step's start, milliseconds. */
  readonly atMs: number;
  readonly utilisation: number;
}

/** Utilisation of nodes over the horizon, per mille: numbers for a chart, small enough for one record. */
export interface UtilisationTable<Dimension extends string = LoadDimension> {
  readonly startMs: number;
  /** Of one column; a table too large is made coarser, each column the highest of the steps that it stands for. */
  readonly stepMs: number;
  readonly dimensions: readonly Dimension[];
  /** [dimension][node][column] each. Mean and upper bound, with every partition at home and as planned. */
  readonly meanBefore: readonly (readonly (readonly number[])[])[];
  readonly upperBefore: readonly (readonly (readonly number[])[])[];
  readonly meanAfter: readonly (readonly (readonly number[])[])[];
  readonly upperAfter: readonly (readonly (readonly number[])[])[];
}

/** What stands behind one move, in the order of the proposal's moves. */
export interface MoveEvidence {
  readonly partitionId: PartitionId;
  /** Where and when it relieves its source most. */
  readonly relief: NodeMoment;
  /** Fall of the objective if it alone were done, and in the plan if load is at the lower bound of the forecast. */
  readonly gainAlone: number;
  readonly gainLower: number;
  /** Moves that have to be done before it: without them it breaks a rule or makes the map worse. */
  readonly after: readonly PartitionId[];
  /** Of its forecast, against "as last week"; null where nobody knows. */
  readonly skill: number | null;
}

/** A plan of the first `moveCount` moves, the most useful first; 0 is staying. */
export interface FrontierPoint {
  readonly moveCount: number;
  readonly sizeBytes: number;
  /** The objective, and the part of it that is the price of these moves. */
  readonly cost: number;
  readonly price: number;
}

export interface ProposalEvidence {
  /** When a node first leaves its comfort zone if nothing is done; null if none does. */
  readonly firstBreach: NodeMoment | null;
  readonly utilisation: UtilisationTable;
  readonly moves: readonly MoveEvidence[];
  /** So long writes to a partition wait while it is handed over: typical, and what nine of ten stay below. */
  readonly fence: { readonly seconds: number; readonly secondsHigh: number; readonly sampleCount: number };
  /** What earlier moves have taught, as this plan used it. Not in records of before it was kept. */
  readonly experience?: {
    /** Clients' p99 while partitions moved, over the one without: it scales the price of copying. */
    readonly latencyRatio: number;
    /** Share of the promised relief that came. */
    readonly realisedShare: number;
    readonly bytesPerSecond: number;
    /** What a move had to gain for its price: the setting over the realised share. */
    readonly benefitCostRatio: number;
  };
  readonly frontier: readonly FrontierPoint[];
  /** What keeps partitions from a better place: by code, how many. */
  readonly binding: readonly { readonly code: string; readonly partitionCount: number }[];
  readonly stays: readonly StayReason[];
}

/** Why a partition stays: its best other place on the proposed map, and what speaks against it. */
export interface StayReason {
  readonly partitionId: PartitionId;
  readonly nodeId: NodeId;
  /** Null where there is no other node. */
  readonly alternativeNodeId: NodeId | null;
  readonly gain: number;
  readonly price: number;
  /**
   * `no-gain`: nowhere is better. `price`: the gain is less than the price times `benefitCostRatio`. `not-found`: it would pay
   * by itself; the next plan may take it. Otherwise the rule that forbids it.
   */
  readonly code: string;
}
