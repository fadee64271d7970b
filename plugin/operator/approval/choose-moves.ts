import { ForeshardError } from '../../../src/base/errors.ts';
import type { RoomMaker } from '../../../src/migration/queue/approvals.ts';
import type { ProposalRecord } from '../../host/records/proposal-record.ts';
import { asRanges, asTime } from '../units-text.ts';

/** One move of a proposal that somebody wants. */
export interface ChosenMove {
  readonly move: ProposalRecord['moves'][number];
  /** Its place in the proposal. */
  readonly order: number;
  /** Of the chosen ones and those approved before: what has to be away first. */
  readonly after: readonly RoomMaker[];
}

/**
 * The moves of a proposal that were named. A part of a plan may be worth less than nothing: what stands or falls together is
 * approved together, and what needs room is not approved without what makes it.
 *
 * @param wanted null: all.
 * @param given partitions whose moves have been approved before and have not begun, or are done.
 * @throws ForeshardError FORESHARD_CONFLICT naming what is missing: another proposal may have it.
 */
export function chooseMoves(
  { moves, evidence, atMs }: ProposalRecord,
  wanted: readonly number[] | null,
  given: ReadonlySet<number>,
): ChosenMove[] {
  const proposed = new Set(moves.map(({ partitionId }) => partitionId));
  const strangers = (wanted ?? []).filter((partitionId) => !proposed.has(partitionId));
  if (strangers.length > 0)
    throw refusal(
      `the proposal of ${asTime(atMs)} does not move partition ${asRanges(sorted(strangers))}: \`foreshard proposal\` prints what it moves`,
    );
  const chosen = new Set(wanted ?? proposed);
  return moves.flatMap((move, order) => {
    if (!chosen.has(move.partitionId)) return [];
    const isGiven = (partitionId: number): boolean => chosen.has(partitionId) || given.has(partitionId);
    const parts = move.unit?.partitionIds.filter((id) => proposed.has(id) && !isGiven(id)) ?? [];
    if (parts.length > 0)
      throw refusal(
        `partition ${move.partitionId} stands or falls with ${asRanges(sorted(parts))}: approve them together, or none`,
      );
    const after = evidence?.moves[order]?.after.filter((id) => proposed.has(id)) ?? [];
    const missing = after.filter((partitionId) => !isGiven(partitionId));
    if (missing.length > 0)
      throw refusal(
        `partition ${move.partitionId} can only go after ${asRanges(sorted(missing))} has gone: approve that as well`,
      );
    const makers = moves.filter(({ partitionId }) => after.some((id) => id === partitionId));
    return [{ move, order, after: makers.map(asRoomMaker) }];
  });
}

const asRoomMaker = ({ partitionId, sourceNodeId }: RoomMaker): RoomMaker => ({ partitionId, sourceNodeId });

const sorted = (ids: readonly number[]): number[] => [...ids].sort((a, b) => a - b);

const refusal = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFLICT', 're-read', `${message}; nothing was approved`);
