import { MessageChannel, type Worker } from 'node:worker_threads';
import { createRingMemory, RingProducer } from '../capture/ring.ts';
import type { AnalysisSetup } from './analysis-thread.ts';
import type { ControlBody } from './control-messages.ts';
import type { CoordinatorBody } from './coordinator-messages.ts';
import type { CoordinatorSetup } from './coordinator-thread.ts';
import type { QueryNodeAttachment, QueryNodeContext } from './plugin.ts';
import { startThread } from './thread.ts';
import { ThreadLink } from './thread-link.ts';

/** Nothing lingers in the ring for longer than this, and no record's time is older by more. */
const TICK_INTERVAL_MS = 10;

type ThreadName = 'analysis' | 'coordinator';

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
  const { port1: analysisPort, port2: coordinatorPort } = new MessageChannel();
  const open = (name: ThreadName, module: URL, setup: CoordinatorSetup | AnalysisSetup): ThreadLink => {
    const port = 'ring' in setup ? setup.coordinatorPort : setup.analysisPort;
    const thread = startThread(module, { workerData: setup, transferList: [port] });
    observers.onThread?.(thread, name);
    return new ThreadLink(name, thread, reportFault);
  };
  const coordinator = open('coordinator', new URL('./coordinator-thread.ts', import.meta.url), {
    settings,
    nodeId,
    analysisPort,
  });
  const analysis = open('analysis', new URL('./analysis-thread.ts', import.meta.url), {
    settings,
    nodeId,
    ring,
    coordinatorPort,
  });
  const timer = setInterval(() => producer.tick(), TICK_INTERVAL_MS);
  timer.unref();
  /** The office is left first, so that another takes over at once; what was measured is published meanwhile. */
  async function close(): Promise<void> {
    clearInterval(timer);
    await Promise.all([coordinator.close(), analysis.close()]);
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
    hooks: { onQueryCompleted: producer.hook() },
    control(body) {
      if (body.operation === 'migrationStatus')
        return coordinator.ask({ operation: 'migrationStatus' } satisfies CoordinatorBody);
      // What was answered before this message was sent must be seen before it is obeyed.
      producer.publish();
      const toMs = timeSetBy(body);
      if (toMs !== null && toMs > virtualMs && Number.isFinite(toMs)) {
        virtualMs = toMs;
        producer.setVirtualTime(toMs);
        const told = coordinator.ask({ operation: 'setClock', nowMs: toMs } satisfies CoordinatorBody);
        told.catch(() => undefined); // a thread that has ended is reported by its link
      }
      return analysis.ask(body);
    },
    async detach() {
      producer.publish();
      await close();
    },
  };
}

function timeSetBy(body: ControlBody): number | null {
  if (body.operation === 'setClock') return body.nowMs;
  return body.operation === 'advance' ? body.toMs : null;
}
