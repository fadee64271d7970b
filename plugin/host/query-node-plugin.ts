import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import type { Settings } from '../../src/settings.ts';
import { createRingMemory, RingProducer } from '../capture/ring.ts';
import type { MetricSource } from '../metrics/metrics-page.ts';
import type { Reading } from '../metrics/reading.ts';
import { startThread } from '../threads/thread.ts';
import { ThreadLink } from '../threads/thread-link.ts';
import type { AnalysisSetup, AnalysisThreadBody } from './analysis/analysis-thread.ts';
import type { ControlBody } from './control-messages.ts';
import type { CoordinatorBody } from './coordinator/coordinator-messages.ts';
import type { CoordinatorSetup } from './coordinator/coordinator-thread.ts';
import type { QueryNodeAttachment, QueryNodeContext } from './plugin.ts';

/** Nothing lingers in the ring for longer than this, and no record's time is older by more. */
const TICK_INTERVAL_MS = 10;

type ThreadName = 'analysis' | 'coordinator';
type OpenThread = (name: ThreadName, module: URL, setup: CoordinatorSetup | AnalysisSetup) => ThreadLink;

/**
 * The main-thread half of the plugin on a query node: the capture ring's producer in the hook slot, a timer that
 * publishes it, and two threads, to which it passes control messages on. The analysis thread computes, the coordinator
 * thread keeps deadlines.
 */
export async function attachAnalysis(
  context: QueryNodeContext,
  /** Hands the threads over, for tests of their death. */
  observers: { readonly onThread?: (thread: Worker, name: ThreadName) => void } = {},
): Promise<QueryNodeAttachment> {
  const { settings, nodeId, clock, reportFault } = context;
  const ring = createRingMemory(settings.capture.ringSlots);
  const producer = new RingProducer(ring, {
    keyPrefixBytes: settings.capture.keyPrefixBytes,
    keyHash: settings.capture.keyHash,
    readClock: () => clock.nowMs(),
  });
  const open: OpenThread = (name, module, setup) => {
    const port = 'ring' in setup ? setup.coordinatorPort : setup.analysisPort;
    const thread = startThread(module, { workerData: setup, transferList: [port] });
    observers.onThread?.(thread, name);
    return new ThreadLink(name, thread, reportFault);
  };
  const { port1: analysisPort, port2: coordinatorPort } = new MessageChannel();
  const coordinatorModule = new URL('./coordinator/coordinator-thread.ts', import.meta.url);
  const analysisModule = new URL('./analysis/analysis-thread.ts', import.meta.url);
  const coordinator = open('coordinator', coordinatorModule, { settings, nodeId, analysisPort });
  const analysis = open('analysis', analysisModule, { settings, nodeId, ring, coordinatorPort });
  const threads = new PlanningThreads(settings, { analysis, coordinator }, (next, port) =>
    open('coordinator', coordinatorModule, { settings: next, nodeId, analysisPort: port }),
  );
  const timer = setInterval(() => producer.tick(), TICK_INTERVAL_MS);
  timer.unref();
  /** The office is left first, so that another takes over at once; what was measured is published meanwhile. */
  async function close(): Promise<void> {
    clearInterval(timer);
    await threads.close();
  }
  try {
    await Promise.all([coordinator.started, analysis.started]);
  } catch (error) {
    await close();
    throw error;
  }
  // Time set by a replay only goes on; the analysis thread says so to whoever tries otherwise.
  let virtualMs = Number.NEGATIVE_INFINITY;
  return {
    metricSources: threads.metricSources,
    hooks: { onQueryCompleted: producer.hook() },
    control(body) {
      if (body.operation === 'migrationStatus')
        return threads.coordinator.ask({ operation: 'migrationStatus' } satisfies CoordinatorBody);
      // What was answered before this message was sent must be seen before it is obeyed.
      producer.publish();
      const toMs = timeSetBy(body);
      if (toMs !== null && toMs > virtualMs && Number.isFinite(toMs)) {
        virtualMs = toMs;
        producer.setVirtualTime(toMs);
        threads.setClock(toMs);
      }
      return analysis.ask(body);
    },
    reload: (next) => threads.reload(next),
    async detach() {
      producer.publish();
      await close();
    },
  };
}

/**
 * The two threads, of which the coordinator's is made anew for other settings: it keeps nothing that matters, its successor reads
 * the map and goes on. The analysis thread lives on, with what it has measured and learnt.
 */
class PlanningThreads {
  readonly #analysis: ThreadLink;
  readonly #openCoordinator: (settings: Settings, analysisPort: MessagePort) => ThreadLink;
  #coordinator: ThreadLink;
  #settings: Settings;
  #virtualMs: number | null = null;
  #isClosing = false;

  constructor(
    settings: Settings,
    threads: Readonly<Record<ThreadName, ThreadLink>>,
    openCoordinator: (settings: Settings, analysisPort: MessagePort) => ThreadLink,
  ) {
    this.#settings = settings;
    this.#analysis = threads.analysis;
    this.#coordinator = threads.coordinator;
    this.#openCoordinator = openCoordinator;
  }

  get coordinator(): ThreadLink {
    return this.#coordinator;
  }

  get metricSources(): readonly MetricSource[] {
    const ask = async (link: ThreadLink): Promise<readonly Reading[]> =>
      (await link.ask({ operation: 'metrics' } satisfies CoordinatorBody)) as readonly Reading[];
    return [
      { name: 'analysis', read: () => ask(this.#analysis) },
      { name: 'coordinator', read: () => ask(this.#coordinator) },
    ];
  }

  setClock(nowMs: number): void {
    this.#virtualMs = nowMs;
    const told = this.#coordinator.ask({ operation: 'setClock', nowMs } satisfies CoordinatorBody);
    told.catch(() => undefined); // a thread that has ended is reported by its link
  }

  /** @throws ForeshardError when no thread starts with them: the ones before are in force again. */
  async reload(next: Settings): Promise<void> {
    const before = this.#settings;
    try {
      await this.#change(next);
      this.#settings = next;
    } catch (error) {
      if (!this.#isClosing) await this.#change(before);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all([this.#coordinator.close(), this.#analysis.close()]);
  }

  /** One coordinator thread after the other: two of one process would stand for election against each other. */
  async #change(settings: Settings): Promise<void> {
    await this.#coordinator.close();
    if (this.#isClosing) return;
    const { port1: analysisPort, port2: coordinatorPort } = new MessageChannel();
    this.#coordinator = this.#openCoordinator(settings, analysisPort);
    await this.#coordinator.started;
    if (this.#virtualMs !== null) this.setClock(this.#virtualMs);
    const body: AnalysisThreadBody = { operation: 'reload', settings, coordinatorPort };
    await this.#analysis.ask(body, [coordinatorPort]);
  }
}

function timeSetBy(body: ControlBody): number | null {
  if (body.operation === 'setClock') return body.nowMs;
  return body.operation === 'advance' ? body.toMs : null;
}
