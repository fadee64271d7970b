import { assert } from '../../base/assert.ts';

/**
 * Counts of pairs (row, column), of which most never occur; with the sums of rows and columns over all that was ever added.
 *
 * Bounded: where there are more than `entriesMax` pairs, the smallest half is forgotten, and how much they were is kept. A pair
 * that is frequent stays; one that was forgotten begins anew at 0, so its count is a lower bound.
 */
export class SparseCounts {
  readonly #columnsMax: number;
  readonly #entriesMax: number;
  readonly #counts = new Map<number, number>();
  readonly #rowSums = new Map<number, number>();
  readonly #columnSums = new Map<number, number>();
  #sum = 0;
  /** Of the weights' squares: how many equal observations the sum is worth. */
  #squares = 0;
  #forgotten = 0;

  /** @param columnsMax columns are below it; rows times it must be exact in a double. */
  constructor(options: { readonly columnsMax: number; readonly entriesMax: number }) {
    assert(options.entriesMax >= 2, 'there is something to keep and something to forget');
    this.#columnsMax = options.columnsMax;
    this.#entriesMax = options.entriesMax;
  }

  get size(): number {
    return this.#counts.size;
  }

  get sum(): number {
    return this.#sum;
  }

  get forgotten(): number {
    return this.#forgotten;
  }

  get rowSums(): ReadonlyMap<number, number> {
    return this.#rowSums;
  }

  get columnSums(): ReadonlyMap<number, number> {
    return this.#columnSums;
  }

  /**
   * By this a decayed count becomes the number of equally weighted queries that would tell as much (Kish's effective sample
   * size, (sum w)^2 / sum w^2, over sum w): tests of counts are made for whole, equal observations.
   */
  get effectiveFactor(): number {
    return this.#squares > 0 ? this.#sum / this.#squares : 0;
  }

  /** @param weight of each of `count` observations. */
  add(row: number, column: number, weight: number, count = 1): void {
    assert(column >= 0 && column < this.#columnsMax, 'a column is below columnsMax');
    const amount = weight * count;
    const key = row * this.#columnsMax + column;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + amount);
    this.#rowSums.set(row, (this.#rowSums.get(row) ?? 0) + amount);
    this.#columnSums.set(column, (this.#columnSums.get(column) ?? 0) + amount);
    this.#sum += amount;
    this.#squares += amount * weight;
    if (this.#counts.size > this.#entriesMax) this.#forgetSmallest();
  }

  get(row: number, column: number): number {
    return this.#counts.get(row * this.#columnsMax + column) ?? 0;
  }

  forEach(onCount: (row: number, column: number, count: number) => void): void {
    for (const [key, count] of this.#counts) {
      const column = key % this.#columnsMax;
      onCount((key - column) / this.#columnsMax, column, count);
    }
  }

  /** Counts rows as part of others. */
  moveRows(targetOf: (row: number) => number): void {
    for (const [key, count] of [...this.#counts]) {
      const column = key % this.#columnsMax;
      const row = (key - column) / this.#columnsMax;
      const target = targetOf(row);
      if (target === row) continue;
      const targetKey = target * this.#columnsMax + column;
      this.#counts.delete(key);
      this.#counts.set(targetKey, (this.#counts.get(targetKey) ?? 0) + count);
    }
    for (const [row, sum] of [...this.#rowSums]) {
      const target = targetOf(row);
      if (target === row) continue;
      this.#rowSums.delete(row);
      this.#rowSums.set(target, (this.#rowSums.get(target) ?? 0) + sum);
    }
  }

  /** The counts by groups of columns, margins and effective size included. @param groupOf below 0: left out. */
  regrouped(groupOf: (column: number) => number): SparseCounts {
    const groups = [...this.#columnSums].map(([column, sum]) => [groupOf(column), sum] as const);
    const columnsMax = groups.reduce((max, [group]) => Math.max(max, group + 1), 1);
    const result = new SparseCounts({ columnsMax, entriesMax: this.#entriesMax });
    for (const [key, count] of this.#counts) {
      const column = key % this.#columnsMax;
      const group = groupOf(column);
      if (group < 0) continue;
      const resultKey = ((key - column) / this.#columnsMax) * columnsMax + group;
      result.#counts.set(resultKey, (result.#counts.get(resultKey) ?? 0) + count);
    }
    for (const [group, sum] of groups)
      if (group >= 0) result.#columnSums.set(group, (result.#columnSums.get(group) ?? 0) + sum);
    for (const [row, sum] of this.#rowSums) result.#rowSums.set(row, sum);
    result.#sum = this.#sum;
    result.#squares = this.#squares;
    return result;
  }

  /** Of `ForwardDecay.moveLandmark`. What becomes nothing is given up. */
  rescale(factor: number): void {
    this.#sum *= factor;
    this.#squares *= factor * factor;
    this.#forgotten *= factor;
    for (const sums of [this.#counts, this.#rowSums, this.#columnSums])
      for (const [key, count] of sums) {
        if (count * factor > 1e-200) sums.set(key, count * factor);
        else sums.delete(key);
      }
  }

  #forgetSmallest(): void {
    const sorted = Float64Array.from(this.#counts.values()).sort();
    const median = sorted[sorted.length >> 1] as number;
    // Of equal counts only as many as it takes: where all pairs occur once, half of them stay.
    let tooMany = sorted.length >> 1;
    for (const [key, count] of this.#counts) {
      if (tooMany === 0) break;
      if (count > median) continue;
      this.#counts.delete(key);
      this.#forgotten += count;
      tooMany--;
    }
  }
}
