/** Solves an instance of the competition as it stands in its files, and lets the checker judge what comes out. */
import { performance } from 'node:perf_hooks';
import { highsSolver } from '../../plugin/solver/highs-solver.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import { lowerBound } from './bound.ts';
import { checkSolution } from './checker.ts';
import type { InstanceFiles } from './instances.ts';
import type { Budget } from './leg.ts';
import { type Model, readAssignment, readModel } from './model.ts';
import { solve } from './solve.ts';

export interface SolveFilesOptions {
  /** Of all, reading and judging included; or of every thread. */
  readonly budget: { readonly seconds: number } | { readonly iterations: number };
  readonly threads: number;
  readonly seed: bigint;
  readonly isVerbose?: boolean;
  /** @see SolveOptions.isInline */
  readonly isInline?: boolean;
}

/** Kept back from the time given, for judging and writing the solution of the largest instances. */
const CLOSING_SECONDS = 0.5;

export interface SolvedFiles {
  readonly machineOf: Int32Array;
  readonly cost: bigint;
  readonly startCost: bigint;
  readonly bound: bigint;
  readonly iterations: number;
  readonly kind: string;
}

/**
 * @param elapsedMs of the time given, before the files were read.
 * @throws ForeshardError FORESHARD_CORRUPT when the start breaks a constraint, or the solution found.
 */
export async function solveFiles(
  files: Pick<InstanceFiles, 'model' | 'assignment'>,
  { budget, threads, seed, isVerbose = false, isInline = false }: SolveFilesOptions,
  elapsedMs = 0,
): Promise<SolvedFiles> {
  const before = performance.now();
  const model = readModel(files.model);
  const initial = readAssignment(files.assignment, model);
  const startCost = judged(model, initial, initial, files.assignment);
  const spentMs = elapsedMs + performance.now() - before;
  const searchBudget: Budget =
    'iterations' in budget
      ? budget
      : { milliseconds: Math.max(1, 1000 * (budget.seconds - CLOSING_SECONDS) - spentMs) };
  const solvers = Array.from({ length: threads }, () => highsSolver());
  const solution = await solve(model, initial, {
    budget: searchBudget,
    threads,
    seed,
    isInline,
    solvers,
    ...(isVerbose ? { onProgress: ({ phase, cost }) => console.error(`${phase}  ${cost}`) } : {}),
  }).finally(() => Promise.all(solvers.map((solver) => solver.close())));
  const cost = judged(model, initial, solution.machineOf, 'the solution found');
  if (cost !== BigInt(solution.cost))
    throw new Error(`the search counts ${solution.cost} where the checker counts ${cost}`);
  return { ...solution, cost, startCost, bound: lowerBound(model) };
}

function judged(model: Model, initial: Int32Array, machineOf: Int32Array, name: string): bigint {
  const { violations, cost } = checkSolution(model, initial, machineOf);
  if (violations.length === 0) return cost.total;
  const shown = violations.slice(0, 5).map(({ constraint, what }) => `  ${constraint}: ${what}`);
  throw new ForeshardError(
    'FORESHARD_CORRUPT',
    'fix-config',
    `${name} breaks ${violations.length} constraints:\n${shown.join('\n')}`,
  );
}
