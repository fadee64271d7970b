import type { Clock } from '../../base/clock.ts';
import type { KernelRunner } from '../../kernels/pool.ts';
import type { OptimizerName } from '../settings.ts';
import { annealer, DEFAULT_ANNEAL_SETTINGS } from './anneal.ts';
import { DEFAULT_GENETIC_SETTINGS, genetic } from './genetic.ts';
import { greedy } from './greedy.ts';
import { naiveHillClimb } from './naive-hill-climb.ts';
import type { Optimiser } from './optimiser.ts';
import { DEFAULT_PORTFOLIO_SETTINGS, portfolio } from './portfolio.ts';

/** What a child of the genetic algorithm takes, in proposals of the annealing kernel: about, for what the budget is worth. */
const PROPOSALS_OF_CHILD = 1000;

export interface OptimizerComponents {
  /** Asked for only by those that use kernels. */
  readonly runner: () => KernelRunner;
  readonly clock: Clock;
}

/** Each with a budget of so many annealing proposals, or what takes about as long; greedy and naive end by themselves. */
export const optimizers: Readonly<
  Record<OptimizerName, (components: OptimizerComponents, iterations: number) => Optimiser>
> = {
  portfolio: ({ runner, clock }, iterations) =>
    portfolio(
      { annealerWith: (settings) => annealer(runner(), settings), clock },
      { ...DEFAULT_PORTFOLIO_SETTINGS, iterations },
    ),
  anneal: ({ runner }, iterations) => annealer(runner(), { ...DEFAULT_ANNEAL_SETTINGS, iterations }),
  genetic: ({ clock }, iterations) =>
    genetic(
      { clock },
      { ...DEFAULT_GENETIC_SETTINGS, iterations: Math.ceil(iterations / PROPOSALS_OF_CHILD) },
    ),
  greedy: () => greedy,
  'naive-hill-climb': () => naiveHillClimb(),
};
