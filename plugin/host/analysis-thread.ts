/**
 * The worker thread of a query node that computes: it measures, forecasts and plans, for as long as that takes. Whatever has
 * a deadline is the coordinator thread's. It puts the rooms of the core together, and answers its parent's messages.
 */
import { join } from 'node:path';
import { type MessagePort, workerData } from 'node:worker_threads';
import { optimizers } from '../../src/affinity/optimizers.ts';
import { AffinityManager } from '../../src/affinity/planner.ts';
import { QUERY_TYPE_DEFAULTS } from '../../src/analyzer/patterns/query-types.ts';
import { PROFILE_DEFAULTS, ProfileBuilder } from '../../src/analyzer/profile.ts';
import { CalendarForecaster } from '../../src/analyzer/seasons/calendar-forecaster.ts';
import { systemClock } from '../../src/base/clock.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { KernelPool } from '../../src/kernels/pool.ts';
import type { Calendar } from '../../src/model/calendar.ts';
import type { Settings } from '../../src/settings.ts';
import { loadCalendar } from '../calendar/load-calendar.ts';
import type { RingMemory } from '../capture/ring.ts';
import { RingSource } from '../capture/ring-source.ts';
import { RpcStorageEngine } from '../engines/lmdb/rpc-storage-engine.ts';
import { RpcTransport } from '../engines/lmdb/rpc-transport.ts';
import { clusterKeys } from '../metadata/cluster-keys.ts';
import { ClusterMapReader } from '../metadata/cluster-map.ts';
import { readDecisions } from '../metadata/decisions.ts';
import { listMembers } from '../metadata/members.ts';
import { NodeDirectory } from '../metadata/node-directory.ts';
import { openMetadata } from '../metadata/open.ts';
import { listDrainingStores } from '../metadata/store-records.ts';
import { peerTlsOf } from '../rpc/peer-tls.ts';
import { Analysis, type AnalysisBody } from './analysis.ts';
import { AnalysisClock } from './analysis-clock.ts';
import { CheckpointFile } from './checkpoint-file.ts';
import { ClusterObserver } from './cluster-observer.ts';
import { CoordinatorLink } from './coordinator-link.ts';
import { CycleRunner } from './cycle-runner.ts';
import { DrainWatch } from './drain-watch.ts';
import { EventEffects } from './event-effects.ts';
import { KeptForecaster } from './kept-forecaster.ts';
import { createLogger } from './pino-logger.ts';
import { ProfileLedger } from './profile-ledger.ts';
import { ProfilePublisher } from './profile-publisher.ts';
import { QueryTypesPublisher } from './query-types-publisher.ts';
import {
  eventEffectsPrefix,
  forecastPrefix,
  hotKeysPrefix,
  pastProposalsPrefix,
  profilePrefix,
  proposalKey,
  queryClustersPrefix,
  queryHoursPrefix,
  queryTypesPrefix,
  staysKey,
} from './record-keys.ts';
import { type RunningThread, reportFault, runThread } from './thread-main.ts';

export interface AnalysisSetup {
  readonly settings: Settings;
  readonly nodeId: number;
  readonly ring: RingMemory;
  readonly coordinatorPort: MessagePort;
}

async function start({ settings, nodeId, ring, coordinatorPort }: AnalysisSetup): Promise<RunningThread> {
  const { cluster, analyzer, forecast, controller } = settings;
  const logger = createLogger({
    level: settings.node.logLevel,
    fields: { role: 'query', nodeId, thread: 'analysis' },
  });
  // Before anything is opened: what the operator wrote may be wrong.
  const calendar = readCalendar(forecast, logger);
  const machineClock = systemClock();
  let isClosing = false;
  const clock = new AnalysisClock();
  const random = seededRandom(BigInt(controller.seed));
  const metadata = openMetadata(settings.metadata, { commitsAtOnce: true });
  const directory = await NodeDirectory.open(metadata, cluster.name);
  const transport = new RpcTransport({
    identity: { clusterId: cluster.name, nodeId, role: 'coordinator' },
    addressOf: (peer) => directory.addressOf(peer),
    tls: peerTlsOf(settings.security, logger),
  });
  const engine = new RpcStorageEngine(transport);
  const mapReader = new ClusterMapReader(metadata, cluster.name);
  const kernels = loadKernels();
  const pool = new KernelPool({ threads: analyzer.kernelThreads }, { kernels, logger });
  const forecaster = new KeptForecaster(forecast, {
    runner: pool,
    random: random.fork('forecast'),
    logger,
    file: new CheckpointFile(join(analyzer.stateDir, `${cluster.name}-${nodeId}.forecast`)),
  });
  const eventEffects = new EventEffects({ metadata, prefix: eventEffectsPrefix(cluster.name), logger });
  const { optimizer, iterations } = settings.affinity;
  const optimiser = optimizers[optimizer]({ runner: () => pool, clock: machineClock }, iterations);
  const ledger = new ProfileLedger({
    windowMs: analyzer.windowMs,
    partitionCount: cluster.partitionCount,
    windowsMax: forecast.historyWindows,
  });
  const publisher = new ProfilePublisher({ metadata, ledger, prefix: profilePrefix(cluster.name), logger });
  const coordinator = new CoordinatorLink(coordinatorPort);
  const cycles = new CycleRunner(settings, {
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
    forecaster:
      calendar === null
        ? forecaster
        : new CalendarForecaster({
            calendar,
            driver: forecast.driver,
            base: forecaster,
            memory: eventEffects,
          }),
    affinity: new AffinityManager(settings.affinity, {
      random: random.fork('affinity'),
      logger,
      optimiser,
      copiesPerNodeMax: settings.migration.copiesPerNodeMax,
      // The ring is drained, and whoever asks is answered, while a large plan is made; nobody waits for one to close.
      pace: { clock: machineClock, isCancelled: () => isClosing },
    }),
    observer: new ClusterObserver(settings, {
      mapReader,
      engine,
      decisions: () => readDecisions(metadata, cluster.name, machineClock.nowMs()),
      membership: async () => {
        const [members, drainingStoreIds] = await Promise.all([
          listMembers(metadata, cluster.name),
          listDrainingStores(metadata, cluster.name),
        ]);
        return { members, drainingStoreIds };
      },
      clock: machineClock,
      logger,
    }),
    loadProfile: () => analysis.loadProfile(),
  });
  const queryTypes = new QueryTypesPublisher(
    {
      ...QUERY_TYPE_DEFAULTS,
      windowMs: analyzer.windowMs,
      partitionCount: cluster.partitionCount,
      queryNodeId: nodeId,
    },
    {
      metadata,
      prefixes: {
        types: queryTypesPrefix(cluster.name),
        hours: queryHoursPrefix(cluster.name),
        clusters: queryClustersPrefix(cluster.name),
        hotKeys: hotKeysPrefix(cluster.name),
      },
    },
  );
  await queryTypes.adoptNames().catch((error: unknown) => {
    // Names that cannot be read are no reason not to start.
    if (!(error instanceof ForeshardError)) throw error;
    logger.warn({ fault: error.message }, 'clusters of query types get new names');
  });
  const analysis: Analysis = new Analysis(
    settings,
    { queryNodeId: nodeId, onFault: reportFault },
    {
      clock,
      logger,
      source: new RingSource(ring),
      newProfileBuilder: () =>
        new ProfileBuilder({
          ...PROFILE_DEFAULTS,
          source: `query-${nodeId}`,
          windowMs: analyzer.windowMs,
          partitionCount: cluster.partitionCount,
          graceMs: 0,
        }),
      ledger,
      publisher,
      queryTypes,
      coordinator,
      cycles,
      loadMap: () => mapReader.load(),
    },
  );
  const drains = new DrainWatch({
    metadata,
    clusterName: cluster.name,
    isPlanning: () => coordinator.isElected && !clock.isVirtual && !isClosing,
    plan: () => analysis.planNow(),
  });
  return {
    respond: (body) => analysis.control(body as AnalysisBody),
    async close() {
      isClosing = true;
      drains.close();
      await analysis.close();
      coordinator.close();
      await forecaster.close();
      await pool.close();
      await transport.close();
      directory.close();
      await metadata.close();
    },
  };
}

/** @throws ForeshardError FORESHARD_CONFIG naming file, line and event. */
function readCalendar({ calendar: file }: Settings['forecast'], logger: Logger): Calendar | null {
  if (file === null) return null;
  const { calendar, eventCount, remarks } = loadCalendar(file);
  for (const remark of remarks) logger.warn({}, remark);
  logger.info({ file, eventCount }, 'calendar read');
  return calendar;
}

void runThread(() => start(workerData as AnalysisSetup));
