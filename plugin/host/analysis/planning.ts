import type { MessagePort } from 'node:worker_threads';
import { optimizers } from '../../../src/affinity/optimisers/registry.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { CycleReport } from '../../../src/controller.ts';
import type { KernelPool } from '../../../src/kernels/pool.ts';
import type { LoadProfile } from '../../../src/model/load-profile.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { ReliefCycleComponents } from '../../../src/relief-cycle.ts';
import type { Settings } from '../../../src/settings.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import type { CycleBook } from '../../metrics/cycle-book.ts';
import { tellOfProposal } from '../../webhooks/open-webhooks.ts';
import type { WebhookSender } from '../../webhooks/webhook-sender.ts';
import { CoordinatorLink } from '../coordinator/coordinator-link.ts';
import { PlanArchive, plansFolder } from '../plans/plan-archive.ts';
import { forecastPrefix, pastProposalsPrefix, proposalKey, staysKey } from '../records/record-keys.ts';
import { CycleRunner, type CycleRunnerComponents } from './cycle-runner.ts';

/** What of the analysis thread is made of settings that may change while it runs. */
export interface Planning {
  readonly settings: Settings;
  readonly coordinator: CoordinatorLink;
  readonly cycles: CycleRunner;
  readonly rooms: ReliefRooms;
}

/** What relief between cycles is made of, the same as cycles are. */
export interface ReliefRooms
  extends Pick<ReliefCycleComponents, 'clock' | 'logger' | 'loadProfile' | 'observe' | 'memory' | 'relieve'> {
  readonly kernelHash: string;
  /** Whoever wants to know of proposals. */
  readonly tell: (report: Pick<CycleReport, 'atMs' | 'proposal'>) => void;
}

/** What stays: measured load, forecasts, connections. */
export interface PlanningParts {
  /** By which cycles are stamped: a replay's, where there is one. */
  readonly clock: Clock;
  readonly machineClock: Clock;
  readonly logger: Logger;
  readonly metadata: MetadataStore;
  /** Sees the cluster, of whatever engine, as a cycle needs it. */
  readonly openObserver: (settings: Settings) => CycleRunnerComponents['observer'];
  readonly forecaster: CycleRunnerComponents['forecaster'];
  readonly pool: KernelPool;
  readonly kernelHash: string;
  /** Names the files that this process keeps. */
  readonly processName: string;
  readonly book: CycleBook;
  readonly webhooks: WebhookSender | null;
  readonly isCancelled: () => boolean;
  readonly loadProfile: () => Promise<LoadProfile>;
}

/** @param coordinatorPort to the coordinator thread that carries out what is planned. */
export function openPlanning(
  settings: Settings,
  coordinatorPort: MessagePort,
  { openObserver, processName, pool, machineClock, isCancelled, ...parts }: PlanningParts,
): Planning {
  const { logger } = parts;
  const { name } = settings.cluster;
  const { optimizer, iterations } = settings.affinity;
  const coordinator = new CoordinatorLink(coordinatorPort);
  const affinity = new AffinityManager(settings.affinity, {
    random: seededRandom(BigInt(settings.controller.seed)).fork('affinity'),
    logger,
    optimiser: optimizers[optimizer]({ runner: () => pool, clock: machineClock }, iterations),
    copiesPerNodeMax: settings.migration.copiesPerNodeMax,
    // The ring is drained, and whoever asks is answered, while a large plan is made; nobody waits for one to close.
    pace: { clock: machineClock, isCancelled },
  });
  const observer = openObserver(settings);
  const cycles = new CycleRunner(settings, {
    ...parts,
    coordinator,
    keys: clusterKeys(name),
    proposalKey: proposalKey(name),
    staysKey: staysKey(name),
    pastProposalsPrefix: pastProposalsPrefix(name),
    forecastPrefix: forecastPrefix(name),
    affinity,
    observer,
    archive: new PlanArchive(
      plansFolder(settings.analyzer.stateDir, name, processName),
      { countMax: settings.controller.plansKept, bytesMax: settings.controller.plansKeptBytesMax },
      logger,
    ),
  });
  const { clock, loadProfile, kernelHash, webhooks } = parts;
  const rooms: ReliefRooms = {
    ...{ clock, logger, kernelHash },
    loadProfile: () => loadProfile().catch((error: unknown) => emptyProfile(settings, clock, error)),
    observe: (profile) => observer.observe(profile),
    memory: () => cycles.memory(),
    relieve: (input, profile, options) => affinity.relieve(input, profile, options),
    tell: (report) => tellOfProposal(webhooks, report, settings.plugin.mode),
  };
  return { settings, coordinator, cycles, rooms };
}

/** Whoever has been hot for minutes does not wait for the first window to close. */
function emptyProfile({ analyzer, cluster }: Settings, clock: Clock, error: unknown): LoadProfile {
  if (!(error instanceof ForeshardError) || error.code !== 'FORESHARD_NOT_READY') throw error;
  const { windowMs } = analyzer;
  return {
    ...{ windowMs, windowCount: 0, partitionCount: cluster.partitionCount },
    startMs: Math.floor(clock.nowMs() / windowMs) * windowMs,
    values: new Float64Array(0),
    coverage: new Float64Array(0),
  };
}
