import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { type Sliced, untilCancelled } from '../../base/slices.ts';
import type { PlacementState } from '../cost-model.ts';
import type { PlacementInstance } from '../instance.ts';
import { Relaxation } from '../lp/relaxation.ts';
import { rounding } from '../lp/rounding.ts';
import { crossing, movingLegally, settling } from './crossover.ts';
import { type Elite, Elites } from './elites.ts';
import { descending } from './greedy.ts';
import type { Optimiser, OptimiserResult, SearchContext } from './optimiser.ts';

export interface GeneticSettings {
  /** Children made. */
  readonly iterations: number;
  readonly populationSize: number;
  /** Maps that a parent is the best of, drawn at random: more press harder towards the best. */
  readonly tournamentSize: number;
  /** Partitions that are sent anywhere in a child, on average. */
  readonly mutations: number;
}

/** Found by trial on the bench's instances: smaller populations, or less mutation, soon agree on one map. */
export const DEFAULT_GENETIC_SETTINGS: GeneticSettings = {
  iterations: 20_000,
  populationSize: 96,
  tournamentSize: 2,
  mutations: 8,
};

/** Turns of settling: the first does nearly all. */
const SETTLE_TURNS = 2;

/** Rounds of the relaxation that seeds the population. */
const RELAX_ROUNDS = 6;

/** Share of the movable partitions that a founder is stirred by: far enough apart to have something to exchange. */
const STIR_SHARE = 0.1;

/** Additions between two reports: about 5 ms. */
const CELLS_BETWEEN_REPORTS = 4_000_000;

/**
 * A genetic algorithm on maps: tournaments choose two parents, uniform crossover mixes them, repair keeps the rules,
 * mutation sends a few partitions anywhere, and the partitions in dispute settle where they cost least. A child replaces the
 * worst of the population if it is better and new. Founders are the start map, its greedy descent, the rounded relaxation
 * and stirred copies of these, so it is never worse than any of them.
 *
 * It judges each child by the f64 objective on the calling thread, thousands a second, where the annealing kernel tries
 * millions of single moves: by itself it beats the greedy descent, not the annealing. What it adds to a portfolio is
 * crossover: two good maps that differ in ten partitions have a thousand children, and no single move leads there.
 *
 * @see Eiben & Smith, "Introduction to evolutionary computing", 2015, 5 (tournaments, steady state)
 */
export function genetic(
  components: { readonly clock: Clock },
  settings: GeneticSettings = DEFAULT_GENETIC_SETTINGS,
): Optimiser {
  return {
    name: 'genetic',
    async optimise(instance, start, context) {
      const population = new Elites(instance, start, settings.populationSize);
      const progress = { children: 0 };
      const work = evolving(population, progress, { start, settings, context });
      // The population is whole whenever the work rests.
      await untilCancelled(work, {
        clock: components.clock,
        isCancelled: () => context.isCancelled?.() ?? false,
      });
      report(population, context, progress.children);
      return resultOf(population, progress.children);
    },
  };
}

function* evolving(
  population: Elites,
  progress: { children: number },
  {
    start,
    settings,
    context,
  }: { readonly start: Int32Array; readonly settings: GeneticSettings; readonly context: SearchContext },
): Sliced<void> {
  const random = context.random.fork('genetic');
  const { partitionCount, depth } = population.instance;
  yield* founding(population, start, { settings, random });
  let cells = 0;
  while (progress.children < settings.iterations && context.isOver?.(progress.children) !== true) {
    yield* breeding(population, settings, random);
    progress.children++;
    yield;
    cells += partitionCount * depth;
    if (cells < CELLS_BETWEEN_REPORTS) continue;
    cells = 0;
    report(population, context, progress.children);
  }
}

function* founding(
  population: Elites,
  start: Int32Array,
  { settings, random }: { readonly settings: GeneticSettings; readonly random: Random },
): Sliced<void> {
  const { instance } = population;
  yield* population.offering(start);
  const founders = [start, (yield* descending(instance, start)).ownerOf];
  const relaxation = yield* Relaxation.building(instance, start);
  yield;
  for (let round = 0; round < RELAX_ROUNDS; round++) yield* relaxation.pieces();
  founders.push(yield* rounding(relaxation, yield* relaxation.reducing()));
  for (const founder of founders) {
    yield* population.offering(founder);
    yield;
  }
  for (let i = 0; i < settings.populationSize; i++) {
    const founder = founders[i % founders.length] as Int32Array;
    const stirred = yield* stirring(instance, founder, random);
    yield* population.offering(stirred.ownerOf);
    yield;
  }
}

/** A copy in which some partitions went anywhere and then settled. */
function* stirring(instance: PlacementInstance, ownerOf: Int32Array, random: Random): Sliced<PlacementState> {
  const state = yield* movingLegally(instance, ownerOf);
  const movable = [...instance.isMovable.keys()].filter((p) => instance.isMovable[p] === 1);
  const stir: number[] = [];
  for (let i = 0; i < STIR_SHARE * movable.length; i++)
    stir.push(movable[random.nextBelow(movable.length)] as number);
  yield* mutating(state, stir, random);
  yield;
  yield* settling(state, stir, SETTLE_TURNS);
  return state;
}

function* mutating(state: PlacementState, partitions: readonly number[], random: Random): Sliced<void> {
  for (const p of partitions) {
    yield;
    const target = random.nextBelow(state.instance.nodeCount);
    if (target !== state.ownerOf[p] && state.canMove(p, target)) state.move(p, target);
  }
}

/** Makes one child and offers it to the population. Returns whether it is the new best. */
export function* breeding(
  population: Elites,
  settings: Pick<GeneticSettings, 'tournamentSize' | 'mutations'>,
  random: Random,
): Sliced<boolean> {
  const { instance } = population;
  const first = tournament(population.all, settings.tournamentSize, random);
  const second = tournament(population.all, settings.tournamentSize, random);
  const parents = { first: first.ownerOf, second: second.ownerOf };
  const { child, disputed } = yield* crossing(instance, parents, random);
  const mutants = Array.from({ length: random.nextBelow(2 * settings.mutations + 1) }, () =>
    random.nextBelow(instance.partitionCount),
  );
  yield* mutating(child, mutants, random);
  yield;
  yield* settling(child, [...disputed, ...mutants], SETTLE_TURNS);
  return yield* population.offering(child.ownerOf);
}

function tournament(all: readonly Elite[], size: number, random: Random): Elite {
  // They are sorted by cost, so that the best of those drawn has the lowest index.
  let best = all.length - 1;
  for (let i = 0; i < size; i++) best = Math.min(best, random.nextBelow(all.length));
  return all[best] as Elite;
}

function report(population: Elites, context: SearchContext, iterations: number): void {
  const { ownerOf, cost } = population.best;
  const { home } = population.instance;
  const moved = ownerOf.reduce((count, n, p) => count + (n === home[p] ? 0 : 1), 0);
  context.onProgress?.({ cost, moved, iterations });
}

const resultOf = (population: Elites, iterations: number): OptimiserResult => ({
  ownerOf: population.best.ownerOf.slice(),
  iterations,
  elites: population.all.map(({ ownerOf }) => ownerOf),
});
