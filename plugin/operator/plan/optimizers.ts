import { annealer, DEFAULT_ANNEAL_SETTINGS } from '../../../src/affinity/anneal.ts';
import { DEFAULT_GENETIC_SETTINGS, genetic } from '../../../src/affinity/genetic.ts';
import { greedy } from '../../../src/affinity/greedy.ts';
import { naiveHillClimb } from '../../../src/affinity/naive-hill-climb.ts';
import type { Optimiser } from '../../../src/affinity/optimiser.ts';
import { DEFAULT_PORTFOLIO_SETTINGS, portfolio } from '../../../src/affinity/portfolio.ts';
import { systemClock } from '../../../src/base/clock.ts';
import type { KernelRunner } from '../../../src/kernels/pool.ts';
import type { OptimizerName } from './flags.ts';

/** What a child of the genetic algorithm takes, in proposals of the annealing kernel: about, for what the budget is worth. */
const PROPOSALS_OF_CHILD = 1000;

/** A budget in the optimiser's own unit; those that use no kernels end by themselves. */
type MakeOptimizer = (runner: () => KernelRunner, iterations: number) => Optimiser;

export const optimizers: Readonly<Record<OptimizerName, MakeOptimizer>> = {
  anneal: (runner, iterations) => annealer(runner(), { ...DEFAULT_ANNEAL_SETTINGS, iterations }),
  portfolio: (runner, iterations) =>
    portfolio(
      { annealerWith: (settings) => annealer(runner(), settings), clock: systemClock() },
      { ...DEFAULT_PORTFOLIO_SETTINGS, iterations },
    ),
  genetic: (_runner, iterations) =>
    genetic(
      { clock: systemClock() },
      { ...DEFAULT_GENETIC_SETTINGS, iterations: Math.ceil(iterations / PROPOSALS_OF_CHILD) },
    ),
  greedy: () => greedy,
  'naive-hill-climb': () => naiveHillClimb(),
};
