import type { PlacementInstance } from '../../src/affinity/instance.ts';
import { Relaxation } from '../../src/affinity/lp/relaxation.ts';
import {
  type AnnealSettings,
  annealer,
  DEFAULT_ANNEAL_SETTINGS,
} from '../../src/affinity/optimisers/anneal.ts';
import { greedy } from '../../src/affinity/optimisers/greedy.ts';
import { naiveHillClimb } from '../../src/affinity/optimisers/naive-hill-climb.ts';
import type { Optimiser, SearchContext } from '../../src/affinity/optimisers/optimiser.ts';
import { portfolio } from '../../src/affinity/optimisers/portfolio.ts';
import { balanceByMeanLoad } from '../../src/affinity/static-balance.ts';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Kernels } from '../../src/kernels/instance.ts';
import { inlineRunner } from '../../src/kernels/pool.ts';
import type { BenchOutcome } from '../types.ts';
import { citusGreedy, redisCliRebalance } from './field.ts';
import { highsMip } from './highs-mip.ts';
import { costOf, cpuMs, hashOf, meanLoad, movedCount } from './measures.ts';
import type { Problem } from './problems.ts';
import { SEED } from './synthetic.ts';

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

/** Sweeps of the relaxation whose minimum no map can beat. */
const BOUND_SWEEPS = 200;

/** Every way to a map, as its gap to the lower bound, beside the specification's hill climb. */
export async function compareOptimisers(
  kernels: Kernels,
  { name: problem, instance }: Problem,
  isSmall: boolean,
): Promise<BenchOutcome> {
  const skipped: { name: string; why: string }[] = [];
  const placed: Placed[] = [
    ...(await fieldPlaced(instance)),
    ...(await searched(kernels, instance, isSmall)),
  ];
  const seconds = isSmall ? 1 : MIP_SECONDS;
  const mip = await highsMip(instance, seconds);
  if (mip === null) skipped.push({ name: `highs-mip/${problem}`, why: `no answer within ${seconds} s` });
  else placed.push({ name: 'highs-mip', ownerOf: mip.ownerOf, settings: { seconds } });
  // The relaxation does not know that partitions are whole; where the solver ends, its own bound does.
  const relaxed = boundOf(instance, isSmall ? 20 : BOUND_SWEEPS);
  const bound = Math.max(relaxed, mip?.bound ?? relaxed);
  const gapOf = ({ ownerOf }: Placed): number => 100 * (costOf(instance, ownerOf) / bound - 1);
  const baselineValue = gapOf(placed.find(({ name }) => name === 'naive-hill-climb') as Placed);
  const results = placed
    .filter(({ name }) => name !== 'naive-hill-climb')
    .map((map) => ({
      name: `${map.name}/${problem}`,
      metric: 'gap to the lower bound',
      value: gapOf(map),
      unit: '%',
      baseline: 'naive-hill-climb',
      baselineValue,
      ratio: gapOf(map) / baselineValue,
      settings: { seed: Number(SEED), moved: movedCount(instance, map.ownerOf), ...map.settings },
      hash: hashOf(map.ownerOf),
    }));
  return { results, skipped };
}

function boundOf(instance: PlacementInstance, sweeps: number): number {
  const relaxation = Relaxation.from(instance, instance.home);
  for (let sweep = 0; sweep < sweeps; sweep++) relaxation.advance();
  return relaxation.lowerBound;
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

/** Searches at stated processor times, each from the greedy map, whose time is part of theirs. */
async function searched(kernels: Kernels, instance: PlacementInstance, isSmall: boolean): Promise<Placed[]> {
  const context = (): SearchContext => ({ random: seededRandom(SEED) });
  const budgetsMs = isSmall ? BUDGETS_MS.slice(0, 1) : BUDGETS_MS;
  const annealerWith = (settings: AnnealSettings) => annealer(inlineRunner(kernels), settings);
  // The first searches of a process are slow: code is compiled while it runs. A coordinator plans every hour.
  for (let round = 0; round < WARM_UPS; round++) await greedy.optimise(instance, instance.home, context());
  const startedMs = cpuMs();
  const fromGreedy = (await greedy.optimise(instance, instance.home, context())).ownerOf;
  const greedyMs = cpuMs() - startedMs;
  const placed: Placed[] = [
    { name: 'greedy', ownerOf: fromGreedy, settings: { cpuMs: Math.round(greedyMs) } },
  ];
  const search = async (name: string, optimiser: Optimiser, budgetMs: number): Promise<void> => {
    const beforeMs = cpuMs() - greedyMs;
    const { ownerOf, iterations } = await optimiser.optimise(instance, fromGreedy, {
      ...context(),
      isCancelled: () => cpuMs() - beforeMs > budgetMs,
    });
    placed.push({ name, ownerOf, settings: { iterations, cpuMs: Math.round(cpuMs() - beforeMs) } });
  };
  const sample = isSmall ? 5_000 : 50_000;
  let perMs = 1;
  for (let round = 0; round < WARM_UPS; round++) {
    const beforeMs = cpuMs();
    await annealerWith({ ...DEFAULT_ANNEAL_SETTINGS, iterations: sample }).optimise(
      instance,
      fromGreedy,
      context(),
    );
    perMs = sample / (cpuMs() - beforeMs);
  }
  for (const budgetMs of budgetsMs) {
    // It cools by its budget, so it has to be told how many proposals that is.
    const iterations = Math.max(1000, Math.round(perMs * (budgetMs - greedyMs)));
    const annealing = annealerWith({ ...DEFAULT_ANNEAL_SETTINGS, iterations });
    await search(`anneal-${budgetMs}ms`, annealing, budgetMs);
  }
  const combined = portfolio(
    { annealerWith, clock: systemClock() },
    { iterations: Number.MAX_SAFE_INTEGER, lanes: 2 },
  );
  for (let round = 0; round < WARM_UPS; round++)
    await combined.optimise(instance, fromGreedy, {
      ...context(),
      isCancelled: cancelAfter(isSmall ? 20 : 200),
    });
  for (const budgetMs of budgetsMs) await search(`portfolio-${budgetMs}ms`, combined, budgetMs);
  return placed;
}

const WARM_UPS = 3;

function cancelAfter(ms: number): () => boolean {
  const startedMs = cpuMs();
  return () => cpuMs() - startedMs > ms;
}
