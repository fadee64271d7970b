import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { silentLogger } from '../src/base/logger.ts';
import { loadKernels } from '../src/kernels/instance.ts';
import { KernelPool } from '../src/kernels/pool.ts';
import { DEFAULT_SETTINGS } from '../src/settings.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import { median } from './median.ts';
import type { BenchOptions, BenchOutcome } from './types.ts';

export const area = 'neighbours';

const PER_SECOND = 1_000;
/** Of each operation: a fifth of a processor in all. */
const WORK_MS = 0.2;
/** Kernels are busy before the first operation is due. */
const SETTLE_MS = 200;

/**
 * What a thread that serves queries notices of forecasts and plans: operations at fixed times on this thread, while kernels keep every
 * processor of the machine busy, as nice as they are by default and as nice as everything else. Latency is from when an operation was due.
 */
export async function run({ isSmall }: BenchOptions): Promise<BenchOutcome> {
  const seconds = isSmall ? 0.3 : 2;
  const rounds = isSmall ? 1 : 7;
  const threads = availableParallelism();
  const { kernelNiceness: niceness } = DEFAULT_SETTINGS.analyzer;
  const p99sMs: { readonly nice: number; readonly usual: number; readonly alone: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const alone = await serve(seconds);
    // Each comes first in half of the rounds.
    const [first, second] = round % 2 === 0 ? [niceness, 0] : [0, niceness];
    const p99Of = new Map<number, number>();
    for (const each of [first, second])
      p99Of.set(each, await serveBeside({ threads, niceness: each, seconds }));
    p99sMs.push({ nice: p99Of.get(niceness) as number, usual: p99Of.get(0) as number, alone });
  }
  return {
    results: [
      {
        name: 'queries beside kernels on every processor',
        metric: 'p99',
        value: median(p99sMs.map(({ nice }) => nice)),
        unit: 'ms',
        baseline: 'kernels of niceness 0',
        baselineValue: median(p99sMs.map(({ usual }) => usual)),
        // Of each round: what else the machine does changes between rounds more than within one.
        ratio: median(p99sMs.map(({ nice, usual }) => nice / usual)),
        settings: {
          rounds,
          threads,
          niceness,
          seconds,
          p99MsAlone: median(p99sMs.map(({ alone }) => alone)),
        },
        hash: createHash('sha256').update(`${PER_SECOND} ${WORK_MS}`).digest('hex').slice(0, 8),
        ...(isSmall ? {} : { bar: { ratioMax: 0.9 } }),
      },
    ],
    skipped: [],
  };
}

async function serveBeside({
  threads,
  niceness,
  seconds,
}: {
  readonly threads: number;
  readonly niceness: number;
  readonly seconds: number;
}): Promise<number> {
  const pool = new KernelPool({ threads, niceness }, { kernels: loadKernels(), logger: silentLogger });
  const jobs = Array.from({ length: threads }, () => pool.start('count', { steps: 2 ** 31 - 1 }));
  try {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    return await serve(seconds);
  } finally {
    for (const job of jobs) job.cancel();
    await Promise.all(jobs.map(({ result }) => result));
    await pool.close();
  }
}

/** @returns the 99th percentile of latencies, ms. */
function serve(seconds: number): Promise<number> {
  const histogram = new LatencyHistogram();
  const startedMs = performance.now();
  let served = 0;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      for (;;) {
        const dueMs = startedMs + (served * 1000) / PER_SECOND;
        if (dueMs > performance.now()) break;
        for (const begunMs = performance.now(); performance.now() - begunMs < WORK_MS; );
        histogram.add(performance.now() - dueMs);
        served++;
      }
      if (served < seconds * PER_SECOND) return;
      clearInterval(timer);
      resolve(histogram.quantileMs(0.99));
    }, 1);
  });
}
