import type { Optimiser } from '../../../src/affinity/optimiser.ts';
import { optimizers } from '../../../src/affinity/optimizers.ts';
import { type InstancePlan, planInstance } from '../../../src/affinity/plan-instance.ts';
import type { AffinitySettings, OptimizerName } from '../../../src/affinity/settings.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { inlineRunner, type KernelRunner } from '../../../src/kernels/pool.ts';
import type { PlanFlags } from './flags.ts';
import type { NamedInstance } from './make-instance.ts';
import { type ScheduledPlan, schedulePlan } from './time-plan.ts';

type SearchFlags = Pick<PlanFlags, 'seconds' | 'seed'> & {
  /** Of the annealing that the portfolio's plan is compared with; as for the portfolio if absent. */
  readonly annealIterations?: number;
};

/**
 * The cheapest plan with the slots of its moves. A search knows nothing of slots: where the horizon is too short for some
 * moves, a map that looked worse may lose fewer. So plans are compared when they have their hours.
 */
export async function planNamed(
  named: NamedInstance,
  flags: SearchFlags,
  settings: AffinitySettings,
): Promise<ScheduledPlan> {
  // One kernel memory for all searches of the command, and none where nothing needs it.
  const components = { runner: onceOf(() => inlineRunner(loadKernels())), clock: systemClock() };
  const search: Search = async (optimizer, iterations, { seed = flags.seed, isCancelled } = {}) => {
    const optimiser = optimizers[optimizer](components, iterations);
    const found = await searchNamed(named, optimiser, settings, { seed, isCancelled });
    return schedulePlan(named, found, settings);
  };
  const { optimizer, iterations } = settings;
  if (flags.seconds !== undefined) return planUntil(1000 * flags.seconds, search, { ...flags, optimizer });
  let best = await search(optimizer, iterations);
  // Those that are cheap beside it, and the more of them where hours were short.
  const others: [OptimizerName, number][] = [];
  if (optimizer === 'portfolio') others.push(['anneal', flags.annealIterations ?? iterations]);
  if (best.leftOut.length > 0 && optimizer === 'portfolio')
    others.push(['portfolio', TRIAL_ITERATIONS], ['genetic', flags.annealIterations ?? iterations]);
  if (best.leftOut.length > 0) others.push(['greedy', 0]);
  for (const [name, steps] of others) best = cheaper(best, await search(name, steps));
  return best;
}

type Search = (
  optimizer: OptimizerName,
  iterations: number,
  options?: { readonly seed?: number; readonly isCancelled?: () => boolean },
) => Promise<ScheduledPlan>;

/** The first where both cost the same; the steps of both. */
function cheaper(first: ScheduledPlan, second: ScheduledPlan): ScheduledPlan {
  const best = second.costAfter < first.costAfter ? second : first;
  return { ...best, iterations: first.iterations + second.iterations };
}

/** Searches again, each time with what the time left is good for and from another seed, until it is over. */
async function planUntil(
  timeMs: number,
  search: Search,
  { seed, optimizer }: { readonly seed: number; readonly optimizer: OptimizerName },
): Promise<ScheduledPlan> {
  const start = performance.now();
  const leftMs = (): number => start + timeMs - performance.now();
  // How many steps the time is good for, a cooling schedule has to know beforehand: a short run tells the rate.
  let best = await search(optimizer, TRIAL_ITERATIONS);
  let stepsPerMs = TRIAL_ITERATIONS / Math.max(1, performance.now() - start);
  const isDecided = best.refusal === 'near-bound' || best.refusal === 'residence';
  const isOver = isDecided || optimizer === 'greedy' || optimizer === 'naive-hill-climb';
  for (let round = 0; !isOver; round++) {
    const iterations = Math.min(ITERATIONS_MAX, Math.floor(stepsPerMs * leftMs()));
    if (iterations < 1) break;
    const begin = performance.now();
    const found = await search(optimizer, iterations, {
      seed: (seed + round) % 2 ** 32,
      isCancelled: () => leftMs() <= 0,
    });
    stepsPerMs = iterations / Math.max(1, performance.now() - begin);
    best = cheaper(best, found);
  }
  return best;
}

/** The same file, flags and settings give the same plan, unless `isCancelled` leaves it to the machine how far it comes. */
function searchNamed(
  { instance, units }: NamedInstance,
  optimiser: Optimiser,
  settings: AffinitySettings,
  { seed, isCancelled }: { readonly seed: number; readonly isCancelled: (() => boolean) | undefined },
): Promise<InstancePlan> {
  return planInstance(instance, {
    optimiser,
    context: {
      random: seededRandom(BigInt(seed)).fork('plan'),
      ...(isCancelled === undefined ? {} : { isCancelled }),
    },
    benefitCostRatio: settings.benefitCostRatio,
    boundTolerance: settings.boundTolerance,
    units,
  });
}

/** Enough that the greedy descent before the search does not hide its rate; under 100 ms in most instances. */
const TRIAL_ITERATIONS = 50_000;
/** Steps are counted in 32 bits. */
const ITERATIONS_MAX = 4_000_000_000;

function onceOf(make: () => KernelRunner): () => KernelRunner {
  let made: KernelRunner | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
