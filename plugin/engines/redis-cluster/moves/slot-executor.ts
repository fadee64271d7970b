import { assert } from '../../../../src/base/assert.ts';
import type { Clock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import type { Logger } from '../../../../src/base/logger.ts';
import type { AdmissionOptions } from '../../../../src/migration/queue/planned-moves.ts';
import type { MigrationHistory } from '../../../../src/migration/records/records.ts';
import type { Proposal } from '../../../../src/model/proposal.ts';
import type { Leadership, MetadataCondition, MetadataStore } from '../../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../../src/settings.ts';
import type { MoveExecutor } from '../../../host/coordinator/coordinator.ts';
import { AtomicMover } from '../atomic/atomic-mover.ts';
import { UNPROTECTED } from '../claims/settle-claims.ts';
import { type CopiesRecord, CopyFirstMover } from '../copy-first/copy-first-mover.ts';
import { RedisRefusal } from '../server/redis-node.ts';
import { SlotMover } from '../slots/slot-mover.ts';
import { SlotMoveStopped } from '../steps/slot-move.ts';
import type { ClusterView } from '../topology/cluster-view.ts';
import { slotRangeOf } from '../topology/partition-owners.ts';
import type { Shard } from '../topology/shards.ts';
import type { ClusterTopology } from '../topology/topology.ts';
import { clusterRefusal } from './guards.ts';
import type { MapMirror } from './map-mirror.ts';
import type { SlotMoveRecord } from './move-record.ts';
import { MoveRecords } from './move-records.ts';
import { MoveRequests } from './move-requests.ts';
import { PartitionMove } from './partition-move.ts';
import { type NextMove, type SeenMoves, SlotMoveQueue, voidApprovals } from './slot-move-queue.ts';

export interface SlotExecutorComponents {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metadata: MetadataStore;
  readonly view: ClusterView;
  readonly mirror: MapMirror;
  readonly leadership: () => Leadership | null;
  /** The time by which moves are scheduled: a replay's, where there is one. */
  readonly planNowMs: () => number;
  readonly isInWindow: (planNowMs: number) => boolean;
  readonly onEnded?: (ended: MigrationHistory) => void;
  /** Once true, what is open is finished and nothing more is opened. */
  readonly isStopping: () => boolean;
}

/** First pause after something was not as it has to be; doubled up to the longest. */
const RETRY_MS_MIN = 500;
/** Between two looks at an idle cluster: masters change places without us. */
const LOOK_INTERVAL_MS = 5_000;

/**
 * Carries out moves of partitions as moves of their slots, one partition at a time. It keeps nothing that matters: records in
 * the metadata store say what was begun, the servers say how far it is.
 */
export class SlotExecutor implements MoveExecutor {
  readonly #settings: Settings;
  readonly #components: SlotExecutorComponents;
  readonly #records: MoveRecords;
  readonly #requests: MoveRequests;
  readonly #mover: SlotMover;
  readonly #atomicMover: AtomicMover;
  readonly #copyFirstMover: CopyFirstMover;
  readonly #queue: SlotMoveQueue;
  #open: readonly SlotMoveRecord[] = [];
  #nextTryMs = 0;
  #retryMs = RETRY_MS_MIN;
  #lastLookMs = Number.NEGATIVE_INFINITY;
  #lastTrouble = '';
  readonly #toldUnprotected = new Set<string>();
  #working: Promise<void> = Promise.resolve();

  constructor(settings: Settings, components: SlotExecutorComponents) {
    this.#settings = settings;
    this.#components = components;
    this.#records = new MoveRecords(settings, components);
    this.#requests = new MoveRequests(settings.cluster.name, components);
    this.#queue = new SlotMoveQueue(settings.migration);
    this.#mover = new SlotMover(settings.redis, {
      nodes: components.view.nodes,
      clock: components.clock,
      assertMaySend: () => {
        this.#fence();
      },
      onUnprotected: (why) => this.#tellUnprotected(why),
    });
    this.#copyFirstMover = new CopyFirstMover({ mover: this.#mover, clock: components.clock });
    this.#atomicMover = new AtomicMover({
      run: (steps) => this.#mover.run(steps),
      clock: components.clock,
      limits: () => this.#mover.limits(),
    });
  }

  /** Takes over a proposal's moves; those of an earlier one that have not begun are dropped, unless these are an addition. */
  async admit(proposal: Proposal, options?: AdmissionOptions): ReturnType<MoveExecutor['admit']> {
    const { seen } = await this.#see(await this.#records.controls());
    return this.#queue.take(proposal, seen, options);
  }

  async tick(): Promise<void> {
    this.#working = this.#tick();
    await this.#working;
  }

  async settled(): Promise<void> {
    await this.#working;
  }

  status(): ReturnType<MoveExecutor['status']> {
    return {
      open: this.#open.map((record) => ({
        partitionId: record.partitionId,
        migrationId: record.moveId,
        sourceNodeId: record.sourceNodeId,
        targetNodeId: record.targetNodeId,
        phase: 'COPY' as const,
        phaseAtMs: record.startedAtMs,
        readWeight: 0,
        reason: record.reason,
        failure: null,
        copiedBytes: 0,
        pace: null,
        reads: null,
      })),
      ...this.#queue.waiting(this.#components.planNowMs()),
      ...this.#records.totals,
      quarantinedPartitionIds: [],
    };
  }

  async #tick(): Promise<void> {
    const { clock, leadership, logger } = this.#components;
    if (leadership()?.isHeld() !== true || clock.monotonicMs() < this.#nextTryMs) return;
    try {
      await this.#work();
      this.#retryMs = RETRY_MS_MIN;
    } catch (error) {
      // What the world does, servers and store alike, is met again after a pause; open slots serve meanwhile.
      if (
        !(
          error instanceof SlotMoveStopped ||
          error instanceof ForeshardError ||
          error instanceof RedisRefusal
        )
      )
        throw error;
      logger.warn({ fault: error.message }, 'moves of slots wait');
      this.#waitABit();
    }
  }

  async #work(): Promise<void> {
    const { clock, view, mirror, isStopping } = this.#components;
    this.#open = await this.#records.open();
    const next = this.#open.length === 0 && !isStopping() ? await this.#next() : null;
    const isLookDue = clock.monotonicMs() - this.#lastLookMs >= LOOK_INTERVAL_MS;
    if (this.#open.length === 0 && next === null && !isLookDue) return;
    this.#lastLookMs = clock.monotonicMs();
    // Before the cluster is looked at: a cancel is taken up also where nothing may be moved now.
    await this.#requests.answer(this.#open, this.#fence());
    this.#open = await this.#records.open();
    const topology = await view.topology();
    const shards = await mirror.update(topology, { fence: this.#fence(), nowMs: clock.nowMs() });
    const refusal = clusterRefusal(topology, this.#open, shards);
    this.#tellTrouble(refusal);
    if (refusal !== null) return this.#waitABit();
    for (const record of this.#open) await this.#drive(record, topology, shards);
    if (this.#open.length > 0) this.#open = await this.#records.open();
    else if (next !== null) await this.#begin(next, topology, shards);
  }

  /** The move that may begin now, approved or planned; approvals that can never begin any more are taken back. */
  async #next(): Promise<(NextMove & { readonly rejectionRevision: number }) | null> {
    const controls = await this.#records.controls();
    if (controls.approvals.length === 0 && !this.#queue.hasDue(this.#components.planNowMs())) return null;
    const { seen, revisions } = await this.#see(controls);
    for (const approval of voidApprovals(seen, this.#settings.migration))
      await this.#records.retract(approval, { fence: this.#fence(), revisions });
    const next = this.#queue.next(seen);
    if (next === null) return null;
    const rejectionRevision = controls.rejections.get(next.move.partitionId)?.revision ?? 0;
    return { ...next, rejectionRevision };
  }

  async #see(
    controls: SeenMoves['controls'],
  ): Promise<{ readonly seen: SeenMoves; readonly revisions: readonly number[] }> {
    const { clock, isInWindow } = this.#components;
    const planNowMs = this.#components.planNowMs();
    const open = await this.#records.open();
    const { records, revisions } = await this.#records.partitions();
    const openPartitionIds = new Set(open.map(({ partitionId }) => partitionId));
    return {
      seen: {
        ...{ records, controls, openPartitionIds, planNowMs },
        nowMs: clock.nowMs(),
        isInWindow: isInWindow(planNowMs),
      },
      revisions,
    };
  }

  async #begin(
    next: NextMove & { readonly rejectionRevision: number },
    topology: ClusterTopology,
    shards: readonly Shard[],
  ): Promise<void> {
    const { move, approved } = next;
    const partitionMove = this.#moveOf(topology, shards);
    const slots = slotRangeOf(move.partitionId, this.#settings.cluster.partitionCount);
    const draft = partitionMove.draft(move, slots);
    this.#queue.drop(move);
    if (draft === null) {
      const why = 'the target is gone, or has all of it already';
      if (approved !== null)
        await this.#records.retract(
          { pending: approved, why, stuck: null },
          { fence: this.#fence(), revisions: [] },
        );
      return;
    }
    const reason = await partitionMove.refusal(draft);
    if (reason !== null) {
      const isNews = await this.#records.refuse(draft, { reason, approved }, this.#fence());
      if (isNews)
        this.#components.logger.warn({ partition: move.partitionId, reason }, 'a move of slots is refused');
      return;
    }
    const sourceRunIds = await partitionMove.runIdsOf(draft.sourceIds);
    await this.#records.begin({ ...draft, sourceRunIds }, next, this.#fence());
    const { partitionId: partition, sourceNodeId, targetNodeId, reason: why } = draft;
    this.#components.logger.info(
      { partition, sourceNodeId, targetNodeId, reason: why },
      'a move of slots begins',
    );
    this.#open = await this.#records.open();
    for (const record of this.#open) await this.#drive(record, topology, shards);
    this.#open = await this.#records.open();
  }

  async #drive(record: SlotMoveRecord, topology: ClusterTopology, shards: readonly Shard[]): Promise<void> {
    const { logger } = this.#components;
    const move = this.#moveOf(topology, shards);
    const current = await move.withPresentMasters(record);
    if (current !== record) await this.#records.rewrite(current, this.#fence());
    const outcome = await move.run(current);
    logger.info({ partition: record.partitionId, ...outcome, pace: this.#mover.pace }, 'slots have moved');
    if (outcome.isOver) await this.#records.end(current, outcome, this.#fence());
  }

  #moveOf(topology: ClusterTopology, shards: readonly Shard[]): PartitionMove {
    const { isStopping, view, logger } = this.#components;
    return new PartitionMove(this.#settings.redis, {
      topology,
      shards,
      mover: this.#mover,
      atomicMover: this.#atomicMover,
      copyFirstMover: this.#copyFirstMover,
      noteCopies: (record, copies) => this.#noteCopies(record, copies),
      view,
      logger,
      mayOpen: async (record, movedSlots) =>
        !isStopping() &&
        record.cancelledFor === null &&
        (await this.#isWanted(record, movedSlots)) &&
        !(await this.#records.isPaused(record.partitionId)),
      orderOf: async (record, movedSlots) => {
        if (isStopping()) return 'leave';
        const isWanted = record.cancelledFor === null && (await this.#isWanted(record, movedSlots));
        return isWanted ? 'go-on' : 'cancel';
      },
    });
  }

  /**
   * Asked before each window: an operator's cancel does not wait until the whole partition has moved. Whoever looks reads how
   * far it is.
   */
  async #isWanted({ partitionId, moveId }: SlotMoveRecord, movedSlots: number): Promise<boolean> {
    await this.#requests.answer(await this.#records.open(), this.#fence());
    const record = (await this.#records.open()).find(
      (open) => open.partitionId === partitionId && open.moveId === moveId,
    );
    if (record?.cancelledFor !== null) return false;
    if (record.movedSlots !== movedSlots)
      await this.#records.rewrite({ ...record, movedSlots }, this.#fence());
    return true;
  }

  async #noteCopies({ partitionId, moveId }: SlotMoveRecord, copies: CopiesRecord | null): Promise<void> {
    const record = (await this.#records.open()).find(
      (open) => open.partitionId === partitionId && open.moveId === moveId,
    );
    // It was open a moment ago, and this agent alone ends it.
    assert(record !== undefined, 'the move of copies is written down');
    const { copies: _, ...rest } = record;
    await this.#records.rewrite(copies === null ? rest : { ...rest, copies }, this.#fence());
  }

  /** @throws ForeshardError FORESHARD_CONFLICT when another agent may be the leader. */
  #fence(): MetadataCondition {
    const leadership = this.#components.leadership();
    if (leadership?.isHeld() !== true)
      throw new ForeshardError('FORESHARD_CONFLICT', 'wait', 'this agent is not the leader any more');
    return leadership.fence;
  }

  /** Once, and once more when it is over. */
  #tellTrouble(trouble: string | null): void {
    const { logger } = this.#components;
    if ((trouble ?? '') === this.#lastTrouble) return;
    this.#lastTrouble = trouble ?? '';
    if (trouble === null) logger.info({}, 'slots may be moved again');
    else logger.warn({ why: trouble }, 'no slot is moved');
  }

  /** Once each: every move would say it again. */
  #tellUnprotected(why: string): void {
    if (this.#toldUnprotected.has(why)) return;
    this.#toldUnprotected.add(why);
    this.#components.logger.warn({ why }, UNPROTECTED);
  }

  #waitABit(): void {
    this.#nextTryMs = this.#components.clock.monotonicMs() + this.#retryMs;
    this.#retryMs = Math.min(this.#settings.migration.retryMsMax, this.#retryMs * 2);
  }
}
