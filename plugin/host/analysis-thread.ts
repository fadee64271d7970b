/**
 * The worker thread of a query node: everything of the plugin that is not on the query path. It puts the rooms of the
 * core together, and answers its parent's messages.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { optimizers } from '../../src/affinity/optimizers.ts';
import { AffinityManager } from '../../src/affinity/planner.ts';
import { QUERY_TYPE_DEFAULTS } from '../../src/analyzer/patterns/query-types.ts';
import { PROFILE_DEFAULTS, ProfileBuilder } from '../../src/analyzer/profile.ts';
import { CalendarForecaster } from '../../src/analyzer/seasons/calendar-forecaster.ts';
import { systemClock } from '../../src/base/clock.ts';
import { type ErrorCode, ForeshardError, type Remedy } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { KernelPool } from '../../src/kernels/pool.ts';
import { MigrationExecutor } from '../../src/migration/executor.ts';
import type { Calendar } from '../../src/model/calendar.ts';
import type { Settings } from '../../src/settings.ts';
import { loadCalendar } from '../calendar/load-calendar.ts';
import type { RingMemory } from '../capture/ring.ts';
import { RingSource } from '../capture/ring-source.ts';
import { RpcStorageEngine } from '../engines/lmdb/rpc-storage-engine.ts';
import { RpcTransport } from '../engines/lmdb/rpc-transport.ts';
import { ClusterMapReader, clusterKeys, recordCodec } from '../metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../metadata/embedded.ts';
import { NodeDirectory } from '../metadata/node-directory.ts';
import { Analysis } from './analysis.ts';
import { AnalysisClock } from './analysis-clock.ts';
import { CheckpointFile } from './checkpoint-file.ts';
import { ClusterObserver } from './cluster-observer.ts';
import type { ControlBody } from './control-messages.ts';
import { Coordinator } from './coordinator.ts';
import { EventEffects } from './event-effects.ts';
import { isOwnBug } from './faults.ts';
import { HOLD_PHASE_VARIABLE, holdMsIn, parsePhaseHolds } from './hold-phase.ts';
import { KeptForecaster } from './kept-forecaster.ts';
import { createLogger } from './pino-logger.ts';
import { ProfileLedger } from './profile-ledger.ts';
import { ProfilePublisher } from './profile-publisher.ts';
import { QueryTypesPublisher } from './query-types-publisher.ts';
import {
  eventEffectsPrefix,
  hotKeysPrefix,
  profilePrefix,
  proposalKey,
  queryClustersPrefix,
  queryHoursPrefix,
  queryTypesPrefix,
  staysKey,
} from './record-keys.ts';

export interface AnalysisSetup {
  readonly settings: Settings;
  readonly nodeId: number;
  readonly ring: RingMemory;
}

/** To the thread: a request, or the word that it shall end. */
export type AnalysisRequest = { readonly id: number; readonly body: ControlBody } | 'close';

/** From the thread. Id 0 answers no request: it says that the thread has started. */
export type AnalysisMessage =
  | { readonly kind: 'reply'; readonly id: number; readonly body: unknown }
  | {
      readonly kind: 'error';
      readonly id: number;
      readonly code: ErrorCode;
      readonly remedy: Remedy;
      readonly message: string;
    }
  | { readonly kind: 'fault'; readonly message: string };

interface Running {
  readonly analysis: Analysis;
  close(): Promise<void>;
}

async function start({ settings, nodeId, ring }: AnalysisSetup): Promise<Running> {
  const { cluster, analyzer, forecast, controller } = settings;
  const logger = createLogger({
    level: settings.node.logLevel,
    fields: { role: 'query', nodeId, thread: 'analysis' },
  });
  // Before anything is opened: what the operator wrote may be wrong.
  const calendar = readCalendar(forecast, logger);
  const holds = parsePhaseHolds(process.env[HOLD_PHASE_VARIABLE]);
  if (holds.length > 0)
    logger.warn({ holds }, `migrations are held up: ${HOLD_PHASE_VARIABLE} is set, which is for tests only`);
  const machineClock = systemClock();
  const clock = new AnalysisClock();
  const random = seededRandom(BigInt(controller.seed));
  const metadata = openEmbeddedMetadata({ path: settings.metadata.path });
  const directory = await NodeDirectory.open(metadata, cluster.name);
  const transport = new RpcTransport({
    identity: { clusterId: cluster.name, nodeId, role: 'coordinator' },
    addressOf: (peer) => directory.addressOf(peer),
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
  const coordinator = new Coordinator(settings, `query-${nodeId}`, {
    clock,
    logger,
    metadata,
    keys: clusterKeys(cluster.name),
    proposalKey: proposalKey(cluster.name),
    staysKey: staysKey(cluster.name),
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
    }),
    observer: new ClusterObserver(settings, { mapReader, engine, clock: machineClock, logger }),
    loadProfile: () => analysis.loadProfile(),
    // Migrations run, and are stamped, in the machine's time: copying does not go faster in a replay.
    makeExecutor: (leadership) =>
      new MigrationExecutor(settings.migration, {
        clock: machineClock,
        // Not by the settings' seed: whoever knows a digest's seed beforehand can plan collisions.
        random: seededRandom(randomBytes(8).readBigUInt64LE()),
        logger,
        engine,
        metadata,
        codec: recordCodec(cluster.name),
        leadership,
        planNowMs: () => clock.nowMs(),
        keyPrivacy: { prefixBytes: settings.capture.keyPrefixBytes, isHashKept: settings.capture.keyHash },
        holdMs: (partitionId, phase) => holdMsIn(holds, partitionId, phase),
      }),
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
      loadMap: () => mapReader.load(),
    },
  );
  return {
    analysis,
    async close() {
      await analysis.close();
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

function send(message: AnalysisMessage): void {
  parentPort?.postMessage(message);
}

function reportFault(error: unknown): void {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  send({ kind: 'fault', message: stack ?? message });
}

function reportError(id: number, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const { code, remedy } =
    error instanceof ForeshardError
      ? error
      : { code: 'FORESHARD_UNAVAILABLE' as const, remedy: 'report' as const };
  send({ kind: 'error', id, code, remedy, message });
}

async function main(setup: AnalysisSetup): Promise<void> {
  let running: Running;
  try {
    running = await start(setup);
  } catch (error) {
    reportError(0, error);
    parentPort?.close();
    return;
  }
  parentPort?.on('message', (request: AnalysisRequest) => {
    if (request === 'close') {
      running.close().then(() => parentPort?.close(), reportFault);
      return;
    }
    const { id, body } = request;
    running.analysis.control(body).then(
      (reply) => send({ kind: 'reply', id, body: reply }),
      (error: unknown) => {
        reportError(id, error);
        if (isOwnBug(error)) reportFault(error);
      },
    );
  });
  send({ kind: 'reply', id: 0, body: null });
}

void main(workerData as AnalysisSetup);
