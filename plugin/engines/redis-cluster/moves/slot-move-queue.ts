import { type AdmissionContext, CopyCounts, refusalOf } from '../../../../src/migration/queue/admission.ts';
import {
  asMove,
  isStuck,
  isUnblocked,
  type PendingApproval,
  type RoomMaker,
  voidnessOf,
} from '../../../../src/migration/queue/approvals.ts';
import {
  type AdmissionOptions,
  type AdmissionReport,
  expectedBy,
  PlannedMoves,
  type RefusalOfPlanned,
} from '../../../../src/migration/queue/planned-moves.ts';
import { refusalWithRoom } from '../../../../src/migration/queue/room.ts';
import type { Controls } from '../../../../src/migration/records/controls.ts';
import type { MigrationSettings } from '../../../../src/migration/settings.ts';
import type { PartitionRecord } from '../../../../src/model/migration.ts';
import type { Move, Proposal } from '../../../../src/model/proposal.ts';

/** The map's mirror, the operators' switches and the moves that are open, as the leader has just read them. */
export interface SeenMoves {
  /** [partition]; null where there is no valid record. */
  readonly records: readonly (PartitionRecord | null)[];
  readonly controls: Controls;
  readonly openPartitionIds: ReadonlySet<number>;
  readonly nowMs: number;
  /** By the clock of plans: a replay's, where there is one. */
  readonly planNowMs: number;
  /** Whether moves of plans may begin by it. */
  readonly isInWindow: boolean;
}

export interface NextMove {
  readonly move: Move;
  /** Null for a move of the plan: there is an approval to use up otherwise. */
  readonly approved: PendingApproval | null;
}

export interface VoidApproval {
  readonly pending: PendingApproval;
  readonly why: string;
  /** What would have had to make room for it, where that is the reason. */
  readonly stuck: RoomMaker | null;
}

/**
 * Moves that wait: those of the last plan, in memory, since the next plan makes them again; and those that an operator has
 * approved, which stand in the metadata store until they begin. Slots move one partition at a time, so that it only says which is next.
 */
export class SlotMoveQueue {
  readonly #settings: MigrationSettings;
  readonly #planned = new PlannedMoves();

  constructor(settings: MigrationSettings) {
    this.#settings = settings;
  }

  /**
   * Takes over a plan's moves, in its order; those of an earlier plan that have not begun are dropped, unless these are to be
   * done beside them.
   */
  take(plan: Proposal, seen: SeenMoves, { isAddition = false }: AdmissionOptions = {}): AdmissionReport {
    return this.#planned[isAddition ? 'add' : 'take'](plan, approvedPartitions(seen), this.#refusals(seen));
  }

  /** Of the plan's moves: how many wait for their turn, and for their hour. */
  waiting(nowMs: number): { readonly queuedMoveCount: number; readonly scheduledMoveCount: number } {
    return this.#planned.waiting(nowMs);
  }

  /** Whether a move of the plan may be due: only then, or where something is approved, is the map worth reading. */
  hasDue(nowMs: number): boolean {
    return this.#planned.hasDue(nowMs);
  }

  /** What may begin now: what people have approved first. A move of the plan that cannot begin any more is dropped. */
  next(seen: SeenMoves): NextMove | null {
    const { approvals } = seen.controls;
    // Whoever approves a move says when: the windows bind plans, and a rejection takes the approval back.
    const ofApproved = { ...contextOf(seen, this.#settings), isInWindow: true, isRejected: () => false };
    for (const approved of approvals) {
      const { approval } = approved;
      if (voidnessOf(approval, ofApproved) !== null || !isFree(approved, seen)) continue;
      const move = asMove(approval);
      const expected = { ownerNodeId: approval.sourceNodeId, epoch: approval.epoch };
      const isRefused = refusalOf(move, expected, new CopyCounts([]), ofApproved) !== null;
      if (!isRefused && !seen.openPartitionIds.has(approval.partitionId)) return { move, approved };
    }
    let ready: Move | null = null;
    this.#planned.sift(approvedPartitions(seen), this.#refusals(seen), (move) => {
      ready ??= move;
      return false; // it begins when whoever asks has made sure of the servers, and drops it then
    });
    return ready === null ? null : { move: ready, approved: null };
  }

  /** A move of the plan has begun, or has been refused. */
  drop(move: Move): void {
    this.#planned.drop(move);
  }

  #refusals(seen: SeenMoves): RefusalOfPlanned {
    const { openPartitionIds, records } = seen;
    const context = contextOf(seen, this.#settings);
    const noCopies = new CopyCounts([]);
    return (move, base, pending) => {
      if (openPartitionIds.has(move.partitionId)) return 'migration-open';
      const refusal = refusalOf(move, expectedBy(base, move), noCopies, context);
      return refusalWithRoom(move, refusal, base.baseOwnerOf, {
        records,
        isPending: (other) => pending.has(other) || openPartitionIds.has(other),
      });
    };
  }
}

const approvedPartitions = ({ controls }: SeenMoves): Set<number> =>
  new Set(controls.approvals.map(({ approval }) => approval.partitionId));

/** Approvals of what can no longer be done. */
export function voidApprovals(seen: SeenMoves, settings: MigrationSettings): readonly VoidApproval[] {
  const { approvals } = seen.controls;
  const waiting = new Set(approvals.map(({ approval }) => approval.partitionId));
  const context = contextOf(seen, settings);
  return approvals.flatMap((pending): VoidApproval[] => {
    const { approval } = pending;
    // It has begun in another term, and its commit was not heard of: the open move is the truth.
    if (seen.openPartitionIds.has(approval.partitionId)) return [];
    const why = voidnessOf(approval, context);
    if (why !== null) return [{ pending, why, stuck: null }];
    const stuck = approval.after.find(
      ({ partitionId, sourceNodeId }) =>
        !seen.openPartitionIds.has(partitionId) &&
        isStuck({ partitionId, sourceNodeId }, waiting.has(partitionId), seen.records[partitionId]),
    );
    if (stuck === undefined) return [];
    return [
      {
        pending,
        why:
          `partition ${stuck.partitionId} had to leave node ${stuck.sourceNodeId} first to make room, and stays: ` +
          'its own approval was rejected or void, or its move was given up',
        stuck,
      },
    ];
  });
}

/** All that had to make room is away, and no move of it is open. */
const isFree = ({ approval }: PendingApproval, { records, openPartitionIds }: SeenMoves): boolean =>
  isUnblocked(approval, records) &&
  approval.after.every(({ partitionId }) => !openPartitionIds.has(partitionId));

function contextOf(
  { records, controls, nowMs, planNowMs, isInWindow }: SeenMoves,
  settings: MigrationSettings,
): AdmissionContext {
  return {
    records,
    storageNodeCount: 0,
    settings,
    nowMs,
    planNowMs,
    isInWindow,
    isPaused: (partitionId) => controls.isPaused || controls.pausedPartitionIds.has(partitionId),
    // Copies of Redis are not compared as ours are: nothing puts a partition into quarantine.
    isQuarantined: () => false,
    isRejected: (partitionId) => (controls.rejections.get(partitionId)?.untilMs ?? 0) > nowMs,
  };
}
