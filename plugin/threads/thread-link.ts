import { once } from 'node:events';
import type { MessagePort, Worker } from 'node:worker_threads';
import { ForeshardError, InvariantError } from '../../src/base/errors.ts';
import { Caller } from './thread-calls.ts';
import { STARTED_ID, type ThreadMessage } from './thread-main.ts';

/** A thread ends itself long before: one that has not by then stands still, and is stopped wherever it is. */
const STANDSTILL_MS_MAX = 30_000;

/** The parent's end of a worker thread that runs `runThread`; a thread that ends unasked is a fault. */
export class ThreadLink {
  readonly started: Promise<void>;
  readonly #name: string;
  readonly #thread: Worker;
  readonly #caller: Caller;
  readonly #reportFault: (error: unknown) => void;
  #hasStarted: { resolve(): void; reject(error: Error): void } | null = null;
  #isClosing = false;
  #isEnded = false;

  /** @param name such as "analysis", for errors. */
  constructor(name: string, thread: Worker, reportFault: (error: unknown) => void) {
    this.#name = name;
    this.#thread = thread;
    this.#reportFault = reportFault;
    this.#caller = new Caller((call, transfer) => thread.postMessage(call, transfer));
    this.started = new Promise((resolve, reject) => {
      this.#hasStarted = { resolve, reject };
    });
    this.started.catch(() => undefined);
    thread.on('message', (message: ThreadMessage) => this.#onMessage(message));
    thread.on('error', (error) => this.#onEnd(error));
    thread.on('exit', (exitCode) => {
      this.#isEnded = true;
      this.#onEnd(new InvariantError(`the ${name} thread ended by itself (exit code ${exitCode})`));
    });
  }

  /** @param transfer ports in the body: they belong to the thread then. */
  ask(body: unknown, transfer: readonly MessagePort[] = []): Promise<unknown> {
    if (this.#isEnded)
      return Promise.reject(
        new ForeshardError('FORESHARD_UNAVAILABLE', 'restart', `the ${this.#name} thread has ended`),
      );
    return this.#caller.ask(body, transfer);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#isEnded) return;
    const hasEnded = once(this.#thread, 'exit');
    this.#thread.postMessage('close');
    const deadline = setTimeout(() => void this.#thread.terminate(), STANDSTILL_MS_MAX);
    await hasEnded;
    clearTimeout(deadline);
  }

  #onMessage(message: ThreadMessage): void {
    if (message.kind === 'fault') this.#onEnd(new InvariantError(message.message));
    else if (message.id !== STARTED_ID) this.#caller.take(message);
    else if (message.kind === 'reply') this.#hasStarted?.resolve();
    else this.#hasStarted?.reject(new ForeshardError(message.code, message.remedy, message.message));
  }

  #onEnd(error: Error): void {
    this.#hasStarted?.reject(error);
    this.#caller.fail(error);
    if (!this.#isClosing) this.#reportFault(error);
  }
}
