import { collectDefaultMetrics, Registry } from 'prom-client';
import { exposition } from './exposition.ts';
import { LoopDelay } from './loop-delay.ts';
import { flag, type Reading, reading } from './reading.ts';

/** A part of the process: a thread, or the node itself. */
export interface MetricSource {
  readonly name: string;
  readonly read: () => readonly Reading[] | Promise<readonly Reading[]>;
}

/** A thread that computes answers between two pieces of its work; one that does not is left out of this answer. */
const SOURCE_MS_MAX = 500;

/**
 * The answer to `GET /metrics`. Requests that come while one is being answered get the same answer, so that nobody who asks often
 * makes this process do more than one at a time.
 */
export class MetricsPage {
  readonly #sources: () => readonly MetricSource[];
  readonly #timeoutMs: number;
  /** Of the runtime: CPU, memory, heap, garbage collection, file descriptors. */
  readonly #runtime = new Registry();
  readonly #delay = new LoopDelay();
  #answer: Promise<string> | null = null;

  /** @param sources asked at each request: those that are there by then. */
  constructor(sources: () => readonly MetricSource[], { timeoutMs = SOURCE_MS_MAX } = {}) {
    this.#sources = sources;
    this.#timeoutMs = timeoutMs;
    collectDefaultMetrics({ register: this.#runtime });
  }

  text(): Promise<string> {
    this.#answer ??= this.#make().finally(() => {
      this.#answer = null;
    });
    return this.#answer;
  }

  close(): void {
    this.#delay.close();
  }

  async #make(): Promise<string> {
    const own = reading('foreshard_event_loop_delay_seconds', this.#delay.read(), { thread: 'main' });
    const found = await Promise.all(this.#sources().map((source) => this.#ask(source)));
    return `${await exposition([own, ...found.flat()])}\n${await this.#runtime.metrics()}`;
  }

  async #ask({ name, read }: MetricSource): Promise<readonly Reading[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, this.#timeoutMs, null);
    });
    // What cannot be told is told as that: a scrape is no place to fail.
    const found = await Promise.race([(async () => read())().catch(() => null), late]);
    clearTimeout(timer);
    return [reading('foreshard_scrape_source_up', flag(found !== null), { source: name }), ...(found ?? [])];
  }
}
