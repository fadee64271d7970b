import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { AdmissionReport } from '../../../src/controller.ts';
import type { AdmissionOptions } from '../../../src/migration/queue/planned-moves.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import type { MetadataCondition } from '../../../src/ports/metadata-store.ts';
import { Caller } from '../../threads/thread-calls.ts';
import type { CoordinatorBody, CoordinatorMessage, CoordinatorReplies } from './coordinator-messages.ts';

/**
 * The analysis thread's end of the channel to the coordinator thread. What it knows of the term may be a moment old, or
 * older while it computes: safety is in the fence, which every write carries and every admission is checked by.
 */
export class CoordinatorLink {
  readonly #port: MessagePort;
  readonly #caller: Caller;
  readonly #firstElection: Promise<void>;
  #elected: () => void = () => undefined;
  #fence: MetadataCondition | null = null;
  #isEnded = false;

  constructor(port: MessagePort) {
    this.#port = port;
    this.#caller = new Caller((call) => port.postMessage(call));
    this.#firstElection = new Promise((resolve) => {
      this.#elected = resolve;
    });
    port.on('message', (message: CoordinatorMessage) => this.#onMessage(message));
    port.on('close', () => {
      this.#isEnded = true;
      this.#fence = null;
      this.#caller.fail(ended());
    });
  }

  /** The condition of whatever only the coordinator may write; null while this process is not the coordinator. */
  get fence(): MetadataCondition | null {
    return this.#fence;
  }

  get isElected(): boolean {
    return this.#fence !== null;
  }

  /** Resolves once elected, or when it is clear that another process holds the office. */
  async waitForElection(clock: Clock, leaseTtlMs: number): Promise<void> {
    if (this.isElected) return;
    const patience = new AbortController();
    // A lease that a dead process left behind runs out within its time to live.
    await Promise.race([this.#firstElection, clock.sleep(leaseTtlMs * 1.5, patience.signal)]);
    patience.abort();
  }

  /** @param fence of the term in which the proposal was made. */
  admit(
    proposal: Proposal,
    fence: MetadataCondition,
    options: AdmissionOptions = {},
  ): Promise<AdmissionReport> {
    return this.#ask({ operation: 'admit', proposal, fence, options });
  }

  migrationStatus(): Promise<CoordinatorReplies['migrationStatus']> {
    return this.#ask({ operation: 'migrationStatus' });
  }

  close(): void {
    this.#port.close();
  }

  #ask<Body extends CoordinatorBody>(body: Body): Promise<CoordinatorReplies[Body['operation']]> {
    if (this.#isEnded) return Promise.reject(ended());
    return this.#caller.ask(body) as Promise<CoordinatorReplies[Body['operation']]>;
  }

  #onMessage(message: CoordinatorMessage): void {
    if (message.kind !== 'term') {
      this.#caller.take(message);
      return;
    }
    this.#fence = message.fence;
    if (message.fence !== null) this.#elected();
  }
}

const ended = (): ForeshardError =>
  new ForeshardError('FORESHARD_UNAVAILABLE', 'restart', 'the coordinator thread has ended');
