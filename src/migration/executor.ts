import type { Clock } from '../base/clock.ts';
import { ForeshardError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import type { MigrationOutcome, MigrationPhase, PartitionRecord } from '../model/migration.ts';
import type { Proposal } from '../model/proposal.ts';
import type { Leadership, MetadataStore } from '../ports/metadata-store.ts';
import type { CopyRates, KeyPrivacy, StorageEngine } from '../ports/storage-engine.ts';
import { RetryBook } from './backoff.ts';
import type { ClientWatch } from './client-latency.ts';
import { Committer } from './committer.ts';
import {
  ControlReader,
  type Controls,
  isHeld,
  NO_CONTROLS,
  unlessPaused,
  unlessRetired,
} from './controls.ts';
import { CopyGovernor, type CopyPaceStatus } from './copy-governor.ts';
import { evidenceWrite } from './evidence-write.ts';
import { workWhileHeld } from './held.ts';
import { historyTrim } from './history-trim.ts';
import { MigrationLedger } from './ledger.ts';
import { LeftoverSweeper } from './leftovers.ts';
import { type AdmissionReport, MoveQueue } from './move-queue.ts';
import { doNodeWork, mustRetry } from './node-work.ts';
import { OperatorDesk } from './operator-desk.ts';
import { isHot } from './phases.ts';
import type { MigrationEvent } from './progress.ts';
import { ProgressFeed } from './progress-feed.ts';
import { quarantineOf, withoutPassing, withQuarantine } from './quarantine.ts';
import type { ReadSummary, ReadWatch } from './read-watch.ts';
import { isOpen, type OpenRecord, pauseChange } from './record-changes.ts';
import { type ReadMap, RecordReader } from './record-reader.ts';
import { RecordTrimmer } from './record-trim.ts';
import type { RecordCodec } from './records.ts';
import { RetirementDesk } from './retirement-desk.ts';
import { ScoreBook } from './score-book.ts';
import { withScorecard } from './scorecard.ts';
import { assertMigrationSettings, type MigrationSettings } from './settings.ts';
import { abort, type Decision, decide, lagOf, type Observation, type StepContext } from './step.ts';
import { StepRests } from './step-rests.ts';
import { outcomeOf, transitionWrites } from './transition-writes.ts';

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
  /** What clients feel of copies; without it only the nodes' event loops hold them back. */
  readonly clientWatch?: ClientWatch;
  /** Told of what happens to migrations. */
  readonly onEvent?: (event: MigrationEvent) => void;
  /** Failpoint, for tests: how long a partition's migration stands in a phase before that phase's commands go out. */
  readonly holdMs?: (partitionId: number, phase: MigrationPhase) => number;
  /** The clock by which plans are stamped, where it is not `clock`: a replay's. */
  readonly planNowMs?: () => number;
  /** Whether moves may run at a time of that clock; without it always. */
  readonly isInWindow?: (planNowMs: number) => boolean;
  /** How much of a key evidence of a mismatch may show; nothing, unless it is said. */
  readonly keyPrivacy?: KeyPrivacy;
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
  /** While it copies, and after. */
  readonly pace: CopyPaceStatus | null;
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
  /** Those that were given up. A fence that is tried again with the same copy is among `abortReasons` only. */
  readonly abortedCount: number;
  readonly abortReasons: readonly { readonly reason: string; readonly count: number }[];
  readonly copiedBytes: number;
  readonly quarantinedPartitionIds: readonly number[];
}

/** Phases that hold in one go: a small partition passes several in one tick, a bug cannot spin for ever. */
const STEPS_PER_DRIVE_MAX = 64;
/** While writes wait the nodes are asked again after so long, not at the next tick. */
const HOT_POLL_MS = 2;
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
  readonly #ledger: MigrationLedger;
  readonly #governor: CopyGovernor;
  readonly #progress: ProgressFeed;
  readonly #rests: StepRests;
  readonly #scores: ScoreBook;
  readonly #committer: Committer;
  readonly #reader: RecordReader;
  readonly #controlReader: ControlReader;
  readonly #desk: OperatorDesk;
  readonly #retirements: RetirementDesk;
  readonly #sweeper: LeftoverSweeper;
  readonly #trimmer: RecordTrimmer;
  readonly #queue: MoveQueue;
  readonly #inFlight = new Map<number, Promise<unknown>>();
  /** Phases whose hold is over, `partition/migration/phase`. */
  readonly #held = new Set<string>();
  #records: (PartitionRecord | null)[] = [];
  #controls: Controls = NO_CONTROLS;

  /** @throws ForeshardError FORESHARD_CONFIG naming a setting that is out of range. */
  constructor(settings: MigrationSettings, components: ExecutorComponents) {
    assertMigrationSettings(settings);
    const { clock, random, metadata, codec, logger } = components;
    this.#settings = settings;
    this.#components = components;
    this.#retries = new RetryBook(settings, clock, random.fork('retries'));
    this.#ledger = new MigrationLedger(clock);
    const { clientWatch } = components;
    this.#governor = new CopyGovernor(settings, { clock, ...(clientWatch && { watch: clientWatch }) });
    this.#rests = new StepRests(clock);
    this.#scores = new ScoreBook({ clock, ...(clientWatch && { watch: clientWatch }) });
    this.#progress = new ProgressFeed(settings, {
      clock,
      ledger: this.#ledger,
      paceOf: (record) => this.#governor.statusOf(record),
      onEvent: components.onEvent ?? (() => {}),
    });
    this.#committer = new Committer(components);
    this.#reader = new RecordReader(metadata, codec, logger);
    this.#controlReader = new ControlReader(metadata, codec, logger);
    const parts = {
      ...components,
      committer: this.#committer,
      ledger: this.#ledger,
      isRetired: this.#isRetired,
    };
    this.#retirements = new RetirementDesk(parts);
    this.#sweeper = new LeftoverSweeper(settings, parts);
    this.#trimmer = new RecordTrimmer(settings, parts);
    this.#desk = new OperatorDesk(settings, { ...parts, random: random.fork('operator') });
    this.#queue = new MoveQueue(settings, {
      ...parts,
      planNowMs: this.#planNowMs,
      isInWindow: this.#isInWindow,
      attemptsOf: (partitionId) => this.#retries.failuresOf(partitionId),
      onOpened: (record, revision) => this.#startDrive(record, revision),
    });
  }

  /**
   * Takes over a proposal's moves, in its order; those of an earlier proposal that have not begun are dropped. They begin,
   * at later ticks, as the caps allow.
   */
  async admit(proposal: Proposal): Promise<AdmissionReport> {
    await this.#readMap();
    return this.#queue.take(proposal, { records: this.#records, controls: this.#controls });
  }

  /** Reads the map, begins what may begin and starts a drive of every open record that has none. Never throws. */
  async tick(): Promise<void> {
    const { logger, leadership } = this.#components;
    if (!leadership()?.isHeld()) return;
    try {
      const { records, revisions, open } = await this.#readMap();
      this.#controls = await this.#controlReader.read();
      this.#desk.attend(this.#controls.requests, (partitionId) => {
        const record = records[partitionId];
        return record ? { record, revision: revisions[partitionId] as number } : null;
      });
      this.#retirements.attend(this.#controls.retirements, this.#controls, () => this.#reader.read());
      for (const { record, revision } of open) this.#startDrive(record, revision);
      await this.#queue.begin({ records, controls: this.#controls });
      this.#sweeper.tick(records, this.#isRetired);
      this.#trimmer.tick(this.#controls);
      this.#progress.tell(this.#records.filter(isOpen));
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'the migration executor could not read or begin');
    }
  }

  /** Resolves when no step is under way: for tests, and before an orderly end. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight.values());
    await this.#desk.settled();
    await this.#retirements.settled();
    await this.#sweeper.settled();
    await this.#trimmer.settled();
  }

  status(): ExecutorStatus {
    const ledger = this.#ledger;
    const open = this.#records.filter(isOpen).map((record) => this.#statusOf(record));
    const nowMs = this.#components.clock.nowMs();
    return {
      open,
      ...this.#queue.waiting,
      doneCount: ledger.doneCount,
      abortedCount: ledger.abortedCount,
      abortReasons: ledger.abortReasons(),
      copiedBytes: ledger.copiedBytes,
      quarantinedPartitionIds: this.#records.flatMap((record) =>
        record && quarantineOf(record, nowMs) ? [record.partitionId] : [],
      ),
    };
  }

  #statusOf(record: OpenRecord): OpenMigrationStatus {
    const { partitionId, migration } = record;
    const ledger = this.#ledger;
    return {
      partitionId,
      migrationId: migration.migrationId,
      sourceNodeId: migration.sourceNodeId,
      targetNodeId: migration.targetNodeId,
      phase: migration.phase,
      phaseAtMs: migration.phaseAtMs,
      readWeight: migration.readWeight,
      reason: migration.reason,
      failure: ledger.failureOf(partitionId),
      copiedBytes: ledger.copiedBytesOf(partitionId),
      reads: this.#components.readGuard?.summaryOf(partitionId, migration.migrationId) ?? null,
      pace: this.#governor.statusOf(record),
    };
  }

  readonly #planNowMs = (): number => this.#components.planNowMs?.() ?? this.#components.clock.nowMs();
  readonly #isInWindow = (): boolean => this.#components.isInWindow?.(this.#planNowMs()) ?? true;
  readonly #ratesOf = (record: OpenRecord): CopyRates => this.#governor.ratesOf(record, this.#records);
  readonly #isRetired = (storeId: string): boolean => this.#controls.retiredStoreIds.has(storeId);

  async #readMap(): Promise<ReadMap> {
    const map = await this.#reader.read();
    this.#committer.noteAnswer();
    this.#records = map.records;
    return map;
  }

  // -- Stepping ------------------------------------------------------------------------------------------------------

  #startDrive(record: OpenRecord, revision: number): void {
    const { partitionId } = record;
    if (this.#inFlight.has(partitionId) || !this.#retries.isDue(partitionId)) return;
    if (this.#rests.isResting(partitionId)) return;
    // What a pause holds would go nowhere: its target is lost.
    const isPaused =
      (isHeld(record, this.#controls) || this.#isHeldByWindow(record)) &&
      !this.#isRetired(record.migration.targetStoreId);
    const change = pauseChange(record, isPaused, this.#components.clock.nowMs());
    let drive: Promise<unknown>;
    if (change !== null) drive = this.#committer.commitRecord(change, revision, []);
    else if (record.migration.pausedAtMs !== undefined) drive = this.#hold(record, revision);
    else drive = this.#drive(record, revision);
    const ended = drive.finally(() => this.#inFlight.delete(partitionId));
    this.#inFlight.set(partitionId, ended);
  }

  /** What has been copied is handed over at any time: its log grows for as long as it waits. */
  #isHeldByWindow({ migration }: OpenRecord): boolean {
    const { phase, resumes } = migration;
    const isMoving = phase === 'COPY' || (phase === 'PREPARE' && resumes === undefined);
    const isOrdered = migration.kind !== undefined;
    return this.#settings.pausesOutsideWindows && isMoving && !isOrdered && !this.#isInWindow();
  }

  /** Never throws. */
  async #hold(record: OpenRecord, revision: number): Promise<void> {
    const { components, settings } = { components: this.#components, settings: this.#settings };
    const context = { ...components, settings, ratesOf: this.#ratesOf, isRetired: this.#isRetired };
    this.#governor.held(record);
    const retreat = await workWhileHeld(record, context);
    if (retreat !== null) await this.#commitDecision(record, revision, { kind: 'go', record: retreat });
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
        this.#rests.looked(current);
        if (!isHot(current.migration.phase)) return;
        await this.#components.clock.sleep(HOT_POLL_MS);
        continue;
      }
      const committed = await this.#commitDecision(current, seenRevision, decision);
      if (committed === null || !isOpen(decision.record)) return;
      [current, seenRevision] = [decision.record, committed];
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
    const startedMs = clock.monotonicMs();
    try {
      const settings = this.#settings;
      const context = { engine, settings, clock, ratesOf: this.#ratesOf, isRetired: this.#isRetired };
      const seen = await doNodeWork(record, context);
      this.#retries.succeeded(record.partitionId);
      this.#ledger.observed(record, seen);
      await this.#scores.observed(record);
      const hopeless = await this.#governor.observed(record, seen, this.#records);
      if (hopeless !== null) return abort(record, hopeless, this.#stepContext());
      if (record.migration.phase !== 'SHIFT') return decide(record, seen, this.#stepContext());
      const isFencePromising = this.#isFencePromising(seen, startedMs);
      const { readGuard } = this.#components;
      const guard = readGuard ? await readGuard.verdictOf(record, lagOf(seen)) : null;
      return decide(record, { ...seen, isFencePromising, guard }, this.#stepContext());
    } catch (error) {
      const { readGuard } = this.#components;
      const retreat = readGuard ? await this.#retreat(record, readGuard) : null;
      return retreat ?? this.#answerFailure(record, error);
    }
  }

  /** Reads leave a target that does not answer before it has been silent for long enough to give it up. */
  async #retreat(record: OpenRecord, readGuard: ReadWatch): Promise<Decision | null> {
    const { phase, readWeight } = record.migration;
    if (phase !== 'SHIFT' || readWeight === 0) return null;
    const guard = await readGuard.verdictOf(record, 0);
    return guard.kind === 'green'
      ? null
      : decide(record, { source: null, target: null, guard }, this.#stepContext());
  }

  #answerFailure(record: OpenRecord, error: unknown): Decision | null {
    const { logger } = this.#components;
    const { partitionId, migration } = record;
    const failure = messageOf(error);
    this.#ledger.failed(partitionId, failure);
    const failingMs = this.#retries.failed(partitionId);
    logger.warn({ partitionId, phase: migration.phase, error: failure }, 'a migration step failed');
    if (mustRetry(record)) return null;
    const context = this.#stepContext();
    // In a phase that can still be taken back a node that refuses ends it, one that is silent only after a while.
    const isOver = !isTransient(error) || failingMs >= this.#settings.unreachableMs;
    if (isOver) return abort(record, failure, context);
    const overdue = decide(record, { source: null, target: null }, context);
    return overdue.kind === 'go' && overdue.record.migration.phase === 'ABORT' ? overdue : null;
  }

  #isFencePromising(seen: Observation, startedMs: number): boolean {
    const { clock } = this.#components;
    const committer = this.#committer;
    // The step just made took two round trips or more to each node.
    const roundTripMs = (clock.monotonicMs() - startedMs) / 2;
    const predictedMs = lagOf(seen) * APPLY_MS_PER_ENTRY + 2 * roundTripMs + committer.commitMs;
    return committer.isHealthy && predictedMs <= this.#settings.fenceBudgetMs / 2;
  }

  async #commitDecision(
    before: OpenRecord,
    revision: number,
    decision: Exclude<Decision, { kind: 'stay' }>,
  ): Promise<number | null> {
    const { codec, clock, logger } = this.#components;
    const { partitionId, migration } = before;
    const after = decision.kind === 'end' ? this.#afterEnd(before, decision) : decision.record;
    const outcome = outcomeOf(before, after);
    const continuedBy = after.migration?.migrationId ?? null;
    const history =
      outcome &&
      withScorecard(
        this.#ledger.historyOf(before, outcome, continuedBy),
        before,
        this.#scores.measuresOf(before),
      );
    const writes = transitionWrites({ before, after, history, nowMs: clock.nowMs() }, codec);
    const mismatch = decision.kind === 'go' ? decision.mismatch : undefined;
    const evidence = mismatch ? await evidenceWrite(before, mismatch, this.#components) : null;
    if (evidence) writes.push(evidence);
    const ownerMay = unlessRetired(before, after, this.#controls, codec.keys);
    if (ownerMay === null) return null;
    const conditions = [...unlessPaused(before, after, codec.keys), ...ownerMay];
    const committed = await this.#committer.commitRecord(after, revision, writes, conditions);
    if (committed === null) return null;
    const phase = after.migration?.phase ?? 'stable';
    this.#ledger.stepped(before, phase);
    logger.info({ partitionId, migrationId: migration.migrationId, phase }, 'migration stepped');
    this.#records[partitionId] = after;
    this.#rests.over(partitionId);
    if (history !== null) this.#progress.ended(history);
    if (outcome !== null) await this.#ended(before, outcome);
    return committed;
  }

  /** A partition whose migrations keep failing is left alone for a while, also by the next coordinator. */
  #afterEnd(
    { partitionId, migration }: OpenRecord,
    { record, outcome }: Extract<Decision, { kind: 'end' }>,
  ): PartitionRecord {
    if (outcome !== 'aborted') return withoutPassing(record);
    if (!this.#retries.isLastAttempt(partitionId)) return record;
    const sinceMs = this.#components.clock.nowMs();
    return withQuarantine(record, {
      sinceMs,
      untilMs: sinceMs + this.#settings.quarantineMs,
      migrationId: migration.migrationId,
      reason: `too many migrations in a row were aborted, the last: ${migration.reason}`,
    });
  }

  async #ended(before: OpenRecord, outcome: MigrationOutcome): Promise<void> {
    const { partitionId, migration } = before;
    this.#ledger.ended(before, outcome);
    this.#scores.ended(partitionId);
    if (outcome !== 'aborted') this.#retries.migrated(partitionId);
    else if (migration.keepsCopyFor !== 'retry') this.#retries.aborted(partitionId);
    await this.#trimHistory(partitionId);
  }

  /** Never throws: what is left over is trimmed after the next end. */
  async #trimHistory(partitionId: number): Promise<void> {
    const { metadata, codec, logger } = this.#components;
    const options = { partitionId, keptCount: this.#settings.historyPerPartition };
    try {
      const writes = await historyTrim(metadata, codec, options);
      if (writes.length > 0) await this.#committer.commit([], writes);
    } catch (error) {
      logger.debug({ partitionId, error: messageOf(error) }, 'the history could not be trimmed');
    }
  }

  // -- What decisions are made from ----------------------------------------------------------------------------------

  #stepContext(): StepContext {
    const { engine, clock } = this.#components;
    return {
      settings: this.#settings,
      nowMs: clock.nowMs(),
      canShiftReads: engine.capabilities.weightedReads,
      canFollow: engine.capabilities.reverseStream,
    };
  }
}

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
