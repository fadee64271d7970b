/**
 * The worker thread of a query node that computes: it measures, forecasts and plans, for as long as that takes. Whatever has
 * a deadline is the coordinator thread's. It puts the rooms of the core together, and answers its parent's messages.
 */
import { join } from 'node:path';
import { type MessagePort, workerData } from 'node:worker_threads';
import type { LoadLook } from '../../../src/affinity/relief/stress-watch.ts';
import { QUERY_TYPE_DEFAULTS } from '../../../src/analyzer/patterns/query-types.ts';
import { PROFILE_DEFAULTS, ProfileBuilder } from '../../../src/analyzer/profile.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { configuredCalendar } from '../../calendar/configured-calendar.ts';
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
import type { WebhookSender } from '../../webhooks/webhook-sender.ts';
import { createLogger } from '../pino-logger.ts';
import {
  hotKeysPrefix,
  queryClustersPrefix,
  queryHoursPrefix,
  queryTypesPrefix,
} from '../records/record-keys.ts';
import { Analysis, type AnalysisBody } from './analysis.ts';
import { AnalysisClock } from './analysis-clock.ts';
import { CheckpointFile } from './checkpoint-file.ts';
import { ClusterObserver } from './cluster-observer.ts';
import { DrainWatch } from './drain-watch.ts';
import { type MeasuredLoad, openMeasuredLoad } from './measured-load.ts';
import { LOOK_DIMENSIONS, NodeCpuFeed } from './node-cpu-feed.ts';
import { type OpenForecaster, openForecaster } from './open-forecaster.ts';
import { openPlanning, type Planning, type PlanningParts } from './planning.ts';
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

async function start(setup: AnalysisSetup): Promise<RunningThread> {
  const opened = await open(setup);
  const { settings, nodeId, clock, metadata, nodes, forecasting, measured, webhooks } = opened;
  const closing = new AbortController();
  const parts = planningParts(opened, {
    isCancelled: () => closing.signal.aborted,
    loadProfile: () => analysis.loadProfile(),
  });
  const cpuFeed = newCpuFeed(opened, (look) => relief.take(look));
  const relief = newReliefWatch(opened, () => analysis.planning);
  const analysis: Analysis = new Analysis(
    settings,
    { queryNodeId: nodeId, onFault: reportFault },
    {
      ...{ clock, logger: opened.logger, cpuFeed, ledger: measured.ledger, publisher: measured.publisher },
      source: new RingSource(setup.ring),
      newProfileBuilder: () =>
        new ProfileBuilder({
          ...{ ...PROFILE_DEFAULTS, ...measured.grid },
          source: `query-${nodeId}`,
          graceMs: 0,
        }),
      queryTypes: opened.queryTypes,
      planning: openPlanning(settings, setup.coordinatorPort, parts),
      loadMap: () => nodes.mapReader.load(),
    },
  );
  const drains = new DrainWatch({
    metadata,
    clusterName: settings.cluster.name,
    isPlanning: () => analysis.planning.coordinator.isElected && !clock.isVirtual && !closing.signal.aborted,
    plan: () => analysis.planNow(),
  });
  const delay = new LoopDelay();
  const metrics = (): readonly Reading[] => [
    reading('foreshard_event_loop_delay_seconds', delay.read(), { thread: 'analysis' }),
    ...analysis.readings(),
    ...parts.book.readings(),
    ...(webhooks?.readings() ?? []),
  ];
  const reload = async (body: ReloadBody): Promise<void> => {
    opened.logger.setLevel(body.settings.node.logLevel);
    await analysis.replacePlanning(openPlanning(body.settings, body.coordinatorPort, parts));
  };
  return {
    async respond(given) {
      const body = given as AnalysisThreadBody;
      if (body.operation === 'metrics') return metrics();
      return body.operation === 'reload' ? reload(body) : analysis.control(body);
    },
    async close() {
      closing.abort();
      delay.close();
      drains.close();
      await analysis.close();
      await relief.settled();
      await webhooks?.close();
      analysis.planning.coordinator.close();
      await forecasting.close();
      await nodes.close();
      await metadata.close();
    },
  };
}

/** What the thread works with, and goes on with when settings change. */
interface Opened {
  readonly settings: Settings;
  readonly nodeId: number;
  readonly logger: ReturnType<typeof createLogger>;
  /** By which windows close and cycles are stamped: a replay's, where there is one. */
  readonly clock: AnalysisClock;
  readonly machineClock: Clock;
  readonly webhooks: WebhookSender | null;
  readonly metadata: MetadataStore;
  readonly nodes: NodeAccess;
  readonly forecasting: OpenForecaster;
  readonly measured: MeasuredLoad;
  readonly queryTypes: QueryTypesPublisher;
}

async function open({ settings, nodeId }: AnalysisSetup): Promise<Opened> {
  const logger = createLogger({
    level: settings.node.logLevel,
    fields: { role: 'query', nodeId, thread: 'analysis' },
  });
  // Before anything is opened: what the operator wrote may be wrong.
  const calendar = await configuredCalendar(settings.forecast.calendar, logger);
  const machineClock = systemClock();
  const webhooks = openWebhooks(settings, { clock: machineClock, logger });
  const metadata = openMetadata(settings.metadata, { commitsAtOnce: true });
  return {
    ...{ settings, nodeId, logger, machineClock, webhooks, metadata },
    clock: new AnalysisClock(),
    nodes: await openNodes(settings, { nodeId, metadata, logger }),
    forecasting: openForecaster(settings, { calendar, metadata, logger, processName: String(nodeId) }),
    measured: openMeasuredLoad(settings, { metadata, logger }),
    queryTypes: await openQueryTypes(settings, { nodeId, metadata, logger }),
  };
}

/** The way to the storage nodes, and the map that says what is on them. */
interface NodeAccess {
  readonly mapReader: ClusterMapReader;
  readonly transport: RpcTransport;
  readonly engine: RpcStorageEngine;
  close(): Promise<void>;
}

async function openNodes(
  { cluster, security }: Settings,
  { nodeId, metadata, logger }: Pick<Opened, 'nodeId' | 'metadata' | 'logger'>,
): Promise<NodeAccess> {
  const directory = await NodeDirectory.open(metadata, cluster.name);
  const transport = new RpcTransport({
    identity: { clusterId: cluster.name, nodeId, role: 'coordinator' },
    addressOf: (peer) => directory.addressOf(peer),
    tls: peerTlsOf(security, logger),
  });
  return {
    mapReader: new ClusterMapReader(metadata, cluster.name),
    transport,
    engine: new RpcStorageEngine(transport),
    async close() {
      await transport.close();
      directory.close();
    },
  };
}

async function openQueryTypes(
  { cluster: { name, partitionCount }, analyzer: { windowMs } }: Settings,
  { nodeId, metadata, logger }: Pick<Opened, 'nodeId' | 'metadata' | 'logger'>,
): Promise<QueryTypesPublisher> {
  const queryTypes = new QueryTypesPublisher(
    { ...QUERY_TYPE_DEFAULTS, windowMs, partitionCount, queryNodeId: nodeId },
    {
      metadata,
      prefixes: {
        types: queryTypesPrefix(name),
        hours: queryHoursPrefix(name),
        clusters: queryClustersPrefix(name),
        hotKeys: hotKeysPrefix(name),
      },
    },
  );
  await queryTypes.adoptNames().catch((error: unknown) => {
    // Names that cannot be read are no reason not to start.
    if (!(error instanceof ForeshardError)) throw error;
    logger.warn({ fault: error.message }, 'clusters of query types get new names');
  });
  return queryTypes;
}

function planningParts(
  { settings, nodeId, clock, machineClock, logger, metadata, nodes, forecasting, webhooks }: Opened,
  own: Pick<PlanningParts, 'isCancelled' | 'loadProfile'>,
): PlanningParts {
  const { name } = settings.cluster;
  const { mapReader, engine } = nodes;
  return {
    ...{ clock, machineClock, logger, metadata, webhooks, ...own },
    openObserver: (of) =>
      new ClusterObserver(of, {
        ...{ mapReader, engine, logger, clock: machineClock },
        decisions: () => readDecisions(metadata, name, machineClock.nowMs()),
        membership: async () => {
          const [members, drainingStoreIds] = await Promise.all([
            listMembers(metadata, name),
            listDrainingStores(metadata, name),
          ]);
          return { members, drainingStoreIds };
        },
      }),
    book: new CycleBook(),
    pool: forecasting.pool,
    kernelHash: forecasting.kernelHash,
    forecaster: forecasting.forecaster,
    processName: String(nodeId),
  };
}

/** Storage nodes are asked what their partitions cost them. */
function newCpuFeed(
  { settings: { analyzer, cluster }, nodeId, machineClock, logger, nodes, measured }: Opened,
  onLook: (look: LoadLook) => void,
): NodeCpuFeed {
  const { mapReader, transport } = nodes;
  return new NodeCpuFeed(measured.grid, {
    ...{ transport, clock: machineClock, logger, ledger: measured.cpuLedger, feedId: nodeId, onLook },
    file: new CheckpointFile(join(analyzer.stateDir, `${cluster.name}-${nodeId}.cpu-prices`)),
    nodeIds: async () => [...new Set((await mapReader.load()).map.ownerOf)].filter((owner) => owner >= 0),
    publisher: measured.cpuPublisher,
  });
}

function newReliefWatch(
  { settings: { cluster }, nodeId, logger, metadata, nodes }: Opened,
  planning: () => Planning,
): ReliefWatch {
  return new ReliefWatch({
    ...{ metadata, logger, told: LOOK_DIMENSIONS, name: `query-${nodeId}`, onFault: reportFault, planning },
    cluster: async () => {
      const [{ map }, members] = await Promise.all([
        nodes.mapReader.load(),
        listMembers(metadata, cluster.name),
      ]);
      return watchedCluster(planning().settings, map.ownerOf, members);
    },
  });
}

void runThread(() => start(workerData as AnalysisSetup));
