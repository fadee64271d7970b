import type { LinearSolution, LinearSolver } from '../../ports/linear-solver.ts';
import type { PlacementInstance } from '../instance.ts';
import type { Choices } from './choices.ts';
import { placementProgram } from './placement-program.ts';
import { Relaxation } from './relaxation.ts';

export interface OuterApproximationOptions {
  /** Whole partitions: the mixed-integer programme, which takes seconds to hours, instead of the linear one. */
  readonly isInteger: boolean;
  readonly secondsMax: number;
  readonly signal?: AbortSignal;
}

export interface OuterApproximation {
  readonly status: LinearSolution['status'];
  /** What the solver says no map falls below, within its tolerances. */
  readonly bound: number;
  readonly choices: Choices;
  /** f64[choice]: shares; all 0 or 1 for whole partitions. Null if the solver found no point in its time. */
  readonly shareOf: Float64Array | null;
}

/**
 * Where tangents touch, as multiples of a node's load at the relaxed minimum. Loads of good maps lie within some percent of
 * it, so that the tangents are dense there: at these distances the approximation is about 1e-6 below a curve at
 * utilisation 0.6. The outer ones only keep the programme bounded.
 */
const TANGENT_FACTORS = [
  0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1, 1.001, 1.002, 1.005, 1.01, 1.02, 1.05, 1.1, 1.2,
  1.5,
];

/** Rounds of sweeps; tangents need the minimum to three digits. */
const RELAX_ROUNDS = 20;

/** The placement problem handed to a general solver: an independent check of the relaxation, and a baseline of searches. */
export async function solveOuterApproximation(
  solver: LinearSolver,
  instance: PlacementInstance,
  options: OuterApproximationOptions,
): Promise<OuterApproximation> {
  const relaxation = Relaxation.from(instance, instance.home);
  for (let round = 0; round < RELAX_ROUNDS; round++) relaxation.advance();
  const { choices } = relaxation;
  const loads = relaxation.loads();
  const { program } = placementProgram(instance, choices, {
    tangentsAt: TANGENT_FACTORS.map((factor) => loads.map((used) => used * factor)),
    isInteger: options.isInteger,
  });
  const { secondsMax, signal } = options;
  const solution = await solver.solve(program, { secondsMax, ...(signal && { signal }) });
  return {
    status: solution.status,
    bound: solution.bound,
    choices,
    shareOf: solution.hasPoint ? solution.columnValue.subarray(0, choices.nodeOf.length) : null,
  };
}

/** i32[partition]: each partition where most of it is. */
export function largestShares(choices: Choices, shareOf: Float64Array): Int32Array {
  return Int32Array.from({ length: choices.startOf.length - 1 }, (_, p) => {
    let most = choices.startOf[p] as number;
    for (let c = most; c < (choices.startOf[p + 1] as number); c++)
      if ((shareOf[c] as number) > (shareOf[most] as number)) most = c;
    return choices.nodeOf[most] as number;
  });
}
