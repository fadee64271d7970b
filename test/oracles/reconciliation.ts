/** Weighted least squares over a hierarchy by the book: summing matrix, normal equations, elimination. */

/**
 * b that minimises sum over rows of (row . b - base)^2 / variance.
 *
 * @param summing one row a node: which partitions it adds up.
 */
export function denseReconciliation(
  summing: readonly (readonly number[])[],
  base: readonly number[],
  variance: readonly number[],
): number[] {
  const n = (summing[0] as readonly number[]).length;
  const system = Array.from({ length: n }, (_, i) =>
    Array.from({ length: n + 1 }, (_, j) =>
      summing.reduce((sum, row, r) => {
        const right = j < n ? (row[j] as number) : (base[r] as number);
        return sum + ((row[i] as number) * right) / (variance[r] as number);
      }, 0),
    ),
  );
  for (let pivot = 0; pivot < n; pivot++) {
    const row = system[pivot] as number[];
    for (let other = 0; other < n; other++) {
      if (other === pivot) continue;
      const target = system[other] as number[];
      const factor = (target[pivot] as number) / (row[pivot] as number);
      for (let j = pivot; j <= n; j++) target[j] = (target[j] as number) - factor * (row[j] as number);
    }
  }
  return system.map((row, i) => (row[n] as number) / (row[i] as number));
}
