import { LANES, PARAMETERS_MAX, parameterCount, type SarimaOrder, writeCoefficients } from './model.ts';
import type { Workspace } from './workspace.ts';

/** One differenced series in a workspace's tile. */
export interface CssProblem {
  readonly workspace: Workspace;
  /** Rows of the tile, and the one the sum of squares begins at: the same for all orders that are compared. */
  readonly count: number;
  readonly first: number;
  readonly season: number;
}

export interface CssFit {
  /** Free parameters, see writeCoefficients. */
  readonly free: Float64Array;
  /** Of the residuals from `first` on. */
  readonly sum: number;
}

/** Step of the numerical derivatives: the rounding error of a difference and its curvature are both near 1e-7 of it. */
const STEP = 1e-5;

/** Gauss-Newton from a fair start takes 4 to 8 passes; what still moves after so many is a ridge nobody can tell apart. */
const PASSES_MAX = 14;

/** Relative. A tenth of a unit of AICc at 600 residuals: less would decide nothing. */
const DECREASE_MIN = 1e-4;

/** tanh(3.5) = 0.998: beyond, a model is its own limit, and derivatives vanish. */
const FREE_MAX = 3.5;

/** Damping at the start, relative to the diagonal, and where it is given up. */
const DAMPING_START = 1e-3;
const DAMPING_MAX = 1e4;

/**
 * Least squares by Levenberg and Marquardt: one pass over the series is the sum of squares at a point and, in the other
 * lanes, at a step along each parameter, so that a step that is accepted has its derivatives already.
 *
 * @param starts free parameters to begin at: the best of up to eight
 * @see Box & Jenkins, "Time Series Analysis", 7.2; Marquardt, "An algorithm for least-squares estimation", 1963
 */
export function minimiseCss(
  problem: CssProblem,
  order: SarimaOrder,
  starts: readonly Float64Array[],
): CssFit {
  const k = parameterCount(order);
  let free = (starts.length === 1 ? starts[0] : bestOf(problem, order, starts)) as Float64Array;
  let sum = passAround(problem, order, free);
  if (k === 0) return { free, sum };
  const normal = new NormalEquations(k);
  normal.take(problem.workspace.gram);
  let damping = DAMPING_START;
  for (let pass = 1; pass < PASSES_MAX && damping < DAMPING_MAX; pass++) {
    const next = normal.step(free, damping);
    const nextSum = next === null ? Number.NaN : passAround(problem, order, next);
    if (!(nextSum < sum)) {
      damping *= 10;
      continue;
    }
    const decrease = (sum - nextSum) / sum;
    free = next as Float64Array;
    sum = nextSum;
    if (decrease < DECREASE_MIN) break;
    normal.take(problem.workspace.gram);
    damping = Math.max(damping / 10, 1e-8);
  }
  return { free, sum };
}

/** One pass: lane 0 at `free`, lane i a step along parameter i - 1; leaves their Gram matrix. Returns lane 0's sum. */
function passAround(problem: CssProblem, order: SarimaOrder, free: Float64Array): number {
  const { workspace, count, first } = problem;
  const { coefficients, exports, pointers, gram } = workspace;
  const k = parameterCount(order);
  const point = Float64Array.from(free);
  for (let lane = 0; lane < LANES; lane++) {
    const moved = lane - 1;
    if (lane > 0 && moved < k) point[moved] = (free[moved] as number) + STEP;
    writeCoefficients(order, point, 0, coefficients, lane);
    if (lane > 0 && moved < k) point[moved] = free[moved] as number;
  }
  residuals(problem, order);
  exports.cssGram(pointers.residuals + first * LANES * 8, count - first, pointers.gram);
  return gram[0] as number;
}

function residuals({ workspace, count, first, season }: CssProblem, order: SarimaOrder): void {
  const { exports, pointers } = workspace;
  exports.cssResiduals(
    pointers.tile,
    count,
    first,
    season,
    order.ar,
    order.seasonalAr,
    order.ma,
    order.seasonalMa,
    pointers.coefficients,
    pointers.residuals,
    pointers.sums,
  );
}

/** Eight starts are one pass. */
function bestOf(problem: CssProblem, order: SarimaOrder, starts: readonly Float64Array[]): Float64Array {
  const { coefficients, sums } = problem.workspace;
  for (let lane = 0; lane < LANES; lane++)
    writeCoefficients(
      order,
      starts[Math.min(lane, starts.length - 1)] as Float64Array,
      0,
      coefficients,
      lane,
    );
  residuals(problem, order);
  let best = 0;
  for (let lane = 1; lane < Math.min(starts.length, LANES); lane++)
    if ((sums[lane] as number) < (sums[best] as number)) best = lane;
  return starts[best] as Float64Array;
}

/** (J'J + damping diag(J'J)) step = -J'e, of a few parameters. */
class NormalEquations {
  readonly #k: number;
  readonly #matrix = new Float64Array(PARAMETERS_MAX * PARAMETERS_MAX);
  readonly #gradient = new Float64Array(PARAMETERS_MAX);
  readonly #factor = new Float64Array(PARAMETERS_MAX * PARAMETERS_MAX);

  constructor(parameters: number) {
    this.#k = parameters;
  }

  /** @param gram f64[8][8] of cssGram */
  take(gram: Float64Array): void {
    for (let i = 0; i < this.#k; i++) {
      this.#gradient[i] = (gram[i + 1] as number) / STEP;
      for (let j = i; j < this.#k; j++) {
        const value = (gram[(i + 1) * LANES + j + 1] as number) / (STEP * STEP);
        this.#matrix[i * PARAMETERS_MAX + j] = value;
        this.#matrix[j * PARAMETERS_MAX + i] = value;
      }
    }
  }

  /** The point after the step, inside the box of free parameters; null when there is none. */
  step(free: Float64Array, damping: number): Float64Array | null {
    const k = this.#k;
    const n = PARAMETERS_MAX;
    const l = this.#factor;
    const next = new Float64Array(free.length);
    // Cholesky by rows, carrying the right side along.
    for (let i = 0; i < k; i++) {
      let right = -(this.#gradient[i] as number);
      for (let j = 0; j <= i; j++) {
        let value = this.#matrix[i * n + j] as number;
        if (i === j) value += damping * value + Number.MIN_VALUE;
        for (let m = 0; m < j; m++) value -= (l[i * n + m] as number) * (l[j * n + m] as number);
        if (i !== j) l[i * n + j] = value / (l[j * n + j] as number);
        else if (value > 0) l[i * n + i] = Math.sqrt(value);
        else return null;
      }
      for (let m = 0; m < i; m++) right -= (l[i * n + m] as number) * (next[m] as number);
      next[i] = right / (l[i * n + i] as number);
    }
    for (let i = k - 1; i >= 0; i--) {
      let value = next[i] as number;
      for (let m = i + 1; m < k; m++) value -= (l[m * n + i] as number) * (next[m] as number);
      next[i] = value / (l[i * n + i] as number);
    }
    for (let i = 0; i < k; i++)
      next[i] = Math.max(-FREE_MAX, Math.min(FREE_MAX, (free[i] as number) + (next[i] as number)));
    return next;
  }
}
