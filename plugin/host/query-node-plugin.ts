import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { ForeshardError, InvariantError } from '../../src/base/errors.ts';
import { createRingMemory, RingProducer } from '../capture/ring.ts';
import type { AnalysisMessage, AnalysisSetup } from './analysis-thread.ts';
import type { ControlBody } from './control-messages.ts';
import type { QueryNodeAttachment, QueryNodeContext } from './plugin.ts';
import { startThread } from './thread.ts';

/** Nothing lingers in the ring for longer than this, and no record's time is older by more. */
const TICK_INTERVAL_MS = 10;
/** A thread that has not closed its store and pool by then is stopped. */
const CLOSE_MS_MAX = 3_000;

/**
 * The main-thread half of the plugin on a query node: the capture ring's producer in the hook slot, a timer that
 * publishes it, and the analysis thread, to which it passes control messages on.
 */
export async function attachAnalysis(
  context: QueryNodeContext,
  /** Hands the thread over, for tests of its death. */
  observers: { readonly onThread?: (thread: Worker) => void } = {},
): Promise<QueryNodeAttachment> {
  const { settings, nodeId, clock, reportFault } = context;
  const ring = createRingMemory(settings.capture.ringSlots);
  const producer = new RingProducer(ring, {
    keyPrefixBytes: settings.capture.keyPrefixBytes,
    keyHash: settings.capture.keyHash,
    readClock: () => clock.nowMs(),
  });
  const setup: AnalysisSetup = { settings, nodeId, ring };
  const thread = startThread(new URL('./analysis-thread.ts', import.meta.url), { workerData: setup });
  observers.onThread?.(thread);
  const link = new AnalysisLink(thread, reportFault);
  const timer = setInterval(() => producer.tick(), TICK_INTERVAL_MS);
  timer.unref();
  try {
    await link.started;
  } catch (error) {
    clearInterval(timer);
    await link.close();
    throw error;
  }
  // Time set by a replay only goes on; the analysis thread says so to whoever tries otherwise.
  let virtualMs = Number.NEGATIVE_INFINITY;
  return {
    hooks: { onQueryCompleted: producer.hook() },
    control(body) {
      // What was answered before this message was sent must be seen before it is obeyed.
      producer.publish();
      const toMs = timeSetBy(body);
      if (toMs !== null && toMs > virtualMs) {
        virtualMs = toMs;
        producer.setVirtualTime(toMs);
      }
      return link.ask(body);
    },
    async detach() {
      clearInterval(timer);
      producer.publish();
      await link.close();
    },
  };
}

function timeSetBy(body: ControlBody): number | null {
  if (body.operation === 'setClock') return body.nowMs;
  return body.operation === 'advance' ? body.toMs : null;
}

interface Waiting {
  resolve(reply: unknown): void;
  reject(error: Error): void;
}

/** Requests to the analysis thread and their answers; a thread that ends unasked is a fault. */
class AnalysisLink {
  readonly started: Promise<void>;
  readonly #thread: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #reportFault: (error: unknown) => void;
  #idNext = 1;
  #isClosing = false;
  #isEnded = false;

  constructor(thread: Worker, reportFault: (error: unknown) => void) {
    this.#thread = thread;
    this.#reportFault = reportFault;
    this.started = new Promise((resolve, reject) =>
      this.#waiting.set(0, { resolve: () => resolve(), reject }),
    );
    this.started.catch(() => undefined);
    thread.on('message', (message: AnalysisMessage) => this.#onMessage(message));
    thread.on('error', (error) => this.#onEnd(error));
    thread.on('exit', (exitCode) => {
      this.#isEnded = true;
      this.#onEnd(new InvariantError(`the analysis thread ended by itself (exit code ${exitCode})`));
    });
  }

  ask(body: ControlBody): Promise<unknown> {
    if (this.#isEnded)
      return Promise.reject(
        new ForeshardError('FORESHARD_UNAVAILABLE', 'restart', 'the analysis thread has ended'),
      );
    const id = this.#idNext++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#thread.postMessage({ id, body });
    });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#isEnded) return;
    const hasEnded = once(this.#thread, 'exit');
    this.#thread.postMessage('close');
    const deadline = setTimeout(() => void this.#thread.terminate(), CLOSE_MS_MAX);
    await hasEnded;
    clearTimeout(deadline);
  }

  #onMessage(message: AnalysisMessage): void {
    if (message.kind === 'fault') {
      this.#onEnd(new InvariantError(message.message));
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === 'reply') waiting?.resolve(message.body);
    else waiting?.reject(new ForeshardError(message.code, message.remedy, message.message));
  }

  #onEnd(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    if (!this.#isClosing) this.#reportFault(error);
  }
}
