import { ForeshardError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { asNodeId } from '../../model/ids.ts';
import type { PartitionRecord } from '../../model/migration.ts';
import type { Move, Proposal } from '../../model/proposal.ts';
import type { MetadataCondition, MetadataWrite } from '../../ports/metadata-store.ts';
import type { CoordinatorParts } from '../coordinator-parts.ts';
import { isCopying } from '../phases.ts';
import { predictionOf } from '../progress/scorecard.ts';
import type { Controls } from '../records/controls.ts';
import { cutReason, type OpenRecord } from '../records/record-changes.ts';
import { openingWrite } from '../records/transition-writes.ts';
import type { MigrationSettings } from '../settings.ts';
import { type AdmissionContext, CopyCounts, refusalOf } from './admission.ts';
import {
  asMove,
  isStuck,
  isUnblocked,
  type PendingApproval,
  type RoomMaker,
  voidnessOf,
  voidWrites,
} from './approvals.ts';
import {
  type AdmissionOptions,
  type AdmissionReport,
  expectedBy,
  PlannedMoves,
  type RefusalOfPlanned,
} from './planned-moves.ts';
import { quarantineOf } from './quarantine.ts';
import { refusalWithRoom } from './room.ts';

export interface MoveQueueComponents extends CoordinatorParts {
  readonly random: Random;
  /** The clock by which plans are stamped. */
  readonly planNowMs: () => number;
  /** Whether moves may begin by that clock. */
  readonly isInWindow: () => boolean;
  /** Aborts in a row of a partition. */
  readonly attemptsOf: (partitionId: number) => number;
  readonly onOpened: (record: OpenRecord, revision: number) => void;
}

/** The map and the operators' switches, as the coordinator has just read them. */
export interface Seen {
  /** [partition]; null where there is no valid record. */
  readonly records: readonly (PartitionRecord | null)[];
  readonly controls: Controls;
}

/**
 * Moves that wait for their hour or for a place, and how one becomes a migration. There are two kinds: those of the last
 * plan, which the next plan makes again, so they are kept in memory; and those that an operator has approved, which stand
 * in the metadata store until they begin, so that they outlive the coordinator.
 */
export class MoveQueue {
  readonly #settings: MigrationSettings;
  readonly #components: MoveQueueComponents;
  readonly #planned = new PlannedMoves();

  constructor(settings: MigrationSettings, components: MoveQueueComponents) {
    this.#settings = settings;
    this.#components = components;
  }

  /**
   * Takes over a plan's moves, in its order; those of an earlier plan that have not begun are dropped, unless these are to be
   * done beside them.
   */
  take(plan: Proposal, seen: Seen, { isAddition = false }: AdmissionOptions = {}): AdmissionReport {
    const refusalOf = refusalsBy(this.#contextOf(seen), new CopyCounts(seen.records));
    return this.#planned[isAddition ? 'add' : 'take'](plan, approvedPartitions(seen), refusalOf);
  }

  /** Of the plan's moves: how many wait for a place, and for their hour. */
  get waiting(): { readonly queuedMoveCount: number; readonly scheduledMoveCount: number } {
    return this.#planned.waiting(this.#components.planNowMs());
  }

  /** Opens what may begin now: what people have approved first. Never throws. */
  async begin(seen: Seen): Promise<void> {
    const context = this.#contextOf(seen);
    const copies = new CopyCounts(seen.records);
    // Whoever approves a move says when: the windows bind plans.
    const ofApproved = { ...context, isInWindow: true, isRejected: () => false };
    const approved = await this.#beginApproved(seen, copies, ofApproved);
    const begun: Promise<void>[] = [];
    this.#planned.sift(approved, refusalsBy(context, copies), (move) => {
      copies.add(move.sourceNodeId, move.targetNodeId);
      begun.push(this.#open(move, seen));
      return true;
    });
    await Promise.all(begun);
  }

  /** @returns partitions that are an approval's business, and no plan's. */
  async #beginApproved(seen: Seen, copies: CopyCounts, context: AdmissionContext): Promise<Set<number>> {
    const { approvals } = seen.controls;
    const pending = approvedPartitions(seen);
    const begun: Promise<void>[] = [];
    for (const entry of approvals) {
      const { approval } = entry;
      const why = voidnessOf(approval, context);
      const stuck = approval.after.find((maker) =>
        isStuck(maker, pending.has(maker.partitionId), context.records[maker.partitionId]),
      );
      if (why !== null) begun.push(this.#retract(entry, why));
      else if (stuck !== undefined) begun.push(this.#retractWithoutRoom(entry, stuck));
      else if (isUnblocked(approval, context.records)) {
        const move = asMove(approval);
        const expected = { ownerNodeId: approval.sourceNodeId, epoch: approval.epoch };
        if (refusalOf(move, expected, copies, context) !== null) continue;
        copies.add(move.sourceNodeId, move.targetNodeId);
        begun.push(this.#open(move, seen, entry));
      }
    }
    await Promise.all(begun);
    return pending;
  }

  /** Takes back an approval of what can no longer be done, and says so in the audit. */
  async #retract(
    { key, revision, approval }: PendingApproval,
    why: string,
    conditions: readonly MetadataCondition[] = [],
  ): Promise<void> {
    const { committer, codec, clock, logger } = this.#components;
    logger.warn({ partitionId: approval.partitionId, why }, 'an approved move is void');
    const writes = voidWrites(approval, { key, why, nowMs: clock.nowMs() }, codec);
    await committer.commit([{ key, revisionIs: revision }, ...conditions], writes);
  }

  /**
   * The map and the approvals were read one after the other, and a migration may have been opened between: it is looked again,
   * and the commit holds only while nothing of it has changed. Never throws.
   */
  async #retractWithoutRoom(entry: PendingApproval, maker: RoomMaker): Promise<void> {
    const { metadata, codec, logger } = this.#components;
    const { partitionId, sourceNodeId } = maker;
    const [mapKey, approvalKey] = [codec.keys.map(partitionId), codec.keys.approval(partitionId)];
    try {
      const found = await metadata.get(mapKey);
      if (!found || !isStuck(maker, false, codec.decodePartition(partitionId, found.value))) return;
      const why =
        `partition ${partitionId} had to leave node ${sourceNodeId} first to make room, and stays: its own approval ` +
        'was rejected or void, or its migration was given up';
      await this.#retract(entry, why, [
        { key: mapKey, revisionIs: found.revision },
        { key: approvalKey, revisionIs: 0 },
      ]);
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      logger.warn({ partitionId: entry.approval.partitionId, error: fault }, 'a void approval still stands');
    }
  }

  /**
   * Opens a migration: the record with the next id, and what must be cleaned up if it fails, in one commit. An approval is
   * used up by the same commit, or it is found withdrawn.
   */
  async #open(move: Move, seen: Seen, approved: PendingApproval | null = null): Promise<void> {
    const { engine, codec, metadata, clock, random, logger, committer } = this.#components;
    try {
      const { storeId, isWritable } = await engine.nodeStatistics(move.targetNodeId);
      if (seen.controls.retiredStoreIds.has(storeId))
        throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', "the target's store was retired");
      if (!isWritable)
        throw new ForeshardError('FORESHARD_DISK_FULL', 'free-space', 'the target takes no writes');
      // One that is being drained, or was removed meanwhile, gets nothing more: whoever removes an empty node relies on it.
      const standing = await metadata.get(codec.keys.store(storeId));
      if (standing && codec.decodeStoreState(standing.value) !== 'active')
        throw new ForeshardError('FORESHARD_CONFLICT', 're-read', 'the target is being drained, or retired');
      const entry = await metadata.get(codec.keys.map(move.partitionId));
      if (!entry) return;
      const record = codec.decodePartition(move.partitionId, entry.value);
      if (record.migration || record.ownerNodeId !== move.sourceNodeId) return;
      if (quarantineOf(record, clock.nowMs())) return;
      const nowMs = clock.nowMs();
      const migrationId = record.migrationSeq + 1;
      const predicted = approved === null ? predictionOf(move) : approved.approval.predicted;
      const opened: OpenRecord = {
        ...record,
        migrationSeq: migrationId,
        migration: {
          migrationId,
          sourceNodeId: move.sourceNodeId,
          sourceStoreId: record.ownerStoreId,
          targetNodeId: asNodeId(move.targetNodeId),
          targetStoreId: storeId,
          phase: 'PREPARE',
          phaseAtMs: nowMs,
          startedAtMs: nowMs,
          digestSeed: random.nextU64().toString(16).padStart(16, '0'),
          readWeight: 0,
          notBeforeMs: 0,
          reason: cutReason(move.reason),
          attempt: this.#components.attemptsOf(move.partitionId),
          ...(predicted === undefined ? {} : { predicted }),
        },
      };
      const writes: MetadataWrite[] = [openingWrite(opened, codec, nowMs)];
      const conditions: MetadataCondition[] = [
        { key: codec.keys.store(storeId), revisionIs: standing?.revision ?? 0 },
      ];
      if (approved !== null) {
        writes.push({ kind: 'delete', key: approved.key });
        conditions.push({ key: approved.key, revisionIs: approved.revision });
      } else {
        // None stood when it was decided, or one that had run out: a rejection that has reported success since holds.
        const { partitionId } = move;
        const revisionIs = seen.controls.rejections.get(partitionId)?.revision ?? 0;
        conditions.push({ key: codec.keys.rejection(partitionId), revisionIs });
      }
      const revision = await committer.commitRecord(opened, entry.revision, writes, conditions);
      if (revision !== null) this.#components.onOpened(opened, revision);
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      logger.warn({ partitionId: move.partitionId, error: fault }, 'a migration could not be opened');
    }
  }

  #contextOf({ records, controls }: Seen): AdmissionContext {
    const nowMs = this.#components.clock.nowMs();
    const owners = new Set<number>();
    for (const record of records) {
      if (!record) continue;
      owners.add(record.ownerNodeId);
      if (record.migration && isCopying(record.migration.phase)) owners.add(record.migration.targetNodeId);
    }
    return {
      records,
      storageNodeCount: owners.size,
      settings: this.#settings,
      nowMs,
      planNowMs: this.#components.planNowMs(),
      isInWindow: this.#components.isInWindow(),
      isPaused: (partitionId) => controls.isPaused || controls.pausedPartitionIds.has(partitionId),
      isQuarantined: (partitionId) => quarantineOf(records[partitionId], nowMs) !== undefined,
      isRejected: (partitionId) => (controls.rejections.get(partitionId)?.untilMs ?? 0) > nowMs,
    };
  }
}

const approvedPartitions = ({ controls }: Seen): Set<number> =>
  new Set(controls.approvals.map(({ approval }) => approval.partitionId));

/** Of moves of the plan, what makes room for them included. */
const refusalsBy =
  (context: AdmissionContext, copies: CopyCounts): RefusalOfPlanned =>
  (move, base, pending) =>
    refusalWithRoom(move, refusalOf(move, expectedBy(base, move), copies, context), base.baseOwnerOf, {
      records: context.records,
      isPending: (partitionId) => pending.has(partitionId),
    });
