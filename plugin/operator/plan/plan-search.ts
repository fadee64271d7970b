import type { SearchContext } from '../../../src/affinity/optimisers/optimiser.ts';
import { optimizers } from '../../../src/affinity/optimisers/registry.ts';
import { type PreparedPlan, preparePlan } from '../../../src/affinity/plan-instance.ts';
import type { AffinitySettings, OptimizerName } from '../../../src/affinity/settings.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
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
 *
 * @param clock of the time limit.
 */
export async function planNamed(
  named: NamedInstance,
  flags: SearchFlags,
  settings: AffinitySettings,
  clock: Pick<Clock, 'monotonicMs'> = systemClock(),
): Promise<ScheduledPlan> {
  const { optimizer, iterations } = settings;
  const { seed, seconds, annealIterations = iterations } = flags;
  const endMs = seconds === undefined ? null : clock.monotonicMs() + 1000 * seconds;
  const isOver = endMs === null ? undefined : () => clock.monotonicMs() >= endMs;
  const searches = await SearchSeries.start(named, settings, { seed, isOver });
  if (isOver !== undefined) return planUntil(searches, { seed, optimizer, isOver });
  let best = (await searches.search(optimizer, { iterations, seed })) ?? searches.greedy();
  // Those that are cheap beside it, and the more of them where hours were short.
  const others: [OptimizerName, number][] = [];
  if (optimizer === 'portfolio') others.push(['anneal', annealIterations]);
  if (best.leftOut.length > 0 && optimizer === 'portfolio')
    others.push(['portfolio', FIRST_ITERATIONS], ['genetic', annealIterations]);
  for (const [name, steps] of others)
    best = cheaper(best, (await searches.search(name, { iterations: steps, seed })) ?? best);
  return best.leftOut.length > 0 ? cheaper(best, searches.greedy()) : best;
}

/**
 * Searches again and again from other seeds, each time longer, until time is over; the best of them. What each does depends
 * on its number alone, and one that is cut short is not looked at: so who waits longer gets the same searches and more, and
 * never a worse plan.
 */
async function planUntil(
  searches: SearchSeries,
  {
    seed,
    optimizer,
    isOver,
  }: { readonly seed: number; readonly optimizer: OptimizerName; readonly isOver: () => boolean },
): Promise<ScheduledPlan> {
  let best = searches.greedy();
  const isOneSearch = optimizer === 'greedy' || optimizer === 'naive-hill-climb';
  for (let round = 0; !searches.isDecided && !isOver(); round++) {
    if (round > 0 && isOneSearch) break;
    const iterations = Math.min(ITERATIONS_MAX, Math.round(FIRST_ITERATIONS * GROWTH ** round));
    const found = await searches.search(optimizer, { iterations, seed: (seed + round) % 2 ** 32 });
    if (found === null) break;
    best = cheaper(best, found);
  }
  return best;
}

/** Under 100 ms in most instances. */
const FIRST_ITERATIONS = 50_000;
/** Of one search to the next: the longest that is finished has a fifth of the time at least, and a third at most is lost. */
const GROWTH = 1.5;
/** Steps are counted in 32 bits. */
const ITERATIONS_MAX = 4_000_000_000;

/** The first where both cost the same; the steps of both, and the better of the bounds: both hold. */
function cheaper(first: ScheduledPlan, second: ScheduledPlan): ScheduledPlan {
  const best = second.costAfter < first.costAfter ? second : first;
  return {
    ...best,
    lowerBound: Math.max(first.lowerBound, second.lowerBound),
    iterations: first.iterations + second.iterations,
  };
}

/** Searches of one instance: they share one kernel memory, the bound and the greedy plan. */
class SearchSeries {
  readonly #named: NamedInstance;
  readonly #settings: AffinitySettings;
  readonly #prepared: PreparedPlan;
  readonly #isOver: (() => boolean) | undefined;
  readonly #components = { runner: onceOf(() => inlineRunner(loadKernels())), clock: systemClock() };

  static async start(
    named: NamedInstance,
    settings: AffinitySettings,
    { seed, isOver }: { readonly seed: number; readonly isOver: (() => boolean) | undefined },
  ): Promise<SearchSeries> {
    const prepared = await preparePlan(named.instance, {
      context: contextOf(seed, isOver),
      benefitCostRatio: settings.benefitCostRatio,
      boundTolerance: settings.boundTolerance,
      units: named.units,
    });
    return new SearchSeries(named, settings, { prepared, isOver });
  }

  private constructor(
    named: NamedInstance,
    settings: AffinitySettings,
    { prepared, isOver }: { readonly prepared: PreparedPlan; readonly isOver: (() => boolean) | undefined },
  ) {
    this.#named = named;
    this.#settings = settings;
    this.#prepared = prepared;
    this.#isOver = isOver;
  }

  /** Whether no search can add anything. */
  get isDecided(): boolean {
    return this.#prepared.isDecided;
  }

  greedy(): ScheduledPlan {
    return schedulePlan(this.#named, this.#prepared.greedyPlan(), this.#settings);
  }

  /** The same file, settings and seed give the same plan; null if time was over before it came to its end. */
  async search(
    optimizer: OptimizerName,
    { iterations, seed }: { readonly iterations: number; readonly seed: number },
  ): Promise<ScheduledPlan | null> {
    const optimiser = optimizers[optimizer](this.#components, iterations);
    const found = await this.#prepared.search(optimiser, contextOf(seed, this.#isOver), 'whole');
    return found && schedulePlan(this.#named, found, this.#settings);
  }
}

function contextOf(seed: number, isCancelled: (() => boolean) | undefined): SearchContext {
  return {
    random: seededRandom(BigInt(seed)).fork('plan'),
    ...(isCancelled === undefined ? {} : { isCancelled }),
  };
}

function onceOf(make: () => KernelRunner): () => KernelRunner {
  let made: KernelRunner | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
