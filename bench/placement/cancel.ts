import { bounding } from '../../src/affinity/bound.ts';
import { buildInstance, type PlacementInstance } from '../../src/affinity/instance.ts';
import { DEFAULT_ANNEAL_SETTINGS } from '../../src/affinity/optimisers/anneal.ts';
import type { SearchContext } from '../../src/affinity/optimisers/optimiser.ts';
import { optimizers } from '../../src/affinity/optimisers/registry.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../src/affinity/settings.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import { untilCancelled } from '../../src/base/slices.ts';
import type { Kernels } from '../../src/kernels/instance.ts';
import { inlineRunner, KernelPool, type KernelRunner } from '../../src/kernels/pool.ts';
import { DEFAULT_SETTINGS } from '../../src/settings.ts';
import type { BenchResult } from '../types.ts';
import { cpuMs, hashOf } from './measures.ts';
import { SEED, type Size, sizeName, syntheticInputs } from './synthetic.ts';

/** Far more than a search gets: all of them end by being cancelled, but for what ends by itself. */
const ITERATIONS = 1e9;

/** What a timer can tell at best. */
const TIMER_MS = 0.1;

type Search = (context: SearchContext & { isCancelled(): boolean }) => Promise<unknown>;

/**
 * How long a search goes on after it was cancelled: a timer on the search's own thread aborts a signal, at moments spread
 * over its run, and the clock runs from when the timer was due, so that a thread which does not let the timer fire is not
 * forgiven. Beside it stands how late such a timer is when nothing runs: a busy machine shows there.
 */
export async function timeCancels(kernels: Kernels, size: Size, isSmall: boolean): Promise<BenchResult[]> {
  const instance = buildInstance(syntheticInputs(seededRandom(SEED), size), DEFAULT_AFFINITY_SETTINGS);
  const count = isSmall ? 3 : 32;
  const spanMs = isSmall ? 20 : 500;
  const idle = await lateness(nothing, { count, spanMs: Math.min(spanMs, 50) });
  const idleMs = Math.max(TIMER_MS, quantile(idle.lateMs, 0.99));
  const results: BenchResult[] = [];
  // As many as the analysis thread has unless told, and they stand back as far.
  const { kernelThreads: threads, kernelNiceness: niceness } = DEFAULT_SETTINGS.analyzer;
  const pool = new KernelPool({ threads, niceness }, { kernels, logger: silentLogger });
  for (const [name, search, endsMs] of searchesOf({ inline: inlineRunner(kernels), pool }, instance)) {
    // The first ones wait for the compiler as well.
    await lateness(search, { count: 2, spanMs });
    const found = await lateness(search, { count, spanMs: Math.min(spanMs, endsMs) });
    const value = quantile(found.lateMs, 0.99);
    results.push({
      name: `cancel/${name}/${sizeName(size)}`,
      metric: 'from a cancellation to the end of the search, p99',
      value,
      unit: 'ms',
      baseline: 'timer without a search, p99',
      baselineValue: idleMs,
      ratio: value / idleMs,
      settings: {
        p50: rounded(quantile(found.lateMs, 0.5)),
        max: rounded(Math.max(0, ...found.lateMs)),
        // Of no concern to either is who else is on the machine.
        ownBetweenLooksMax: rounded(found.ownBetweenLooksMsMax),
        cpuBetweenLooksMax: rounded(found.cpuBetweenLooksMsMax),
        cancellations: found.lateMs.length,
      },
      hash: hashOf(instance.home),
    });
  }
  await pool.close();
  return results;
}

const nothing: Search = async ({ isCancelled }) => {
  while (!isCancelled()) await systemClock().sleep(1);
};

/** Each with the milliseconds after which it is over by itself on a slow machine. */
function searchesOf(
  { inline, pool }: { readonly inline: KernelRunner; readonly pool: KernelRunner },
  instance: PlacementInstance,
): readonly (readonly [string, Search, number])[] {
  const clock = systemClock();
  const on = (runner: KernelRunner, name: keyof typeof optimizers, iterations = ITERATIONS): Search => {
    const optimiser = optimizers[name]({ runner: () => runner, clock }, iterations);
    return (context) => optimiser.optimise(instance, instance.home, context);
  };
  const annealed = ITERATIONS * DEFAULT_ANNEAL_SETTINGS.raceShare;
  const never = Number.POSITIVE_INFINITY;
  return [
    ['anneal', on(inline, 'anneal', annealed), never],
    ['anneal-in-workers', on(pool, 'anneal', annealed), never],
    ['genetic', on(inline, 'genetic'), never],
    ['portfolio', on(inline, 'portfolio'), never],
    ['portfolio-in-workers', on(pool, 'portfolio'), never],
    ['greedy', on(inline, 'greedy'), 100],
    [
      'bound',
      ({ isCancelled }) => untilCancelled(bounding(instance, instance.home), { clock, isCancelled }),
      100,
    ],
  ];
}

interface Lateness {
  readonly lateMs: number[];
  /** Of all threads of the process: V8 compiles and collects garbage beside the search. */
  readonly cpuBetweenLooksMsMax: number;
  /** Of the search's own thread, at most: no more than passed on the clock, and no more than the process got of a processor. */
  readonly ownBetweenLooksMsMax: number;
}

async function lateness(
  search: Search,
  { count, spanMs }: { readonly count: number; readonly spanMs: number },
): Promise<Lateness> {
  const lateMs: number[] = [];
  let cpuBetweenLooksMsMax = 0;
  let ownBetweenLooksMsMax = 0;
  for (let i = 0; i < count; i++) {
    const abort = new AbortController();
    const dueMs = performance.now() + (spanMs * (i + 0.5)) / count;
    const timer = setTimeout(() => abort.abort(), dueMs - performance.now());
    let lookedMs = cpuMs();
    let lookedAtMs = performance.now();
    const isCancelled = (): boolean => {
      const nowMs = cpuMs();
      const atMs = performance.now();
      cpuBetweenLooksMsMax = Math.max(cpuBetweenLooksMsMax, nowMs - lookedMs);
      ownBetweenLooksMsMax = Math.max(ownBetweenLooksMsMax, Math.min(nowMs - lookedMs, atMs - lookedAtMs));
      lookedMs = nowMs;
      lookedAtMs = atMs;
      return abort.signal.aborted;
    };
    await search({ random: seededRandom(SEED), clock: systemClock(), isCancelled });
    clearTimeout(timer);
    // One that was over before it was cancelled says nothing. Timers may fire a fraction of a millisecond early.
    if (abort.signal.aborted) lateMs.push(Math.max(0, performance.now() - dueMs));
  }
  return { lateMs, cpuBetweenLooksMsMax, ownBetweenLooksMsMax };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

const rounded = (value: number): number => Number(value.toFixed(2));
