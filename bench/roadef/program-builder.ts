import type { LinearProgram } from '../../src/ports/linear-solver.ts';

export interface Column {
  readonly cost: number;
  /** The lower bound is 0. */
  readonly upper: number;
  readonly isInteger: boolean;
}

/** Puts a mixed-integer programme together entry by entry, in any order. */
export class ProgramBuilder {
  readonly #lower: number[] = [];
  readonly #upper: number[] = [];
  readonly #columns: Column[] = [];
  readonly #entries: [row: number, value: number][][] = [];

  /** @returns its index. */
  row(lower: number, upper: number): number {
    this.#upper.push(upper);
    return this.#lower.push(lower) - 1;
  }

  /** @returns its index. */
  column(column: Column): number {
    this.#entries.push([]);
    return this.#columns.push(column) - 1;
  }

  /** Once for each pair. */
  entry(row: number, column: number, value: number): void {
    if (value !== 0) this.#entries[column]!.push([row, value]);
  }

  build(): LinearProgram {
    const entries = this.#entries.flat();
    let end = 0;
    return {
      columnCount: this.#columns.length,
      rowCount: this.#lower.length,
      cost: Float64Array.from(this.#columns, ({ cost }) => cost),
      offset: 0,
      columnLower: new Float64Array(this.#columns.length),
      columnUpper: Float64Array.from(this.#columns, ({ upper }) => upper),
      rowLower: Float64Array.from(this.#lower),
      rowUpper: Float64Array.from(this.#upper),
      columnStart: Int32Array.from([0, ...this.#entries.map((own) => (end += own.length))]),
      rowIndex: Int32Array.from(entries, ([row]) => row),
      coefficient: Float64Array.from(entries, ([, value]) => value),
      isInteger: Uint8Array.from(this.#columns, ({ isInteger }) => (isInteger ? 1 : 0)),
    };
  }
}
