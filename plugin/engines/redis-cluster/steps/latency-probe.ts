import { performance } from 'node:perf_hooks';
import type { Clock } from '../../../../src/base/clock.ts';
import type { RedisNode } from '../server/redis-node.ts';

/** Seldom enough to be nothing beside what a move does: at 5 ms, waking three processes for it was what clients felt most of. */
const PROBE_INTERVAL_MS = 20;
/** A second of both nodes' answers: enough for a 99th percentile, short enough to be about now. */
const KEPT_COUNT = 100;
const TOLD_EVERY = 50;

/** PINGs both masters on connections of their own, as a client would notice what a move does to them, and waits for the answers. */
export class LatencyProbe {
  readonly #clock: Clock;
  readonly #end = new AbortController();
  readonly #loops: readonly Promise<void>[];
  readonly #latenciesMs: number[] = [];
  readonly #onLatency: (p99Ms: number) => void;
  #sinceTold = 0;

  /** @param onLatency told of the 99th percentile of the last answers, twice a second. */
  constructor(
    nodes: readonly RedisNode[],
    { clock, onLatency }: { readonly clock: Clock; readonly onLatency: (p99Ms: number) => void },
  ) {
    this.#clock = clock;
    this.#onLatency = onLatency;
    this.#loops = nodes.map((node) => this.#probe(node));
  }

  async close(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#loops);
  }

  async #probe(node: RedisNode): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      const before = performance.eventLoopUtilization();
      try {
        await node.pipeline([['PING']]);
        // What this process was busy with meanwhile, no server is to blame for.
        this.#add(performance.eventLoopUtilization(before).idle);
      } catch {
        // The move itself learns of a node that does not answer.
      }
      await this.#clock.sleep(PROBE_INTERVAL_MS, signal);
    }
    node.close();
  }

  #add(latencyMs: number): void {
    this.#latenciesMs.push(latencyMs);
    if (this.#latenciesMs.length > KEPT_COUNT) this.#latenciesMs.shift();
    if (++this.#sinceTold < TOLD_EVERY) return;
    this.#sinceTold = 0;
    const sorted = [...this.#latenciesMs].sort((a, b) => a - b);
    this.#onLatency(sorted[Math.floor(sorted.length * 0.99)] as number);
  }
}
