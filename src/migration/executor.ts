import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Random } from '../base/random.ts';
import type { MigrationPhase } from '../model/migration.ts';
import type { Proposal } from '../model/proposal.ts';
import type { Leadership, MetadataStore } from '../ports/metadata-store.ts';
import type { KeyPrivacy, StorageEngine } from '../ports/storage-engine.ts';
import { RetryBook } from './backoff.ts';
import { type CoordinatorView, MigrationDriver } from './driver.ts';
import { LeftoverSweeper } from './leftovers.ts';
import { OperatorDesk } from './operator/operator-desk.ts';
import { RetirementDesk } from './operator/retirement-desk.ts';
import { MigrationLedger } from './progress/ledger.ts';
import type { MigrationEvent } from './progress/progress.ts';
import { ProgressFeed } from './progress/progress-feed.ts';
import { ScoreBook } from './progress/score-book.ts';
import { MoveQueue } from './queue/move-queue.ts';
import type { AdmissionOptions, AdmissionReport } from './queue/planned-moves.ts';
import { quarantineOf } from './queue/quarantine.ts';
import type { ReadSummary, ReadWatch } from './reads/read-watch.ts';
import { Committer } from './records/committer.ts';
import { ControlReader, NO_CONTROLS } from './records/controls.ts';
import { isOpen, type OpenRecord } from './records/record-changes.ts';
import { type ReadMap, RecordReader } from './records/record-reader.ts';
import { RecordTrimmer } from './records/record-trim.ts';
import type { RecordCodec } from './records/records.ts';
import { assertMigrationSettings, type MigrationSettings } from './settings.ts';
import type { ClientWatch } from './throttle/client-latency.ts';
import { CopyGovernor, type CopyPaceStatus } from './throttle/copy-governor.ts';

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

/**
 * The coordinator's side of migrations. It keeps nothing that matters: every tick reads the map, does the one step
 * each open record asks for, commits it under the record's revision and the leader's fence, and forgets. A crash, a
 * second coordinator, a commit whose outcome is not known: all are answered by reading again.
 */
export class MigrationExecutor {
  readonly #components: ExecutorComponents;
  readonly #ledger: MigrationLedger;
  readonly #governor: CopyGovernor;
  readonly #progress: ProgressFeed;
  readonly #committer: Committer;
  readonly #reader: RecordReader;
  readonly #controlReader: ControlReader;
  readonly #desk: OperatorDesk;
  readonly #retirements: RetirementDesk;
  readonly #sweeper: LeftoverSweeper;
  readonly #trimmer: RecordTrimmer;
  readonly #queue: MoveQueue;
  readonly #driver: MigrationDriver;
  readonly #view: CoordinatorView = { records: [], controls: NO_CONTROLS };

  /** @throws ForeshardError FORESHARD_CONFIG naming a setting that is out of range. */
  constructor(settings: MigrationSettings, components: ExecutorComponents) {
    assertMigrationSettings(settings);
    const { clock, random, metadata, codec, logger } = components;
    this.#components = components;
    const retries = new RetryBook(settings, clock, random.fork('retries'));
    this.#ledger = new MigrationLedger(clock);
    const { clientWatch } = components;
    this.#governor = new CopyGovernor(settings, { clock, ...(clientWatch && { watch: clientWatch }) });
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
    this.#driver = new MigrationDriver(settings, {
      ...parts,
      view: this.#view,
      isInWindow: this.#isInWindow,
      retries,
      governor: this.#governor,
      scores: new ScoreBook({ clock, ...(clientWatch && { watch: clientWatch }) }),
      progress: this.#progress,
    });
    this.#retirements = new RetirementDesk(parts);
    this.#sweeper = new LeftoverSweeper(settings, parts);
    this.#trimmer = new RecordTrimmer(settings, parts);
    this.#desk = new OperatorDesk(settings, { ...parts, random: random.fork('operator') });
    this.#queue = new MoveQueue(settings, {
      ...parts,
      planNowMs: this.#planNowMs,
      isInWindow: this.#isInWindow,
      attemptsOf: (partitionId) => retries.failuresOf(partitionId),
      onOpened: (record, revision) => this.#driver.start(record, revision),
    });
  }

  /**
   * Takes over a proposal's moves, in its order; those of an earlier proposal that have not begun are dropped, unless these are
   * an addition to it. They begin, at later ticks, as the caps allow.
   */
  async admit(proposal: Proposal, options?: AdmissionOptions): Promise<AdmissionReport> {
    await this.#readMap();
    const { records, controls } = this.#view;
    return this.#queue.take(proposal, { records, controls }, options);
  }

  /** Reads the map, begins what may begin and starts a drive of every open record that has none. Never throws. */
  async tick(): Promise<void> {
    const { logger, leadership } = this.#components;
    if (!leadership()?.isHeld()) return;
    try {
      const { records, revisions, open } = await this.#readMap();
      this.#view.controls = await this.#controlReader.read();
      this.#desk.attend(this.#view.controls.requests, (partitionId) => {
        const record = records[partitionId];
        return record ? { record, revision: revisions[partitionId] as number } : null;
      });
      this.#retirements.attend(this.#view.controls.retirements, this.#view.controls, () =>
        this.#reader.read(),
      );
      for (const { record, revision } of open) this.#driver.start(record, revision);
      await this.#queue.begin({ records, controls: this.#view.controls });
      this.#sweeper.tick(records, this.#isRetired);
      this.#trimmer.tick(this.#view.controls);
      this.#progress.tell(this.#view.records.filter(isOpen));
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'the migration executor could not read or begin');
    }
  }

  /** Resolves when no step is under way: for tests, and before an orderly end. */
  async settled(): Promise<void> {
    await this.#driver.settled();
    await this.#desk.settled();
    await this.#retirements.settled();
    await this.#sweeper.settled();
    await this.#trimmer.settled();
  }

  status(): ExecutorStatus {
    const ledger = this.#ledger;
    const open = this.#view.records.filter(isOpen).map((record) => this.#statusOf(record));
    const nowMs = this.#components.clock.nowMs();
    return {
      open,
      ...this.#queue.waiting,
      doneCount: ledger.doneCount,
      abortedCount: ledger.abortedCount,
      abortReasons: ledger.abortReasons(),
      copiedBytes: ledger.copiedBytes,
      quarantinedPartitionIds: this.#view.records.flatMap((record) =>
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
  readonly #isRetired = (storeId: string): boolean => this.#view.controls.retiredStoreIds.has(storeId);

  async #readMap(): Promise<ReadMap> {
    const map = await this.#reader.read();
    this.#committer.noteAnswer();
    this.#view.records = map.records;
    return map;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
