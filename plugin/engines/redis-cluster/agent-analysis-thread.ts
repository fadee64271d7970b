/**
 * The worker thread of an agent that computes: forecasts and plans, for as long as that takes. What has a deadline, the lease
 * and open slots, is the main thread's. Load comes from the metadata store, where captured clients publish it.
 */
import { join } from 'node:path';
import { type MessagePort, workerData } from 'node:worker_threads';
import { optimizers } from '../../../src/affinity/optimizers.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import { CalendarForecaster } from '../../../src/analyzer/seasons/calendar-forecaster.ts';
import { systemClock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { KernelPool } from '../../../src/kernels/pool.ts';
import type { LoadProfile } from '../../../src/model/load-profile.ts';
import type { Settings } from '../../../src/settings.ts';
import { loadCalendar } from '../../calendar/load-calendar.ts';
import { AnalysisClock } from '../../host/analysis-clock.ts';
import { CheckpointFile } from '../../host/checkpoint-file.ts';
import type { CycleSummary } from '../../host/control-messages.ts';
import { CoordinatorLink } from '../../host/coordinator-link.ts';
import { CycleRunner } from '../../host/cycle-runner.ts';
import { summaryOf } from '../../host/cycle-summary.ts';
import { EventEffects } from '../../host/event-effects.ts';
import { isOwnBug } from '../../host/faults.ts';
import { KeptForecaster } from '../../host/kept-forecaster.ts';
import { createLogger } from '../../host/pino-logger.ts';
import { ProfileLedger } from '../../host/profile-ledger.ts';
import { ProfilePublisher } from '../../host/profile-publisher.ts';
import {
  eventEffectsPrefix,
  forecastPrefix,
  pastProposalsPrefix,
  profilePrefix,
  proposalKey,
  staysKey,
} from '../../host/record-keys.ts';
import { type RunningThread, reportFault, runThread } from '../../host/thread-main.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { openMetadata } from '../../metadata/open.ts';
import { CycleBook } from '../../metrics/cycle-book.ts';
import { LoopDelay } from '../../metrics/loop-delay.ts';
import { type Reading, reading } from '../../metrics/reading.ts';
import { openWebhooks } from '../../webhooks/open-webhooks.ts';
import { ClusterView } from './cluster-view.ts';
import { MapMirror } from './map-mirror.ts';
import { RedisObserver } from './redis-observer.ts';

export interface AgentAnalysisSetup {
  readonly settings: Settings;
  readonly agentName: string;
  readonly coordinatorPort: MessagePort;
}

export type AgentAnalysisBody =
  /** A cycle now, for tests and replays. */
  | { readonly operation: 'plan' }
  /** What this thread tells of itself and of its cycles. */
  | { readonly operation: 'metrics' }
  /** From now on it is so late by what a replay says: cycles run when they are asked for. */
  | { readonly operation: 'setClock'; readonly nowMs: number };

async function start({ settings, agentName, coordinatorPort }: AgentAnalysisSetup): Promise<RunningThread> {
  const { cluster, analyzer, forecast, controller, affinity } = settings;
  const logger = createLogger({
    level: settings.node.logLevel,
    fields: { role: 'agent', agent: agentName, thread: 'analysis' },
  });
  const clock = new AnalysisClock();
  const random = seededRandom(BigInt(controller.seed));
  const metadata = openMetadata(settings.metadata, { commitsAtOnce: true });
  const view = new ClusterView(settings.redis);
  const mirror = new MapMirror(metadata, {
    clusterName: cluster.name,
    partitionCount: cluster.partitionCount,
  });
  const kernels = loadKernels();
  const pool = new KernelPool({ threads: analyzer.kernelThreads }, { kernels, logger });
  const kept = new KeptForecaster(forecast, {
    runner: pool,
    random: random.fork('forecast'),
    logger,
    file: new CheckpointFile(join(analyzer.stateDir, `${cluster.name}-agent.forecast`)),
  });
  const ledger = new ProfileLedger({
    windowMs: analyzer.windowMs,
    partitionCount: cluster.partitionCount,
    windowsMax: forecast.historyWindows,
  });
  const publisher = new ProfilePublisher({ metadata, ledger, prefix: profilePrefix(cluster.name), logger });
  const coordinator = new CoordinatorLink(coordinatorPort);
  let isClosing = false;
  const loadProfile = async (): Promise<LoadProfile> => {
    const nowMs = clock.nowMs();
    await publisher.refresh(nowMs);
    return ledger.toProfile(nowMs);
  };
  const book = new CycleBook();
  const webhooks = openWebhooks(settings, { clock: systemClock(), logger });
  const delay = new LoopDelay();
  const cycles = new CycleRunner(settings, {
    book,
    webhooks,
    clock,
    logger,
    metadata,
    coordinator,
    keys: clusterKeys(cluster.name),
    proposalKey: proposalKey(cluster.name),
    staysKey: staysKey(cluster.name),
    pastProposalsPrefix: pastProposalsPrefix(cluster.name),
    forecastPrefix: forecastPrefix(cluster.name),
    kernelHash: kernels.hash,
    forecaster: withCalendar(
      settings,
      kept,
      new EventEffects({ metadata, prefix: eventEffectsPrefix(cluster.name), logger }),
      logger,
    ),
    affinity: new AffinityManager(affinity, {
      random: random.fork('affinity'),
      logger,
      optimiser: optimizers[affinity.optimizer]({ runner: () => pool, clock }, affinity.iterations),
      copiesPerNodeMax: settings.migration.copiesPerNodeMax,
      pace: { clock, isCancelled: () => isClosing },
    }),
    // Moves are stamped in the machine's time: they take as long in a replay.
    observer: new RedisObserver(settings, { view, mirror, metadata, clock: systemClock(), logger }),
    loadProfile,
  });
  const runCycle = async (): Promise<void> => {
    try {
      await cycles.runCycle();
    } catch (error) {
      if (isOwnBug(error)) reportFault(error);
      else logger.warn({ fault: (error as Error).message }, 'no plan is made for now');
    }
  };
  const timer = setInterval(() => void runCycle(), controller.cycleIntervalMs);
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
        clearInterval(timer);
        clock.setVirtual(asked.nowMs);
        return null;
      }
      await coordinator.waitForElection(clock, controller.leaseTtlMs);
      const report = await cycles.runCycle();
      return report === null ? null : summaryOf(report);
    },
    async close() {
      isClosing = true;
      delay.close();
      clearInterval(timer);
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

/** @throws ForeshardError FORESHARD_CONFIG naming file, line and event. */
function withCalendar(settings: Settings, base: KeptForecaster, memory: EventEffects, logger: Logger) {
  const { calendar: file, driver } = settings.forecast;
  if (file === null) return base;
  const { calendar, remarks } = loadCalendar(file);
  for (const remark of remarks) logger.warn({}, remark);
  return new CalendarForecaster({ calendar, driver, base, memory });
}

void runThread(() => start(workerData as AgentAnalysisSetup));
