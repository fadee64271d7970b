import type { Random } from '../base/random.ts';
import type { PlacementInstance } from './instance.ts';

/** A way to look for a better map. What it finds is a suggestion: the planner judges it, in f64. */
export interface Optimiser {
  /** Names it in proposals, benches and the table of policies. */
  readonly name: string;
  /**
   * @param start i32[partition], a map that keeps the rules; not changed.
   * @returns a map that keeps the rules of the instance if `start` did.
   */
  optimise(instance: PlacementInstance, start: Int32Array, random: Random): Promise<OptimiserResult>;
}

export interface OptimiserResult {
  readonly ownerOf: Int32Array;
  /** Steps taken, in the optimiser's own unit. */
  readonly iterations: number;
}
