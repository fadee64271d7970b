import { PlacementState } from './cost-model.ts';
import { DeltaCache } from './delta-cache.ts';
import { findExchange } from './exchange.ts';
import type { PlacementInstance } from './instance.ts';
import { MoveUnits } from './move-units.ts';
import type { MoveRefusal } from './refusals.ts';

/** Costs nearer to each other than this share are equal: sums of thousands of terms are rounded. */
const ROUNDING = 1e-9;

export interface OrderedMoves {
  /** Partitions, each moved once, from home. */
  readonly order: readonly number[];
  /** Where that leads. */
  readonly state: PlacementState;
  /** Partitions of the map for which no turn came, and why: 'worse' if only a map worse than the start would let them go. */
  readonly left: ReadonlyMap<number, MoveRefusal | 'worse'>;
}

/**
 * An order in which the moves from home to a map can be carried out, so that no prefix breaks a hard rule or is worse than
 * the start: largest relief first, drains before all, each against the map the moves before it leave. Where none may go next,
 * some may follow each other at the right hours: an exchange (`exchange.ts`).
 *
 * This is the repair of what an optimiser suggests, too: a map that breaks a rule is not reached, and what does not fit is
 * left out. Two partitions that could only change places at one instant are left out as well: nothing moves at one instant.
 */
export function orderMoves(
  instance: PlacementInstance,
  ownerOf: Int32Array,
  { mayExchange = true }: { readonly mayExchange?: boolean } = {},
): OrderedMoves {
  const state = new PlacementState(instance);
  const deltas = new DeltaCache(state, 1);
  const costMax = state.cost() * (1 + ROUNDING);
  const open = new Set<number>();
  for (let p = 0; p < ownerOf.length; p++) if (ownerOf[p] !== instance.home[p]) open.add(p);
  const order: number[] = [];
  const go = (partition: number): void => {
    const target = ownerOf[partition] as number;
    deltas.noteMove(partition, instance.home[partition] as number, target, order.length);
    state.move(partition, target);
    open.delete(partition);
    order.push(partition);
  };
  for (;;) {
    const room = costMax - state.cost();
    let best = { partition: -1, rank: Number.POSITIVE_INFINITY };
    for (const p of open) {
      const target = ownerOf[p] as number;
      const loadDelta = deltas.loadDelta(p, target, order.length);
      const rank = state.penaltyRelief(p, target) > 0 ? drainRank(instance, p) : loadDelta;
      if (rank >= best.rank || loadDelta + state.ruleDelta(p, target) > room || !state.canMove(p, target))
        continue;
      best = { partition: p, rank };
    }
    const exchange = (): readonly number[] =>
      mayExchange ? findExchange(state, open, { ownerOf, costMax }) : [];
    const next = best.partition >= 0 ? [best.partition] : exchange();
    if (next.length === 0) break;
    for (const partition of next) go(partition);
  }
  const left = new Map<number, MoveRefusal | 'worse'>();
  for (const p of open) left.set(p, state.refusal(p, ownerOf[p] as number) ?? 'worse');
  return { order, state, left };
}

/**
 * Before every relief; the busiest first. Whatever the load, an outage is worse, and so is a partition where the rules do not
 * want it.
 */
function drainRank({ load, depth }: PlacementInstance, p: number): number {
  let sum = 0;
  for (let d = p * depth; d < (p + 1) * depth; d++) sum += load[d] as number;
  return -1e12 * (1 + sum);
}

/**
 * Returns partitions home, the least useful first, while the plan without them costs no more. With prices raised by the
 * ratio, what stays earns its price so many times over: each move by itself when it is left out of the plan, or, where others
 * need the room that it made, together with those.
 */
export function leaveOutWhatDoesNotPay(raised: PlacementInstance, ownerOf: Int32Array): PlacementState {
  const { home } = raised;
  const state = new PlacementState(raised, ownerOf);
  const deltas = new DeltaCache(state, 1);
  const away = new Set<number>();
  for (let p = 0; p < ownerOf.length; p++) if (ownerOf[p] !== home[p]) away.add(p);
  for (let step = 0; ; step++) {
    let least = -1;
    let deltaMin = 0;
    for (const p of away) {
      const delta = deltas.moveDelta(p, home[p] as number, step);
      // What has come meanwhile may have taken its place: then it cannot be left out alone.
      if (delta > deltaMin || !state.canMove(p, home[p] as number)) continue;
      deltaMin = delta;
      least = p;
    }
    const leaving = least < 0 ? unitThatDoesNotPay(state, away) : [least];
    if (leaving.length === 0) return state;
    for (const p of leaving) {
      deltas.noteMove(p, state.ownerOf[p] as number, home[p] as number, step);
      state.move(p, home[p] as number);
      away.delete(p);
    }
  }
}

/** Units looked at for one that is left out; on full clusters nearly every move may be in the way of another. */
const UNITS_TRIED_MAX = 256;

/** Of the moves that cannot be left out alone, the first that is not worth its price with all that need it; empty if none. */
function unitThatDoesNotPay(state: PlacementState, away: ReadonlySet<number>): readonly number[] {
  const units = new MoveUnits(state);
  let tried = 0;
  for (const p of away) {
    if (state.canMove(p, state.instance.home[p] as number)) continue;
    if (++tried > UNITS_TRIED_MAX) break;
    const { partitions, gain, cost } = units.unitOf(p);
    if (gain <= cost) return partitions;
  }
  return [];
}
