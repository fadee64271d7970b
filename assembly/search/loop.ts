/**
 * Simulated annealing of an assignment of items to nodes, for any problem that can propose a change.
 *
 * A problem is a class that extends SearchState and has
 *   attempt(operator: u32): f64   draws one proposal of that kind, asks `accepts(delta)`, and if so carries it out through
 *                                 `assign`; what the cost changed by, or REJECTED
 *   rebuild(): void               sums its state and `cost` afresh from `owner`
 * and, if its search passes through maps that break a rule,
 *   isLegal(): bool               whether the present map may become the best one
 * The loop knows everything else: temperature, operators and their weights, the best map. A generic function is compiled
 * once for each problem, so that `attempt` is a direct call.
 */
import { EPOCH, REJECTED, SearchState } from "./state";

/** Sums are made afresh after so many accepted proposals: f32 sums drift by about 1e-7 each. A power of two. */
const REBUILD_ACCEPTS: u32 = 16384;

/** Starts from `owner` as it stands: sums the cost, and the best map is the present one. */
export function resetSearch<P extends SearchState>(block: usize): void {
  const search = changetype<P>(block);
  search.rebuild();
  search.bestCost = search.isLegal() ? search.cost : Infinity;
  search.level = search.cost;
  memory.copy(search.bestOwner, search.owner, (<usize>search.itemCount) << 2);
  search.journalCount = 0;
  search.iteration = 0;
  search.acceptedCount = 0;
  search.sampleCount = 0;
  search.fillOperatorTable();
}

/** So many proposals; the block keeps all state, so that chunks of any size give the same as one long call. */
export function runSearch<P extends SearchState>(block: usize, iterations: u32): void {
  const search = changetype<P>(block);
  for (let i: u32 = 0; i < iterations; i++) {
    const operator = search.drawOperator();
    const delta = search.attempt(operator);
    search.countTry(operator);
    if (delta != REJECTED) {
      search.cost += delta;
      search.creditFall(operator);
      search.acceptedCount++;
      if ((search.acceptedCount & (REBUILD_ACCEPTS - 1)) == 0) search.rebuild();
      if (search.cost < search.bestCost - search.bestMargin && search.isLegal()) search.keepBest();
    }
    search.iteration++;
    if ((search.iteration & (EPOCH - 1)) == 0) search.endEpoch();
  }
}
