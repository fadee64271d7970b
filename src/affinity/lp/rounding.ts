import { atOnce, type Sliced } from '../../base/slices.ts';
import { sorting } from '../../base/sorting.ts';
import { PlacementState } from '../cost-model.ts';
import { settling } from '../optimisers/crossover.ts';
import type { Relaxation } from './relaxation.ts';

/** Of 8,000 partitions few are in doubt; looking at all again would take longer than the relaxation. */
const SETTLED_MAX = 256;
const SETTLE_TURNS = 4;

/** Partitions whose choices are looked at between two yields: a fraction of a millisecond. */
const PARTITIONS_OF_SLICE = 128;

/** A share this near to 1 is a whole partition. */
const WHOLE = 1 - 1e-6;

/**
 * Makes a map of a relaxed one. Whole partitions go where they are, those first that gain most by leaving home, so that a
 * limit on moves cuts off the least. Each split one, the largest first, goes where the f64 objective has it cheapest. Then
 * those that are least certain of their place settle: the others are where the prices want them.
 *
 * @returns i32[partition], a map that keeps the rules.
 */
export const roundRelaxation = (relaxation: Relaxation, reducedCost: Float64Array): Int32Array =>
  atOnce(rounding(relaxation, reducedCost));

/** {@link roundRelaxation} in slices. */
export function* rounding(relaxation: Relaxation, reducedCost: Float64Array): Sliced<Int32Array> {
  const { instance, choices, shareOf } = relaxation;
  const { partitionCount, depth, load } = instance;
  const state = yield* PlacementState.building(instance);
  const whole: number[] = [];
  const targetOf = new Int32Array(partitionCount);
  const split: { p: number; size: number }[] = [];
  for (let p = 0; p < partitionCount; p++) {
    const start = choices.startOf[p] as number;
    const end = choices.startOf[p + 1] as number;
    let most = start;
    for (let c = start; c < end; c++) if ((shareOf[c] as number) > (shareOf[most] as number)) most = c;
    if ((shareOf[most] as number) < WHOLE) {
      const size = load.subarray(p * depth, (p + 1) * depth).reduce((sum, own) => sum + own, 0);
      split.push({ p, size });
      yield;
    } else if (most !== start) {
      targetOf[p] = choices.nodeOf[most] as number;
      whole.push(p);
    }
    if (p % PARTITIONS_OF_SLICE === 0) yield;
  }
  const gainOf = (p: number): number => reducedCost[choices.startOf[p] as number] as number;
  for (const p of yield* sorting(Int32Array.from(whole), (a, b) => gainOf(b) - gainOf(a) || a - b)) {
    if (state.canMove(p, targetOf[p] as number)) state.move(p, targetOf[p] as number);
    yield;
  }
  split.sort((a, b) => b.size - a.size || a.p - b.p);
  const order = yield* rankingByRegret(relaxation, reducedCost);
  yield;
  yield* settling(state, [...split.map(({ p }) => p), ...order.subarray(0, SETTLED_MAX)], SETTLE_TURNS);
  return state.ownerOf;
}

/**
 * f64[partition], index points: what leaving its node for the next best costs each partition at the prices of the
 * relaxation, 0 for one that is split, infinite for one without another choice. The optimum differs from the rounded map in
 * few partitions, nearly all of them with small regret: a search among these is a search among thousands of maps fewer.
 */
function* regretting(relaxation: Relaxation, reducedCost: Float64Array): Sliced<Float64Array> {
  const { instance, choices, shareOf } = relaxation;
  const regrets = new Float64Array(instance.partitionCount);
  for (let p = 0; p < instance.partitionCount; p++) {
    const start = choices.startOf[p] as number;
    const end = choices.startOf[p + 1] as number;
    let most = start;
    for (let c = start; c < end; c++) if ((shareOf[c] as number) > (shareOf[most] as number)) most = c;
    let regret = Number.POSITIVE_INFINITY;
    for (let c = start; c < end; c++)
      if (c !== most) regret = Math.min(regret, Math.max(0, reducedCost[c] as number));
    regrets[p] = regret;
    if (p % PARTITIONS_OF_SLICE === 0) yield;
  }
  return regrets;
}

/** i32[partition]: those first whose best place is least certain. */
export function* rankingByRegret(relaxation: Relaxation, reducedCost: Float64Array): Sliced<Int32Array> {
  const regret = yield* regretting(relaxation, reducedCost);
  return yield* sorting(
    Int32Array.from(regret.keys()),
    (p, q) => (regret[p] as number) - (regret[q] as number) || p - q,
  );
}
