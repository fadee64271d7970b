import { hostname } from 'node:os';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { isWithin, parseMoveWindows } from '../../../src/affinity/timetable/windows.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { readKernelBytes } from '../../../src/kernels/bytes.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
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
import type { WebhookSender } from '../../webhooks/webhook-sender.ts';
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
  readonly #opened: Opened;
  readonly #partitionCount: number;
  readonly #planClock = new AnalysisClock();
  readonly #coordinator: Coordinator;
  readonly #analysis: ThreadLink;
  /** From the thread that plans, to the coordinator. */
  readonly #calls: MessagePort;
  #isStopping = false;

  /**
   * @param onFault told of a bug of ours in the coordinator or in the thread that plans: the process should end, and another agent takes over.
   * @throws ForeshardError FORESHARD_CONFIG, FORESHARD_UNAVAILABLE when the cluster cannot be looked at.
   */
  static async start(
    given: Settings,
    { logger, onFault, name = `${hostname()}-${process.pid}` }: AgentOptions,
  ): Promise<RedisAgent> {
    await assertMayLead(given);
    const view = new ClusterView(given.redis);
    const settings = await withNodeCount(given, view);
    const agent = new RedisAgent(settings, open(settings, { view, logger }), { name, onFault });
    try {
      await agent.#analysis.started;
    } catch (error) {
      await agent.close();
      throw error;
    }
    return agent;
  }

  private constructor(
    settings: Settings,
    opened: Opened,
    { name, onFault }: Required<Pick<AgentOptions, 'name' | 'onFault'>>,
  ) {
    const { port1: calls, port2: coordinatorPort } = new MessageChannel();
    this.#opened = opened;
    this.#partitionCount = settings.cluster.partitionCount;
    this.#calls = calls;
    this.#coordinator = this.#newCoordinator(settings, { name, onFault });
    calls.on('message', (call: Call) => {
      void answerCall(
        call,
        (body) => this.#answer(body as CoordinatorBody),
        (reply) => this.#tell(reply),
      );
    });
    const thread = startThread(new URL('./agent-analysis-thread.ts', import.meta.url), {
      workerData: { settings, agentName: name, coordinatorPort } satisfies AgentAnalysisSetup,
      transferList: [coordinatorPort],
    });
    this.#analysis = new ThreadLink('analysis', thread, onFault);
  }

  #newCoordinator(
    settings: Settings,
    { name, onFault }: { readonly name: string; readonly onFault: (error: unknown) => void },
  ): Coordinator {
    const { clock, logger, metadata, view, mirror, webhooks } = this.#opened;
    const windows = parseMoveWindows(settings.affinity.timetable.windows);
    return new Coordinator(settings.controller, name, {
      clock,
      logger,
      metadata,
      codec: recordCodec(settings.cluster.name),
      mode: settings.plugin.mode,
      onTerm: (fence) => this.#tell({ kind: 'term', fence }),
      onFault,
      makeExecutor: (leadership) =>
        new SlotExecutor(settings, {
          clock,
          logger,
          metadata,
          view,
          mirror,
          leadership,
          planNowMs: () => this.#planClock.nowMs(),
          isInWindow: (planNowMs) => isWithin(windows, planNowMs, planNowMs + 1),
          isStopping: () => this.#isStopping,
          onEnded: (ended) => tellOfEnd(webhooks, ended),
        }),
    });
  }

  /** What the thread that plans asks of the coordinator. */
  async #answer(asked: CoordinatorBody): Promise<CoordinatorReplies['admit' | 'migrationStatus']> {
    return asked.operation === 'admit'
      ? this.#coordinator.admit(asked.proposal, asked.fence, asked.options)
      : this.#coordinator.migrationStatus();
  }

  #tell(message: CoordinatorMessage): void {
    this.#calls.postMessage(message);
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
        return { ownerOf: await this.#ownerOf() };
      default:
        throw new ForeshardError(
          'FORESHARD_UNAVAILABLE',
          'report',
          `an agent does not answer "${body.operation}"`,
        );
    }
  }

  /** As Redis has it now. */
  async #ownerOf(): Promise<Int32Array> {
    const { view, mirror } = this.#opened;
    const topology = await view.topology();
    const shards = numberShards(await mirror.shards(), topology);
    return partitionOwners(topology, shards, this.#partitionCount).ownerOf;
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
      {
        name: 'coordinator',
        read: () => [...this.#coordinator.readings(), ...(this.#opened.webhooks?.readings() ?? [])],
      },
    ];
  }

  migrationStatus(): CoordinatorReplies['migrationStatus'] {
    return this.#coordinator.migrationStatus();
  }

  /** Slots that are open are finished first. */
  async close(): Promise<void> {
    const { view, webhooks, metadata } = this.#opened;
    this.#isStopping = true;
    await this.#analysis.close();
    await this.#coordinator.close();
    this.#calls.close();
    view.close();
    await webhooks?.close();
    await metadata.close();
  }
}

export interface AgentOptions {
  readonly logger: Logger;
  readonly onFault: (error: unknown) => void;
  /** Of the candidate in elections. */
  readonly name?: string;
}

/** What an agent works with. */
interface Opened {
  /** The machine's: slots move, and are stamped, in its time, which takes as long in a replay. */
  readonly clock: Clock;
  readonly logger: Logger;
  readonly view: ClusterView;
  readonly webhooks: WebhookSender | null;
  readonly metadata: MetadataStore;
  readonly mirror: MapMirror;
}

function open(settings: Settings, { view, logger }: Pick<Opened, 'view' | 'logger'>): Opened {
  const clock = systemClock();
  const webhooks = openWebhooks(settings, { clock, logger });
  const metadata = openMetadata(settings.metadata);
  const { name: clusterName, partitionCount } = settings.cluster;
  return {
    ...{ clock, logger, view, webhooks, metadata },
    mirror: new MapMirror(metadata, { clusterName, partitionCount }),
  };
}

/** Before anybody elects it: an agent that cannot plan would hold the office until it dies of that. */
async function assertMayLead(settings: Settings): Promise<void> {
  assertNodesNamed(settings.redis);
  readKernelBytes();
  await assertSamePartitions(settings);
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
