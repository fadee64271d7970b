import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { CANCELLED, type Sliced, untilCancelled } from '../../base/slices.ts';
import type { PlacementInstance } from '../instance.ts';
import { Relaxation } from '../lp/relaxation.ts';
import { rankingByRegret, rounding } from '../lp/rounding.ts';
import type { AnnealSettings } from './anneal.ts';
import { Elites } from './elites.ts';
import { breeding } from './genetic.ts';
import type { Optimiser, OptimiserResult, SearchContext, SearchProgress } from './optimiser.ts';

export interface PortfolioSettings {
  /** Proposals of all annealings together. */
  readonly iterations: number;
  /**
   * Annealings side by side in a round. It is part of the result, so it is a setting and not the number of threads: with
   * fewer threads they wait for each other, and find the same.
   */
  readonly lanes: number;
}

export const DEFAULT_PORTFOLIO_SETTINGS: PortfolioSettings = { iterations: 2_000_000, lanes: 2 };

export interface PortfolioComponents {
  readonly annealerWith: (settings: AnnealSettings) => Optimiser;
  /** Lets others run between two pieces of work, so that a cancellation can arrive. */
  readonly clock: Clock;
}

/**
 * Relaxation, rounding and many short annealings of the few partitions that are in doubt.
 *
 * ```
 * relax (bound, prices) -> round -> round 0: lane 0, lane 1 .. -> merge -> round 1: .. -> the best by the f64 objective
 * ```
 * The schedule is fixed: what a lane does depends on the seed and on what the rounds before it found, never on which lane
 * ends first. So seed and iteration budget replay a result, on any number of threads. Time may be over at any piece of work;
 * then what the unfinished round or relaxation has found is dropped, as no number would name it.
 */
export function portfolio(
  components: PortfolioComponents,
  settings: PortfolioSettings = DEFAULT_PORTFOLIO_SETTINGS,
): Optimiser {
  return {
    name: 'portfolio',
    optimise: (instance, start, context) =>
      new PortfolioSearch(components, settings, { instance, start, context }).run(),
  };
}

/** Maps that are kept as parents. */
const ELITES_MAX = 16;

/**
 * Gap of the relaxation, relative, with which the first search begins: a tenth of a percent, which rounding and search need
 * anyway. Between rounds of search it is closed further, to where it shows in no digit that is printed.
 */
const ROUGHLY_RELAXED = 1e-3;
const RELAXED = 1e-6;
/** Rounds of sweeps before the first search at most, and after each round of it. */
const ROUGH_ROUNDS_MAX = 30;
const FINE_ROUNDS = 3;
/** See {@link Relaxation.cellsDone}. About a second, likewise: what is ready by then has to do for the largest problems. */
const CELLS_MAX = 6e8;

/**
 * What the annealings differ in. The fewer partitions are open, the further a short annealing gets; the optimum may need
 * one more to be open, and the relaxation knows nothing of risk and budgets, so that all have their turn. Hot starts forget the start map, cold ones mend it. Found by trial on the bench's instances.
 */
const TASKS: readonly { readonly open: number; readonly startAcceptance: number }[] = [
  { open: 32, startAcceptance: 0.2 },
  { open: 64, startAcceptance: 0.1 },
  { open: 16, startAcceptance: 0.2 },
  { open: 48, startAcceptance: 0.2 },
  { open: 128, startAcceptance: 0.05 },
  { open: 32, startAcceptance: 0.1 },
  { open: Number.POSITIVE_INFINITY, startAcceptance: 0.01 },
];

const END_ACCEPTANCE = 0.0002;

/** Proposals of one annealing for each pair of an open partition and a node: many short ones find more than few long ones. */
const PROPOSALS_PER_PAIR = 100;

/** Elites that annealings begin from in turn. */
const PARENTS_MAX = 4;

/**
 * What a relaxation counts beside the proposals, so that the number of iterations names one state of the search: how it stood after
 * a round, or after a relaxation. A search whose time is over returns the last of these, and one that is told to stop there finds it again.
 */
const OF_A_RELAXATION = 1;

/** Children of a round, in additions, so that they take about 2 ms whatever the size, and at most. */
const CELLS_OF_CHILDREN = 200_000;
const CHILDREN_MAX = 16;
const BREEDING = { tournamentSize: 1, mutations: 2 };

class PortfolioSearch {
  readonly #components: PortfolioComponents;
  readonly #settings: PortfolioSettings;
  readonly #instance: PlacementInstance;
  readonly #context: SearchContext;
  readonly #elites: Elites;
  #lowerBound: number | undefined;
  #iterations = 0;
  #hasRunOut = false;

  constructor(
    components: PortfolioComponents,
    settings: PortfolioSettings,
    problem: { instance: PlacementInstance; start: Int32Array; context: SearchContext },
  ) {
    this.#components = components;
    this.#settings = settings;
    this.#instance = problem.instance;
    this.#context = problem.context;
    this.#elites = new Elites(problem.instance, problem.start, ELITES_MAX);
  }

  async run(): Promise<OptimiserResult> {
    await this.#pause();
    const relaxation = await this.#untilEnded(this.#starting());
    if (this.#isCancelled() || relaxation === CANCELLED) return this.#result();
    let kept = this.#result();
    let order = await this.#relax(relaxation, ROUGHLY_RELAXED, ROUGH_ROUNDS_MAX);
    if (this.#isOver()) return kept;
    this.#iterations += OF_A_RELAXATION;
    kept = this.#result();
    const random = this.#context.random.fork('portfolio');
    let done = 0;
    for (let round = 0; done < this.#settings.iterations && !this.#isCancelled(); round++) {
      const tasks = this.#tasksOf(round, this.#settings.iterations - done);
      const found = await Promise.all(tasks.map((task) => this.#anneal(task, order, random)));
      await this.#untilEnded(this.#merging(found, random.fork(`children of round ${round}`)));
      if (this.#isOver()) return kept;
      for (const { iterations } of found) this.#iterations += iterations;
      for (const { iterations } of tasks) done += iterations;
      this.#report();
      kept = this.#result();
      if (relaxation.gap <= RELAXED * Math.abs(relaxation.lowerBound)) continue;
      order = await this.#relax(relaxation, RELAXED, FINE_ROUNDS);
      if (this.#isOver()) return kept;
      this.#iterations += OF_A_RELAXATION;
      kept = this.#result();
    }
    return this.#result();
  }

  #result(): OptimiserResult {
    return {
      ownerOf: this.#elites.best.ownerOf.slice(),
      iterations: this.#iterations,
      elites: this.#elites.all.map(({ ownerOf }) => ownerOf),
      ...(this.#lowerBound === undefined ? {} : { lowerBound: this.#lowerBound }),
    };
  }

  /** @returns i32[partition]: those first whose best place is least certain; empty if the search has been cancelled. */
  async #relax(relaxation: Relaxation, tolerance: number, roundsMax: number): Promise<Int32Array> {
    await this.#untilEnded(this.#relaxing(relaxation, tolerance, roundsMax));
    const order = await this.#untilEnded(this.#ordering(relaxation));
    this.#report();
    return order === CANCELLED ? new Int32Array(0) : order;
  }

  *#relaxing(relaxation: Relaxation, tolerance: number, roundsMax: number): Sliced<void> {
    const cellsMax = relaxation.cellsDone + CELLS_MAX;
    for (let round = 0; round < roundsMax && relaxation.cellsDone < cellsMax; round++) {
      for (const _ of relaxation.pieces()) {
        if (relaxation.cellsDone >= cellsMax) break;
        yield;
      }
      if (Number.isFinite(relaxation.lowerBound)) this.#lowerBound = relaxation.lowerBound;
      if (relaxation.gap <= tolerance * Math.abs(relaxation.lowerBound)) break;
      yield;
    }
  }

  *#starting(): Sliced<Relaxation> {
    yield* this.#elites.offering(this.#elites.best.ownerOf);
    return yield* Relaxation.building(this.#instance, this.#elites.best.ownerOf);
  }

  *#ordering(relaxation: Relaxation): Sliced<Int32Array> {
    const reducedCost = yield* relaxation.reducing();
    const rounded = yield* rounding(relaxation, reducedCost);
    yield;
    yield* this.#elites.offering(rounded);
    yield;
    return yield* rankingByRegret(relaxation, reducedCost);
  }

  /** Crossover finds what no single move leads to: two good maps that differ in ten partitions have a thousand children. */
  *#merging(found: readonly OptimiserResult[], random: Random): Sliced<void> {
    for (const { ownerOf } of found) {
      yield* this.#elites.offering(ownerOf);
      yield;
    }
    const { partitionCount, depth } = this.#instance;
    const count = Math.min(CHILDREN_MAX, Math.floor(CELLS_OF_CHILDREN / (partitionCount * depth)));
    for (let i = 0; i < count; i++) {
      yield* breeding(this.#elites, BREEDING, random);
      yield;
    }
  }

  #tasksOf(round: number, left: number): Task[] {
    const { lanes } = this.#settings;
    const { nodeCount, partitionCount } = this.#instance;
    const tasks: Task[] = [];
    for (let lane = 0; lane < lanes && left > 0; lane++) {
      const index = round * lanes + lane;
      const { open, startAcceptance } = TASKS[index % TASKS.length] as (typeof TASKS)[number];
      const openCount = Math.min(open, partitionCount);
      const iterations = Math.min(left, PROPOSALS_PER_PAIR * openCount * nodeCount);
      left -= iterations;
      tasks.push({ index, openCount, startAcceptance, iterations });
    }
    return tasks;
  }

  #anneal(task: Task, order: Int32Array, random: Random): Promise<OptimiserResult> {
    const isMovable = new Uint8Array(this.#instance.partitionCount);
    for (const p of order.subarray(0, task.openCount)) isMovable[p] = this.#instance.isMovable[p] as number;
    const { all } = this.#elites;
    const start = all[task.index % Math.min(all.length, PARENTS_MAX)] as { ownerOf: Int32Array };
    const search = this.#components.annealerWith({
      iterations: task.iterations,
      startAcceptances: [task.startAcceptance],
      endAcceptance: END_ACCEPTANCE,
      raceShare: 0,
    });
    return search.optimise({ ...this.#instance, isMovable }, start.ownerOf, {
      random: random.fork(String(task.index)),
      clock: this.#components.clock,
      isCancelled: () => this.#hasEnded(),
    });
  }

  #isCancelled(): boolean {
    return this.#context.isCancelled?.() ?? false;
  }

  /** Whether time is over: asked within a round, too, and what that has found by then is dropped. */
  #isOver(): boolean {
    this.#hasRunOut ||= this.#context.isOver?.(this.#iterations) === true;
    return this.#hasRunOut;
  }

  #hasEnded(): boolean {
    return this.#isCancelled() || this.#isOver();
  }

  #untilEnded<Result>(work: Sliced<Result>): Promise<Result | typeof CANCELLED> {
    return untilCancelled(work, { clock: this.#components.clock, isCancelled: () => this.#hasEnded() });
  }

  #pause(): Promise<void> {
    return this.#components.clock.sleep(0);
  }

  #report(): void {
    const { home, bytes } = this.#instance;
    const { ownerOf, cost } = this.#elites.best;
    let moved = 0;
    let bytesMoved = 0;
    ownerOf.forEach((n, p) => {
      if (n === home[p]) return;
      moved++;
      bytesMoved += bytes[p] as number;
    });
    const progress: SearchProgress = {
      cost,
      moved,
      iterations: this.#iterations,
      bytesMoved,
      ...(this.#lowerBound === undefined ? {} : { lowerBound: this.#lowerBound }),
    };
    this.#context.onProgress?.(progress);
  }
}

interface Task {
  readonly index: number;
  readonly openCount: number;
  readonly startAcceptance: number;
  readonly iterations: number;
}
