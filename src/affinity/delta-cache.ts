import { assert } from '../base/assert.ts';
import type { NodeCost, PlacementState } from './cost-model.ts';

/**
 * What leaving its node and joining another would make of the two nodes, for each partition and node, kept while neither
 * changes: a step changes two nodes, so that most of what was computed for the last step still holds.
 */
export class DeltaCache {
  readonly #state: PlacementState;
  /** Steps so far when a node last changed. */
  readonly #changedAt: Int32Array;
  readonly #leave: CachedCosts;
  /** [partition][node], or [partition] where each has one target. */
  readonly #join: CachedCosts;
  readonly #targetCount: number;

  /** @param targetCount how many nodes a partition is asked about: all of them, or always the same one. */
  constructor(state: PlacementState, targetCount: number) {
    const { partitionCount, nodeCount, peakWeight } = state.instance;
    assert(targetCount === nodeCount || targetCount === 1, 'a partition is asked about every node or one');
    this.#state = state;
    this.#targetCount = targetCount;
    this.#changedAt = new Int32Array(nodeCount);
    this.#leave = new CachedCosts(partitionCount, peakWeight > 0);
    this.#join = new CachedCosts(partitionCount * targetCount, peakWeight > 0);
  }

  /** By how much the node of a partition would cost less without it: no move of it alone can lower the load's cost by more. */
  leaveGain(partition: number, step: number): number {
    const state = this.#state;
    const source = state.ownerOf[partition] as number;
    this.#freshen(partition, source, step);
    return state.nodeCost(source) - this.#leave.get(partition).cost;
  }

  /** PlacementState.moveDelta. */
  moveDelta(partition: number, node: number, step: number): number {
    return this.loadDelta(partition, node, step) + this.#state.ruleDelta(partition, node);
  }

  /** PlacementState.loadDelta. */
  loadDelta(partition: number, node: number, step: number): number {
    const state = this.#state;
    const source = state.ownerOf[partition] as number;
    const at = this.#targetCount === 1 ? partition : partition * this.#targetCount + node;
    this.#freshen(partition, source, step);
    if (!this.#join.isFresh(at, this.#changedAt[node] as number))
      this.#join.set(at, step, state.costJoined(partition, node));
    return state.pairDelta(source, this.#leave.get(partition), node, this.#join.get(at));
  }

  #freshen(partition: number, source: number, step: number): void {
    if (!this.#leave.isFresh(partition, this.#changedAt[source] as number))
      this.#leave.set(partition, step, this.#state.costWithout(partition));
  }

  /** A partition has gone from one to the other in `step`; what was computed before it no longer holds for them. */
  noteMove(partition: number, source: number, target: number, step: number): void {
    this.#changedAt[source] = step + 1;
    this.#changedAt[target] = step + 1;
    this.#leave.forget(partition);
  }
}

/** Costs of nodes, each with the step in which it was computed. */
class CachedCosts {
  readonly #cost: Float64Array;
  readonly #peak: Float64Array;
  readonly #step: Int32Array;

  /** @param hasPeaks false where peaks are not counted: then they are not kept either. */
  constructor(count: number, hasPeaks: boolean) {
    this.#cost = new Float64Array(count);
    this.#peak = new Float64Array(hasPeaks ? count : 0);
    this.#step = new Int32Array(count).fill(-1);
  }

  isFresh(at: number, changedStep: number): boolean {
    return (this.#step[at] as number) >= changedStep;
  }

  get(at: number): NodeCost {
    return { cost: this.#cost[at] as number, peak: this.#peak[at] ?? 0 };
  }

  set(at: number, step: number, { cost, peak }: NodeCost): void {
    this.#cost[at] = cost;
    this.#peak[at] = peak;
    this.#step[at] = step;
  }

  forget(at: number): void {
    this.#step[at] = -1;
  }
}
