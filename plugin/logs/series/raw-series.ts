/** One series as its file has it. */
export interface RawSeries {
  readonly id: string;
  /** For messages. */
  readonly file: string;
  /** Milliseconds since 1970 by value; null where the file has no times. */
  readonly timesMs: Float64Array | null;
  /** >= 0; NaN where the file has no value. */
  readonly values: Float64Array;
  /** The file's line by value; null where all values stand on one line. */
  readonly rows: Float64Array | null;
  /** The line that a message names where there is no line by value. */
  readonly firstRow: number;
}

const CAPACITY_MIN = 64;

/** Numbers whose count is not known yet, without the boxes and the slack of an array. */
export class GrowingNumbers {
  #values = new Float64Array(CAPACITY_MIN);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float64Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }

  toArray(): Float64Array {
    return this.#values.slice(0, this.#length);
  }
}
