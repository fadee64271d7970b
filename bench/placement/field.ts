import type { PlacementInstance } from '../../src/affinity/instance.ts';

/**
 * What operators use today, written from its documentation and source as named baselines. Each looks at one number a
 * partition and one a node; none knows time, price of moving, or doubt.
 */

/**
 * `redis-cli --cluster rebalance` with weights: every node is to hold its share of the partitions by count; who holds more
 * than 2 % too many gives the first ones it has to who holds too few. Load is not looked at.
 *
 * @param weight f64[node], above 0.
 * @returns i32[partition], owners.
 */
export function redisCliRebalance({ home, nodeCount }: PlacementInstance, weight: Float64Array): Int32Array {
  const THRESHOLD = 0.02;
  const ownerOf = home.slice();
  const weightSum = weight.reduce((sum, own) => sum + own, 0);
  const excess = Array.from(weight, (own) => -Math.trunc((home.length / weightSum) * own));
  for (const n of home) excess[n]!++;
  const isOff = excess.some((own, n) => {
    const expected = (home.length / weightSum) * (weight[n] as number);
    return Math.abs(own) > THRESHOLD * expected;
  });
  if (!isOff) return ownerOf;
  const order = [...Array(nodeCount).keys()].sort((a, b) => (excess[a] as number) - (excess[b] as number));
  let low = 0;
  let high = nodeCount - 1;
  while (low < high) {
    const target = order[low] as number;
    const source = order[high] as number;
    let count = Math.min(-(excess[target] as number), excess[source] as number);
    for (let p = 0; p < home.length && count > 0; p++)
      if (ownerOf[p] === source) {
        ownerOf[p] = target;
        excess[source]!--;
        excess[target]!++;
        count--;
      }
    if ((excess[target] as number) >= 0) low++;
    if ((excess[source] as number) <= 0) high--;
  }
  return ownerOf;
}

/**
 * Citus's shard rebalancer: from the most utilised node to the least, the costliest shard whose move leaves the target less
 * utilised than the source was, by at least half of what the shard itself weighs unless it stays below the source even
 * then. It ends once all nodes are within a hundredth of the mean, the least threshold that it allows.
 *
 * @param load f64[partition]; capacity f64[node], above 0.
 * @returns i32[partition], owners.
 * @see Citus, shard_rebalancer.c: citus_rebalance_start, improvement_threshold 0.5
 */
export function citusGreedy(
  { home }: PlacementInstance,
  load: Float64Array,
  capacity: Float64Array,
): Int32Array {
  const THRESHOLD = 0.01;
  const IMPROVEMENT_MIN = 0.5;
  const ownerOf = home.slice();
  const used = new Float64Array(capacity.length);
  home.forEach((n, p) => {
    used[n]! += load[p] as number;
  });
  const mean = load.reduce((sum, own) => sum + own, 0) / capacity.reduce((sum, own) => sum + own, 0);
  const utilisation = (n: number, more = 0): number => ((used[n] as number) + more) / (capacity[n] as number);
  const byLoad = [...load.keys()].sort((p, q) => (load[q] as number) - (load[p] as number));

  const oneMove = (): boolean => {
    const nodes = [...capacity.keys()].sort((a, b) => utilisation(b) - utilisation(a));
    for (const source of nodes)
      for (const target of nodes.toReversed()) {
        const isSourceFine = utilisation(source) <= (1 + THRESHOLD) * mean;
        if (isSourceFine && utilisation(target) >= (1 - THRESHOLD) * mean) return false;
        if (utilisation(source) <= utilisation(target)) break;
        for (const p of byLoad) {
          if (ownerOf[p] !== source) continue;
          const own = load[p] as number;
          const after = utilisation(target, own);
          const gain = (utilisation(source) - after) / (own / (capacity[target] as number));
          if (after >= utilisation(source, -own) && !(after < utilisation(source) && gain >= IMPROVEMENT_MIN))
            continue;
          ownerOf[p] = target;
          used[source]! -= own;
          used[target]! += own;
          return true;
        }
      }
    return false;
  };
  // Every move lowers the pair's larger utilisation, so it ends; the limit is there for rounding.
  for (let step = 0; step < 10 * load.length && oneMove(); step++);
  return ownerOf;
}
