import type { Clock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import type { Logger } from '../../../../src/base/logger.ts';
import { kindOfReason, ReasonCounts } from '../../../../src/migration/progress/reason-counts.ts';
import { type PendingApproval, voidWrites } from '../../../../src/migration/queue/approvals.ts';
import { ControlReader, type Controls } from '../../../../src/migration/records/controls.ts';
import type { MigrationHistory } from '../../../../src/migration/records/records.ts';
import { asNodeId } from '../../../../src/model/ids.ts';
import type {
  MetadataCondition,
  MetadataStore,
  MetadataWrite,
} from '../../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../../src/settings.ts';
import { ClusterMapReader, type LoadedMap } from '../../../metadata/cluster-map.ts';
import { orNothing } from '../../../metadata/json-values.ts';
import { decodeHistory, recordCodec } from '../../../metadata/record-codec.ts';
import {
  decodeSlotMove,
  encodeSlotMove,
  type SlotMoveRecord,
  slotMoveKey,
  slotMovesPrefix,
} from './move-record.ts';
import type { PartitionMoveOutcome } from './partition-move.ts';
import type { NextMove, VoidApproval } from './slot-move-queue.ts';

interface Totals {
  readonly doneCount: number;
  readonly abortedCount: number;
  readonly copiedBytes: number;
  readonly abortReasons: readonly { readonly reason: string; readonly count: number }[];
}

type Draft = Omit<SlotMoveRecord, 'moveId' | 'startedAtMs'>;

export interface MoveRecordsComponents {
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of each move that is over, once it stands in the history; not of one that was refused before it began. */
  readonly onEnded?: (ended: MigrationHistory) => void;
}

/** What the metadata store knows of moves of slots: begun, ended, paused, asked for. Every write carries the leader's fence. */
export class MoveRecords {
  readonly #clusterName: string;
  readonly #components: MoveRecordsComponents;
  readonly #codec: ReturnType<typeof recordCodec>;
  readonly #reader: ClusterMapReader;
  readonly #controls: ControlReader;
  readonly #counts = { doneCount: 0, abortedCount: 0, copiedBytes: 0 };
  readonly #abortCounts = new ReasonCounts();

  constructor(settings: Pick<Settings, 'cluster'>, components: MoveRecordsComponents) {
    this.#clusterName = settings.cluster.name;
    this.#components = components;
    this.#codec = recordCodec(this.#clusterName);
    this.#reader = new ClusterMapReader(components.metadata, this.#clusterName);
    this.#controls = new ControlReader(components.metadata, this.#codec, components.logger);
  }

  get totals(): Totals {
    return { ...this.#counts, abortReasons: this.#abortCounts.list() };
  }

  /** @throws ForeshardError FORESHARD_CORRUPT for a record of another version. */
  async open(): Promise<readonly SlotMoveRecord[]> {
    const { entries } = await this.#components.metadata.list(slotMovesPrefix(this.#clusterName));
    return entries.map(({ key, value }) => decodeSlotMove(key, value));
  }

  /** The map's mirror; nothing before the cluster was formed in the store. */
  async partitions(): Promise<Pick<LoadedMap, 'records' | 'revisions'>> {
    try {
      return await this.#reader.load();
    } catch (error) {
      if (!(error instanceof ForeshardError) || error.code !== 'FORESHARD_NOT_READY') throw error;
      return { records: [], revisions: [] };
    }
  }

  controls(): Promise<Controls> {
    return this.#controls.read();
  }

  async isPaused(partitionId: number): Promise<boolean> {
    const { pause, pauseOf } = this.#codec.keys;
    const { metadata } = this.#components;
    const found = await Promise.all([metadata.get(pause), metadata.get(pauseOf(partitionId))]);
    return found.some((entry) => entry !== undefined);
  }

  /**
   * Before the first slot is opened. An approval is used up by the same commit, and one that was taken back meanwhile opens
   * nothing; nor does a move of a plan that was rejected since.
   */
  async begin(
    draft: Draft,
    { approved, rejectionRevision }: Pick<NextMove, 'approved'> & { readonly rejectionRevision: number },
    fence: MetadataCondition,
  ): Promise<SlotMoveRecord> {
    const record: SlotMoveRecord = {
      ...draft,
      moveId: ((await this.#reader.readPartition(draft.partitionId))?.migrationSeq ?? 0) + 1,
      startedAtMs: this.#components.clock.nowMs(),
    };
    const key = this.#keyOf(record);
    const { partitionId } = draft;
    const decided: MetadataCondition =
      approved === null
        ? { key: this.#codec.keys.rejection(partitionId), revisionIs: rejectionRevision }
        : { key: approved.key, revisionIs: approved.revision };
    await this.#commit(
      [fence, { key, revisionIs: 0 }, decided],
      [{ kind: 'put', key, value: encodeSlotMove(record) }, ...usedUp(approved)],
    );
    return record;
  }

  async rewrite(record: SlotMoveRecord, fence: MetadataCondition): Promise<void> {
    await this.#commit([fence], [{ kind: 'put', key: this.#keyOf(record), value: encodeSlotMove(record) }]);
  }

  /** Nothing is open any more: the record becomes history, and the map learns of the owner. */
  async end(record: SlotMoveRecord, outcome: PartitionMoveOutcome, fence: MetadataCondition): Promise<void> {
    const isDone = outcome.isComplete && record.cancelledFor === null;
    const reason = isDone
      ? record.reason
      : (record.cancelledFor ?? outcome.failure ?? 'some slots have keys that are too big, or too many');
    const { ended, writes } = await this.#historyOf(record, { isDone, reason });
    await this.#commit([fence], [{ kind: 'delete', key: this.#keyOf(record) }, ...writes]);
    this.#count(isDone ? null : reason, record.sizeBytes);
    if (ended !== null) this.#components.onEnded?.(ended);
  }

  /**
   * It was not begun. An approval of it is void by that: whoever gave it reads why in the audit. What a plan asks for again, and is
   * refused for the same again, is history already.
   *
   * @returns whether it is news.
   */
  async refuse(
    draft: Draft,
    { reason, approved }: Pick<NextMove, 'approved'> & { readonly reason: string },
    fence: MetadataCondition,
  ): Promise<boolean> {
    const partition = await this.#reader.readPartition(draft.partitionId);
    if (approved === null && (await this.#isToldOf(draft, reason, partition?.migrationSeq ?? 0)))
      return false;
    const record = {
      ...draft,
      moveId: (partition?.migrationSeq ?? 0) + 1,
      startedAtMs: this.#components.clock.nowMs(),
    };
    const { writes: history } = await this.#historyOf(record, { isDone: false, reason });
    const conditions = approved === null ? [] : [{ key: approved.key, revisionIs: approved.revision }];
    await this.#commit([fence, ...conditions], [...history, ...this.#voidWrites(approved, reason)]);
    this.#count(reason, 0);
    return true;
  }

  /** Whether the last that the history knows of a partition is the same move, given up for the same. */
  async #isToldOf(draft: Draft, reason: string, lastMoveId: number): Promise<boolean> {
    const { metadata } = this.#components;
    const entry = await metadata.get(this.#codec.keys.history(draft.partitionId, lastMoveId));
    const last = entry === undefined ? undefined : orNothing(() => decodeHistory(entry.value))[0];
    return (
      last?.outcome === 'aborted' &&
      last.sourceNodeId === draft.sourceNodeId &&
      last.targetNodeId === draft.targetNodeId &&
      kindOfReason(last.reason) === kindOfReason(shortened(reason))
    );
  }

  /** Takes back an approval of what can no longer be done. Whoever has decided otherwise meanwhile is right. */
  async retract(
    { pending, why, stuck }: VoidApproval,
    { fence, revisions }: { readonly fence: MetadataCondition; readonly revisions: readonly number[] },
  ): Promise<void> {
    const { keys } = this.#codec;
    this.#components.logger.warn(
      { partition: pending.approval.partitionId, why },
      'an approved move is void',
    );
    // Map, approvals and open moves were read one after the other: it holds only while nothing of it has changed.
    const unchanged: MetadataCondition[] =
      stuck === null
        ? []
        : [
            { key: keys.map(stuck.partitionId), revisionIs: revisions[stuck.partitionId] as number },
            { key: keys.approval(stuck.partitionId), revisionIs: 0 },
            { key: this.#keyOf(stuck), revisionIs: 0 },
          ];
    await this.#components.metadata.commit({
      conditions: [fence, { key: pending.key, revisionIs: pending.revision }, ...unchanged],
      writes: this.#voidWrites(pending, why),
    });
  }

  #voidWrites(approved: PendingApproval | null, why: string): MetadataWrite[] {
    if (approved === null) return [];
    const nowMs = this.#components.clock.nowMs();
    return voidWrites(approved.approval, { key: approved.key, why, nowMs }, this.#codec);
  }

  async #historyOf(
    record: SlotMoveRecord,
    { isDone, reason }: { readonly isDone: boolean; readonly reason: string },
  ): Promise<{ readonly ended: MigrationHistory | null; readonly writes: readonly MetadataWrite[] }> {
    const { clock } = this.#components;
    const partition = await this.#reader.readPartition(record.partitionId);
    if (partition === undefined) return { ended: null, writes: [] };
    const nowMs = clock.nowMs();
    const hasMoved = isDone && partition.ownerNodeId !== record.targetNodeId;
    const epoch = (hasMoved ? partition.epoch + 1 : partition.epoch) as typeof partition.epoch;
    const history: MigrationHistory = {
      partitionId: record.partitionId,
      migrationId: record.moveId,
      sourceNodeId: record.sourceNodeId,
      targetNodeId: record.targetNodeId,
      outcome: isDone ? 'done' : 'aborted',
      reason: shortened(reason),
      startedAtMs: record.startedAtMs,
      endedAtMs: nowMs,
      epoch,
      fenceLsn: null,
      verifiedLsn: null,
      copiedBytes: isDone ? Math.round(record.sizeBytes) : 0,
      copySeconds: isDone ? (nowMs - record.startedAtMs) / 1000 : null,
      fenceSeconds: null,
    };
    const { keys } = this.#codec;
    const writes: MetadataWrite[] = [
      {
        kind: 'put',
        key: keys.history(record.partitionId, record.moveId),
        value: this.#codec.encodeHistory(history),
      },
      {
        kind: 'put',
        key: keys.map(record.partitionId),
        value: this.#codec.encodePartition({
          ...partition,
          migrationSeq: record.moveId,
          ...(hasMoved ? { ownerNodeId: asNodeId(record.targetNodeId), epoch } : {}),
          ...(isDone ? { ownedSinceMs: nowMs } : {}),
        }),
      },
    ];
    return { ended: history, writes };
  }

  #count(abortReason: string | null, bytes: number): void {
    if (abortReason === null) {
      this.#counts.doneCount++;
      this.#counts.copiedBytes += bytes;
      return;
    }
    this.#counts.abortedCount++;
    this.#abortCounts.add(kindOfReason(abortReason));
  }

  #keyOf = ({ partitionId }: Pick<SlotMoveRecord, 'partitionId'>): string =>
    slotMoveKey(this.#clusterName, partitionId);

  /** @throws ForeshardError FORESHARD_CONFLICT when another agent is the leader, or somebody was faster. */
  async #commit(conditions: readonly MetadataCondition[], writes: readonly MetadataWrite[]): Promise<void> {
    const result = await this.#components.metadata.commit({ conditions, writes });
    if (!result.isCommitted)
      throw new ForeshardError('FORESHARD_CONFLICT', 're-read', `${result.failed.key} has changed`);
  }
}

/** As the history keeps it. */
const shortened = (reason: string): string => reason.slice(0, 1_000);

const usedUp = (approved: PendingApproval | null): MetadataWrite[] =>
  approved === null ? [] : [{ kind: 'delete', key: approved.key }];
