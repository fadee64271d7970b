/**
 * A process with a cluster client of an application that reads airports as often as flights leave them: each hour's reads at
 * even times, whether answers come or not. A read that takes too long has failed for whoever asked, and is waited for all the same.
 */
import { Cluster } from 'ioredis';
import { LatencyHistogram } from '../latency-histogram.ts';
import { PATIENCE_MS } from './daily-load-options.ts';

export interface TraceOrder {
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly keys: readonly string[];
  /** By hour: indices of the keys that are read, in this order. */
  readonly hours: readonly Uint16Array[];
  readonly hourMs: number;
}

export interface TraceReport {
  readonly operations: number;
  /** Refused, or answered later than PATIENCE_MS. */
  readonly errors: number;
  readonly p50Ms: number;
  /** Of all reads. */
  readonly p99Ms: number;
}

const TICK_MS = 2;
/** Longer than any backlog: one that is cut off would tell of the second, not of the backlog. */
const GIVEN_UP_MS = 20_000;

async function main({ nodes, keys, hours, hourMs }: TraceOrder): Promise<void> {
  const cluster = new Cluster([...nodes], { redisOptions: { commandTimeout: GIVEN_UP_MS } });
  await Promise.all(keys.map((key) => cluster.strlen(key)));
  const histogram = new LatencyHistogram();
  let errors = 0;
  const pending = new Set<Promise<void>>();
  const read = async (key: string, dueMs: number): Promise<void> => {
    const isAnswered = await cluster.get(key).then(
      () => true,
      () => false,
    );
    const latencyMs = performance.now() - dueMs;
    if (!isAnswered || latencyMs > PATIENCE_MS) errors++;
    histogram.add(latencyMs);
  };
  const startedMs = performance.now();
  process.send?.('started');
  for (const [hour, indices] of hours.entries()) {
    const fromMs = startedMs + hour * hourMs;
    for (let sent = 0; sent < indices.length; ) {
      const due = ((performance.now() - fromMs) / hourMs) * indices.length;
      for (; sent < Math.min(due, indices.length); sent++) {
        const one = read(keys[indices[sent]], fromMs + (sent / indices.length) * hourMs);
        pending.add(one);
        void one.finally(() => pending.delete(one));
      }
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    const leftMs = fromMs + hourMs - performance.now();
    if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
  }
  await Promise.all(pending);
  const { count } = histogram;
  const [p50Ms, p99Ms] = [histogram.quantileMs(0.5), histogram.quantileMs(0.99)];
  process.send?.({ operations: count, errors, p50Ms, p99Ms } satisfies TraceReport);
  cluster.disconnect();
  process.disconnect();
}

process.once('message', (order) => void main(order as TraceOrder));
