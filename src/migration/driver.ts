import { ForeshardError } from '../base/errors.ts';
import type { MigrationOutcome, MigrationPhase, PartitionRecord } from '../model/migration.ts';
import type { Leadership } from '../ports/metadata-store.ts';
import type { CopyRates, KeyPrivacy } from '../ports/storage-engine.ts';
import type { RetryBook } from './backoff.ts';
import type { CoordinatorParts } from './coordinator-parts.ts';
import { workWhileHeld } from './held.ts';
import { doNodeWork, mustRetry } from './node-work.ts';
import { isHot } from './phases.ts';
import type { MigrationLedger } from './progress/ledger.ts';
import type { ProgressFeed } from './progress/progress-feed.ts';
import type { ScoreBook } from './progress/score-book.ts';
import { withScorecard } from './progress/scorecard.ts';
import { withoutPassing, withQuarantine } from './queue/quarantine.ts';
import type { ReadWatch } from './reads/read-watch.ts';
import type { Committer } from './records/committer.ts';
import { type Controls, isHeld, unlessPaused, unlessRetired } from './records/controls.ts';
import { evidenceWrite } from './records/evidence-write.ts';
import { historyTrim } from './records/history-trim.ts';
import { isOpen, type OpenRecord, pauseChange } from './records/record-changes.ts';
import { outcomeOf, transitionWrites } from './records/transition-writes.ts';
import type { MigrationSettings } from './settings.ts';
import { abort, type Decision, decide, lagOf, type Observation, type StepContext } from './step.ts';
import { StepRests } from './step-rests.ts';
import type { CopyGovernor } from './throttle/copy-governor.ts';

/** What the coordinator knows of the metadata store: read anew at every tick, and the driver puts in what it has committed. */
export interface CoordinatorView {
  /** [partition]; null where there is no valid record. */
  records: (PartitionRecord | null)[];
  controls: Controls;
}

export interface DriverComponents extends CoordinatorParts {
  readonly leadership: () => Leadership | null;
  readonly readGuard?: ReadWatch;
  readonly holdMs?: (partitionId: number, phase: MigrationPhase) => number;
  readonly keyPrivacy?: KeyPrivacy;
  readonly view: CoordinatorView;
  readonly isRetired: (storeId: string) => boolean;
  readonly isInWindow: () => boolean;
  readonly retries: RetryBook;
  readonly ledger: MigrationLedger;
  readonly governor: CopyGovernor;
  readonly scores: ScoreBook;
  readonly progress: ProgressFeed;
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
 * Brings open records forward, each on its own: asks the nodes for what the phase needs, decides, commits the transition, and so
 * on as long as each step's condition holds. What it remembers may be lost.
 */
export class MigrationDriver {
  readonly #settings: MigrationSettings;
  readonly #components: DriverComponents;
  readonly #view: CoordinatorView;
  readonly #committer: Committer;
  readonly #retries: RetryBook;
  readonly #ledger: MigrationLedger;
  readonly #governor: CopyGovernor;
  readonly #scores: ScoreBook;
  readonly #rests: StepRests;
  readonly #isRetired: DriverComponents['isRetired'];
  readonly #inFlight = new Map<number, Promise<unknown>>();
  /** Phases whose hold is over, `partition/migration/phase`. */
  readonly #held = new Set<string>();

  constructor(settings: MigrationSettings, components: DriverComponents) {
    this.#settings = settings;
    this.#components = components;
    this.#view = components.view;
    this.#committer = components.committer;
    this.#retries = components.retries;
    this.#ledger = components.ledger;
    this.#governor = components.governor;
    this.#scores = components.scores;
    this.#rests = new StepRests(components.clock);
    this.#isRetired = components.isRetired;
  }

  /** Resolves when no step is under way. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight.values());
  }

  readonly #ratesOf = (record: OpenRecord): CopyRates => this.#governor.ratesOf(record, this.#view.records);

  /** Begins a drive of the record, if none is under way and it is time. */
  start(record: OpenRecord, revision: number): void {
    const { partitionId } = record;
    if (this.#inFlight.has(partitionId) || !this.#retries.isDue(partitionId)) return;
    if (this.#rests.isResting(partitionId)) return;
    // What a pause holds would go nowhere: its target is lost.
    const isPaused =
      (isHeld(record, this.#view.controls) || this.#isHeldByWindow(record)) &&
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
    return this.#settings.pausesOutsideWindows && isMoving && !isOrdered && !this.#components.isInWindow();
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
      const hopeless = await this.#governor.observed(record, seen, this.#view.records);
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
    const ownerMay = unlessRetired(before, after, this.#view.controls, codec.keys);
    if (ownerMay === null) return null;
    const conditions = [...unlessPaused(before, after, codec.keys), ...ownerMay];
    const committed = await this.#committer.commitRecord(after, revision, writes, conditions);
    if (committed === null) return null;
    const phase = after.migration?.phase ?? 'stable';
    this.#ledger.stepped(before, phase);
    logger.info({ partitionId, migrationId: migration.migrationId, phase }, 'migration stepped');
    this.#view.records[partitionId] = after;
    this.#rests.over(partitionId);
    if (history !== null) this.#components.progress.ended(history);
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
