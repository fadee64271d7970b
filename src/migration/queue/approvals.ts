/** Moves that an operator has approved, from the command until they begin: pure. */
import { asNodeId, asPartitionId } from '../../model/ids.ts';
import type { MovePrediction, PartitionRecord } from '../../model/migration.ts';
import type { Move } from '../../model/proposal.ts';
import type { MetadataWrite } from '../../ports/metadata-store.ts';
import { isSwitched } from '../phases.ts';
import type { RecordCodec } from '../records/records.ts';
import type { AdmissionContext } from './admission.ts';

/**
 * `ctl/approved/<partition>`: one move of a proposal that may begin. It names all that the coordinator needs, since the
 * proposal may be another by then, and the coordinator too.
 */
export interface Approval {
  /** Names its record in the audit. */
  readonly requestId: string;
  readonly by: string;
  readonly reason: string;
  readonly atMs: number;
  readonly partitionId: number;
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  /** Of the partition in the proposal: in another one nobody has approved anything. */
  readonly epoch: number;
  readonly sizeBytes: number;
  /** It begins within these, by the clock of plans. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Among those that were approved together: its place in the order of the proposal. */
  readonly order: number;
  /** What has to be away first, so that there is room. */
  readonly after: readonly RoomMaker[];
  /** Why the planner wants it. */
  readonly moveReason: string;
  /** What the proposal expected of it, for the scorecard. Not in approvals of before it was kept. */
  readonly predicted?: MovePrediction;
}

/** A partition as it stood in the proposal: its move makes room for another. */
export interface RoomMaker {
  readonly partitionId: number;
  readonly sourceNodeId: number;
}

/** `ctl/rejected/<partition>`: until then plans leave the partition where it is. */
export interface Rejection {
  readonly requestId: string;
  readonly by: string;
  readonly reason: string;
  readonly atMs: number;
  readonly partitionId: number;
  readonly untilMs: number;
}

export interface PendingApproval {
  readonly key: string;
  readonly revision: number;
  readonly approval: Approval;
}

/** In the order in which they should begin. */
export const byTurn = (a: PendingApproval, b: PendingApproval): number =>
  a.approval.atMs - b.approval.atMs || a.approval.order - b.approval.order;

export const asMove = (approval: Approval): Move => ({
  partitionId: asPartitionId(approval.partitionId),
  sourceNodeId: asNodeId(approval.sourceNodeId),
  targetNodeId: asNodeId(approval.targetNodeId),
  sizeBytes: approval.sizeBytes,
  // Prices were the planner's business: whether it is worth while has been decided.
  gain: 0,
  cost: 0,
  reason: `approved by ${approval.by}: ${approval.moveReason}`,
  schedule: {
    startMs: approval.notBeforeMs,
    endMs: approval.notAfterMs,
    seconds: 0,
    bytesPerSecond: 0,
    price: 0,
    gain: 0,
  },
});

/** @returns why it can never begin any more; null while it may. */
export function voidnessOf(
  { partitionId, sourceNodeId, epoch, notAfterMs }: Approval,
  { records, planNowMs }: Pick<AdmissionContext, 'records' | 'planNowMs'>,
): string | null {
  const record = records[partitionId];
  if (!record) return 'the partition has no valid record';
  if (record.ownerNodeId !== sourceNodeId || record.epoch !== epoch)
    return `the partition has changed since: node ${record.ownerNodeId} owns it at epoch ${record.epoch}`;
  if (planNowMs > notAfterMs) return 'it could not begin in its time';
  return null;
}

/** Whether all that had to make room is away: another node owns it, and it is not on its way back. */
export const isUnblocked = (
  { after }: Pick<Approval, 'after'>,
  records: readonly (PartitionRecord | null)[],
): boolean =>
  after.every(({ partitionId, sourceNodeId }) => {
    const record = records[partitionId];
    if (!record || record.ownerNodeId === sourceNodeId) return false;
    return !record.migration || isSwitched(record.migration.phase);
  });

/**
 * Whether nothing will move what had to make room: it is where it was, and its approval is gone without a migration. A record
 * that cannot be read says nothing.
 */
export const isStuck = (
  { sourceNodeId }: RoomMaker,
  isPending: boolean,
  record: PartitionRecord | null | undefined,
): boolean => !isPending && !!record && record.ownerNodeId === sourceNodeId && record.migration === null;

/** Deletes an approval, with the reason in the audit, under a name of its own beside that of the command. */
export function voidWrites(
  approval: Approval,
  { key, why, nowMs }: { readonly key: string; readonly why: string; readonly nowMs: number },
  codec: RecordCodec,
): MetadataWrite[] {
  const { partitionId, by, reason } = approval;
  const requestId = `${approval.requestId}-void-${partitionId}`;
  const audit = codec.encodeAudit({
    requestId,
    atMs: nowMs,
    action: 'approve',
    partitionId,
    by,
    reason,
    outcome: 'refused',
    message: `the approved move of partition ${partitionId} is void: ${why}`,
  });
  return [
    { kind: 'delete', key },
    { kind: 'put', key: codec.keys.audit(requestId), value: audit },
  ];
}
