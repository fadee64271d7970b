import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { ForeshardError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import { asNodeId } from '../model/ids.ts';
import type { MigrationPhase, PartitionRecord } from '../model/migration.ts';
import type { Move, Proposal } from '../model/proposal.ts';
import type { Leadership, MetadataStore, MetadataWrite } from '../ports/metadata-store.ts';
import type { KeyPrivacy, StorageEngine } from '../ports/storage-engine.ts';
import { type AdmissionRefusal, CopyCounts, isDue, isTemporary, refusalOf } from './admission.ts';
import { RetryBook } from './backoff.ts';
import { gatherEvidence } from './mismatch.ts';
import { commandOf, doNodeWork, mustRetry } from './node-work.ts';
import { isCopying, isHot, isSwitched, mayAbort } from './phases.ts';
import { quarantineOf, withoutPassing, withQuarantine } from './quarantine.ts';
import type { ReadSummary, ReadWatch } from './read-watch.ts';
import type { MigrationHistory, RecordCodec } from './records.ts';
import { assertMigrationSettings, type MigrationSettings } from './settings.ts';
import {
  abort,
  type Decision,
  decide,
  lagOf,
  type Mismatch,
  type Observation,
  type OpenRecord,
  type StepContext,
} from './step.ts';

export interface ExecutorComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly engine: StorageEngine;
  readonly metadata: MetadataStore;
  readonly codec: RecordCodec;
  /** The present term; null, or one that is not held, and nothing is done. */
  readonly leadership: () => Leadership | null;
  /** Whether reads may go to the target of a migration in SHIFT; without it weights grow by time alone. */
  readonly readGuard?: ReadWatch;
  /** Failpoint, for tests: how long a partition's migration stands in a phase before that phase's commands go out. */
  readonly holdMs?: (partitionId: number, phase: MigrationPhase) => number;
  /** The clock by which plans are stamped, where it is not `clock`: a replay's. */
  readonly planNowMs?: () => number;
  /** How much of a key evidence of a mismatch may show; nothing, unless it is said. */
  readonly keyPrivacy?: KeyPrivacy;
}

export interface AdmissionReport {
  readonly queued: readonly Move[];
  readonly refused: readonly { readonly move: Move; readonly refusal: AdmissionRefusal }[];
}

export interface OpenMigrationStatus {
  readonly partitionId: number;
  readonly migrationId: number;
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  readonly phase: MigrationPhase;
  readonly phaseAtMs: number;
  readonly readWeight: number;
  readonly reason: string;
  readonly failure: string | null;
  readonly copiedBytes: number;
  /** In SHIFT: what the query nodes have measured; null where nobody does. */
  readonly reads: ReadSummary | null;
}

export interface ExecutorStatus {
  readonly open: readonly OpenMigrationStatus[];
  /** Moves whose hour has come and that wait for a place. */
  readonly queuedMoveCount: number;
  /** Moves whose hour by the timetable is still to come. */
  readonly scheduledMoveCount: number;
  /** Since this executor was made: what a coordinator before it did is in the history. */
  readonly doneCount: number;
  readonly abortedCount: number;
  readonly copiedBytes: number;
  readonly quarantinedPartitionIds: readonly number[];
}

/** Phases that hold in one go: a small partition passes several in one tick, a bug cannot spin for ever. */
const STEPS_PER_DRIVE_MAX = 64;
/** While writes wait the nodes are asked again after so long, not at the next tick. */
const HOT_POLL_MS = 2;
/** The store must have answered twice within this before a fence may be put up. */
const METADATA_HEALTH_MS = 1_000;
/**
 * Not measured, and far more than an entry takes (microseconds, and its share of a synced commit): a bound from above. Enough,
 * since a fence is only thought of at a lag of at most `fenceLagMax`: at the default of 50 it says 25 ms of a budget of 500.
 * Wrong by whatever factor, it is never unsafe: the fence itself waits for the lsn, and ABORT answers one that takes too long.
 */
const APPLY_MS_PER_ENTRY = 0.5;

/**
 * The coordinator's side of migrations. It keeps nothing that matters: every tick reads the map, does the one step
 * each open record asks for, commits it under the record's revision and the leader's fence, and forgets. A crash, a
 * second coordinator, a commit whose outcome is not known: all are answered by reading again.
 */
export class MigrationExecutor {
  readonly #settings: MigrationSettings;
  readonly #components: ExecutorComponents;
  readonly #retries: RetryBook;
  readonly #inFlight = new Map<number, Promise<void>>();
  readonly #decoded = new Map<string, { revision: number; record: PartitionRecord | null }>();
  readonly #copiedBytesOf = new Map<number, number>();
  /** How long phases took, for the history. */
  readonly #secondsOf = new Map<number, { copySeconds: number | null; fenceSeconds: number | null }>();
  readonly #failureOf = new Map<number, string>();
  /** Phases whose hold is over, `partition/migration/phase`. */
  readonly #held = new Set<string>();
  #records: (PartitionRecord | null)[] = [];
  #queue: { proposal: Proposal; moves: Move[] } | null = null;
  #metadataAnswersMs: number[] = [];
  #commitMs = 5;
  #doneCount = 0;
  #abortedCount = 0;
  #copiedBytes = 0;

  /** @throws ForeshardError FORESHARD_CONFIG naming a setting that is out of range. */
  constructor(settings: MigrationSettings, components: ExecutorComponents) {
    assertMigrationSettings(settings);
    this.#settings = settings;
    this.#components = components;
    this.#retries = new RetryBook(settings, components.clock, components.random.fork('retries'));
  }

  /**
   * Takes over a proposal's moves, in its order; those of an earlier proposal that have not begun are dropped. They begin,
   * at later ticks, as the caps allow.
   */
  async admit(proposal: Proposal): Promise<AdmissionReport> {
    await this.#readMap();
    const queued: Move[] = [];
    const refused: { move: Move; refusal: AdmissionRefusal }[] = [];
    const context = this.#admissionContext(false);
    for (const move of proposal.moves) {
      const refusal = refusalOf(move, proposal, new CopyCounts(this.#records), context);
      if (refusal && !isTemporary(refusal)) refused.push({ move, refusal });
      else queued.push(move);
    }
    this.#queue = { proposal, moves: queued };
    return { queued, refused };
  }

  /** Reads the map, begins what may begin and starts a drive of every open record that has none. Never throws. */
  async tick(): Promise<void> {
    const { logger, leadership } = this.#components;
    if (!leadership()?.isHeld()) return;
    try {
      const open = await this.#readMap();
      const isPaused = (await this.#components.metadata.get(this.#components.codec.keys.pause)) !== undefined;
      for (const { record, revision } of open) {
        if (isPaused && !isHot(record.migration.phase) && mayAbort(record.migration.phase)) continue;
        this.#startDrive(record, revision);
      }
      await this.#beginQueued(isPaused);
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'the migration executor could not read or begin');
    }
  }

  /** Resolves when no step is under way: for tests, and before an orderly end. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight.values());
  }

  status(): ExecutorStatus {
    const open = this.#records.filter(isOpen).map(({ partitionId, migration }) => ({
      partitionId,
      migrationId: migration.migrationId,
      sourceNodeId: migration.sourceNodeId,
      targetNodeId: migration.targetNodeId,
      phase: migration.phase,
      phaseAtMs: migration.phaseAtMs,
      readWeight: migration.readWeight,
      reason: migration.reason,
      failure: this.#failureOf.get(partitionId) ?? null,
      copiedBytes: this.#copiedBytesOf.get(partitionId) ?? 0,
      reads: this.#components.readGuard?.summaryOf(partitionId) ?? null,
    }));
    const waiting = this.#queue?.moves ?? [];
    const queuedMoveCount = waiting.filter((move) => isDue(move, this.#planNowMs())).length;
    return {
      open,
      queuedMoveCount,
      scheduledMoveCount: waiting.length - queuedMoveCount,
      doneCount: this.#doneCount,
      abortedCount: this.#abortedCount,
      copiedBytes: this.#copiedBytes,
      quarantinedPartitionIds: this.#records.flatMap((record) =>
        record && this.#isQuarantined(record.partitionId) ? [record.partitionId] : [],
      ),
    };
  }

  #planNowMs(): number {
    return this.#components.planNowMs?.() ?? this.#components.clock.nowMs();
  }

  async #readMap(): Promise<{ record: OpenRecord; revision: number }[]> {
    const { metadata, codec, clock } = this.#components;
    const { entries } = await metadata.list(codec.keys.mapPrefix);
    this.#noteMetadataAnswer(clock.monotonicMs());
    const records: (PartitionRecord | null)[] = [];
    const open: { record: OpenRecord; revision: number }[] = [];
    for (const entry of entries) {
      const partitionId = Number(entry.key.slice(codec.keys.mapPrefix.length));
      const record = this.#decode(partitionId, entry);
      records[partitionId] = record;
      if (record && isOpen(record)) open.push({ record, revision: entry.revision });
    }
    this.#records = records;
    return open;
  }

  #decode(
    partitionId: number,
    entry: { key: string; revision: number; value: Uint8Array },
  ): PartitionRecord | null {
    const known = this.#decoded.get(entry.key);
    if (known?.revision === entry.revision) return known.record;
    let record: PartitionRecord | null = null;
    try {
      record = this.#components.codec.decodePartition(partitionId, entry.value);
    } catch (error) {
      this.#components.logger.error(
        { partitionId, error: messageOf(error) },
        'a bad record: partition quarantined',
      );
    }
    this.#decoded.set(entry.key, { revision: entry.revision, record });
    return record;
  }

  async #beginQueued(isPaused: boolean): Promise<void> {
    const queue = this.#queue;
    if (!queue || queue.moves.length === 0) return;
    const context = this.#admissionContext(isPaused);
    const copies = new CopyCounts(this.#records);
    const later: Move[] = [];
    const begun: Promise<void>[] = [];
    for (const move of queue.moves) {
      const refusal = refusalOf(move, queue.proposal, copies, context);
      if (refusal === null) {
        copies.add(move.sourceNodeId, move.targetNodeId);
        begun.push(this.#begin(move));
      } else if (isTemporary(refusal)) later.push(move);
    }
    queue.moves = later;
    await Promise.all(begun);
  }

  /** Opens a migration: the record with the next id, and what must be cleaned up if it fails, in one commit. */
  async #begin(move: Move): Promise<void> {
    const { engine, codec, metadata, clock, random, logger } = this.#components;
    try {
      const { storeId, isWritable } = await engine.nodeStatistics(move.targetNodeId);
      if (!isWritable)
        throw new ForeshardError('FORESHARD_DISK_FULL', 'free-space', 'the target takes no writes');
      const entry = await metadata.get(codec.keys.map(move.partitionId));
      if (!entry) return;
      const record = codec.decodePartition(move.partitionId, entry.value);
      if (record.migration || record.ownerNodeId !== move.sourceNodeId) return;
      if (quarantineOf(record, clock.nowMs())) return;
      const nowMs = clock.nowMs();
      const migrationId = record.migrationSeq + 1;
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
          reason: move.reason.slice(0, 1000),
          attempt: this.#retries.failuresOf(move.partitionId),
        },
      };
      const cleanup = codec.encodeCleanup({ kind: 'staging', policy: 'on-failure', sinceMs: nowMs });
      const key = codec.keys.cleanup(move.partitionId, migrationId, storeId);
      const revision = await this.#commit(opened, entry.revision, [{ kind: 'put', key, value: cleanup }]);
      if (revision !== null) this.#startDrive(opened, revision);
    } catch (error) {
      logger.warn(
        { partitionId: move.partitionId, error: messageOf(error) },
        'a migration could not be opened',
      );
    }
  }

  #startDrive(record: OpenRecord, revision: number): void {
    const { partitionId } = record;
    if (this.#inFlight.has(partitionId) || !this.#retries.isDue(partitionId)) return;
    const drive = this.#drive(record, revision).finally(() => this.#inFlight.delete(partitionId));
    this.#inFlight.set(partitionId, drive);
  }

  /** Steps one record on as long as each step's condition holds. Never throws. */
  async #drive(record: OpenRecord, revision: number): Promise<void> {
    let [current, seenRevision] = [record, revision];
    for (let step = 0; step < STEPS_PER_DRIVE_MAX; step++) {
      const holdMs = this.#holdMs(current);
      if (holdMs > 0) await this.#components.clock.sleep(holdMs);
      if (!this.#components.leadership()?.isHeld()) return;
      const decision = await this.#stepOnce(current);
      if (decision === null) return;
      if (decision.kind === 'stay') {
        if (!isHot(current.migration.phase)) return;
        await this.#components.clock.sleep(HOT_POLL_MS);
        continue;
      }
      const committed = await this.#commitDecision(current, seenRevision, decision);
      if (committed === null || !isOpen(decision.record)) return;
      [current, seenRevision] = [decision.record, committed];
      this.#records[current.partitionId] = current;
    }
  }

  /** Above 0 once a phase of a migration, so that a step that failed is tried again as it would be without. */
  #holdMs({ partitionId, migration }: OpenRecord): number {
    const holdMs = this.#components.holdMs?.(partitionId, migration.phase) ?? 0;
    const key = `${partitionId}/${migration.migrationId}/${migration.phase}`;
    if (holdMs === 0 || this.#held.has(key)) return 0;
    this.#held.add(key);
    return holdMs;
  }

  /** @returns null when the nodes did not answer as they should: it is tried again after a while. */
  async #stepOnce(record: OpenRecord): Promise<Decision | null> {
    const { clock, engine } = this.#components;
    const { partitionId } = record;
    const startedMs = clock.monotonicMs();
    try {
      const seen = await doNodeWork(record, { engine, settings: this.#settings, nowMs: clock.nowMs() });
      this.#retries.succeeded(partitionId);
      this.#failureOf.delete(partitionId);
      // After the switch the target's status speaks of the reverse stream.
      if (seen.target && mayAbort(record.migration.phase))
        this.#copiedBytesOf.set(
          partitionId,
          Math.max(seen.target.copiedBytes, this.#copiedBytesOf.get(partitionId) ?? 0),
        );
      if (record.migration.phase !== 'SHIFT') return decide(record, seen, this.#stepContext());
      const beforeFence = this.#lookBeforeFence(seen, startedMs);
      const { readGuard } = this.#components;
      const guard = readGuard ? await readGuard.verdictOf(record, lagOf(seen)) : null;
      return decide(record, { ...seen, ...beforeFence, guard }, this.#stepContext());
    } catch (error) {
      return this.#answerFailure(record, error);
    }
  }

  #answerFailure(record: OpenRecord, error: unknown): Decision | null {
    const { logger } = this.#components;
    const { partitionId, migration } = record;
    const failure = messageOf(error);
    this.#failureOf.set(partitionId, failure);
    const failingMs = this.#retries.failed(partitionId);
    logger.warn({ partitionId, phase: migration.phase, error: failure }, 'a migration step failed');
    if (mustRetry(record)) return null;
    const context = this.#stepContext();
    // In a phase that can still be taken back a node that refuses ends it, one that is silent only after a while.
    const isOver = !isTransient(error) || failingMs >= this.#settings.unreachableMs;
    if (isOver) return abort(record, failure, context);
    const overdue = decide(record, { source: null, target: null }, context);
    return overdue.kind === 'go' && overdue.record.migration?.phase === 'ABORT' ? overdue : null;
  }

  #lookBeforeFence(seen: Observation, startedMs: number): Partial<Observation> {
    const { clock } = this.#components;
    const nowMs = clock.monotonicMs();
    // The step just made took two round trips or more to each node.
    const roundTripMs = (nowMs - startedMs) / 2;
    const predictedMs = lagOf(seen) * APPLY_MS_PER_ENTRY + 2 * roundTripMs + this.#commitMs;
    const answers = this.#metadataAnswersMs.filter((atMs) => nowMs - atMs <= METADATA_HEALTH_MS).length;
    return {
      isFencePromising: answers >= 2 && predictedMs <= this.#settings.fenceBudgetMs / 2,
    };
  }

  async #commitDecision(
    before: OpenRecord,
    revision: number,
    decision: Exclude<Decision, { kind: 'stay' }>,
  ): Promise<number | null> {
    const { codec, clock, logger } = this.#components;
    const { partitionId, migration } = before;
    const writes: MetadataWrite[] = [];
    const sourceCleanup = codec.keys.cleanup(partitionId, migration.migrationId, migration.sourceStoreId);
    const targetCleanup = codec.keys.cleanup(partitionId, migration.migrationId, migration.targetStoreId);
    if (decision.record.migration?.phase === 'SWITCHED') {
      const value = codec.encodeCleanup({ kind: 'source', policy: 'deferred', sinceMs: clock.nowMs() });
      writes.push({ kind: 'put', key: sourceCleanup, value }, { kind: 'delete', key: targetCleanup });
    }
    if (decision.kind === 'end') {
      const history = this.#historyOf(before, decision.outcome);
      const key = codec.keys.history(partitionId, migration.migrationId);
      writes.push({ kind: 'put', key, value: codec.encodeHistory(history) });
      writes.push({ kind: 'delete', key: decision.outcome === 'done' ? sourceCleanup : targetCleanup });
    }
    if (decision.kind === 'go' && decision.mismatch)
      writes.push(await this.#evidenceWrite(before, decision.mismatch));
    const next = decision.kind === 'end' ? this.#afterEnd(before, decision) : decision.record;
    const committed = await this.#commit(next, revision, writes);
    if (committed === null) return null;
    const phase = decision.record.migration?.phase ?? 'stable';
    this.#notePhase(before, phase);
    logger.info({ partitionId, migrationId: migration.migrationId, phase }, 'migration stepped');
    this.#records[partitionId] = next;
    if (decision.kind === 'end') this.#ended(before, decision.outcome);
    return committed;
  }

  /** A partition whose migrations keep failing is left alone for a while, also by the next coordinator. */
  #afterEnd(
    { partitionId, migration }: OpenRecord,
    { record, outcome }: Extract<Decision, { kind: 'end' }>,
  ): PartitionRecord {
    if (outcome === 'done') return withoutPassing(record);
    if (!this.#retries.isLastAttempt(partitionId)) return record;
    const sinceMs = this.#components.clock.nowMs();
    return withQuarantine(record, {
      sinceMs,
      untilMs: sinceMs + this.#settings.quarantineMs,
      migrationId: migration.migrationId,
      reason: `too many migrations in a row were aborted, the last: ${migration.reason}`,
    });
  }

  /** Looked for before the commit that ends the migration: after it the nodes forget what they scanned. */
  async #evidenceWrite(record: OpenRecord, mismatch: Mismatch): Promise<MetadataWrite> {
    const { codec, clock, engine, logger, keyPrivacy } = this.#components;
    const { partitionId, migration } = record;
    const isAfter = isSwitched(migration.phase);
    const evidence = await gatherEvidence(
      {
        command: commandOf(record),
        phase: migration.phase,
        nowMs: clock.nowMs(),
        ownerNodeId: record.ownerNodeId,
        copyNodeId: isAfter ? migration.sourceNodeId : migration.targetNodeId,
        ...mismatch,
        privacy: keyPrivacy ?? { prefixBytes: 0, isHashKept: false },
      },
      engine,
    );
    const { differenceCount, limits, reason } = evidence;
    logger.error({ partitionId, differenceCount, limits, reason }, 'two copies of a partition differ');
    const key = codec.keys.evidence(partitionId, migration.migrationId);
    return { kind: 'put', key, value: codec.encodeEvidence(evidence) };
  }

  /** Phases are stamped in the record, so that one which began under another coordinator is measured as well. */
  #notePhase({ partitionId, migration }: OpenRecord, next: MigrationPhase | 'stable'): void {
    const seconds = Math.max(0, this.#components.clock.nowMs() - migration.phaseAtMs) / 1000;
    const known = this.#secondsOf.get(partitionId) ?? NO_SECONDS;
    if (migration.phase === 'COPY' && next === 'CATCHUP')
      this.#secondsOf.set(partitionId, { ...known, copySeconds: seconds });
    if (next === 'SWITCHED') this.#secondsOf.set(partitionId, { ...known, fenceSeconds: seconds });
  }

  #historyOf({ partitionId, epoch, migration }: OpenRecord, outcome: 'done' | 'aborted'): MigrationHistory {
    return {
      partitionId,
      migrationId: migration.migrationId,
      sourceNodeId: migration.sourceNodeId,
      targetNodeId: migration.targetNodeId,
      outcome,
      reason: migration.reason,
      startedAtMs: migration.startedAtMs,
      endedAtMs: this.#components.clock.nowMs(),
      epoch,
      fenceLsn: migration.fenceLsn ?? null,
      verifiedLsn: migration.verified?.lsn ?? null,
      copiedBytes: this.#copiedBytesOf.get(partitionId) ?? 0,
      ...(this.#secondsOf.get(partitionId) ?? NO_SECONDS),
    };
  }

  #ended({ partitionId }: OpenRecord, outcome: 'done' | 'aborted'): void {
    if (outcome === 'done') {
      this.#doneCount++;
      this.#copiedBytes += this.#copiedBytesOf.get(partitionId) ?? 0;
      this.#retries.migrated(partitionId);
    } else {
      this.#abortedCount++;
      this.#retries.aborted(partitionId);
    }
    this.#copiedBytesOf.delete(partitionId);
    this.#secondsOf.delete(partitionId);
  }

  /** One transition: conditioned on the record as it was read and on this term. Null: lost, or not known; re-read. */
  async #commit(
    record: PartitionRecord,
    revision: number,
    writes: readonly MetadataWrite[],
  ): Promise<number | null> {
    const { metadata, codec, clock, leadership, logger } = this.#components;
    const term = leadership();
    if (!term?.isHeld()) return null;
    assert(revision > 0, 'a record is changed as it was read');
    const key = codec.keys.map(record.partitionId);
    const startedMs = clock.monotonicMs();
    try {
      const result = await metadata.commit({
        conditions: [{ key, revisionIs: revision }, term.fence],
        writes: [{ kind: 'put', key, value: codec.encodePartition(record) }, ...writes],
      });
      const nowMs = clock.monotonicMs();
      this.#noteMetadataAnswer(nowMs);
      this.#commitMs += (nowMs - startedMs - this.#commitMs) / 8;
      return result.isCommitted ? result.revision : null;
    } catch (error) {
      logger.warn(
        { partitionId: record.partitionId, error: messageOf(error) },
        'a commit is not known to have happened',
      );
      return null;
    }
  }

  #noteMetadataAnswer(nowMs: number): void {
    this.#metadataAnswersMs = [...this.#metadataAnswersMs.slice(-7), nowMs];
  }

  #stepContext(): StepContext {
    const { engine, clock } = this.#components;
    return {
      settings: this.#settings,
      nowMs: clock.nowMs(),
      canShiftReads: engine.capabilities.weightedReads,
      canFollow: engine.capabilities.reverseStream,
    };
  }

  #isQuarantined(partitionId: number): boolean {
    return quarantineOf(this.#records[partitionId], this.#components.clock.nowMs()) !== undefined;
  }

  #admissionContext(isPaused: boolean) {
    const owners = new Set<number>();
    for (const record of this.#records) {
      if (!record) continue;
      owners.add(record.ownerNodeId);
      if (record.migration && isCopying(record.migration.phase)) owners.add(record.migration.targetNodeId);
    }
    return {
      records: this.#records,
      storageNodeCount: owners.size,
      settings: this.#settings,
      nowMs: this.#components.clock.nowMs(),
      planNowMs: this.#planNowMs(),
      isPaused,
      isQuarantined: (partitionId: number) => this.#isQuarantined(partitionId),
    };
  }
}

const NO_SECONDS = { copySeconds: null, fenceSeconds: null };

const isOpen = (record: PartitionRecord | null | undefined): record is OpenRecord =>
  record !== null && record !== undefined && record.migration !== null;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The node, or the way to it, may answer differently a moment later. */
function isTransient(error: unknown): boolean {
  if (!(error instanceof ForeshardError)) return false;
  return [
    'FORESHARD_UNAVAILABLE',
    'FORESHARD_UNKNOWN_OUTCOME',
    'FORESHARD_NOT_READY',
    'FORESHARD_BEHIND',
    'FORESHARD_CONFLICT',
  ].includes(error.code);
}
