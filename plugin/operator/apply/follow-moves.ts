/** What becomes of moves that were approved, by looking at the metadata store: pure but for `lookAtMoves`. */
import { isSwitched } from '../../../src/migration/phases.ts';
import type { MigrationHistory } from '../../../src/migration/records/records.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { readOpenSlotMoves, type SlotMoveRecord } from '../../engines/redis-cluster/moves/move-record.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { loadMap } from '../../metadata/cluster-map.ts';
import { readDecisions } from '../../metadata/decisions.ts';
import { orNothing } from '../../metadata/json-values.ts';
import { decodeHistory } from '../../metadata/record-codec.ts';
import { readAudit } from '../migration/audit-command.ts';

export interface FollowedMove {
  readonly partitionId: number;
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
}

/** `moved`: the target owns it; the old owner may follow for a while yet. */
export type MoveState = 'waiting' | 'moving' | 'moved' | 'aborted' | 'void';

export interface MoveOutcome extends FollowedMove {
  readonly state: MoveState;
  /** Where it stands, or why it came to nothing. */
  readonly detail: string;
}

export const isOver = ({ state }: MoveOutcome): boolean => state !== 'waiting' && state !== 'moving';

/** What the store says. */
export interface MoveEvidence {
  readonly record: PartitionRecord | null | undefined;
  readonly isApprovalPending: boolean;
  /** Of a Redis cluster, whose partitions have no migration in the map: the move of its slots that is open. */
  readonly slotMove: Pick<SlotMoveRecord, 'moveId' | 'reason'> | undefined;
  /** The number of its last migration before the approval. */
  readonly seqBefore: number;
  /** Of this partition, those with higher numbers; the latest first. */
  readonly ended: readonly MigrationHistory[];
  /** Why its approval was taken back, as far as that is told. */
  readonly whyWithdrawn: string | undefined;
}

/**
 * An approval ends in the commit that opens its migration, which takes the next number, or it is taken back. So one that is gone
 * without a new number was taken back, by a rejection or because it is void. Clocks are not asked: the coordinator's may be behind ours.
 */
export function outcomeOf(move: FollowedMove, seen: MoveEvidence): MoveOutcome {
  const { record, isApprovalPending, slotMove, seqBefore, ended, whyWithdrawn } = seen;
  const told = (state: MoveState, detail: string): MoveOutcome => ({ ...move, state, detail });
  if (record?.ownerNodeId === move.targetNodeId) return told('moved', `node ${move.targetNodeId} owns it`);
  const { migration = null, migrationSeq = seqBefore } = record ?? {};
  if (migration !== null && migration.migrationId > seqBefore && !isSwitched(migration.phase))
    return told('moving', `${migration.phase}: ${migration.reason}`);
  if (slotMove !== undefined && slotMove.moveId > seqBefore) return told('moving', slotMove.reason);
  if (isApprovalPending) return told('waiting', 'it waits for a place');
  if (migrationSeq === seqBefore)
    return told('void', whyWithdrawn ?? 'its approval was taken back (`foreshard audit`)');
  if (ended.some(({ outcome, targetNodeId }) => outcome === 'done' && targetNodeId === move.targetNodeId))
    return told('moved', `node ${move.targetNodeId} owned it, and it has moved on since`);
  return told('aborted', ended[0]?.reason ?? 'its history is not kept any more');
}

/** What there was before an approval: what comes later is not in it. */
export interface Beforehand {
  /** [partition]; null where the record cannot be read. */
  readonly records: readonly (PartitionRecord | null)[];
  readonly auditIds: ReadonlySet<string>;
}

export async function readBeforehand(metadata: MetadataStore, clusterName: string): Promise<Beforehand> {
  const audit = await readAudit(metadata, clusterName);
  const { records } = await loadMap(metadata, clusterName);
  return { records, auditIds: new Set(audit.map(({ requestId }) => requestId)) };
}

export async function lookAtMoves(
  metadata: MetadataStore,
  clusterName: string,
  { moves, before }: { readonly moves: readonly FollowedMove[]; readonly before: Beforehand },
): Promise<MoveOutcome[]> {
  // Approvals before open moves, and these before the map: what is gone by then has gone on to what is read after it.
  const { approvals, rejections } = await readDecisions(metadata, clusterName, Date.now());
  const pending = new Set(approvals.map(({ partitionId }) => partitionId));
  const slotMoves = await readOpenSlotMoves(metadata, clusterName);
  const { records } = await loadMap(metadata, clusterName);
  const { entries } = await metadata.list(clusterKeys(clusterName).historyPrefix);
  const history = entries
    .flatMap(({ value }) => orNothing(() => decodeHistory(value)))
    .sort((a, b) => b.migrationId - a.migrationId);
  const voided = (await readAudit(metadata, clusterName)).filter(
    ({ action, outcome, requestId }) =>
      action === 'approve' && outcome === 'refused' && !before.auditIds.has(requestId),
  );
  return moves.map((move) => {
    const isOfMove = (other: { readonly partitionId: number | null }): boolean =>
      other.partitionId === move.partitionId;
    const rejection = rejections.find(isOfMove);
    const seqBefore = before.records[move.partitionId]?.migrationSeq ?? 0;
    return outcomeOf(move, {
      record: records[move.partitionId],
      isApprovalPending: pending.has(move.partitionId),
      slotMove: slotMoves.find(isOfMove),
      seqBefore,
      ended: history.filter((of) => isOfMove(of) && of.migrationId > seqBefore),
      whyWithdrawn:
        voided.find(isOfMove)?.message ?? (rejection && `rejected by ${rejection.by}: ${rejection.reason}`),
    });
  });
}
