import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { PlacementInstance } from '../instance.ts';

/** A way to look for a better map. What it finds is a suggestion: the planner judges it, in f64. */
export interface Optimiser {
  /** Names it in proposals, benches and the table of policies. */
  readonly name: string;
  /**
   * The same instance, start and seed give the same result, unless {@link SearchContext.isCancelled} ended the search.
   *
   * @param start i32[partition], a map that keeps the rules; not changed.
   * @returns a map that keeps the rules of the instance if `start` did.
   */
  optimise(instance: PlacementInstance, start: Int32Array, context: SearchContext): Promise<OptimiserResult>;
}

/** What a search draws from, and what it answers to while it runs. */
export interface SearchContext {
  readonly random: Random;
  /** Where it is given, the search lets others run every few milliseconds, so that a cancellation can arrive. */
  readonly clock?: Clock;
  /**
   * Asked at least every 10 ms; once it is true, the search returns what it has. It may look at a clock: the result then
   * depends on the machine, and only `iterations` of the result says how far it came.
   */
  isCancelled?(): boolean;
  /**
   * Whether time is over: asked where the search could stop and be made again up to the same point, which `iterations` alone
   * names. So a search that is told to stop at what another one had come to finds the same map; a cancelled one may not.
   */
  isOver?(iterations: number): boolean;
  /** Told between two pieces of work, never more often than about every 5 ms. */
  onProgress?(progress: SearchProgress): void;
}

/** How far a search has come. */
export interface SearchProgress {
  /** Of the best map so far, as the search itself sees it: f32 sums in the kernels. */
  readonly cost: number;
  /** Partitions away from home in that map. */
  readonly moved: number;
  readonly iterations: number;
  /** Bytes of these partitions, where the search counts them. */
  readonly bytesMoved?: number;
  /** What no map can cost less than, where the search has found it out. */
  readonly lowerBound?: number;
}

export interface OptimiserResult {
  readonly ownerOf: Int32Array;
  /** Steps taken, in the optimiser's own unit. */
  readonly iterations: number;
  /** Other good maps that keep the rules, best first and all different: parents for a recombination. */
  readonly elites?: readonly Int32Array[];
  /** What no map of the instance can cost less than, where the search has found it out. */
  readonly lowerBound?: number;
}
