import type { Logger } from '../../../src/base/logger.ts';
import type { CycleReport } from '../../../src/controller.ts';
import type { MetadataCondition } from '../../../src/ports/metadata-store.ts';
import { isOwnBug } from '../../threads/faults.ts';

export interface CycleTimerComponents {
  readonly logger: Logger;
  /** Of the term that this process leads in; null while it does not lead. */
  readonly fence: () => MetadataCondition | null;
  /** Null where this process does not lead. */
  readonly runCycle: () => Promise<CycleReport | null>;
  /** Whether the latest plan, whoever made it, is older than an interval. */
  readonly isOverdue: () => Promise<boolean>;
  /** Told of a bug of ours, which is not tried again. */
  readonly onFault: (error: unknown) => void;
}

/** A server that restarts, a store that elects a leader of its own: most of what keeps a cycle from planning is over by then. */
const RETRY_MS_MIN = 2_000;
/** What is not over by then will last: nobody needs to hear of it more often. */
const RETRY_MS_MAX = 600_000;
/** Elections are told by a message; a look costs nothing. */
const ELECTION_LOOK_MS = 250;

/**
 * When a process plans: every interval, and at once where somebody has asked for it, or where it is elected and finds the latest plan overdue. A cycle that could not plan, because the world
 * was not ready, is tried again in a moment, then at growing intervals, not after the whole of one, which is an hour by default.
 */
export class CycleTimer {
  readonly #intervalMs: number;
  readonly #components: CycleTimerComponents;
  readonly #timer: NodeJS.Timeout;
  readonly #termTimer: NodeJS.Timeout;
  #term: MetadataCondition | null = null;
  #again: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  /** Somebody has asked for a plan, or one could not be made, and none has been made since. */
  #isOwed = false;
  #failureCount = 0;
  #isStopped = false;

  /** @param intervalMs > 0; the first turn comes after one. */
  constructor(intervalMs: number, components: CycleTimerComponents) {
    this.#intervalMs = intervalMs;
    this.#components = components;
    this.#timer = setInterval(() => this.#turn(), intervalMs);
    this.#termTimer = setInterval(() => this.#lookForTerm(), ELECTION_LOOK_MS);
  }

  /** A plan at once, or as soon as this process leads: it may just be standing for election. */
  planSoon(): void {
    const ask = (): void => {
      this.#isOwed = true;
      this.#turn();
    };
    // A cycle that runs may have looked before whatever it was that somebody asks for.
    if (this.#running === null) ask();
    else void this.#running.then(ask);
  }

  /** Resolves when no cycle of this timer is running; none begins any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    clearInterval(this.#termTimer);
    this.#notAgain();
    await this.#running;
  }

  #turn(): void {
    if (this.#isStopped) return;
    this.#notAgain();
    this.#running ??= this.#attempt().finally(() => {
      this.#running = null;
    });
  }

  /** Whoever led before may have failed, or been gone, for long: once a term, so that terms that change often do not bring a plan each. */
  #lookForTerm(): void {
    const { fence, isOverdue, onFault, logger } = this.#components;
    const term = fence();
    if (term === this.#term) return;
    this.#term = term;
    if (term === null) return;
    isOverdue().then(
      (isDue) => {
        // What is owed is on its way.
        if (isDue && fence() === term && !this.#isOwed) this.planSoon();
      },
      (error: unknown) => {
        if (isOwnBug(error)) onFault(error);
        else
          logger.warn(
            { fault: (error as Error).message },
            'the latest plan cannot be looked at: the next interval plans',
          );
      },
    );
  }

  async #attempt(): Promise<void> {
    const { fence, runCycle, onFault } = this.#components;
    const term = fence();
    try {
      const report = await runCycle();
      // What is planned while the office is lost is not written down: the next term is owed it.
      const isLost = report !== null && fence() !== term;
      if (isLost) this.#isOwed = true;
      if (report === null || isLost) this.#againWhenElected();
      else if (report.unseen !== undefined) this.#againSoon(report.unseen);
      else {
        this.#isOwed = false;
        this.#failureCount = 0;
      }
    } catch (error) {
      if (isOwnBug(error)) onFault(error);
      else this.#againSoon((error as Error).message);
    }
  }

  #againSoon(fault: string): void {
    if (this.#isStopped) return;
    // The office may be lost until then, and won again.
    this.#isOwed = true;
    const againMs = Math.min(RETRY_MS_MIN * 2 ** this.#failureCount, RETRY_MS_MAX, this.#intervalMs);
    this.#failureCount++;
    this.#components.logger.warn({ fault, againMs }, 'no plan is made for now: it is tried again');
    this.#again = setTimeout(() => this.#turn(), againMs);
  }

  /** Whoever leads plans; where nobody has asked this process, and nothing has failed here, nothing is owed. */
  #againWhenElected(): void {
    if (this.#isStopped || !this.#isOwed) return;
    this.#components.logger.info(
      {},
      'no plan is made for now: this process does not lead, and plans when it does',
    );
    this.#again = setInterval(() => {
      if (this.#components.fence() !== null) this.#turn();
    }, ELECTION_LOOK_MS);
  }

  #notAgain(): void {
    if (this.#again !== null) clearTimeout(this.#again);
    this.#again = null;
  }
}
