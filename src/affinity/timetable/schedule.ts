import { PlacementState } from '../cost-model.ts';
import { type FenceShares, fenceShares } from '../fence.ts';
import type { PlacementInstance } from '../instance.ts';
import { Places, type Run } from './places.ts';
import {
  type LeftOutCode,
  type PlannedMove,
  type PriceParts,
  priceSum,
  type ScheduledMove,
  type Timetable,
  type TimetableProblem,
} from './problem.ts';
import { isTakenBack } from './replay.ts';
import { type Instant, type RelievingMove, Timeline } from './timeline.ts';

/** Rounds in which each move may change its start for the others' sake; each lowers the cost, few do anything. */
const ROUNDS_MAX = 4;
/** A start is not changed for rounding. */
const GAIN_MIN = 1e-12;

/** A move while its hour is sought. */
interface Candidate extends RelievingMove {
  /** Rank in the order in which the moves were planned. */
  readonly order: number;
  readonly keptSlot: number;
  /** Moves that it needs before it have told it to wait until then. */
  firstSlot: number;
  run: Run | null;
  price: PriceParts;
  gain: number;
  code: LeftOutCode | null;
}

/** One of the slots in which a move could start. */
interface Start {
  readonly run: Run;
  readonly price: PriceParts;
  readonly gain: number;
  /** Price less gain. */
  readonly total: number;
}

/** Of a move that can start nowhere, each slot may have its reason: the one that came nearest to a start is told. */
const NEAREST_TO_A_START: readonly LeftOutCode[] = [
  'no-place',
  'no-space',
  'dirty-rate',
  'horizon',
  'no-window',
];

/** Codes of moves that had their place: they do not try again. */
const LEFT_OUT_FOR_GOOD: readonly LeftOutCode[] = ['gain-too-late', 'prefix', 'taken-back'];

const NO_PRICE: PriceParts = { fixed: 0, copy: 0, load: 0, blip: 0 };

/**
 * Gives each move the slot in which it costs least: what its copy and its fence cost at that hour, plus the relief that is
 * missed by arriving later. A partition's load is on its source until its migration ends.
 *
 * All begin as early as they can, in the given order; then each is given a better start among all the others, in rounds,
 * until none changes: coordinate descent, which lowers the cost at every change. (Begun with the first move alone, it ends
 * in plans that are dearer than doing everything at once: a move that is no use before its fellows waits, and so do they.) Moves that find no place, or arrive too late to be
 * worth their price, or whose map would be worse than the present one when it is reached, or which a later cycle would take
 * back (`replay.ts`), are left out, each with a code.
 * O(rounds x moves x slots x resources).
 *
 * @param moves in the order in which they are most useful.
 * @param keptSlots i32[move]: the start that the last plan gave it, -1 where there was none; it stays unless another one is
 *   cheaper by `startKeepShare` of the move's price.
 * @param benefitCostRatio so many times its price the way back has to earn to be taken; without it none is looked at.
 */
export function schedule(
  problem: TimetableProblem,
  moves: readonly PlannedMove[],
  options: {
    readonly keptSlots?: Int32Array;
    readonly startKeepShare?: number;
    readonly benefitCostRatio?: number;
  } = {},
): Timetable {
  const timeline = new Timeline(problem.instance);
  const atHome = new PlacementState(problem.instance);
  const penaltiesAtHome = atHome.cost() - atHome.loadCost();
  const costStay = timeline.loadCost() + penaltiesAtHome;
  const places = new Places(problem);
  const candidates = withReliefs(problem.instance, moves).map(
    (move, order): Candidate => ({
      ...move,
      order,
      keptSlot: options.keptSlots?.[order] ?? -1,
      firstSlot: 0,
      run: null,
      price: NO_PRICE,
      gain: 0,
      code: null,
    }),
  );
  const scheduler = new Scheduler(problem, timeline, places, options.startKeepShare ?? 0);
  for (const candidate of candidates) scheduler.place(candidate, 'early');
  scheduler.settle(candidates);
  // Ends: a move waits for others at most once, and is left out at most once.
  for (;;) {
    const worst = scheduler.leastWorthwhile(candidates);
    const bad = worst ?? firstBadPrefix(problem, candidates);
    if (bad === null) {
      const returning = scheduler.firstTakenBack(candidates, options.benefitCostRatio);
      if (returning === null) break;
      scheduler.leaveOut(returning, 'taken-back');
      scheduler.settle(candidates);
      continue;
    }
    const firstSlot = worst === null ? lastStartBefore(bad, candidates) : 0;
    if (firstSlot > 0 && bad.firstSlot === 0) bad.firstSlot = firstSlot;
    else scheduler.leaveOut(bad, worst === null ? 'prefix' : 'gain-too-late');
    scheduler.settle(candidates);
  }
  // Afresh: the sums of the search depend on its way, and the same plan has to give the same bytes.
  const final = new Timeline(problem.instance);
  for (const { partition, source, target, run } of inTimeOrder(candidates))
    final.shift(partition, source, target, endOf(run));
  new Scheduler(problem, final, places, 0).measure(candidates);
  return {
    moves: inTimeOrder(candidates).map(asScheduled),
    leftOut: candidates.flatMap(({ partition, source, target, code }) =>
      code === null ? [] : [{ partition, source, target, code }],
    ),
    cost: penaltiesAtHome + timelineCost(problem, final, candidates),
    costStay,
  };
}

class Scheduler {
  readonly #problem: TimetableProblem;
  readonly #timeline: Timeline;
  readonly #places: Places;
  readonly #keepShare: number;
  readonly #fenceShares: FenceShares;

  constructor(problem: TimetableProblem, timeline: Timeline, places: Places, keepShare: number) {
    this.#problem = problem;
    this.#timeline = timeline;
    this.#places = places;
    this.#keepShare = keepShare;
    this.#fenceShares = fenceShares(problem.instance);
  }

  /** Puts a move that has no run where it costs least, or as early as it can; where none is possible it gets a code instead. */
  place(candidate: Candidate, preference: 'cheap' | 'early'): void {
    const { partition, source, target } = candidate;
    const gains = this.#timeline.gains(candidate);
    const priceAt = this.#pricesOf(candidate);
    const { slotCount } = this.#problem.instance;
    const found: Start[] = [];
    const codes = new Set<LeftOutCode>();
    for (let slot = candidate.firstSlot; slot < slotCount; slot++) {
      const run = this.#places.runFrom(candidate, slot);
      if (typeof run === 'string') codes.add(run);
      else if (!this.#places.hasRoom(candidate)) codes.add('no-space');
      else {
        const price = priceAt(run);
        const gain = this.#gainAfter(candidate, run, gains);
        found.push({ run, price, gain, total: priceSum(price) - gain });
        if (preference === 'early' && slot >= candidate.keptSlot) break;
      }
    }
    const best = preference === 'early' ? (found.at(-1) ?? null) : this.#choose(found, candidate.keptSlot);
    candidate.code = best === null ? (NEAREST_TO_A_START.find((code) => codes.has(code)) ?? 'horizon') : null;
    candidate.run = best?.run ?? null;
    candidate.price = best?.price ?? NO_PRICE;
    candidate.gain = best?.gain ?? 0;
    if (best === null) return;
    this.#places.take(candidate, best.run);
    this.#timeline.shift(partition, source, target, endOf(best.run));
  }

  /** The cheapest, the earliest of equals; or the kept one, unless it is clearly dearer. */
  #choose(found: readonly Start[], keptSlot: number): Start | null {
    let best: Start | null = null;
    for (const start of found) if (best === null || start.total < best.total - GAIN_MIN) best = start;
    const kept = found.find(({ run }) => run.startSlot === keptSlot);
    if (best === null || kept === undefined) return best;
    return kept.total - best.total < this.#keepShare * priceSum(kept.price) ? kept : best;
  }

  lift(candidate: Candidate): void {
    const { partition, source, target, run } = candidate;
    if (run === null) return;
    this.#places.giveBack(candidate, run);
    this.#timeline.shift(partition, target, source, endOf(run));
    candidate.run = null;
  }

  leaveOut(candidate: Candidate, code: LeftOutCode): void {
    this.lift(candidate);
    candidate.code = code;
  }

  /** Moves change their start for one another's sake until none does; those that found no place try again. */
  settle(candidates: readonly Candidate[]): void {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      let isChanged = false;
      for (const candidate of candidates) {
        if (candidate.code !== null && LEFT_OUT_FOR_GOOD.includes(candidate.code)) continue;
        const before = candidate.run?.startSlot ?? -1;
        this.lift(candidate);
        this.place(candidate, 'cheap');
        if ((candidate.run?.startSlot ?? -1) !== before) isChanged = true;
      }
      if (!isChanged) return;
    }
  }

  /** Gain and price of each among all the others. */
  measure(candidates: readonly Candidate[]): void {
    for (const candidate of candidates) {
      const { partition, source, target, run } = candidate;
      if (run === null) continue;
      this.#timeline.shift(partition, target, source, endOf(run));
      candidate.gain = this.#gainAfter(candidate, run, this.#timeline.gains(candidate));
      candidate.price = this.#pricesOf(candidate)(run);
      this.#timeline.shift(partition, source, target, endOf(run));
    }
  }

  /** The move that falls short of its price most; null when all are worth theirs. */
  leastWorthwhile(candidates: readonly Candidate[]): Candidate | null {
    this.measure(candidates);
    // A peak belongs to no slot: moves that pay by lowering it would seem to be worth nothing.
    if (this.#problem.instance.peakWeight > 0) return null;
    let worst: Candidate | null = null;
    let least = 0;
    for (const candidate of candidates) {
      if (candidate.run === null) continue;
      const margin = candidate.gain - priceSum(candidate.price);
      if (margin >= least) continue;
      least = margin;
      worst = candidate;
    }
    return worst;
  }

  /** The first move, as planned, that a later cycle with this very forecast would take back; see `replay.ts`. */
  firstTakenBack(candidates: readonly Candidate[], benefitCostRatio: number | undefined): Candidate | null {
    const { instance, slotSeconds } = this.#problem;
    // As in leastWorthwhile: of a peak no slot knows its part.
    if (benefitCostRatio === undefined || instance.peakWeight > 0) return null;
    const settled = new Timeline(instance);
    const start: Instant = { slot: 0, share: 0 };
    for (const { partition, source, target } of inTimeOrder(candidates))
      settled.shift(partition, source, target, start);
    for (const candidate of candidates) {
      const { partition, source, target, run, price } = candidate;
      if (run === null) continue;
      this.#timeline.shift(partition, target, source, endOf(run));
      settled.shift(partition, target, source, start);
      const gains = this.#timeline.gains(candidate);
      const settledGains = settled.gains(candidate);
      this.#timeline.shift(partition, source, target, endOf(run));
      settled.shift(partition, source, target, start);
      // What any hour costs: which one the way back would have is not known.
      const pricePerReturn = benefitCostRatio * (price.fixed + price.copy);
      if (isTakenBack({ gains, settledGains, endSlot: run.endSlot, pricePerReturn }, slotSeconds))
        return candidate;
    }
    return null;
  }

  #gainAfter(move: RelievingMove, run: Run, gains: Float64Array): number {
    const inLastSlot = this.#timeline.gainIn(run.endSlot, move, 1 - run.endShare);
    return inLastSlot + sumFrom(gains, run.endSlot + 1);
  }

  #pricesOf({ partition, source, target }: PlannedMove): (run: Run) => PriceParts {
    const { price, copyUtilisation, slotSeconds } = this.#problem;
    const atSource = this.#timeline.copyPrices(source, copyUtilisation);
    const atTarget = this.#timeline.copyPrices(target, copyUtilisation);
    return (run) => {
      let load = 0;
      run.secondsOf.forEach((seconds, i) => {
        const t = run.startSlot + i;
        load += (seconds / slotSeconds) * ((atSource[t] as number) + (atTarget[t] as number));
      });
      return {
        fixed: price.fixed,
        copy: price.perSecond * run.seconds,
        load,
        blip: price.blip * this.#fenceShares.inSlot(partition, run.endSlot),
      };
    };
  }
}

const endOf = ({ endSlot, endShare }: Run): Instant => ({ slot: endSlot, share: endShare });

function sumFrom(values: Float64Array, first: number): number {
  let sum = 0;
  for (let i = first; i < values.length; i++) sum += values[i] as number;
  return sum;
}

function inTimeOrder(candidates: readonly Candidate[]): (Candidate & { readonly run: Run })[] {
  return candidates
    .filter((candidate): candidate is Candidate & { run: Run } => candidate.run !== null)
    .sort((a, b) => a.run.startSlot - b.run.startSlot || a.order - b.order);
}

const asScheduled = ({
  partition,
  source,
  target,
  run,
  price,
  gain,
}: Candidate & { run: Run }): ScheduledMove => ({
  partition,
  source,
  target,
  startSlot: run.startSlot,
  endSlot: run.endSlot,
  endShare: run.endShare,
  seconds: run.seconds,
  bytesPerSecond: run.bytesPerSecond,
  price,
  gain,
});

/**
 * The first move, in order of time, whose map with those before it, kept for the whole horizon, breaks a rule or is worse
 * than the present one: so that whoever stops after any move, or loses the rest of the plan, has lost nothing.
 */
function firstBadPrefix({ instance }: TimetableProblem, candidates: readonly Candidate[]): Candidate | null {
  const state = new PlacementState(instance);
  const atStart = state.cost();
  // What rounding may add over as many moves.
  const costMax = atStart + 1e-9 * Math.abs(atStart);
  for (const candidate of inTimeOrder(candidates)) {
    if (!state.canMove(candidate.partition, candidate.target)) return candidate;
    state.move(candidate.partition, candidate.target);
    if (state.cost() > costMax) return candidate;
  }
  return null;
}

/** The last start of a move that was planned before `bad` and starts after it; 0 when there is none. */
const lastStartBefore = (bad: Candidate, candidates: readonly Candidate[]): number =>
  candidates.reduce((last, { order, run }) => {
    const isPlannedBefore = order < bad.order && run !== null && run.startSlot > (bad.run?.startSlot ?? 0);
    return isPlannedBefore ? Math.max(last, run.startSlot) : last;
  }, 0);

/** Penalties of groups belong to no single move: each gets what it mends on the map that the moves before it leave. */
function withReliefs(instance: PlacementInstance, moves: readonly PlannedMove[]): RelievingMove[] {
  const state = new PlacementState(instance);
  return moves.map((move) => {
    const relief = state.penaltyRelief(move.partition, move.target);
    state.move(move.partition, move.target);
    return { ...move, relief };
  });
}

/** Loads, prices, and what the moves mend. */
function timelineCost(
  { instance }: TimetableProblem,
  timeline: Timeline,
  candidates: readonly Candidate[],
): number {
  let cost = timeline.loadCost();
  for (const candidate of inTimeOrder(candidates)) {
    const { run, price } = candidate;
    const shareAway = (instance.slotCount - run.endSlot - run.endShare) / instance.slotCount;
    cost += priceSum(price) - shareAway * candidate.relief;
  }
  return cost;
}
