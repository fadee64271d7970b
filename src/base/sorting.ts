import type { Sliced } from './slices.ts';

/** Values sorted at once, and comparisons of a merge between two yields: a fraction of a millisecond. */
const RUN_LENGTH = 128;
const COMPARISONS_OF_SLICE = 1024;

/**
 * A sorted copy, in slices: runs that are sorted each by itself, merged two by two.
 *
 * @param compare a total order: what it takes for equal stays in its order.
 */
export function* sorting(values: Int32Array, compare: (a: number, b: number) => number): Sliced<Int32Array> {
  let sorted = values.slice();
  for (let start = 0; start < sorted.length; start += RUN_LENGTH) {
    sorted.subarray(start, start + RUN_LENGTH).sort(compare);
    yield;
  }
  let merged = new Int32Array(sorted.length);
  let comparisons = 0;
  for (let length = RUN_LENGTH; length < sorted.length; length *= 2) {
    for (let start = 0; start < sorted.length; start += 2 * length) {
      const middle = Math.min(start + length, sorted.length);
      const end = Math.min(middle + length, sorted.length);
      let first = start;
      let second = middle;
      for (let at = start; at < end; at++) {
        const isFirst =
          second === end ||
          (first < middle && compare(sorted[first] as number, sorted[second] as number) <= 0);
        merged[at] = sorted[isFirst ? first++ : second++] as number;
        if (++comparisons % COMPARISONS_OF_SLICE === 0) yield;
      }
    }
    [sorted, merged] = [merged, sorted];
  }
  return sorted;
}
