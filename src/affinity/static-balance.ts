import { ForeshardError } from '../base/errors.ts';

/**
 * One map balanced by mean load, ignoring where partitions are: longest processing time first (Graham 1969), each
 * partition to the node that is least utilised with it. What a careful operator would deal out by hand: the `static` policy.
 *
 * @param meanLoad f64[partition], >= 0.
 * @param capacity f64[node], same unit per step, > 0.
 * @returns i32[partition], the owners.
 */
export function balanceByMeanLoad(meanLoad: Float64Array, capacity: Float64Array): Int32Array {
  capacity.forEach((own, n) => {
    if (!(own > 0))
      throw new ForeshardError(
        'FORESHARD_CORRUPT',
        'report',
        `capacity of node ${n} is ${own}: it must be above 0`,
      );
  });
  meanLoad.forEach((load, p) => {
    if (!(load >= 0 && Number.isFinite(load)))
      throw new ForeshardError('FORESHARD_CORRUPT', 'report', `mean load of partition ${p} is ${load}`);
  });
  const order = Uint32Array.from(meanLoad.keys()).sort(
    (p, q) => (meanLoad[q] as number) - (meanLoad[p] as number) || p - q,
  );
  const used = new Float64Array(capacity.length);
  const ownerOf = new Int32Array(meanLoad.length);
  for (const p of order) {
    let best = 0;
    let utilisationMin = Number.POSITIVE_INFINITY;
    for (let n = 0; n < capacity.length; n++) {
      const utilisation = ((used[n] as number) + (meanLoad[p] as number)) / (capacity[n] as number);
      if (utilisation < utilisationMin) {
        utilisationMin = utilisation;
        best = n;
      }
    }
    ownerOf[p] = best;
    used[best]! += meanLoad[p] as number;
  }
  return ownerOf;
}
