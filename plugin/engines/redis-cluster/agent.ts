import { hostname } from 'node:os';
import { MessageChannel } from 'node:worker_threads';
import { isWithin, parseMoveWindows } from '../../../src/affinity/timetable/windows.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { readKernelBytes } from '../../../src/kernels/bytes.ts';
import type { Settings } from '../../../src/settings.ts';
import { AnalysisClock } from '../../host/analysis/analysis-clock.ts';
import type { AdvanceReport, ControlBody, CycleSummary } from '../../host/control-messages.ts';
import { Coordinator } from '../../host/coordinator/coordinator.ts';
import type {
  CoordinatorBody,
  CoordinatorMessage,
  CoordinatorReplies,
} from '../../host/coordinator/coordinator-messages.ts';
import { assertFormedWith } from '../../metadata/form-cluster.ts';
import { openMetadata } from '../../metadata/open.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import type { MetricSource } from '../../metrics/metrics-page.ts';
import type { Reading } from '../../metrics/reading.ts';
import { startThread } from '../../threads/thread.ts';
import type { Call } from '../../threads/thread-calls.ts';
import { ThreadLink } from '../../threads/thread-link.ts';
import { answerCall } from '../../threads/thread-main.ts';
import { openWebhooks, tellOfEnd } from '../../webhooks/open-webhooks.ts';
import type { AgentAnalysisBody, AgentAnalysisSetup } from './agent-analysis-thread.ts';
import { MapMirror } from './moves/map-mirror.ts';
import { SlotExecutor } from './moves/slot-executor.ts';
import { assertNodesNamed, ClusterView } from './topology/cluster-view.ts';
import { partitionOwners } from './topology/partition-owners.ts';
import { numberShards } from './topology/shards.ts';

/**
 * Coordinator and planner beside a Redis Cluster. Any number of agents may run; the metadata store elects one, whose fence is
 * in every write of it. Nothing of it is on the way of a query: if all agents are gone, Redis serves on.
 */
export class RedisAgent {
  readonly #analysis: ThreadLink;
  readonly #coordinator: Coordinator;
  readonly #planClock: AnalysisClock;
  readonly #owners: () => Promise<Int32Array>;
  readonly #release: () => Promise<void>;
  readonly #webhookReadings: () => readonly Reading[];
  #stop: () => void;

  private constructor(parts: {
    readonly analysis: ThreadLink;
    readonly coordinator: Coordinator;
    readonly planClock: AnalysisClock;
    readonly owners: () => Promise<Int32Array>;
    readonly release: () => Promise<void>;
    readonly webhookReadings: () => readonly Reading[];
    readonly stop: () => void;
  }) {
    this.#analysis = parts.analysis;
    this.#coordinator = parts.coordinator;
    this.#planClock = parts.planClock;
    this.#owners = parts.owners;
    this.#release = parts.release;
    this.#webhookReadings = parts.webhookReadings;
    this.#stop = parts.stop;
  }

  /**
   * @param onFault told of a bug of ours in the coordinator or in the thread that plans: the process should end, and another agent takes over.
   * @throws ForeshardError FORESHARD_CONFIG, FORESHARD_UNAVAILABLE when the cluster cannot be looked at.
   */
  static async start(
    given: Settings,
    { logger, onFault, name = `${hostname()}-${process.pid}` }: AgentOptions,
  ): Promise<RedisAgent> {
    assertNodesNamed(given.redis);
    // Before anybody elects it: an agent that cannot plan would hold the office until it dies of that.
    readKernelBytes();
    await assertSamePartitions(given);
    const view = new ClusterView(given.redis);
    const settings = await withNodeCount(given, view);
    // Slots move, and are stamped, in the machine's time: that takes as long in a replay.
    const clock = systemClock();
    const planClock = new AnalysisClock();
    const webhooks = openWebhooks(settings, { clock, logger });
    const metadata = openMetadata(settings.metadata);
    const { cluster } = settings;
    const mirror = new MapMirror(metadata, {
      clusterName: cluster.name,
      partitionCount: cluster.partitionCount,
    });
    const windows = parseMoveWindows(settings.affinity.timetable.windows);
    const { port1: analysisPort, port2: coordinatorPort } = new MessageChannel();
    const tell = (message: CoordinatorMessage): void => analysisPort.postMessage(message);
    let isStopping = false;
    const coordinator = new Coordinator(settings.controller, name, {
      clock,
      logger,
      metadata,
      codec: recordCodec(cluster.name),
      mode: settings.plugin.mode,
      onTerm: (fence) => tell({ kind: 'term', fence }),
      onFault,
      makeExecutor: (leadership) =>
        new SlotExecutor(settings, {
          clock,
          logger,
          metadata,
          view,
          mirror,
          leadership,
          planNowMs: () => planClock.nowMs(),
          isInWindow: (planNowMs) => isWithin(windows, planNowMs, planNowMs + 1),
          isStopping: () => isStopping,
          onEnded: (ended) => tellOfEnd(webhooks, ended),
        }),
    });
    const respond = async (body: unknown): Promise<CoordinatorReplies['admit' | 'migrationStatus']> => {
      const asked = body as CoordinatorBody;
      return asked.operation === 'admit'
        ? coordinator.admit(asked.proposal, asked.fence, asked.options)
        : coordinator.migrationStatus();
    };
    analysisPort.on('message', (call: Call) => void answerCall(call, respond, tell));
    const thread = startThread(new URL('./agent-analysis-thread.ts', import.meta.url), {
      workerData: { settings, agentName: name, coordinatorPort } satisfies AgentAnalysisSetup,
      transferList: [coordinatorPort],
    });
    const analysis = new ThreadLink('analysis', thread, onFault);
    const agent = new RedisAgent({
      analysis,
      coordinator,
      planClock,
      owners: async () => {
        const topology = await view.topology();
        const shards = numberShards(await mirror.shards(), topology);
        return partitionOwners(topology, shards, cluster.partitionCount).ownerOf;
      },
      stop: () => {
        isStopping = true;
      },
      webhookReadings: () => webhooks?.readings() ?? [],
      release: async () => {
        analysisPort.close();
        view.close();
        await webhooks?.close();
        await metadata.close();
      },
    });
    try {
      await analysis.started;
    } catch (error) {
      await agent.close();
      throw error;
    }
    return agent;
  }

  /** A cycle now. @returns what came of it; null where this agent is not the leader. */
  async plan(): Promise<CycleSummary | null> {
    return (await this.#analysis.ask({
      operation: 'plan',
    } satisfies AgentAnalysisBody)) as CycleSummary | null;
  }

  /**
   * A cycle as soon as one can be made: when this agent is elected, when what is in its way is over. The log says what that is.
   * Resolves when it is under way.
   */
  async planSoon(): Promise<void> {
    await this.#analysis.ask({ operation: 'planSoon' } satisfies AgentAnalysisBody);
  }

  /**
   * What a replay asks of an agent that it has spawned; see plugin/host/control-messages.ts. Load is not the agent's to tell:
   * captured clients publish it.
   */
  async control(body: ControlBody): Promise<unknown> {
    switch (body.operation) {
      case 'setClock':
        return this.#setClock(body.nowMs);
      case 'advance':
        return this.#advance(body);
      case 'migrationStatus':
        return this.migrationStatus();
      case 'ownership':
        return { ownerOf: await this.#owners() };
      default:
        throw new ForeshardError(
          'FORESHARD_UNAVAILABLE',
          'report',
          `an agent does not answer "${body.operation}"`,
        );
    }
  }

  async #setClock(nowMs: number): Promise<{ readonly nowMs: number }> {
    this.#planClock.setVirtual(nowMs);
    await this.#analysis.ask({ operation: 'setClock', nowMs } satisfies AgentAnalysisBody);
    return { nowMs };
  }

  async #advance({
    toMs,
    isCycleSkipped,
  }: ControlBody & { operation: 'advance' }): Promise<Omit<AdvanceReport, 'closedWindowCount' | 'capture'>> {
    await this.#setClock(toMs);
    const cycle = isCycleSkipped === true ? null : await this.plan();
    return {
      nowMs: toMs,
      isCoordinator: cycle !== null,
      cycle,
      openMigrationCount: this.migrationStatus().open.length,
    };
  }

  get metricSources(): readonly MetricSource[] {
    return [
      {
        name: 'analysis',
        read: async () =>
          (await this.#analysis.ask({
            operation: 'metrics',
          } satisfies AgentAnalysisBody)) as readonly Reading[],
      },
      { name: 'coordinator', read: () => [...this.#coordinator.readings(), ...this.#webhookReadings()] },
    ];
  }

  migrationStatus(): CoordinatorReplies['migrationStatus'] {
    return this.#coordinator.migrationStatus();
  }

  /** Slots that are open are finished first. */
  async close(): Promise<void> {
    this.#stop();
    await this.#analysis.close();
    await this.#coordinator.close();
    await this.#release();
  }
}

export interface AgentOptions {
  readonly logger: Logger;
  readonly onFault: (error: unknown) => void;
  /** Of the candidate in elections. */
  readonly name?: string;
}

/** As nodes do. Without a metadata store it goes on: an agent that waits for it is ready when it comes. */
async function assertSamePartitions({ metadata: from, cluster }: Settings): Promise<void> {
  const metadata = openMetadata(from);
  try {
    await assertFormedWith(metadata, cluster.name, cluster.partitionCount);
  } catch (error) {
    if (!(error instanceof ForeshardError) || error.code !== 'FORESHARD_UNAVAILABLE') throw error;
  } finally {
    await metadata.close();
  }
}

/** The cluster itself says how many nodes there are. */
async function withNodeCount(settings: Settings, view: ClusterView): Promise<Settings> {
  const { masters } = await view.topology();
  return { ...settings, cluster: { ...settings.cluster, storageNodeCount: masters.length } };
}
