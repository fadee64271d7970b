import { assert } from '../../base/assert.ts';

/**
 * Counts by window for many rows, the last `windowsMax` windows of each: what seasons are found in.
 * Bounded: 4 bytes x windowsMax a row; rows are the caller's.
 */
export class WindowSeries {
  readonly #windowMs: number;
  readonly #windowsMax: number;
  /** u32[window modulo windowsMax] by row: a float of 32 bits stands still at 16,777,216, an hour of 4,660 queries a second. */
  readonly #rows = new Map<number, Uint32Array>();
  /** Of rows that were given up: where rows come and go, making new ones would be most of the work. */
  readonly #spare: Uint32Array[] = [];
  #firstIndex: number | null = null;
  #newestIndex = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly windowMs: number; readonly windowsMax: number }) {
    assert(options.windowMs > 0 && options.windowsMax > 0, 'a series has windows, and these a width');
    this.#windowMs = options.windowMs;
    this.#windowsMax = options.windowsMax;
  }

  /** Wall clock of the first window that is kept, and how many there are up to the newest. */
  get span(): { readonly startMs: number; readonly windowCount: number } {
    if (this.#firstIndex === null) return { startMs: 0, windowCount: 0 };
    const first = this.#startIndex();
    return { startMs: first * this.#windowMs, windowCount: this.#newestIndex - first + 1 };
  }

  /** What is older than the windows that are kept is left out. */
  add(row: number, timeMs: number): void {
    const index = Math.floor(timeMs / this.#windowMs);
    if (index > this.#newestIndex) this.#advanceTo(index);
    else if (index <= this.#newestIndex - this.#windowsMax) return;
    this.#firstIndex = Math.min(this.#firstIndex ?? index, index);
    let counts = this.#rows.get(row);
    if (counts === undefined) {
      counts = this.#spare.pop()?.fill(0) ?? new Uint32Array(this.#windowsMax);
      this.#rows.set(row, counts);
    }
    const slot = this.#slotOf(index);
    counts[slot] = (counts[slot] as number) + 1;
  }

  /** f64[window], the sum over the rows, aligned to `span`. */
  sumOf(rows: Iterable<number>): Float64Array {
    const { windowCount } = this.span;
    const values = new Float64Array(windowCount);
    const first = this.#startIndex();
    for (const row of rows) {
      const counts = this.#rows.get(row);
      if (counts === undefined) continue;
      for (let w = 0; w < windowCount; w++)
        values[w] = (values[w] as number) + (counts[this.#slotOf(first + w)] as number);
    }
    return values;
  }

  moveRows(targetOf: (row: number) => number): void {
    for (const [row, counts] of [...this.#rows]) {
      const target = targetOf(row);
      if (target === row) continue;
      this.#rows.delete(row);
      const sum = this.#rows.get(target);
      if (sum === undefined) this.#rows.set(target, counts);
      else {
        for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (counts[i] as number);
        this.#spare.push(counts);
      }
    }
  }

  #startIndex(): number {
    return Math.max(this.#firstIndex ?? 0, this.#newestIndex - this.#windowsMax + 1);
  }

  #slotOf(index: number): number {
    const slot = index % this.#windowsMax;
    return slot < 0 ? slot + this.#windowsMax : slot;
  }

  /** The windows between are silent: their slots still hold counts of long ago. */
  #advanceTo(index: number): void {
    const newCount = Math.min(this.#windowsMax, index - this.#newestIndex);
    for (const counts of this.#rows.values())
      for (let i = 0; i < newCount; i++) counts[this.#slotOf(index - i)] = 0;
    this.#newestIndex = index;
  }
}
