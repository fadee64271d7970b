/** Which moves of a proposal may begin now: pure. A refusal carries its reason as a code. */
import type { PartitionRecord } from '../../model/migration.ts';
import type { Move } from '../../model/proposal.ts';
import { isCopying } from '../phases.ts';
import type { MigrationSettings } from '../settings.ts';

export const ADMISSION_REFUSALS = [
  'unknown-partition', // no valid record: quarantined
  'stale-proposal', // the owner or its epoch has changed since the proposal was made
  'migration-open',
  'residence',
  'quarantine', // too many failed attempts
  'not-due', // its hour by the timetable is still to come
  'outside-windows', // of the times in which moves may run
  'source-busy',
  'target-busy',
  'cluster-busy',
  'paused',
  'rejected', // by an operator, since the plan was made
  'awaits-room', // another move of the plan has to make room first
  'no-room', // that one stays: it was refused, or its migration was given up
] as const;
export type AdmissionRefusal = (typeof ADMISSION_REFUSALS)[number];

/** Refusals that pass by themselves: the move stays in the queue. */
export const isTemporary = (refusal: AdmissionRefusal): boolean =>
  refusal === 'not-due' ||
  refusal === 'outside-windows' ||
  refusal === 'source-busy' ||
  refusal === 'target-busy' ||
  refusal === 'cluster-busy' ||
  refusal === 'paused' ||
  refusal === 'awaits-room';

export interface AdmissionContext {
  /** [partition]; null where there is no valid record. */
  readonly records: readonly (PartitionRecord | null)[];
  readonly storageNodeCount: number;
  readonly settings: MigrationSettings;
  readonly nowMs: number;
  /** Wall clock of the plan: a replay's, where there is one. */
  readonly planNowMs: number;
  /** Whether moves may begin at this time. */
  readonly isInWindow: boolean;
  readonly isPaused: (partitionId: number) => boolean;
  readonly isQuarantined: (partitionId: number) => boolean;
  /** Whether an operator wants it to stay; never of what was approved, since a rejection takes the approval back. */
  readonly isRejected: (partitionId: number) => boolean;
}

/** Whether its hour by the timetable has come. */
export const isDue = ({ schedule }: Move, planNowMs: number): boolean =>
  schedule === null || schedule.startMs <= planNowMs;

/** Copies that are open, by node. Admitting one adds to it, so that one pass can admit several moves. */
export class CopyCounts {
  readonly outgoing = new Map<number, number>();
  readonly incoming = new Map<number, number>();
  total = 0;

  constructor(records: readonly (PartitionRecord | null)[]) {
    for (const record of records)
      if (record?.migration && isCopying(record.migration.phase))
        this.add(record.migration.sourceNodeId, record.migration.targetNodeId);
  }

  add(sourceNodeId: number, targetNodeId: number): void {
    this.outgoing.set(sourceNodeId, (this.outgoing.get(sourceNodeId) ?? 0) + 1);
    this.incoming.set(targetNodeId, (this.incoming.get(targetNodeId) ?? 0) + 1);
    this.total++;
  }
}

/**
 * @param expected the owner and the epoch that the partition had when the move was planned.
 * @returns null when the move may begin.
 */
export function refusalOf(
  move: Move,
  expected: { readonly ownerNodeId: number; readonly epoch: number },
  copies: CopyCounts,
  context: AdmissionContext,
): AdmissionRefusal | null {
  const { settings } = context;
  const record = context.records[move.partitionId];
  if (!record) return 'unknown-partition';
  const isCurrent =
    record.ownerNodeId === move.sourceNodeId &&
    record.ownerNodeId === expected.ownerNodeId &&
    record.epoch === expected.epoch;
  if (!isCurrent || move.sourceNodeId === move.targetNodeId) return 'stale-proposal';
  if (record.migration) return 'migration-open';
  if (context.isQuarantined(move.partitionId)) return 'quarantine';
  if (context.isRejected(move.partitionId)) return 'rejected';
  if (record.ownedSinceMs > 0 && context.nowMs - record.ownedSinceMs < settings.residenceMs)
    return 'residence';
  if (!isDue(move, context.planNowMs)) return 'not-due';
  if (!context.isInWindow) return 'outside-windows';
  if (context.isPaused(move.partitionId)) return 'paused';
  if ((copies.outgoing.get(move.sourceNodeId) ?? 0) >= settings.copiesPerNodeMax) return 'source-busy';
  if ((copies.incoming.get(move.targetNodeId) ?? 0) >= settings.copiesPerNodeMax) return 'target-busy';
  // Half the nodes at most are busy with copies, so that the cluster as a whole keeps its pace.
  if (copies.total >= Math.max(1, Math.floor(context.storageNodeCount / 2))) return 'cluster-busy';
  return null;
}
