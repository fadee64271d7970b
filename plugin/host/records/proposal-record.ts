import { ForeshardError } from '../../../src/base/errors.ts';
import type { SilentNode } from '../../../src/controller.ts';
import { asNodeId, asPartitionId } from '../../../src/model/ids.ts';
import type { GrowthAdvice, LeftOutMove, Move, MoveSchedule, Proposal } from '../../../src/model/proposal.ts';

import type { MoveEvidence, ProposalEvidence, StayReason } from '../../../src/model/proposal-evidence.ts';
import { decodeRecord, encodeRecord } from './json-record.ts';

/** What people read and approve: `proposal/latest` in the metadata store, as JSON. */
export interface ProposalRecord {
  readonly v: 4;
  readonly atMs: number;
  readonly algorithm: string;
  /** Decimal: it does not fit a JSON number. */
  readonly seed: string;
  readonly iterations: number;
  /** Present where a search ran out of time: iterations of each, in turn. */
  readonly endedAfter?: readonly number[];
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
    /** Absent where queries are not forecast, and in records of before it was kept. */
    readonly queriesPerSecond?: number;
    /** Absent where it can be left out alone. */
    readonly unit?: Move['unit'];
    readonly reason: string;
    /** Null: as soon as there is a place. */
    readonly schedule: MoveSchedule | null;
  }[];
  readonly leftOut: readonly LeftOutMove[];
  readonly growth: readonly GrowthAdvice[];
  /** The next cycle makes another: from then on this one says what was. */
  readonly expiresAtMs: number;
  /** For so long after a move its old owner follows the new one. */
  readonly wayBackMs: number;
  /** With seed and iterations all that makes the same plan again: of everything it was made from, and of the kernels. */
  readonly inputsHash: string | null;
  readonly kernelHash: string;
  /** Storage nodes that did not answer when it was made. Not in records of before it was kept. */
  readonly silentNodes?: readonly SilentNode[];
  /** Null for relief alone. */
  readonly evidence: Omit<ProposalEvidence, 'stays'> | null;
  /** Present where moves were put before those of the plan since. */
  readonly relief?: {
    readonly atMs: number;
    readonly reason: string;
    /** Later than any change before it, whatever the clock says; absent in records of before it was kept. */
    readonly changedAtMs?: number;
  };
}

/** When a proposal became what it is: of another moment it is another, though its plan, which `atMs` names, is the same. */
export const changedAtMs = ({ atMs, relief }: Pick<ProposalRecord, 'atMs' | 'relief'>): number =>
  Math.max(atMs, relief?.changedAtMs ?? relief?.atMs ?? atMs);

/** `proposal/stays`: why every other partition stays where it is. Apart, since it is as long as the map. */
interface StaysRecord {
  readonly v: 1;
  readonly atMs: number;
  /** As rows, which are a third as long as objects: 16,384 of them have to fit a value of the metadata store. */
  readonly stays: readonly StayRow[];
}

type StayRow = readonly [
  partitionId: number,
  nodeId: number,
  alternativeNodeId: number | null,
  gain: number,
  price: number,
  code: string,
];

export interface ProposalContext {
  readonly atMs: number;
  readonly expiresAtMs: number;
  readonly wayBackMs: number;
  readonly inputsHash: string | null;
  readonly kernelHash: string;
  readonly ignoredForecasts: readonly number[];
  readonly silentNodes?: readonly SilentNode[];
  readonly evidence: ProposalEvidence | null;
}

export function encodeProposal(proposal: Proposal, context: ProposalContext): Uint8Array {
  const record: ProposalRecord = {
    v: 4,
    atMs: context.atMs,
    algorithm: proposal.algorithm,
    seed: proposal.seed.toString(),
    iterations: proposal.iterations,
    ...(proposal.endedAfter && { endedAfter: proposal.endedAfter }),
    costBefore: proposal.costBefore,
    costAfter: proposal.costAfter,
    costOverTime: proposal.costOverTime,
    lowerBound: proposal.lowerBound,
    refusal: proposal.refusal ?? null,
    ignoredForecasts: context.ignoredForecasts,
    moves: moveRecords(proposal),
    leftOut: proposal.leftOut,
    growth: proposal.growth,
    expiresAtMs: context.expiresAtMs,
    wayBackMs: context.wayBackMs,
    inputsHash: context.inputsHash,
    kernelHash: context.kernelHash,
    silentNodes: context.silentNodes ?? [],
    evidence: context.evidence && withoutStays(context.evidence),
  };
  return new TextEncoder().encode(JSON.stringify(record));
}

const moveRecords = ({ moves, baseEpochOf }: Proposal): ProposalRecord['moves'] =>
  moves.map((move) => ({
    partitionId: move.partitionId,
    sourceNodeId: move.sourceNodeId,
    targetNodeId: move.targetNodeId,
    epoch: baseEpochOf[move.partitionId] as number,
    sizeBytes: move.sizeBytes,
    gain: move.gain,
    cost: move.cost,
    ...(move.queriesPerSecond === undefined ? {} : { queriesPerSecond: move.queriesPerSecond }),
    ...(move.unit === undefined ? {} : { unit: move.unit }),
    reason: move.reason,
    schedule: move.schedule,
  }));

/**
 * A record with moves of relief before those of the plan, which stay as they were, but for partitions that relief moves. It is
 * another than before, by {@link changedAtMs}.
 *
 * @param relief.evidence one for each of its moves.
 * @param relief.expiresAtMs until then at least they can be approved, though the plan should end before.
 */
export function withReliefMoves(
  record: ProposalRecord,
  proposal: Proposal,
  relief: {
    readonly atMs: number;
    readonly reason: string;
    readonly evidence: readonly MoveEvidence[];
    readonly expiresAtMs: number;
  },
): ProposalRecord {
  const relieved = new Set<number>(proposal.moves.map(({ partitionId }) => partitionId));
  const isKept = ({ partitionId }: { readonly partitionId: number }): boolean => !relieved.has(partitionId);
  const { evidence } = record;
  const { atMs, reason } = relief;
  return {
    ...record,
    refusal: null,
    moves: [...moveRecords(proposal), ...record.moves.filter(isKept)],
    leftOut: record.leftOut.filter(isKept),
    evidence: evidence && { ...evidence, moves: [...relief.evidence, ...evidence.moves.filter(isKept)] },
    expiresAtMs: Math.max(record.expiresAtMs, relief.expiresAtMs),
    relief: { atMs, reason, changedAtMs: Math.max(atMs, changedAtMs(record) + 1) },
  };
}

/** @throws ForeshardError FORESHARD_CORRUPT when it is not what encodeProposal wrote. */
export function decodeProposal(bytes: Uint8Array): ProposalRecord {
  let record: ProposalRecord | null;
  try {
    record = JSON.parse(new TextDecoder().decode(bytes)) as ProposalRecord | null;
  } catch (cause) {
    throw new ForeshardError('FORESHARD_CORRUPT', 'report', 'the latest proposal cannot be read', { cause });
  }
  if (record?.v === 4 && Array.isArray(record.moves) && Array.isArray(record.ignoredForecasts)) return record;
  throw new ForeshardError(
    'FORESHARD_CORRUPT',
    'report',
    `the latest proposal is of version ${record?.v}, which this program does not know: the next cycle of a coordinator of this version makes another`,
  );
}

function withoutStays({ stays: _, ...evidence }: ProposalEvidence): ProposalRecord['evidence'] {
  return evidence;
}

export function encodeStays(stays: readonly StayReason[], atMs: number): Uint8Array {
  const short = (value: number): number => Number(value.toPrecision(5));
  const rows = stays.map(
    ({ partitionId, nodeId, alternativeNodeId, gain, price, code }): StayRow => [
      partitionId,
      nodeId,
      alternativeNodeId,
      short(gain),
      short(price),
      code,
    ],
  );
  return encodeRecord({ v: 1, atMs, stays: rows } satisfies StaysRecord);
}

/** @throws ForeshardError FORESHARD_CORRUPT when it is not what encodeStays wrote. */
export function decodeStays(key: string, bytes: Uint8Array): StayReason[] {
  const isKnown = (record: StaysRecord): boolean => record.v === 1 && Array.isArray(record.stays);
  return decodeRecord(key, bytes, isKnown).stays.map(
    ([partition, node, alternative, gain, price, code]): StayReason => ({
      partitionId: asPartitionId(partition),
      nodeId: asNodeId(node),
      alternativeNodeId: alternative === null ? null : asNodeId(alternative),
      gain,
      price,
      code,
    }),
  );
}
