import { assert } from '../../base/assert.ts';

/** Sums up to each place, so that the cost of any stretch is a few subtractions. */
export interface Sums {
  /** f64[n + 1] each: of weights, of weighted values, of their squares. */
  readonly weight: Float64Array;
  readonly value: Float64Array;
  readonly square: Float64Array;
}

export function sumsOf(values: Float64Array, weights: Float64Array): Sums {
  const n = values.length;
  const weight = new Float64Array(n + 1);
  const value = new Float64Array(n + 1);
  const square = new Float64Array(n + 1);
  for (let t = 0; t < n; t++) {
    const w = weights[t] as number;
    const y = values[t] as number;
    weight[t + 1] = (weight[t] as number) + w;
    value[t + 1] = (value[t] as number) + w * y;
    square[t + 1] = (square[t] as number) + w * y * y;
  }
  return { weight, value, square };
}

/** Mean of a stretch [first, end); 0 where nothing of it is known. */
export function meanOver({ weight, value }: Sums, first: number, end: number): number {
  const known = (weight[end] as number) - (weight[first] as number);
  return known > 0 ? ((value[end] as number) - (value[first] as number)) / known : 0;
}

/** Squared deviation of a stretch from its own mean. */
function costOver({ weight, value, square }: Sums, first: number, end: number): number {
  const known = (weight[end] as number) - (weight[first] as number);
  if (known <= 0) return 0;
  const sum = (value[end] as number) - (value[first] as number);
  return (square[end] as number) - (square[first] as number) - (sum * sum) / known;
}

/**
 * The segmentation into stretches of constant mean with the least squared deviation plus a penalty for each boundary.
 *
 * @param sums of n values.
 * @param options.segmentMin no stretch is shorter.
 * @returns where stretches begin, ascending, without the first one at 0.
 * @see Killick, Fearnhead & Eckley, "Optimal detection of changepoints with a linear computational cost" (PELT), 2012
 */
export function changePoints(
  sums: Sums,
  { penalty, segmentMin }: { readonly penalty: number; readonly segmentMin: number },
): number[] {
  assert(penalty > 0 && segmentMin >= 1, 'a boundary costs something, and a stretch has a length');
  const n = sums.weight.length - 1;
  const best = new Float64Array(n + 1).fill(Number.POSITIVE_INFINITY);
  best[0] = -penalty;
  const startOf = new Int32Array(n + 1);
  let candidates: number[] = [0];
  for (let end = segmentMin; end <= n; end++) {
    for (const start of candidates) {
      const cost = (best[start] as number) + costOver(sums, start, end) + penalty;
      if (cost < (best[end] as number)) {
        best[end] = cost;
        startOf[end] = start;
      }
    }
    // What cannot win any more without a penalty, never will.
    candidates = candidates.filter(
      (start) => (best[start] as number) + costOver(sums, start, end) <= (best[end] as number),
    );
    const next = end + 1 - segmentMin;
    if (next >= segmentMin && best[next] !== Number.POSITIVE_INFINITY) candidates.push(next);
  }
  const starts: number[] = [];
  if (n >= segmentMin)
    for (let at = startOf[n] as number; at > 0; at = startOf[at] as number) starts.push(at);
  return starts.reverse();
}
