import { type FenceShares, fenceShares } from '../fence.ts';
import { type Candidate, endOf, inTimeOrder, NO_PRICE, type Placed } from './candidate.ts';
import type { ExchangeWay, Group } from './groups.ts';
import type { Places, Run } from './places.ts';
import {
  type LeftOutCode,
  type PlannedMove,
  type PriceParts,
  priceSum,
  type TimetableProblem,
} from './problem.ts';
import { isTakenBack } from './replay.ts';
import { type Instant, type RelievingMove, Timeline } from './timeline.ts';

/** Rounds in which each move may change its start for the others' sake; each lowers the cost, few do anything. */
const ROUNDS_MAX = 4;
/** A start is not changed for rounding. */
const GAIN_MIN = 1e-12;

interface OneStart {
  readonly run: Run;
  readonly price: PriceParts;
  readonly gain: number;
}

/** One of the slots in which a move could start. */
interface Start extends OneStart {
  /** Price less gain. */
  readonly total: number;
}

/** The same for all moves of an exchange; what it has of one is the first's. */
interface JointStart extends Start {
  readonly startOf: ReadonlyMap<Candidate, OneStart>;
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

/** Gives moves their runs, one among all the others, and takes them back. */
export class Scheduler {
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

  /** Puts moves that have no run where they cost least, or as early as they can; where that is nowhere they get a code instead. */
  place(group: Group, preference: 'cheap' | 'early'): void {
    const { members } = group;
    const isWhole = members.length > 1 && !members.some(isLeftOutForGood);
    if (isWhole) this.#placeTogether(group, preference);
    else
      for (const candidate of members)
        if (!isLeftOutForGood(candidate)) this.#placeAlone(candidate, preference);
  }

  #placeAlone(candidate: Candidate, preference: 'cheap' | 'early'): void {
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
    this.#settleOn(candidate, best);
  }

  /** One after the other within slots that the map in between may see; the later ones as early as they can. */
  #placeTogether({ members, ways }: Group, preference: 'cheap' | 'early'): void {
    const { firstSlot, keptSlot } = members[0] as Candidate;
    const found: JointStart[] = [];
    for (let slot = firstSlot; slot < this.#problem.instance.slotCount; slot++) {
      for (const way of ways) {
        const start = this.#startTogether(way, slot);
        if (start !== null) found.push(start);
      }
      if (preference === 'early' && found.length > 0 && slot >= keptSlot) break;
    }
    const best = preference === 'early' ? (found.at(-1) ?? null) : this.#choose(found, keptSlot);
    const orders = members.map(({ order }) => order).sort((a, b) => a - b);
    [...(best?.startOf.keys() ?? [])].forEach((member, i) => {
      member.order = orders[i] as number;
    });
    for (const member of members) {
      member.code = best === null ? 'prefix' : null;
      this.#settleOn(member, best?.startOf.get(member) ?? null);
    }
  }

  #startTogether({ members, excessSlots }: ExchangeWay, firstSlot: number): JointStart | null {
    const startOf = new Map<Candidate, OneStart>();
    let first: OneStart | null = null;
    let last: OneStart | null = null;
    let total = 0;
    for (const [i, member] of members.entries()) {
      const run = this.#runAfter(member, last?.run ?? null, { firstSlot, excessSlots: excessSlots[i - 1] });
      if (run === null) break;
      last = {
        run,
        price: this.#pricesOf(member)(run),
        gain: this.#gainAfter(member, run, this.#timeline.gains(member)),
      };
      first ??= last;
      total += priceSum(last.price) - last.gain;
      startOf.set(member, last);
      this.#settleOn(member, last);
    }
    for (const member of members) this.lift(member);
    return first === null || startOf.size < members.length ? null : { ...first, startOf, total };
  }

  /** The first run that begins in `firstSlot`, or, where there is one before it, as soon as that has ended and before a slot of excess. */
  #runAfter(
    member: Candidate,
    before: Run | null,
    {
      firstSlot,
      excessSlots,
    }: { readonly firstSlot: number; readonly excessSlots: ReadonlySet<number> | undefined },
  ): Run | null {
    if (!this.#places.hasRoom(member)) return null;
    const { instance } = this.#problem;
    const lastSlot = before === null ? firstSlot : instance.slotCount - 1;
    for (let slot = before?.endSlot ?? firstSlot; slot <= lastSlot && !excessSlots?.has(slot); slot++) {
      const run = this.#places.runFrom(member, slot, before);
      if (typeof run === 'string') continue;
      if (before === null) return run;
      for (let t = slot; t <= run.endSlot; t++) if (excessSlots?.has(t)) return null;
      return run;
    }
    return null;
  }

  #settleOn(candidate: Candidate, start: OneStart | null): void {
    candidate.run = start?.run ?? null;
    candidate.price = start?.price ?? NO_PRICE;
    candidate.gain = start?.gain ?? 0;
    if (start === null) return;
    const { partition, source, target } = candidate;
    this.#places.take(candidate, start.run);
    this.#timeline.shift(partition, source, target, endOf(start.run));
  }

  /** The cheapest, the earliest of equals; or the kept one, unless it is clearly dearer. */
  #choose<Found extends Start>(found: readonly Found[], keptSlot: number): Found | null {
    let best: Found | null = null;
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
  settle(groups: readonly Group[]): void {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      let isChanged = false;
      for (const group of groups) {
        const { members } = group;
        const before = members.map(startSlotOf);
        for (const member of members) this.lift(member);
        this.place(group, 'cheap');
        if (members.some((member, i) => startSlotOf(member) !== before[i])) isChanged = true;
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

  /** The moves that fall short of their price most, those of an exchange together; null when all are worth theirs. */
  leastWorthwhile(groups: readonly Group[], candidates: readonly Candidate[]): readonly Candidate[] | null {
    this.measure(candidates);
    // A peak belongs to no slot: moves that pay by lowering it would seem to be worth nothing.
    if (this.#problem.instance.peakWeight > 0) return null;
    let worst: readonly Candidate[] | null = null;
    let least = 0;
    for (const { members } of groups) {
      const isTogether = members.length > 1 && members.every(({ run }) => run !== null);
      for (const part of isTogether ? [members] : members.map((member) => [member])) {
        if (part[0]?.run === null) continue;
        const margin = this.#gainOfAll(part) - part.reduce((sum, { price }) => sum + priceSum(price), 0);
        if (margin >= least) continue;
        least = margin;
        worst = part;
      }
    }
    return worst;
  }

  /** What moves that have been measured gain together, among all the others. */
  #gainOfAll(members: readonly Candidate[]): number {
    if (members.length === 1) return (members[0] as Candidate).gain;
    let gain = 0;
    for (const member of members as readonly Placed[]) {
      const { partition, source, target, run } = member;
      this.#timeline.shift(partition, target, source, endOf(run));
      gain += this.#gainAfter(member, run, this.#timeline.gains(member));
    }
    for (const { partition, source, target, run } of members as readonly Placed[])
      this.#timeline.shift(partition, source, target, endOf(run));
    return gain;
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

const startSlotOf = ({ run }: Candidate): number => run?.startSlot ?? -1;

const isLeftOutForGood = ({ code }: Candidate): boolean => code !== null && LEFT_OUT_FOR_GOOD.includes(code);

function sumFrom(values: Float64Array, first: number): number {
  let sum = 0;
  for (let i = first; i < values.length; i++) sum += values[i] as number;
  return sum;
}
