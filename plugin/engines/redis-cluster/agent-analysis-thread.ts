/**
 * The worker thread of an agent that computes: forecasts and plans, for as long as that takes. What has a deadline, the lease
 * and open slots, is the main thread's. Load comes from the metadata store, where captured clients publish it, or from the
 * servers.
 */
import { randomInt } from 'node:crypto';
import { type MessagePort, workerData } from 'node:worker_threads';
import { withMeasuredCpu } from '../../../src/analyzer/cpu/measured-cpu.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { LOAD_DIMENSIONS } from '../../../src/model/load-profile.ts';
import type { MetadataCondition, MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { configuredCalendar } from '../../calendar/configured-calendar.ts';
import { AnalysisClock } from '../../host/analysis/analysis-clock.ts';
import { summaryOf } from '../../host/analysis/cycle-summary.ts';
import { CycleTimer } from '../../host/analysis/cycle-timer.ts';
import { type MeasuredLoad, openMeasuredLoad } from '../../host/analysis/measured-load.ts';
import { measuredIn } from '../../host/analysis/node-cpu-feed.ts';
import { type OpenForecaster, openForecaster } from '../../host/analysis/open-forecaster.ts';
import { openPlanning, type Planning, type PlanningParts } from '../../host/analysis/planning.ts';
import { ReliefWatch } from '../../host/analysis/relief-watch.ts';
import type { CycleSummary } from '../../host/control-messages.ts';
import { createLogger } from '../../host/pino-logger.ts';
import { profilePrefix } from '../../host/records/record-keys.ts';
import { openMetadata } from '../../metadata/open.ts';
import { CycleBook } from '../../metrics/cycle-book.ts';
import { LoopDelay } from '../../metrics/loop-delay.ts';
import { type Reading, reading } from '../../metrics/reading.ts';
import { CAPTURE_ID_END, CAPTURE_ID_MIN } from '../../redis/capture-ids.ts';
import { forgetGoneProcesses } from '../../redis/gone-processes.ts';
import { ProfileConsolidator } from '../../redis/profile-consolidator.ts';
import { isOwnBug } from '../../threads/faults.ts';
import { type RunningThread, reportFault, runThread } from '../../threads/thread-main.ts';
import { openWebhooks } from '../../webhooks/open-webhooks.ts';
import type { WebhookSender } from '../../webhooks/webhook-sender.ts';
import { withoutWrites } from './dry-run/read-only-metadata.ts';
import { ClusterWatch } from './load/cluster-watch.ts';
import { CommandStats } from './load/command-stats.ts';
import { MasterWatch } from './load/master-watch.ts';
import { RedisObserver } from './load/redis-observer.ts';
import { ReliefLooks } from './load/relief-looks.ts';
import { SlotLoadFeed } from './load/slot-load-feed.ts';
import { MapMirror } from './moves/map-mirror.ts';
import { Repeated } from './repeated.ts';
import { ClusterView } from './topology/cluster-view.ts';

export interface AgentAnalysisSetup {
  readonly settings: Settings;
  readonly agentName: string;
  readonly coordinatorPort: MessagePort;
  /** Nothing is written, and cycles run only when asked for. */
  readonly isDryRun?: boolean;
}

export type AgentAnalysisBody =
  /** A cycle now, for tests and replays. */
  | { readonly operation: 'plan' }
  /** A cycle as soon as one can be made. */
  | { readonly operation: 'planSoon' }
  /** What this thread tells of itself and of its cycles. */
  | { readonly operation: 'metrics' }
  /** From now on it is so late by what a replay says: cycles run when they are asked for. */
  | { readonly operation: 'setClock'; readonly nowMs: number };

/** In the names of the files that an agent keeps. */
const PROCESS_NAME = 'agent';
const CONSOLIDATE_INTERVAL_MS = 600_000;

async function start(setup: AgentAnalysisSetup): Promise<RunningThread> {
  const opened = await open(setup);
  const { settings, clock, machineClock, logger, metadata, view, mirror, measured } = opened;
  const { agentName, coordinatorPort, isDryRun = false } = setup;
  let isClosing = false;
  const parts = planningParts(opened, () => isClosing);
  const planned = openPlanning(settings, coordinatorPort, parts);
  const { coordinator, cycles } = planned;
  const looks = new ReliefLooks(settings, {
    ...{ view, mirror, metadata, logger, clock: machineClock },
    ...{ ledger: measured.ledger, publisher: measured.publisher },
    take: (look) => relief.take(look),
  });
  const relief = new ReliefWatch({
    ...{ metadata, logger, told: LOAD_DIMENSIONS, name: agentName, onFault: reportFault },
    planning: () => planned,
    cluster: () => looks.cluster(),
  });
  const delay = new LoopDelay();
  const timers = isDryRun ? null : startTimers(opened, { planned, looks, agentName });
  return {
    respond: async (body): Promise<CycleSummary | readonly Reading[] | null> => {
      const asked = body as AgentAnalysisBody;
      if (asked.operation === 'metrics')
        return [
          reading('foreshard_event_loop_delay_seconds', delay.read(), { thread: 'analysis' }),
          ...parts.book.readings(),
          ...(opened.webhooks?.readings() ?? []),
        ];
      if (asked.operation === 'setClock') {
        void timers?.cycles.stop();
        clock.setVirtual(asked.nowMs);
        return null;
      }
      if (asked.operation === 'planSoon') {
        timers?.cycles.planSoon();
        return null;
      }
      await coordinator.waitForElection(clock, settings.controller.leaseTtlMs);
      const report = await cycles.runCycle();
      return report === null ? null : summaryOf(report);
    },
    async close() {
      isClosing = true;
      delay.close();
      await timers?.stop();
      await relief.settled();
      await cycles.settled();
      await opened.webhooks?.close();
      coordinator.close();
      await opened.forecasting.close();
      view.close();
      await metadata.close();
    },
  };
}

/** What the thread works with. */
interface Opened {
  readonly settings: Settings;
  readonly logger: Logger;
  /** By which cycles are stamped: a replay's, where there is one. */
  readonly clock: AnalysisClock;
  /** Moves are stamped, and servers looked at, in the machine's time: they take as long in a replay. */
  readonly machineClock: Clock;
  readonly metadata: MetadataStore;
  readonly view: ClusterView;
  readonly mirror: MapMirror;
  readonly masters: MasterWatch;
  readonly forecasting: OpenForecaster;
  readonly measured: MeasuredLoad;
  readonly webhooks: WebhookSender | null;
}

async function open({ settings, agentName, isDryRun = false }: AgentAnalysisSetup): Promise<Opened> {
  const { cluster, redis } = settings;
  const logger = createLogger({
    level: settings.node.logLevel,
    fields: { role: 'agent', agent: agentName, thread: 'analysis' },
  });
  // Before anything is opened: what the operator wrote may be wrong.
  const calendar = await configuredCalendar(settings.forecast.calendar, logger);
  const machineClock = systemClock();
  const store = openMetadata(settings.metadata, { commitsAtOnce: true });
  const metadata = isDryRun ? withoutWrites(store) : store;
  const view = new ClusterView(redis);
  return {
    ...{ settings, logger, machineClock, metadata, view },
    clock: new AnalysisClock(),
    mirror: new MapMirror(metadata, {
      clusterName: cluster.name,
      partitionCount: cluster.partitionCount,
    }),
    masters: new MasterWatch(view, { clock: machineClock, logger }),
    forecasting: openForecaster(settings, { calendar, metadata, logger, processName: PROCESS_NAME }),
    measured: openMeasuredLoad(settings, { metadata, logger }),
    webhooks: isDryRun ? null : openWebhooks(settings, { clock: machineClock, logger }),
  };
}

function planningParts(opened: Opened, isCancelled: () => boolean): PlanningParts {
  const { clock, machineClock, logger, metadata, view, mirror, masters, forecasting, measured } = opened;
  const { forecaster, pool, kernelHash } = forecasting;
  return {
    ...{ clock, machineClock, logger, metadata, forecaster, pool, kernelHash, isCancelled },
    book: new CycleBook(),
    webhooks: opened.webhooks,
    processName: PROCESS_NAME,
    openObserver: (of) =>
      new RedisObserver(of, { view, masters, mirror, metadata, clock: machineClock, logger }),
    loadProfile: async () => {
      const { publisher, ledger, cpuPublisher, cpuLedger } = measured;
      const nowMs = clock.nowMs();
      await publisher.refresh(nowMs);
      const profile = ledger.toProfile(nowMs);
      if (clock.isVirtual) return profile;
      await cpuPublisher.refresh(nowMs);
      return withMeasuredCpu(profile, (startMs) => measuredIn(cpuLedger, startMs));
    },
  };
}

interface Timers {
  readonly cycles: CycleTimer;
  stop(): Promise<void>;
}

/** What an agent does by itself: cycles, looks at the cluster, and adding up what captured processes have published. */
function startTimers(
  opened: Opened,
  {
    planned: { coordinator, cycles },
    looks,
    agentName,
  }: { readonly planned: Planning; readonly looks: ReliefLooks; readonly agentName: string },
): Timers {
  const { settings, clock, logger } = opened;
  const fence = (): MetadataCondition | null => coordinator.fence;
  const watch = newClusterWatch(opened, { fence, agentName, looks });
  const consolidate = consolidation(opened, fence);
  const timer = new CycleTimer(settings.controller.cycleIntervalMs, {
    ...{ logger, fence, onFault: reportFault },
    runCycle: () => cycles.runCycle(),
    isOverdue: () => cycles.isOverdue(),
  });
  /** What the world does is met again at the next turn; a bug of ours ends the agent. */
  const guarded = (what: string, work: () => Promise<unknown>) => async (): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (isOwnBug(error)) reportFault(error);
      else logger.warn({ fault: (error as Error).message }, what);
    }
  };
  const look = async (): Promise<void> => {
    await watch.look();
    if (fence() !== null && !clock.isVirtual) await looks.look();
  };
  const beside = [
    // At once when it leads: whoever has just started an agent wants to see what it sees.
    new Repeated(
      settings.redis.lookIntervalMs,
      guarded('the cluster cannot be looked at for now', look),
      () => fence() !== null,
    ),
    new Repeated(CONSOLIDATE_INTERVAL_MS, guarded('windows of load are not added up for now', consolidate)),
  ];
  return {
    cycles: timer,
    stop: async () => void (await Promise.all([timer, ...beside].map((work) => work.stop()))),
  };
}

function newClusterWatch(
  { settings, machineClock: clock, logger, metadata, view, mirror, masters, measured }: Opened,
  {
    looks,
    ...own
  }: {
    readonly fence: () => MetadataCondition | null;
    readonly agentName: string;
    readonly looks: ReliefLooks;
  },
): ClusterWatch {
  const { grid, publisher, cpuPublisher } = measured;
  const { nodes } = view;
  const feedId = randomInt(CAPTURE_ID_MIN, CAPTURE_ID_END);
  const ofFeeds = { nodes, clock, feedId, onLook: looks.noteSlots.bind(looks) };
  return new ClusterWatch(settings, {
    ...{ view, masters, mirror, metadata, logger, clock, ...own },
    commandStats: new CommandStats({ nodes, clock, metadata, clusterName: settings.cluster.name }),
    feed: new SlotLoadFeed(grid, { ...ofFeeds, publisher, counts: 'operations' }),
    cpuFeed: new SlotLoadFeed(grid, { ...ofFeeds, publisher: cpuPublisher, counts: 'milliseconds' }),
  });
}

function consolidation(
  { settings: { cluster }, machineClock, logger, metadata, measured }: Opened,
  fenceOf: () => MetadataCondition | null,
): () => Promise<void> {
  const prefix = profilePrefix(cluster.name);
  const consolidator = new ProfileConsolidator({ ...measured.grid, prefix }, metadata);
  return async () => {
    const fence = fenceOf();
    if (fence === null) return;
    const nowMs = machineClock.nowMs();
    await forgetGoneProcesses(metadata, { clusterName: cluster.name, nowMs, fence });
    const parts = await consolidator.consolidate(nowMs, fence);
    if (parts > 0) logger.info({ parts }, 'windows of captured processes were added up');
  };
}

void runThread(() => start(workerData as AgentAnalysisSetup));
