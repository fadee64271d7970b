/** What becomes of moves that were approved, by looking at the metadata store: pure but for `lookAtMoves`. */
import { isSwitched } from '../../../src/migration/phases.ts';
import type { AuditRecord, MigrationHistory } from '../../../src/migration/records.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
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
  /** Of this partition, that ended since the approval; the latest first. */
  readonly ended: readonly MigrationHistory[];
  /** Of this partition: why its approval was taken back, if it was. */
  readonly voided: Pick<AuditRecord, 'message'> | undefined;
}

export function outcomeOf(move: FollowedMove, seen: MoveEvidence): MoveOutcome {
  const { record, isApprovalPending, ended, voided } = seen;
  if (record?.ownerNodeId === move.targetNodeId)
    return { ...move, state: 'moved', detail: `node ${move.targetNodeId} owns it` };
  const { migration } = record ?? {};
  if (migration && !isSwitched(migration.phase))
    return { ...move, state: 'moving', detail: `${migration.phase}: ${migration.reason}` };
  if (isApprovalPending) return { ...move, state: 'waiting', detail: 'it waits for a place' };
  if (voided !== undefined) return { ...move, state: 'void', detail: voided.message };
  const [last] = ended;
  if (last !== undefined) return { ...move, state: 'aborted', detail: last.reason };
  // Between the commit that opens it and our reading of another key: the next look tells.
  return { ...move, state: 'waiting', detail: 'it begins' };
}

export async function lookAtMoves(
  metadata: MetadataStore,
  clusterName: string,
  { moves, sinceMs }: { readonly moves: readonly FollowedMove[]; readonly sinceMs: number },
): Promise<MoveOutcome[]> {
  // Approvals before the map: one that is gone by then is in the map that is read after it.
  const { approvals } = await readDecisions(metadata, clusterName, Date.now());
  const pending = new Set(approvals.map(({ partitionId }) => partitionId));
  const { records } = await loadMap(metadata, clusterName);
  const { entries } = await metadata.list(clusterKeys(clusterName).historyPrefix);
  const ended = entries
    .flatMap(({ value }) => orNothing(() => decodeHistory(value)))
    .filter(({ startedAtMs }) => startedAtMs >= sinceMs)
    .sort((a, b) => b.endedAtMs - a.endedAtMs);
  const refusals = (await readAudit(metadata, clusterName)).filter(
    ({ action, outcome, atMs }) => action === 'approve' && outcome === 'refused' && atMs >= sinceMs,
  );
  return moves.map((move) =>
    outcomeOf(move, {
      record: records[move.partitionId],
      isApprovalPending: pending.has(move.partitionId),
      ended: ended.filter(({ partitionId }) => partitionId === move.partitionId),
      voided: refusals.find(({ partitionId }) => partitionId === move.partitionId),
    }),
  );
}
