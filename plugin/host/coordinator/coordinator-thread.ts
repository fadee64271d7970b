/**
 * The worker thread of a query node that stands for election and drives migrations. It waits for nobody: a fence that stands
 * has half a second, while the analysis thread beside it may plan for as long as it takes.
 */
import { randomBytes } from 'node:crypto';
import { type MessagePort, workerData } from 'node:worker_threads';
import { isWithin, parseMoveWindows } from '../../../src/affinity/timetable/windows.ts';
import { systemClock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { MigrationExecutor } from '../../../src/migration/executor.ts';
import type { MigrationEvent } from '../../../src/migration/progress/progress.ts';
import type { Settings } from '../../../src/settings.ts';
import { RpcStorageEngine } from '../../engines/migration-agent/rpc-storage-engine.ts';
import { RpcTransport } from '../../engines/migration-agent/rpc-transport.ts';
import { NodeDirectory } from '../../metadata/node-directory.ts';
import { openMetadata } from '../../metadata/open.ts';
import { readReportPrefix } from '../../metadata/read-report.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import { LoopDelay } from '../../metrics/loop-delay.ts';
import { reading } from '../../metrics/reading.ts';
import { peerTlsOf } from '../../rpc/peer-tls.ts';
import type { Call } from '../../threads/thread-calls.ts';
import { answerCall, type RunningThread, reportFault, runThread } from '../../threads/thread-main.ts';
import { openWebhooks, tellOfEnd } from '../../webhooks/open-webhooks.ts';
import { AnalysisClock } from '../analysis/analysis-clock.ts';
import { createLogger } from '../pino-logger.ts';
import { ClientLatencyFeed } from './client-latency-feed.ts';
import { Coordinator } from './coordinator.ts';
import type { CoordinatorBody, CoordinatorMessage, CoordinatorReplies } from './coordinator-messages.ts';
import { HOLD_PHASE_VARIABLE, holdMsIn, parsePhaseHolds } from './hold-phase.ts';
import { ReadGuardFeed } from './read-guard-feed.ts';
import { ReadReports } from './read-reports.ts';

export interface CoordinatorSetup {
  readonly settings: Settings;
  readonly nodeId: number;
  /** To the analysis thread. */
  readonly analysisPort: MessagePort;
}

async function start({ settings, nodeId, analysisPort }: CoordinatorSetup): Promise<RunningThread> {
  const { cluster } = settings;
  const logger = createLogger({
    level: settings.node.logLevel,
    fields: { role: 'query', nodeId, thread: 'coordinator' },
  });
  // Before anything is opened: what was written may be wrong.
  const holds = parsePhaseHolds(process.env[HOLD_PHASE_VARIABLE]);
  if (holds.length > 0)
    logger.warn({ holds }, `migrations are held up: ${HOLD_PHASE_VARIABLE} is set, which is for tests only`);
  // Migrations run, and are stamped, in the machine's time: copying does not go faster in a replay.
  const clock = systemClock();
  const planClock = new AnalysisClock();
  const metadata = openMetadata(settings.metadata);
  const directory = await NodeDirectory.open(metadata, cluster.name);
  const transport = new RpcTransport({
    identity: { clusterId: cluster.name, nodeId, role: 'coordinator' },
    addressOf: (peer) => directory.addressOf(peer),
    tls: peerTlsOf(settings.security, logger),
  });
  const engine = new RpcStorageEngine(transport);
  const reports = new ReadReports({ metadata, prefix: readReportPrefix(cluster.name), clock, logger });
  const readGuard = new ReadGuardFeed(settings.migration.readGuard, { reports, engine, clock, logger });
  const windows = parseMoveWindows(settings.affinity.timetable.windows);
  const tell = (message: CoordinatorMessage): void => analysisPort.postMessage(message);
  const delay = new LoopDelay();
  const webhooks = openWebhooks(settings, { clock, logger });
  const coordinator = new Coordinator(settings.controller, `query-${nodeId}`, {
    clock,
    logger,
    metadata,
    codec: recordCodec(cluster.name),
    mode: settings.plugin.mode,
    onTerm: (fence) => tell({ kind: 'term', fence }),
    onFault: reportFault,
    makeExecutor: (leadership) =>
      new MigrationExecutor(settings.migration, {
        clock,
        // Not by the settings' seed: whoever knows a digest's seed beforehand can plan collisions.
        random: seededRandom(randomBytes(8).readBigUInt64LE()),
        logger,
        engine,
        readGuard,
        clientWatch: new ClientLatencyFeed(reports),
        metadata,
        codec: recordCodec(cluster.name),
        leadership,
        planNowMs: () => planClock.nowMs(),
        isInWindow: (planNowMs) => isWithin(windows, planNowMs, planNowMs + 1),
        keyPrivacy: { prefixBytes: settings.capture.keyPrefixBytes, isHashKept: settings.capture.keyHash },
        onEvent: (event) => {
          logEvent(logger, event);
          if (event.kind === 'ended') tellOfEnd(webhooks, event.ended);
        },
        holdMs: (partitionId, phase) => holdMsIn(holds, partitionId, phase),
      }),
  });
  async function respond(body: unknown): Promise<CoordinatorReplies[CoordinatorBody['operation']]> {
    const asked = body as CoordinatorBody;
    switch (asked.operation) {
      case 'admit':
        return coordinator.admit(asked.proposal, asked.fence, asked.options);
      case 'migrationStatus':
        return coordinator.migrationStatus();
      case 'metrics':
        return [
          reading('foreshard_event_loop_delay_seconds', delay.read(), { thread: 'coordinator' }),
          ...coordinator.readings(),
          ...(webhooks?.readings() ?? []),
        ];
      case 'setClock':
        planClock.setVirtual(asked.nowMs);
        return { nowMs: asked.nowMs };
    }
  }
  analysisPort.on('message', (call: Call) => void answerCall(call, respond, tell));
  return {
    respond,
    async close() {
      await coordinator.close();
      delay.close();
      await webhooks?.close();
      analysisPort.close();
      await transport.close();
      directory.close();
      await metadata.close();
    },
  };
}

/** Steps are told by the executor as they are made; here how far what takes long has come, and what came of it. */
function logEvent(logger: Logger, event: MigrationEvent): void {
  if (event.kind === 'progress') logger.info({ ...event.progress }, 'migration goes on');
  else if (event.kind === 'ended') logger.info({ ...event.ended }, 'migration ended');
}

void runThread(() => start(workerData as CoordinatorSetup));
