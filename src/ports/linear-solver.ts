/**
 * min cost x, rowLower <= A x <= rowUpper, columnLower <= x <= columnUpper; some columns may have to be whole numbers.
 * Infinite bounds are `Infinity`. The matrix is held by columns.
 */
export interface LinearProgram {
  readonly columnCount: number;
  readonly rowCount: number;
  /** f64[column]. */
  readonly cost: Float64Array;
  /** Added to the objective. */
  readonly offset: number;
  readonly columnLower: Float64Array;
  readonly columnUpper: Float64Array;
  /** f64[row]. */
  readonly rowLower: Float64Array;
  readonly rowUpper: Float64Array;
  /** i32[column + 1]: where the entries of a column begin in the two below. */
  readonly columnStart: Int32Array;
  readonly rowIndex: Int32Array;
  readonly coefficient: Float64Array;
  /** u8[column]: 1 for a whole number; absent for a linear programme. */
  readonly isInteger?: Uint8Array;
}

export interface LinearSolution {
  /** `limit`: stopped before the optimum was proved; the columns hold the best point, if {@link hasPoint}. */
  readonly status: 'optimal' | 'limit' | 'infeasible';
  /** Whether columnValue is a feasible point. */
  readonly hasPoint: boolean;
  /** f64[column]. */
  readonly columnValue: Float64Array;
  /** f64[row]: change of the optimum by a row's bound; empty for whole numbers. */
  readonly rowDual: Float64Array;
  readonly objective: number;
  /** What the solver says no point falls below, within its tolerances. */
  readonly bound: number;
}

export interface SolveOptions {
  readonly secondsMax: number;
  /** f64[column]: a feasible point to start a search for whole numbers from. */
  readonly start?: Float64Array;
  /** Ends the solve within milliseconds; it then rejects with FORESHARD_LIMIT. */
  readonly signal?: AbortSignal;
}

/** Solves linear and mixed-integer programmes, one after the other. */
export interface LinearSolver {
  readonly name: string;
  /**
   * @throws ForeshardError FORESHARD_LIMIT if it was cancelled, or ran out of time or memory without any answer;
   *   FORESHARD_UNAVAILABLE if the solver failed.
   */
  solve(program: LinearProgram, options: SolveOptions): Promise<LinearSolution>;
  close(): Promise<void>;
}
