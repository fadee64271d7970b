import type { Buckets } from './reading.ts';

const INTERVAL_MS = 20;
/** Upper edges, seconds: from what nobody notices to what a lease is lost by. */
const EDGES = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10] as const;

/**
 * How late this thread's event loop comes to a timer, counted for as long as the thread lives: a gauge that is reset when it is
 * read would tell each of two readers half.
 */
export class LoopDelay {
  readonly #counts = new Array<number>(EDGES.length + 1).fill(0);
  readonly #timer: NodeJS.Timeout;
  #sum = 0;
  #lastMs = performance.now();

  constructor() {
    this.#timer = setInterval(() => this.#take(), INTERVAL_MS);
    this.#timer.unref();
  }

  read(): Buckets {
    return { edges: EDGES, counts: [...this.#counts], sum: this.#sum };
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #take(): void {
    const nowMs = performance.now();
    const late = Math.max(0, nowMs - this.#lastMs - INTERVAL_MS) / 1000;
    this.#lastMs = nowMs;
    const bucket = EDGES.findIndex((edge) => late <= edge);
    this.#counts[bucket < 0 ? EDGES.length : bucket]++;
    this.#sum += late;
  }
}
