import { assert } from '../../base/assert.ts';

/** Each pass is a few multiplications; what is nearly collinear takes hundreds of them. */
const PASSES_MAX = 2_000;
/** Shares of a coordinate: what moves less has arrived. */
const TOLERANCE = 1e-9;

/**
 * The x >= 0 that minimises |Ax - b|², from AᵀA and Aᵀb alone, by descent along one coordinate after the other: for a handful of
 * coordinates. One whose diagonal is 0 stays 0.
 *
 * @param gram f64[n][n], AᵀA: symmetric, positive semidefinite.
 * @param products f64[n], Aᵀb.
 * @see Franc, Hlaváč & Navara, Sequential Coordinate-Wise Algorithm for the Non-negative Least Squares Problem, 2005
 */
export function nonNegativeLeastSquares(gram: Float64Array, products: Float64Array): Float64Array {
  const count = products.length;
  assert(gram.length === count * count, 'a Gram matrix has a row a product');
  const found = new Float64Array(count);
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    let isMoving = false;
    for (let i = 0; i < count; i++) {
      const own = gram[i * count + i] as number;
      if (own <= 0) continue;
      let rest = products[i] as number;
      for (let j = 0; j < count; j++)
        if (j !== i) rest -= (gram[i * count + j] as number) * (found[j] as number);
      const next = Math.max(0, rest / own);
      if (Math.abs(next - (found[i] as number)) > TOLERANCE * Math.max(next, found[i] as number))
        isMoving = true;
      found[i] = next;
    }
    if (!isMoving) break;
  }
  return found;
}
