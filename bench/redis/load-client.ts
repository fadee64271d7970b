/**
 * A process with a cluster client of an application: reads and counts up keys at fixed times, whether answers come or not,
 * until its parent says stop; then it tells its latencies, each from when its operation was due, and what it has counted.
 */
import { Cluster } from 'ioredis';
import { LatencyHistogram } from '../latency-histogram.ts';

export interface LoadOrder {
  readonly port: number;
  readonly keys: readonly string[];
  readonly perSecond: number;
}

export interface LoadReport {
  readonly operations: number;
  readonly errors: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** Acknowledged INCRs, by key. */
  readonly counted: Readonly<Record<string, number>>;
}

const TICK_MS = 1;
/** One INCR in so many operations. */
const WRITE_EVERY = 5;

async function main({ port, keys, perSecond }: LoadOrder): Promise<void> {
  const cluster = new Cluster([{ host: '127.0.0.1', port }], {
    redisOptions: { maxRetriesPerRequest: null },
  });
  await cluster.ping();
  let histogram = new LatencyHistogram();
  const counted: Record<string, number> = {};
  let [operations, errors] = [0, 0];
  const startedMs = performance.now();
  const pending = new Set<Promise<void>>();
  const operate = async (dueMs: number, index: number): Promise<void> => {
    const key = keys[(index * 7919) % keys.length] as string;
    try {
      if (index % WRITE_EVERY === 0) {
        const counter = `${key}:count`;
        await cluster.incr(counter);
        counted[counter] = (counted[counter] ?? 0) + 1;
      } else await cluster.strlen(key);
    } catch {
      errors++;
    }
    operations++;
    histogram.add(performance.now() - dueMs);
  };
  let sent = 0;
  const timer = setInterval(() => {
    for (;;) {
      const dueMs = startedMs + (sent * 1000) / perSecond;
      if (dueMs > performance.now()) return;
      const one = operate(dueMs, sent++);
      pending.add(one);
      void one.finally(() => pending.delete(one));
    }
  }, TICK_MS);
  process.send?.('ready');
  process.on('message', async (message) => {
    if (message === 'reset') {
      histogram = new LatencyHistogram();
      [operations, errors] = [0, 0];
      process.send?.('reset');
      return;
    }
    if (message === 'stop') clearInterval(timer);
    if (message === 'stop') await Promise.all(pending);
    const at = (share: number): number => histogram.quantileMs(share);
    process.send?.({
      operations,
      errors,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      p999Ms: at(0.999),
      counted,
    } satisfies LoadReport);
    if (message === 'stop') {
      cluster.disconnect();
      process.disconnect();
    }
  });
}

process.once('message', (order) => void main(order as LoadOrder));
