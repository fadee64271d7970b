import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { CommandContext } from './commands/command-context.ts';
import type { LmdbPartitionStore } from './lmdb-partition-store.ts';

/** As Redis's active cycle: ten times a second. */
const PERIOD_MS = 100;
/** Keys deleted in one transaction: a few milliseconds of the event loop. */
const KEYS_PER_BATCH = 256;

/**
 * Deletes what has expired, though nobody asks for it. Reads do not see expired keys anyway; this gives the space back.
 * Only owners expire: a copy gets the deletions through the log, like any other change, and so has the same entries.
 */
export class Expirer {
  expiredCount = 0;
  readonly #store: LmdbPartitionStore;
  readonly #context: CommandContext;
  readonly #clock: Clock;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: { store: LmdbPartitionStore; context: CommandContext; clock: Clock }) {
    this.#store = options.store;
    this.#context = options.context;
    this.#clock = options.clock;
  }

  start(): void {
    this.#timer = setInterval(() => this.#runOnTimer(), PERIOD_MS);
    this.#timer.unref();
  }

  #runOnTimer(): void {
    try {
      this.runOnce();
    } catch (error) {
      // A failed commit has marked the environment, and writes are refused from now on: nobody waits for this one.
      if (!(error instanceof ForeshardError)) throw error;
    }
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** One batch over all partitions that have something due. @returns how many keys it deleted. */
  runOnce(): number {
    if (this.#store.environment.failure !== null) return 0;
    const nowMs = this.#clock.nowMs();
    const due: { partitionId: number; keys: Uint8Array[] }[] = [];
    let room = KEYS_PER_BATCH;
    for (const state of this.#store.states) {
      if (state.role !== 'OWNER' || state.nextExpiryMs >= nowMs || room === 0) continue;
      const keys = this.#store.dueKeys(state.partitionId, nowMs, room);
      room -= keys.length;
      if (keys.length > 0) due.push({ partitionId: state.partitionId, keys });
    }
    if (due.length === 0) return 0;
    const context = this.#context;
    context.nowMs = nowMs;
    const { result } = this.#store.transact(() => {
      let removed = 0;
      for (const { partitionId, keys } of due) {
        context.state = this.#store.states[partitionId];
        for (const key of keys) if (context.removeExpired(key)) removed++;
      }
      return removed;
    });
    this.expiredCount += result;
    return result;
  }
}
