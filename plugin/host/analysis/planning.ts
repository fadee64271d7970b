import type { MessagePort } from 'node:worker_threads';
import { optimizers } from '../../../src/affinity/optimisers/registry.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { KernelPool } from '../../../src/kernels/pool.ts';
import type { LoadProfile } from '../../../src/model/load-profile.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import type { CycleBook } from '../../metrics/cycle-book.ts';
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
  const cycles = new CycleRunner(settings, {
    ...parts,
    coordinator,
    keys: clusterKeys(name),
    proposalKey: proposalKey(name),
    staysKey: staysKey(name),
    pastProposalsPrefix: pastProposalsPrefix(name),
    forecastPrefix: forecastPrefix(name),
    affinity: new AffinityManager(settings.affinity, {
      random: seededRandom(BigInt(settings.controller.seed)).fork('affinity'),
      logger,
      optimiser: optimizers[optimizer]({ runner: () => pool, clock: machineClock }, iterations),
      copiesPerNodeMax: settings.migration.copiesPerNodeMax,
      // The ring is drained, and whoever asks is answered, while a large plan is made; nobody waits for one to close.
      pace: { clock: machineClock, isCancelled },
    }),
    observer: openObserver(settings),
    archive: new PlanArchive(
      plansFolder(settings.analyzer.stateDir, name, processName),
      { countMax: settings.controller.plansKept, bytesMax: settings.controller.plansKeptBytesMax },
      logger,
    ),
  });
  return { settings, coordinator, cycles };
}
