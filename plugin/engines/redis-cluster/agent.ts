import { hostname } from 'node:os';
import { MessageChannel } from 'node:worker_threads';
import { isWithin, parseMoveWindows } from '../../../src/affinity/timetable/windows.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { Settings } from '../../../src/settings.ts';
import { Coordinator } from '../../host/coordinator.ts';
import type {
  CoordinatorBody,
  CoordinatorMessage,
  CoordinatorReplies,
} from '../../host/coordinator-messages.ts';
import { startThread } from '../../host/thread.ts';
import type { Call } from '../../host/thread-calls.ts';
import { ThreadLink } from '../../host/thread-link.ts';
import { answerCall } from '../../host/thread-main.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { openMetadata } from '../../metadata/open.ts';
import type { AgentAnalysisSetup } from './agent-analysis-thread.ts';
import { ClusterView } from './cluster-view.ts';
import { MapMirror } from './map-mirror.ts';
import { SlotExecutor } from './slot-executor.ts';

/**
 * Coordinator and planner beside a Redis Cluster. Any number of agents may run; the metadata store elects one, whose fence is
 * in every write of it. Nothing of it is on the way of a query: if all agents are gone, Redis serves on.
 */
export class RedisAgent {
  readonly #analysis: ThreadLink;
  readonly #coordinator: Coordinator;
  readonly #release: () => Promise<void>;
  #stop: () => void;

  private constructor(parts: {
    readonly analysis: ThreadLink;
    readonly coordinator: Coordinator;
    readonly release: () => Promise<void>;
    readonly stop: () => void;
  }) {
    this.#analysis = parts.analysis;
    this.#coordinator = parts.coordinator;
    this.#release = parts.release;
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
    if (given.redis.nodes.length === 0)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        'redis.nodes is empty: name some nodes of the Redis Cluster, "HOST:PORT" each',
      );
    const view = new ClusterView(given.redis);
    const settings = await withNodeCount(given, view);
    const clock = systemClock();
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
      keys: clusterKeys(cluster.name),
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
          isInWindow: (nowMs) => isWithin(windows, nowMs, nowMs + 1),
          isStopping: () => isStopping,
        }),
    });
    const respond = async (body: unknown): Promise<CoordinatorReplies['admit' | 'migrationStatus']> => {
      const asked = body as CoordinatorBody;
      return asked.operation === 'admit'
        ? coordinator.admit(asked.proposal, asked.fence)
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
      stop: () => {
        isStopping = true;
      },
      release: async () => {
        analysisPort.close();
        view.close();
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

  /** A cycle now. @returns how many moves it proposes; null where this agent is not the leader, or nothing is known yet. */
  async plan(): Promise<{ readonly moves: number | null; readonly outcome: string | null }> {
    return (await this.#analysis.ask('plan')) as { moves: number | null; outcome: string | null };
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

/** The cluster itself says how many nodes there are. */
async function withNodeCount(settings: Settings, view: ClusterView): Promise<Settings> {
  const { masters } = await view.topology();
  return { ...settings, cluster: { ...settings.cluster, storageNodeCount: masters.length } };
}
