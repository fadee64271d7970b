import type { Sliced } from '../../base/slices.ts';
import type { PlacementInstance } from '../instance.ts';
import type { Choices } from './choices.ts';

/** Share that goes from a partition's largest choice to another one it is split over. */
interface Transfer {
  readonly p: number;
  readonly base: number;
  readonly choice: number;
  /** Derivative of the cost by it. */
  readonly slope: number;
}

export interface NewtonDirection {
  readonly change: readonly { readonly choice: number; readonly share: number }[];
  /** f64[node][depth]. */
  readonly loadChange: Float64Array;
  /** Derivative of the whole cost along the direction, below 0; of prices alone. */
  readonly slope: number;
  readonly priceSlope: number;
  /** How far one can go before a share leaves 0..1, at most 1. */
  readonly stepMax: number;
}

/** More unknowns than these cost more than the sweeps they save: the largest shares of the split go first. */
const TRANSFERS_MAX = 48;

/** What {@link newtonDirection} is asked. */
export interface NewtonProblem {
  readonly instance: PlacementInstance;
  readonly choices: Choices;
  readonly shareOf: Float64Array;
  /** Partitions that may be split. */
  readonly active: readonly number[];
  /** f64[node][depth], second derivative by load. */
  readonly curvature: Float64Array;
  costOf(p: number, c: number): number;
}

/**
 * Newton's direction for the shares of split partitions: where the quadratic model of the cost has its minimum. Null if
 * nothing is split, or the direction does not lead down. In slices, between which nothing of the problem may change.
 */
export function* newtonDirection(problem: NewtonProblem): Sliced<NewtonDirection | null> {
  const transfers = yield* listingTransfers(problem);
  const count = transfers.length;
  if (count === 0) return null;
  const hessian = yield* addingHessian(problem, transfers);
  const step = yield* solving(hessian, transfers);
  if (step === null) return null;
  yield;

  const { instance, choices, shareOf, curvature } = problem;
  const { depth, load } = instance;
  const loadChange = new Float64Array(curvature.length);
  const shares = new Map<number, number>();
  let slope = 0;
  let priceSlope = 0;
  transfers.forEach(({ p, base, choice, slope: own }, i) => {
    const share = step[i] as number;
    slope += share * own;
    priceSlope += share * ((choices.priceOf[choice] as number) - (choices.priceOf[base] as number));
    for (const [c, sign] of [
      [choice, 1],
      [base, -1],
    ] as const) {
      shares.set(c, (shares.get(c) ?? 0) + sign * share);
      const first = (choices.nodeOf[c] as number) * depth;
      for (let d = 0; d < depth; d++)
        loadChange[first + d]! += sign * share * (load[p * depth + d] as number);
    }
  });
  if (!(slope < 0)) return null;
  let stepMax = 1;
  const change = [...shares].map(([choice, share]) => {
    if (share < 0) stepMax = Math.min(stepMax, (shareOf[choice] as number) / -share);
    return { choice, share };
  });
  return { change, loadChange, slope, priceSlope, stepMax };
}

/** Partitions looked at between two yields: most are whole. */
const PARTITIONS_OF_SLICE = 256;

function* listingTransfers(problem: NewtonProblem): Sliced<Transfer[]> {
  const { choices, shareOf, active } = problem;
  const transfers: Transfer[] = [];
  let looked = 0;
  for (const p of active) {
    if (++looked % PARTITIONS_OF_SLICE === 0) yield;
    const start = choices.startOf[p] as number;
    const end = choices.startOf[p + 1] as number;
    let base = start;
    for (let c = start; c < end; c++) if ((shareOf[c] as number) > (shareOf[base] as number)) base = c;
    if (shareOf[base] === 1) continue;
    const baseCost = problem.costOf(p, base);
    for (let choice = start; choice < end; choice++)
      if (choice !== base && (shareOf[choice] as number) > 0)
        transfers.push({ p, base, choice, slope: problem.costOf(p, choice) - baseCost });
  }
  if (transfers.length <= TRANSFERS_MAX) return transfers;
  const share = ({ choice }: Transfer): number => shareOf[choice] as number;
  return transfers.sort((a, b) => share(b) - share(a) || a.choice - b.choice).slice(0, TRANSFERS_MAX);
}

/** f64[transfer][transfer]: two transfers meet on the nodes they share. */
function* addingHessian(
  { instance, choices, curvature }: NewtonProblem,
  transfers: readonly Transfer[],
): Sliced<Float64Array> {
  const { depth, load } = instance;
  const count = transfers.length;
  const hessian = new Float64Array(count * count);
  const onNode = (p: number, q: number, n: number): number => {
    let sum = 0;
    for (let d = 0; d < depth; d++)
      sum +=
        (curvature[n * depth + d] as number) *
        (load[p * depth + d] as number) *
        (load[q * depth + d] as number);
    return sum;
  };
  for (let i = 0; i < count; i++) {
    yield;
    for (let j = 0; j <= i; j++) {
      const a = transfers[i] as Transfer;
      const b = transfers[j] as Transfer;
      let sum = 0;
      for (const [c, sign] of [
        [a.choice, 1],
        [a.base, -1],
      ] as const) {
        const n = choices.nodeOf[c] as number;
        if (choices.nodeOf[b.choice] === n) sum += sign * onNode(a.p, b.p, n);
        if (choices.nodeOf[b.base] === n) sum -= sign * onNode(a.p, b.p, n);
      }
      hessian[i * count + j] = sum;
      hessian[j * count + i] = sum;
    }
  }
  return hessian;
}

/**
 * Of each transfer's own curvature. More transfers than cells leave some directions flat: along those the ridge makes a long
 * step, which ends where a share does, and leaves one partition fewer split.
 */
const RIDGE = 1e-6;

/** -H^-1 slope by Cholesky's decomposition; null if H is not positive definite. */
function* solving(hessian: Float64Array, transfers: readonly Transfer[]): Sliced<Float64Array | null> {
  const count = transfers.length;
  for (let i = 0; i < count; i++) hessian[i * count + i]! *= 1 + RIDGE;
  for (let j = 0; j < count; j++) {
    yield;
    let diagonal = hessian[j * count + j] as number;
    for (let k = 0; k < j; k++) diagonal -= (hessian[j * count + k] as number) ** 2;
    if (!(diagonal > 0)) return null;
    const root = Math.sqrt(diagonal);
    hessian[j * count + j] = root;
    for (let i = j + 1; i < count; i++) {
      let sum = hessian[i * count + j] as number;
      for (let k = 0; k < j; k++)
        sum -= (hessian[i * count + k] as number) * (hessian[j * count + k] as number);
      hessian[i * count + j] = sum / root;
    }
  }
  const x = Float64Array.from(transfers, ({ slope }) => -slope);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < i; k++) x[i]! -= (hessian[i * count + k] as number) * (x[k] as number);
    x[i]! /= hessian[i * count + i] as number;
  }
  for (let i = count - 1; i >= 0; i--) {
    for (let k = i + 1; k < count; k++) x[i]! -= (hessian[k * count + i] as number) * (x[k] as number);
    x[i]! /= hessian[i * count + i] as number;
  }
  return x;
}
