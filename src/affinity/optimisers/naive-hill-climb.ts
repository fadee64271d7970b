import type { Optimiser } from './optimiser.ts';

/** Steps of the sketch's loop; enough for it to reach its own optimum on a few hundred partitions. */
const NAIVE_STEPS_DEFAULT = 20_000;

/**
 * The specification's sketch, exactly: swap two random partitions, keep the swap if
 * `sum over partitions of predicted queries x (1 + utilisation of its node)` falls. It is the named baseline, and wrong in
 * a way worth having on record: utilisation is what was measured before, so the cost is linear in the map, and everything
 * heavy goes to the node that was idle. It knows one time slot, no capacity and no price; only pinned partitions and the
 * largest number of moves are kept, so that it plays by the same rules as the others.
 */
export function naiveHillClimb(steps = NAIVE_STEPS_DEFAULT): Optimiser {
  return {
    name: 'naive-hill-climb',
    optimise(instance, start, { random }) {
      const { partitionCount, nodeCount, depth, resourceCount, capacity, home, isMovable, movesMax } =
        instance;
      const ownerOf = start.slice();
      const used = Float64Array.from(
        { length: nodeCount },
        (_, n) => instance.background[n * depth] as number,
      );
      const queries = Float64Array.from(
        { length: partitionCount },
        (_, p) => instance.load[p * depth] as number,
      );
      for (let p = 0; p < partitionCount; p++) used[ownerOf[p] as number]! += queries[p] as number;
      const utilisation = used.map((load, n) => load / (capacity[n * resourceCount] as number));
      let movedCount = 0;
      for (let p = 0; p < partitionCount; p++) if (ownerOf[p] !== home[p]) movedCount++;
      const isAway = (p: number, n: number): number => (n === home[p] ? 0 : 1);

      for (let step = 0; step < steps; step++) {
        const p = random.nextBelow(partitionCount);
        const q = random.nextBelow(partitionCount);
        const a = ownerOf[p] as number;
        const b = ownerOf[q] as number;
        if (a === b || isMovable[p] === 0 || isMovable[q] === 0) continue;
        // (queries_p - queries_q) x (utilisation_b - utilisation_a): all that a swap changes in the sum.
        const delta =
          ((queries[p] as number) - (queries[q] as number)) *
          ((utilisation[b] as number) - (utilisation[a] as number));
        const moved = movedCount + isAway(p, b) + isAway(q, a) - isAway(p, a) - isAway(q, b);
        if (delta >= 0 || moved > movesMax) continue;
        ownerOf[p] = b;
        ownerOf[q] = a;
        movedCount = moved;
      }
      return Promise.resolve({ ownerOf, iterations: steps });
    },
  };
}
