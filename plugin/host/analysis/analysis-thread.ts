/**
 * The worker thread of a query node that computes: it measures, forecasts and plans, for as long as that takes. Whatever has
 * a deadline is the coordinator thread's. It puts the rooms of the core together, and answers its parent's messages.
 */
import { join } from 'node:path';
import { type MessagePort, workerData } from 'node:worker_threads';
import { QUERY_TYPE_DEFAULTS } from '../../../src/analyzer/patterns/query-types.ts';
import { PROFILE_DEFAULTS, ProfileBuilder } from '../../../src/analyzer/profile.ts';
import { CalendarForecaster } from '../../../src/analyzer/seasons/calendar-forecaster.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { KernelPool } from '../../../src/kernels/pool.ts';
import type { Calendar } from '../../../src/model/calendar.ts';
import type { Settings } from '../../../src/settings.ts';
import { loadCalendar } from '../../calendar/load-calendar.ts';
import type { RingMemory } from '../../capture/ring.ts';
import { RingSource } from '../../capture/ring-source.ts';
import { RpcStorageEngine } from '../../engines/migration-agent/rpc-storage-engine.ts';
import { RpcTransport } from '../../engines/migration-agent/rpc-transport.ts';
import { ClusterMapReader } from '../../metadata/cluster-map.ts';
import { readDecisions } from '../../metadata/decisions.ts';
import { listMembers } from '../../metadata/members.ts';
import { NodeDirectory } from '../../metadata/node-directory.ts';
import { openMetadata } from '../../metadata/open.ts';
import { listDrainingStores } from '../../metadata/store-records.ts';
import { CycleBook } from '../../metrics/cycle-book.ts';
import { LoopDelay } from '../../metrics/loop-delay.ts';
import { type Reading, reading } from '../../metrics/reading.ts';
import { peerTlsOf } from '../../rpc/peer-tls.ts';
import { type RunningThread, reportFault, runThread } from '../../threads/thread-main.ts';
import { openWebhooks } from '../../webhooks/open-webhooks.ts';
import { createLogger } from '../pino-logger.ts';
import {
  eventEffectsPrefix,
  hotKeysPrefix,
  nodeCpuPrefix,
  profilePrefix,
  queryClustersPrefix,
  queryHoursPrefix,
  queryTypesPrefix,
} from '../records/record-keys.ts';
import { Analysis, type AnalysisBody } from './analysis.ts';
import { AnalysisClock } from './analysis-clock.ts';
import { CheckpointFile } from './checkpoint-file.ts';
import { ClusterObserver } from './cluster-observer.ts';
import { DrainWatch } from './drain-watch.ts';
import { EventEffects } from './event-effects.ts';
import { KeptForecaster } from './kept-forecaster.ts';
import { CPU_WINDOWS_MAX, LOOK_DIMENSIONS, NodeCpuFeed } from './node-cpu-feed.ts';
import { openPlanning, type PlanningParts } from './planning.ts';
import { ProfileLedger } from './profile-ledger.ts';
import { ProfilePublisher } from './profile-publisher.ts';
import { QueryTypesPublisher } from './query-types-publisher.ts';
import { ReliefWatch, watchedCluster } from './relief-watch.ts';

export interface AnalysisSetup {
  readonly settings: Settings;
  readonly nodeId: number;
  readonly ring: RingMemory;
  readonly coordinatorPort: MessagePort;
}

/** Settings that may change while the thread runs, with the way to the coordinator thread that was made with them. */
export interface ReloadBody {
  readonly operation: 'reload';
  readonly settings: Settings;
  readonly coordinatorPort: MessagePort;
}

/** What the main thread may ask. */
export type AnalysisThreadBody = AnalysisBody | ReloadBody | { readonly operation: 'metrics' };

async function start({ settings, nodeId, ring, coordinatorPort }: AnalysisSetup): Promise<RunningThread> {
  const { cluster, analyzer, forecast, controller } = settings;
  const logger = createLogger({
    level: settings.node.logLevel,
    fields: { role: 'query', nodeId, thread: 'analysis' },
  });
  // Before anything is opened: what the operator wrote may be wrong.
  const calendar = readCalendar(forecast, logger);
  const machineClock = systemClock();
  const webhooks = openWebhooks(settings, { clock: machineClock, logger });
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
  const pool = new KernelPool(
    { threads: analyzer.kernelThreads, niceness: analyzer.kernelNiceness },
    { kernels, logger },
  );
  const forecaster = new KeptForecaster(forecast, {
    runner: pool,
    random: random.fork('forecast'),
    logger,
    file: new CheckpointFile(join(analyzer.stateDir, `${cluster.name}-${nodeId}.forecast`)),
  });
  const eventEffects = new EventEffects({ metadata, prefix: eventEffectsPrefix(cluster.name), logger });
  const ledger = new ProfileLedger({
    windowMs: analyzer.windowMs,
    partitionCount: cluster.partitionCount,
    windowsMax: forecast.historyWindows,
  });
  const publisher = new ProfilePublisher({ metadata, ledger, prefix: profilePrefix(cluster.name), logger });
  const book = new CycleBook();
  const delay = new LoopDelay();
  const parts: PlanningParts = {
    clock,
    machineClock,
    logger,
    metadata,
    pool,
    openObserver: (of) =>
      new ClusterObserver(of, {
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
    book,
    webhooks,
    kernelHash: kernels.hash,
    processName: String(nodeId),
    forecaster:
      calendar === null
        ? forecaster
        : new CalendarForecaster({
            calendar,
            driver: forecast.driver,
            base: forecaster,
            memory: eventEffects,
          }),
    isCancelled: () => isClosing,
    loadProfile: () => analysis.loadProfile(),
  };
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
  const grid = { windowMs: analyzer.windowMs, partitionCount: cluster.partitionCount };
  const cpuLedger = new ProfileLedger({ ...grid, windowsMax: CPU_WINDOWS_MAX });
  const cpuFeed = new NodeCpuFeed(grid, {
    ...{ transport, clock: machineClock, logger, ledger: cpuLedger, feedId: nodeId },
    file: new CheckpointFile(join(analyzer.stateDir, `${cluster.name}-${nodeId}.cpu-prices`)),
    nodeIds: async () => [...new Set((await mapReader.load()).map.ownerOf)].filter((owner) => owner >= 0),
    publisher: new ProfilePublisher({
      ...{ metadata, logger, ledger: cpuLedger },
      prefix: nodeCpuPrefix(cluster.name),
    }),
    onLook: (look) => relief.take(look),
  });
  const relief = new ReliefWatch({
    ...{ metadata, logger, told: LOOK_DIMENSIONS, name: `query-${nodeId}`, onFault: reportFault },
    planning: () => analysis.planning,
    cluster: async () => {
      const [{ map }, members] = await Promise.all([mapReader.load(), listMembers(metadata, cluster.name)]);
      return watchedCluster(analysis.planning.settings, map.ownerOf, members);
    },
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
      cpuFeed,
      planning: openPlanning(settings, coordinatorPort, parts),
      loadMap: () => mapReader.load(),
    },
  );
  const drains = new DrainWatch({
    metadata,
    clusterName: cluster.name,
    isPlanning: () => analysis.planning.coordinator.isElected && !clock.isVirtual && !isClosing,
    plan: () => analysis.planNow(),
  });
  const metrics = (): readonly Reading[] => [
    reading('foreshard_event_loop_delay_seconds', delay.read(), { thread: 'analysis' }),
    ...analysis.readings(),
    ...book.readings(),
    ...(webhooks?.readings() ?? []),
  ];
  const reload = async (body: ReloadBody): Promise<void> => {
    logger.setLevel(body.settings.node.logLevel);
    await analysis.replacePlanning(openPlanning(body.settings, body.coordinatorPort, parts));
  };
  return {
    async respond(given) {
      const body = given as AnalysisThreadBody;
      if (body.operation === 'metrics') return metrics();
      return body.operation === 'reload' ? reload(body) : analysis.control(body);
    },
    async close() {
      isClosing = true;
      delay.close();
      drains.close();
      await analysis.close();
      await relief.settled();
      await webhooks?.close();
      analysis.planning.coordinator.close();
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
