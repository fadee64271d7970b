/**
 * The worker thread of an agent that computes: forecasts and plans, for as long as that takes. What has a deadline, the lease
 * and open slots, is the main thread's. Load comes from the metadata store, where captured clients publish it, or from the
 * servers.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { type MessagePort, workerData } from 'node:worker_threads';
import { withMeasuredCpu } from '../../../src/analyzer/cpu/measured-cpu.ts';
import { CalendarForecaster } from '../../../src/analyzer/seasons/calendar-forecaster.ts';
import { systemClock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { KernelPool } from '../../../src/kernels/pool.ts';
import { LOAD_DIMENSIONS } from '../../../src/model/load-profile.ts';
import type { Settings } from '../../../src/settings.ts';
import { loadCalendar } from '../../calendar/load-calendar.ts';
import { AnalysisClock } from '../../host/analysis/analysis-clock.ts';
import { CheckpointFile } from '../../host/analysis/checkpoint-file.ts';
import { summaryOf } from '../../host/analysis/cycle-summary.ts';
import { CycleTimer } from '../../host/analysis/cycle-timer.ts';
import { EventEffects } from '../../host/analysis/event-effects.ts';
import { KeptForecaster } from '../../host/analysis/kept-forecaster.ts';
import { CPU_WINDOWS_MAX, measuredIn } from '../../host/analysis/node-cpu-feed.ts';
import { openPlanning } from '../../host/analysis/planning.ts';
import { ProfileLedger } from '../../host/analysis/profile-ledger.ts';
import { ProfilePublisher } from '../../host/analysis/profile-publisher.ts';
import { ReliefWatch } from '../../host/analysis/relief-watch.ts';
import type { CycleSummary } from '../../host/control-messages.ts';
import { createLogger } from '../../host/pino-logger.ts';
import { eventEffectsPrefix, nodeCpuPrefix, profilePrefix } from '../../host/records/record-keys.ts';
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
import { withoutWrites } from './dry-run/read-only-metadata.ts';
import { ClusterWatch } from './load/cluster-watch.ts';
import { CommandStats } from './load/command-stats.ts';
import { MasterWatch } from './load/master-watch.ts';
import { RedisObserver } from './load/redis-observer.ts';
import { ReliefLooks } from './load/relief-looks.ts';
import { SlotLoadFeed } from './load/slot-load-feed.ts';
import { MapMirror } from './moves/map-mirror.ts';
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

const CONSOLIDATE_INTERVAL_MS = 600_000;

async function start(setup: AgentAnalysisSetup): Promise<RunningThread> {
  const { settings, agentName, coordinatorPort, isDryRun = false } = setup;
  const { cluster, analyzer, forecast, controller, redis } = settings;
  const logger = createLogger({
    level: settings.node.logLevel,
    fields: { role: 'agent', agent: agentName, thread: 'analysis' },
  });
  const clock = new AnalysisClock();
  // Moves are stamped, and servers looked at, in the machine's time: they take as long in a replay.
  const machineClock = systemClock();
  const opened = openMetadata(settings.metadata, { commitsAtOnce: true });
  const metadata = isDryRun ? withoutWrites(opened) : opened;
  const view = new ClusterView(redis);
  const mirror = new MapMirror(metadata, {
    clusterName: cluster.name,
    partitionCount: cluster.partitionCount,
  });
  const masters = new MasterWatch(view, { clock: machineClock, logger });
  const kernels = loadKernels();
  const pool = new KernelPool(
    { threads: analyzer.kernelThreads, niceness: analyzer.kernelNiceness },
    { kernels, logger },
  );
  const kept = new KeptForecaster(forecast, {
    runner: pool,
    random: seededRandom(BigInt(controller.seed)).fork('forecast'),
    logger,
    file: new CheckpointFile(join(analyzer.stateDir, `${cluster.name}-agent.forecast`)),
  });
  const grid = { windowMs: analyzer.windowMs, partitionCount: cluster.partitionCount };
  const ledger = new ProfileLedger({ ...grid, windowsMax: forecast.historyWindows });
  const prefix = profilePrefix(cluster.name);
  const publisher = new ProfilePublisher({ metadata, ledger, prefix, logger });
  const cpuLedger = new ProfileLedger({ ...grid, windowsMax: CPU_WINDOWS_MAX });
  const cpuPublisher = new ProfilePublisher({
    ...{ metadata, logger, ledger: cpuLedger },
    prefix: nodeCpuPrefix(cluster.name),
  });
  let isClosing = false;
  const book = new CycleBook();
  const webhooks = isDryRun ? null : openWebhooks(settings, { clock: machineClock, logger });
  const delay = new LoopDelay();
  const memory = new EventEffects({ metadata, prefix: eventEffectsPrefix(cluster.name), logger });
  const planned = openPlanning(settings, coordinatorPort, {
    ...{ book, webhooks, clock, machineClock, logger, metadata, pool },
    kernelHash: kernels.hash,
    processName: 'agent',
    forecaster: withCalendar(settings, kept, memory, logger),
    isCancelled: () => isClosing,
    openObserver: (of) =>
      new RedisObserver(of, { view, masters, mirror, metadata, clock: machineClock, logger }),
    loadProfile: async () => {
      const nowMs = clock.nowMs();
      await publisher.refresh(nowMs);
      const profile = ledger.toProfile(nowMs);
      if (clock.isVirtual) return profile;
      await cpuPublisher.refresh(nowMs);
      return withMeasuredCpu(profile, (startMs) => measuredIn(cpuLedger, startMs));
    },
  });
  const { coordinator, cycles } = planned;
  const looks = new ReliefLooks(settings, {
    ...{ view, mirror, metadata, ledger, publisher, clock: machineClock, logger },
    take: (look) => relief.take(look),
  });
  const relief = new ReliefWatch({
    ...{ metadata, logger, told: LOAD_DIMENSIONS, name: agentName, onFault: reportFault },
    planning: () => planned,
    cluster: () => looks.cluster(),
  });
  const feedId = randomInt(CAPTURE_ID_MIN, CAPTURE_ID_END);
  const onLook = looks.noteSlots.bind(looks);
  const ofFeeds = { nodes: view.nodes, clock: machineClock, feedId, onLook };
  const watch = new ClusterWatch(settings, {
    ...{ view, masters, mirror, metadata, logger, agentName, clock: machineClock },
    fence: () => coordinator.fence,
    commandStats: new CommandStats({
      ...{ nodes: view.nodes, clock: machineClock, metadata, clusterName: cluster.name },
    }),
    feed: new SlotLoadFeed(grid, { ...ofFeeds, publisher, counts: 'operations' }),
    cpuFeed: new SlotLoadFeed(grid, { ...ofFeeds, publisher: cpuPublisher, counts: 'milliseconds' }),
  });
  const consolidator = new ProfileConsolidator({ ...grid, prefix }, metadata);
  const consolidate = async (): Promise<void> => {
    const { fence } = coordinator;
    if (fence === null) return;
    const nowMs = machineClock.nowMs();
    await forgetGoneProcesses(metadata, { clusterName: cluster.name, nowMs, fence });
    const parts = await consolidator.consolidate(nowMs, fence);
    if (parts > 0) logger.info({ parts }, 'windows of captured processes were added up');
  };
  /** What the world does is met again at the next turn; a bug of ours ends the agent. */
  const every = (
    intervalMs: number,
    what: string,
    work: () => Promise<unknown>,
    mayBegin?: () => boolean,
  ): Repeated =>
    new Repeated(
      isDryRun ? null : intervalMs,
      async () => {
        try {
          await work();
        } catch (error) {
          if (isOwnBug(error)) reportFault(error);
          else logger.warn({ fault: (error as Error).message }, what);
        }
      },
      mayBegin,
    );
  const planning = isDryRun
    ? null
    : new CycleTimer(controller.cycleIntervalMs, {
        logger,
        fence: () => coordinator.fence,
        runCycle: () => cycles.runCycle(),
        isOverdue: () => cycles.isOverdue(),
        onFault: reportFault,
      });
  const beside = [
    // At once when it leads: whoever has just started an agent wants to see what it sees.
    every(
      redis.lookIntervalMs,
      'the cluster cannot be looked at for now',
      async () => {
        await watch.look();
        if (coordinator.fence !== null && !clock.isVirtual) await looks.look();
      },
      () => coordinator.fence !== null,
    ),
    every(CONSOLIDATE_INTERVAL_MS, 'windows of load are not added up for now', consolidate),
  ];
  return {
    respond: async (body): Promise<CycleSummary | readonly Reading[] | null> => {
      const asked = body as AgentAnalysisBody;
      if (asked.operation === 'metrics')
        return [
          reading('foreshard_event_loop_delay_seconds', delay.read(), { thread: 'analysis' }),
          ...book.readings(),
          ...(webhooks?.readings() ?? []),
        ];
      if (asked.operation === 'setClock') {
        void planning?.stop();
        clock.setVirtual(asked.nowMs);
        return null;
      }
      if (asked.operation === 'planSoon') {
        planning?.planSoon();
        return null;
      }
      await coordinator.waitForElection(clock, controller.leaseTtlMs);
      const report = await cycles.runCycle();
      return report === null ? null : summaryOf(report);
    },
    async close() {
      isClosing = true;
      delay.close();
      await Promise.all([planning, ...beside].map((work) => work?.stop()));
      await relief.settled();
      await cycles.settled();
      await webhooks?.close();
      coordinator.close();
      await kept.close();
      await pool.close();
      view.close();
      await metadata.close();
    },
  };
}

const BEGIN_LOOK_MS = 250;

/**
 * Work on a timer, one at a time; never without an interval. The first turn comes after one interval, or, where it is said when
 * that may be, as soon as it may begin.
 */
class Repeated {
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;

  constructor(intervalMs: number | null, work: () => Promise<void>, mayBegin?: () => boolean) {
    if (intervalMs === null) return;
    const turn = (): void => {
      this.#running ??= work().finally(() => {
        this.#running = null;
      });
    };
    const repeat = (): void => {
      this.#timer = setInterval(turn, intervalMs);
    };
    if (mayBegin === undefined) {
      repeat();
      return;
    }
    const waiting = setInterval(() => {
      if (!mayBegin()) return;
      clearInterval(waiting);
      repeat();
      turn();
    }, BEGIN_LOOK_MS);
    this.#timer = waiting;
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#running;
  }
}

/** @throws ForeshardError FORESHARD_CONFIG naming file, line and event. */
function withCalendar(settings: Settings, base: KeptForecaster, memory: EventEffects, logger: Logger) {
  const { calendar: file, driver } = settings.forecast;
  if (file === null) return base;
  const { calendar, remarks } = loadCalendar(file);
  for (const remark of remarks) logger.warn({}, remark);
  return new CalendarForecaster({ calendar, driver, base, memory });
}

void runThread(() => start(workerData as AgentAnalysisSetup));
