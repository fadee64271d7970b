/** Which moves of a plan have to wait until others have made room for them: pure. */
import type { PartitionRecord } from '../../model/migration.ts';
import type { Move, Proposal } from '../../model/proposal.ts';
import { type AdmissionRefusal, isTemporary } from './admission.ts';
import { isStuck, isUnblocked, type RoomMaker } from './approvals.ts';

/** What may still move: partitions of this plan that wait or have just begun, of approvals, of moves that are open. */
export interface RoomContext {
  readonly records: readonly (PartitionRecord | null)[];
  readonly isPending: (partitionId: number) => boolean;
}

/**
 * @returns why a move may not begin as far as others are concerned: 'awaits-room' passes by itself; 'no-room' is when one that
 *   should have made room stays, since it was refused or its migration was given up. Null when all of them are away.
 */
function roomRefusalOf(
  { after = [] }: Pick<Move, 'after'>,
  baseOwnerOf: Proposal['baseOwnerOf'],
  { records, isPending }: RoomContext,
): 'awaits-room' | 'no-room' | null {
  const makers = after.map(
    (partitionId): RoomMaker => ({ partitionId, sourceNodeId: baseOwnerOf[partitionId] as number }),
  );
  if (makers.some((maker) => isStuck(maker, isPending(maker.partitionId), records[maker.partitionId])))
    return 'no-room';
  const isAway = makers.every(({ partitionId }) => !isPending(partitionId));
  return isAway && isUnblocked({ after: makers }, records) ? null : 'awaits-room';
}

/**
 * The same, together with what else is said of the move: what is for good comes first, since whoever waits for this one has
 * to know.
 */
export function refusalWithRoom(
  move: Pick<Move, 'after'>,
  refusal: AdmissionRefusal | null,
  baseOwnerOf: Proposal['baseOwnerOf'],
  context: RoomContext,
): AdmissionRefusal | null {
  if (refusal !== null && !isTemporary(refusal)) return refusal;
  const room = roomRefusalOf(move, baseOwnerOf, context);
  return room === 'no-room' ? room : (refusal ?? room);
}
