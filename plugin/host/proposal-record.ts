import { ForeshardError } from '../../src/base/errors.ts';
import type { GrowthAdvice, LeftOutMove, MoveSchedule, Proposal } from '../../src/model/proposal.ts';

/** What people read and approve: `proposal/latest` in the metadata store, as JSON. */
export interface ProposalRecord {
  readonly v: 3;
  readonly atMs: number;
  readonly algorithm: string;
  /** Decimal: it does not fit a JSON number. */
  readonly seed: string;
  readonly iterations: number;
  readonly costBefore: number;
  readonly costAfter: number;
  readonly costOverTime: number;
  readonly lowerBound: number;
  readonly refusal: string | null;
  /** Partitions that were planned with last week's load, because their forecasts had been worse than that. */
  readonly ignoredForecasts: readonly number[];
  readonly moves: readonly {
    readonly partitionId: number;
    readonly sourceNodeId: number;
    readonly targetNodeId: number;
    /** Of the partition when the proposal was made: another epoch makes the move void. */
    readonly epoch: number;
    readonly sizeBytes: number;
    readonly gain: number;
    readonly cost: number;
    readonly reason: string;
    /** Null: as soon as there is a place. */
    readonly schedule: MoveSchedule | null;
  }[];
  readonly leftOut: readonly LeftOutMove[];
  readonly growth: readonly GrowthAdvice[];
}

export function encodeProposal(
  proposal: Proposal,
  options: { readonly atMs: number; readonly ignoredForecasts: readonly number[] },
): Uint8Array {
  const record: ProposalRecord = {
    v: 3,
    atMs: options.atMs,
    algorithm: proposal.algorithm,
    seed: proposal.seed.toString(),
    iterations: proposal.iterations,
    costBefore: proposal.costBefore,
    costAfter: proposal.costAfter,
    costOverTime: proposal.costOverTime,
    lowerBound: proposal.lowerBound,
    refusal: proposal.refusal ?? null,
    ignoredForecasts: options.ignoredForecasts,
    moves: proposal.moves.map((move) => ({
      partitionId: move.partitionId,
      sourceNodeId: move.sourceNodeId,
      targetNodeId: move.targetNodeId,
      epoch: proposal.baseEpochOf[move.partitionId] as number,
      sizeBytes: move.sizeBytes,
      gain: move.gain,
      cost: move.cost,
      reason: move.reason,
      schedule: move.schedule,
    })),
    leftOut: proposal.leftOut,
    growth: proposal.growth,
  };
  return new TextEncoder().encode(JSON.stringify(record));
}

/** @throws ForeshardError FORESHARD_CORRUPT when it is not what encodeProposal wrote. */
export function decodeProposal(bytes: Uint8Array): ProposalRecord {
  try {
    const record = JSON.parse(new TextDecoder().decode(bytes)) as ProposalRecord;
    if (record.v === 3 && Array.isArray(record.moves) && Array.isArray(record.ignoredForecasts))
      return record;
  } catch (cause) {
    throw new ForeshardError('FORESHARD_CORRUPT', 'report', 'the latest proposal cannot be read', { cause });
  }
  throw new ForeshardError('FORESHARD_CORRUPT', 'report', 'the latest proposal is of an unknown version');
}
