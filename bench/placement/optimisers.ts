import { annealer, DEFAULT_ANNEAL_SETTINGS } from '../../src/affinity/anneal.ts';
import { dualBound, lowerBound } from '../../src/affinity/bound.ts';
import { greedy } from '../../src/affinity/greedy.ts';
import { buildInstance, type PlacementInstance } from '../../src/affinity/instance.ts';
import { naiveHillClimb } from '../../src/affinity/naive-hill-climb.ts';
import { portfolio } from '../../src/affinity/portfolio.ts';
import { balanceByMeanLoad } from '../../src/affinity/static-balance.ts';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Kernels } from '../../src/kernels/instance.ts';
import { inlineRunner } from '../../src/kernels/pool.ts';
import type { BenchResult } from '../types.ts';
import { citusGreedy, redisCliRebalance } from './field.ts';
import { highsMip } from './highs-mip.ts';
import { costOf, cpuMs, hashOf, meanLoad, movedCount } from './measures.ts';
import { objectiveB, SEED, type Size, sizeName, syntheticInputs } from './synthetic.ts';

/** A map that some way of placing ended with. */
interface Placed {
  readonly name: string;
  readonly ownerOf: Int32Array;
  readonly settings?: Record<string, number>;
}

/** Processor time that a search may take, milliseconds: the bars are stated at these. */
const BUDGETS_MS = [100, 1000, 3000];

/** What HiGHS gets: a general solver needs seconds where a search needs milliseconds. */
const MIP_SECONDS = 12;

/** Every way to a map, as its gap to the lower bound, beside the specification's hill climb. */
export async function compareOptimisers(
  kernels: Kernels,
  size: Size,
  isSmall: boolean,
): Promise<BenchResult[]> {
  const inputs = syntheticInputs(seededRandom(SEED), size);
  const instance = buildInstance(inputs, objectiveB(inputs));
  const placed: Placed[] = [
    ...(await fieldPlaced(instance)),
    ...(await searched(kernels, instance, isSmall)),
    ...(await combined(kernels, instance, isSmall)),
  ];
  const seconds = isSmall ? 1 : MIP_SECONDS;
  const mip = await highsMip(instance, seconds);
  placed.push({ name: 'highs-mip', ownerOf: mip.ownerOf, settings: { seconds } });
  const best = placed.reduce((a, b) => (costOf(instance, b.ownerOf) < costOf(instance, a.ownerOf) ? b : a));
  const bound = Math.max(
    lowerBound(instance, best.ownerOf),
    dualBound(instance, best.ownerOf, isSmall ? 50 : 1000),
  );
  const gapOf = ({ ownerOf }: Placed): number => 100 * (costOf(instance, ownerOf) / bound - 1);
  const baselineValue = gapOf(placed.find(({ name }) => name === 'naive-hill-climb') as Placed);
  return placed
    .filter(({ name }) => name !== 'naive-hill-climb')
    .map((map) => ({
      name: `${map.name}/${sizeName(size)}`,
      metric: 'gap to the lower bound',
      value: gapOf(map),
      unit: '%',
      baseline: 'naive-hill-climb',
      baselineValue,
      ratio: gapOf(map) / baselineValue,
      settings: { seed: Number(SEED), moved: movedCount(instance, map.ownerOf), ...map.settings },
      hash: hashOf(map.ownerOf),
    }));
}

/** What operators and the specification do. */
async function fieldPlaced(instance: PlacementInstance): Promise<Placed[]> {
  const load = meanLoad(instance);
  const capacity = Float64Array.from(
    { length: instance.nodeCount },
    (_, n) => instance.capacity[n * instance.resourceCount] as number,
  );
  const naive = await naiveHillClimb(200_000).optimise(instance, instance.home, {
    random: seededRandom(SEED),
  });
  return [
    { name: 'naive-hill-climb', ownerOf: naive.ownerOf },
    { name: 'stay', ownerOf: instance.home },
    { name: 'longest-processing-time', ownerOf: balanceByMeanLoad(load, capacity) },
    { name: 'redis-cli-rebalance', ownerOf: redisCliRebalance(instance, capacity) },
    { name: 'citus-greedy', ownerOf: citusGreedy(instance, load, capacity) },
  ];
}

async function searched(kernels: Kernels, instance: PlacementInstance, isSmall: boolean): Promise<Placed[]> {
  const startedMs = cpuMs();
  const fromGreedy = (await greedy.optimise(instance, instance.home, { random: seededRandom(SEED) })).ownerOf;
  const greedyMs = cpuMs() - startedMs;
  const placed: Placed[] = [
    { name: 'greedy', ownerOf: fromGreedy, settings: { cpuMs: Math.round(greedyMs) } },
  ];
  const anneal = async (iterations: number) => {
    const search = annealer(inlineRunner(kernels), {
      ...DEFAULT_ANNEAL_SETTINGS,
      iterations,
    });
    const beforeMs = cpuMs();
    const { ownerOf } = await search.optimise(instance, fromGreedy, { random: seededRandom(SEED) });
    return { ownerOf, cpuMs: cpuMs() - beforeMs };
  };
  const sample = isSmall ? 5_000 : 50_000;
  await anneal(sample);
  const perMs = sample / (await anneal(sample)).cpuMs;
  for (const budgetMs of isSmall ? BUDGETS_MS.slice(0, 1) : BUDGETS_MS) {
    const iterations = Math.max(1000, Math.round(perMs * (budgetMs - greedyMs)));
    const found = await anneal(isSmall ? Math.min(iterations, 20_000) : iterations);
    placed.push({
      name: `anneal-${budgetMs}ms`,
      ownerOf: found.ownerOf,
      settings: { iterations, cpuMs: Math.round(greedyMs + found.cpuMs) },
    });
  }
  return placed;
}

/** Relaxation, rounding and annealings of what is in doubt. The first search of a process pays for compiling itself. */
async function combined(kernels: Kernels, instance: PlacementInstance, isSmall: boolean): Promise<Placed[]> {
  const placed: Placed[] = [];
  for (const budgetMs of isSmall ? BUDGETS_MS.slice(0, 1) : BUDGETS_MS) {
    const startedMs = cpuMs();
    const search = portfolio(
      { annealerWith: (settings) => annealer(inlineRunner(kernels), settings), clock: systemClock() },
      { iterations: Number.MAX_SAFE_INTEGER, lanes: 2 },
    );
    const { ownerOf, iterations } = await search.optimise(instance, instance.home, {
      random: seededRandom(SEED),
      isCancelled: () => cpuMs() - startedMs > budgetMs,
    });
    placed.push({
      name: `portfolio-${budgetMs}ms`,
      ownerOf,
      settings: { iterations, cpuMs: Math.round(cpuMs() - startedMs) },
    });
  }
  return placed;
}
