import { withMeasuredCpu } from '../../../src/analyzer/cpu/measured-cpu.ts';
import type { ProfileBuilder } from '../../../src/analyzer/profile.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { CycleReport } from '../../../src/controller.ts';
import type { LoadProfile } from '../../../src/model/load-profile.ts';
import type { LogSource } from '../../../src/ports/log-source.ts';
import type { Settings } from '../../../src/settings.ts';
import type { LoadedMap } from '../../metadata/cluster-map.ts';
import { type Reading, reading } from '../../metrics/reading.ts';
import { isOwnBug } from '../../threads/faults.ts';
import type {
  AdvanceReport,
  CaptureStatus,
  ControlBody,
  ControlReplies,
  LoadHistory,
} from '../control-messages.ts';
import type { AnalysisClock } from './analysis-clock.ts';
import { summaryOf } from './cycle-summary.ts';
import { CycleTimer } from './cycle-timer.ts';
import type { NodeCpuFeed } from './node-cpu-feed.ts';
import type { Planning } from './planning.ts';
import type { ProfileLedger, WindowLoad } from './profile-ledger.ts';
import type { ProfilePublisher } from './profile-publisher.ts';
import type { QueryTypesPublisher } from './query-types-publisher.ts';
import { reliefLookMs } from './relief-watch.ts';
import { reportOf, windowsOf } from './replay-load.ts';

export interface AnalysisComponents {
  readonly clock: AnalysisClock;
  readonly logger: Logger;
  readonly source: LogSource;
  /** A new one whenever the clock is moved to another time; its grace is 0, the analysis waits itself. */
  readonly newProfileBuilder: () => ProfileBuilder;
  readonly ledger: ProfileLedger;
  readonly publisher: ProfilePublisher;
  readonly queryTypes: QueryTypesPublisher;
  readonly cpuFeed: NodeCpuFeed;
  /** At first: see replacePlanning. */
  readonly planning: Planning;
  readonly loadMap: () => Promise<LoadedMap>;
}

/** What is asked of this thread: how migrations stand the other one knows. */
export type AnalysisBody = Exclude<ControlBody, { operation: 'migrationStatus' }>;

/** With real time, windows are closed a little late: the last records are still in the ring, of a busy node for longer. */
const CLOSE_DELAY_MS = 2_000;

/**
 * What the analysis thread does: drains the ring, closes windows, publishes them and, in the coordinator, plans. By
 * itself on timers; or, once a replay has set the clock, when `advance` says so.
 */
export class Analysis {
  readonly #queryNodeId: number;
  readonly #components: AnalysisComponents;
  readonly #drainTimer: NodeJS.Timeout;
  readonly #cpuTimer: NodeJS.Timeout;
  #cpuPolling: Promise<void> | null = null;
  #planning: Planning;
  /** None in a replay, which says when. */
  #cycleTimer: CycleTimer | null;
  readonly #windowMs: number;
  #builder: ProfileBuilder;
  /** The window in which this node began to listen is measured in part only: it is an outage, not a quiet hour. */
  #wholeFromMs: number;
  #capturedCount = 0;
  #droppedCount = 0;
  /** Publishing is one at a time, so that an older window is not written after a newer one has been trimmed. */
  #publishing: Promise<void> = Promise.resolve();
  readonly #onFault: (error: unknown) => void;

  constructor(
    settings: Settings,
    options: { readonly queryNodeId: number; readonly onFault: (error: unknown) => void },
    components: AnalysisComponents,
  ) {
    this.#queryNodeId = options.queryNodeId;
    this.#onFault = options.onFault;
    this.#components = components;
    this.#planning = components.planning;
    this.#builder = components.newProfileBuilder();
    this.#wholeFromMs = nextWindowStart(components.clock.nowMs(), settings.analyzer.windowMs);
    this.#windowMs = settings.analyzer.windowMs;
    this.#drainTimer = setInterval(() => this.#onDrainTimer(), settings.capture.drainIntervalMs);
    const lookMs = reliefLookMs(settings.controller, cpuPollMs(this.#windowMs));
    this.#cpuTimer = setInterval(() => this.#onCpuTimer(), lookMs);
    this.#cycleTimer = this.#newCycleTimer();
  }

  get planning(): Planning {
    return this.#planning;
  }

  /**
   * Plans by other settings from now on, and at once where this process leads: the moves that waited went with the coordinator
   * before. A cycle that runs is ended first: it may have moves to hand over.
   */
  async replacePlanning(planning: Planning): Promise<void> {
    const { cycles, coordinator } = this.#planning;
    this.#planning = planning;
    await this.#cycleTimer?.stop();
    await cycles.settled();
    coordinator.close();
    if (this.#cycleTimer === null) return;
    this.#cycleTimer = this.#newCycleTimer();
    this.#cycleTimer.planSoon();
  }

  async control(body: AnalysisBody): Promise<unknown> {
    switch (body.operation) {
      case 'setClock':
        return this.#setClock(body.nowMs);
      case 'loadHistory':
        return this.#loadHistory(body.history);
      case 'advance':
        return this.#advance(body);
      case 'profile':
        return reportOf(await this.#measuredProfile(this.#components.clock.nowMs()));
      case 'ownership': {
        const { map } = await this.#components.loadMap();
        return { ownerOf: map.ownerOf, epochOf: map.epochOf } satisfies ControlReplies['ownership'];
      }
      case 'queryTypes': {
        const { map } = await this.#components.loadMap();
        const { clock, queryTypes } = this.#components;
        return (await queryTypes.report({
          nowMs: clock.nowMs(),
          droppedCount: this.#droppedCount,
          ownerOf: map.ownerOf,
        })) satisfies ControlReplies['queryTypes'];
      }
      case 'captureStatus':
        this.#drain();
        return this.#captureStatus();
    }
  }

  readings(): readonly Reading[] {
    return [
      reading('foreshard_capture_records_total', this.#capturedCount),
      reading('foreshard_capture_dropped_total', this.#droppedCount),
    ];
  }

  /** Measured load of all query nodes, as far as it has been published: without a window where nothing has been yet. */
  async loadProfile(): Promise<LoadProfile> {
    const { publisher, clock } = this.#components;
    const endMs = clock.nowMs();
    await publisher.refresh(endMs);
    try {
      return await this.#measuredProfile(endMs);
    } catch (error) {
      if (error instanceof ForeshardError && error.code === 'FORESHARD_NOT_READY')
        return this.#emptyProfile(endMs);
      throw error;
    }
  }

  /** @throws ForeshardError FORESHARD_NOT_READY before the first window has closed. */
  async #measuredProfile(endMs: number): Promise<LoadProfile> {
    const { ledger, clock, cpuFeed } = this.#components;
    const profile = ledger.toProfile(endMs);
    // What the nodes spend while a replay plays hours in seconds says nothing of those hours.
    return clock.isVirtual ? profile : withMeasuredCpu(profile, await cpuFeed.measured(endMs));
  }

  #emptyProfile(endMs: number): LoadProfile {
    const { partitionCount } = this.#components.ledger;
    const nothing = new Float64Array(0);
    const startMs = nextWindowStart(endMs, this.#windowMs);
    return {
      startMs,
      windowMs: this.#windowMs,
      windowCount: 0,
      partitionCount,
      values: nothing,
      coverage: nothing,
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#drainTimer);
    clearInterval(this.#cpuTimer);
    await this.#cpuPolling;
    await this.#components.cpuFeed.close();
    await this.#cycleTimer?.stop();
    this.#drain();
    await this.#publishing;
    await this.#planning.cycles.settled();
  }

  #setClock(nowMs: number): ControlReplies['setClock'] {
    const { clock, newProfileBuilder, queryTypes } = this.#components;
    const wasVirtual = clock.isVirtual;
    clock.setVirtual(nowMs);
    if (!wasVirtual) {
      // What was recorded until now bears the machine's time, and belongs to no window of the replay.
      this.#drain();
      this.#builder = newProfileBuilder();
      this.#builder.closeUntil(nowMs);
      this.#wholeFromMs = nextWindowStart(nowMs, this.#windowMs);
      queryTypes.reset();
    }
    void this.#cycleTimer?.stop();
    this.#cycleTimer = null;
    return { nowMs };
  }

  async #loadHistory(history: LoadHistory): Promise<ControlReplies['loadHistory']> {
    const { ledger } = this.#components;
    const windows = windowsOf(history, { ledger, queryNodeId: this.#queryNodeId });
    for (const window of windows) ledger.add(window);
    await this.#publish(windows);
    return { windowCount: windows.length };
  }

  async #advance({ toMs, isCycleSkipped }: ControlBody & { operation: 'advance' }): Promise<AdvanceReport> {
    const { clock } = this.#components;
    const { coordinator, cycles, settings } = this.#planning;
    if (!(clock.isVirtual && clock.nowMs() >= toMs)) this.#setClock(toMs);
    this.#drain();
    const closedWindowCount = await this.#closeWindows(toMs);
    let report: CycleReport | null = null;
    if (isCycleSkipped !== true) {
      await coordinator.waitForElection(clock, settings.controller.leaseTtlMs);
      report = await cycles.runCycle();
    }
    return {
      nowMs: clock.nowMs(),
      closedWindowCount,
      isCoordinator: coordinator.isElected,
      cycle: report === null ? null : summaryOf(report),
      capture: this.#captureStatus(),
      openMigrationCount: (await coordinator.migrationStatus()).open.length,
    };
  }

  #captureStatus(): CaptureStatus {
    return { capturedCount: this.#capturedCount, droppedCount: this.#droppedCount, isAttached: true };
  }

  #drain(): void {
    const { source, clock, queryTypes } = this.#components;
    const { recordCount, droppedCount } = source.drain((record) => {
      this.#builder.add(record);
      queryTypes.observe(record);
    });
    queryTypes.endBatch(clock.nowMs());
    this.#builder.addDropped(droppedCount, clock.nowMs());
    this.#capturedCount += recordCount;
    this.#droppedCount += droppedCount;
  }

  async #closeWindows(toMs: number): Promise<number> {
    const segments = this.#builder.closeUntil(toMs);
    const counted = this.#components.queryTypes.add(segments);
    const closed = segments
      .filter(({ startMs }) => startMs >= this.#wholeFromMs)
      .map(
        ({ startMs, values, recordCount, droppedCount }): WindowLoad => ({
          startMs,
          queryNodeId: this.#queryNodeId,
          values,
          capturedCount: recordCount,
          droppedCount,
        }),
      );
    for (const window of closed) this.#components.ledger.add(window);
    const published =
      closed.length === 0
        ? undefined
        : this.#publish(closed, async () => {
            const { clock, queryTypes, loadMap } = this.#components;
            const { ownerOf } = (await loadMap()).map;
            await queryTypes.publish({ atMs: clock.nowMs(), droppedCount: this.#droppedCount, ownerOf });
          });
    await Promise.all([counted, published]);
    return closed.length;
  }

  #publish(windows: readonly WindowLoad[], more?: () => Promise<void>): Promise<void> {
    const next = this.#publishing.then(async () => {
      await this.#components.publisher.publish(windows);
      await more?.();
    });
    // The next one does not fail with this one; whoever asked for this one learns of it.
    this.#publishing = next.catch(() => undefined);
    return next;
  }

  #onDrainTimer(): void {
    const { clock } = this.#components;
    void this.#guard(async () => {
      this.#drain();
      if (!clock.isVirtual) await this.#closeWindows(clock.nowMs() - CLOSE_DELAY_MS);
    });
  }

  /** Whoever leads asks the storage nodes; one look at a time. */
  #onCpuTimer(): void {
    const { clock, cpuFeed } = this.#components;
    if (clock.isVirtual) return;
    const work = (): Promise<void> =>
      this.#planning.coordinator.isElected ? cpuFeed.poll() : cpuFeed.pause();
    this.#cpuPolling ??= this.#guard(work).finally(() => {
      this.#cpuPolling = null;
    });
  }

  /** A cycle beside those of the timer. Never throws. */
  async planNow(): Promise<void> {
    await this.#guard(async () => {
      await this.#planning.cycles.runCycle();
    });
  }

  #newCycleTimer(): CycleTimer {
    const { coordinator, cycles, settings } = this.#planning;
    return new CycleTimer(settings.controller.cycleIntervalMs, {
      logger: this.#components.logger,
      fence: () => coordinator.fence,
      runCycle: () => cycles.runCycle(),
      isOverdue: () => cycles.isOverdue(),
      onFault: this.#onFault,
    });
  }

  /** What the world did to a timer's work is logged, and the next turn tries again; our own bug ends the thread. */
  #guard(work: () => Promise<void>): Promise<void> {
    return work().catch((error: unknown) => {
      if (isOwnBug(error)) this.#onFault(error);
      else
        this.#components.logger.warn({ fault: (error as Error).message }, 'analysis could not go on for now');
    });
  }
}

/** A dozen looks a window tell prices from one another; more of them than one every half minute tell nothing new. */
const cpuPollMs = (windowMs: number): number => Math.min(30_000, Math.max(1_000, windowMs / 12));

const nextWindowStart = (nowMs: number, windowMs: number): number => Math.ceil(nowMs / windowMs) * windowMs;
