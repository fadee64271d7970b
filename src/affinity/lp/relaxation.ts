import { assert } from '../../base/assert.ts';
import { atOnce, type Sliced } from '../../base/slices.ts';
import type { PlacementInstance } from '../instance.ts';
import { type Choices, listingChoices } from './choices.ts';
import { bestStep } from './line-search.ts';
import { newtonDirection } from './newton.ts';
import { RelaxedNodes } from './relaxed-nodes.ts';

/** Sweeps over what still moves between two sweeps over everything. */
const ACTIVE_SWEEPS = 6;

/** Steps of all split partitions together between two sweeps over everything. */
const NEWTON_STEPS = 40;

/** Rounds of sweeps alone: while many partitions are still on their way, quadratic models of the cost say little. */
const NEWTON_AFTER = 2;

/**
 * Products of slope and load in a piece of work: a tenth of a millisecond, and before V8 has compiled it, when many a cancellation comes,
 * about three; and what a step of Newton's method counts.
 */
const CELLS_OF_PIECE = 25_000;
const CELLS_OF_NEWTON = 500_000;

/** Shares below this are rounding. */
const SHARE_MIN = 1e-12;

/**
 * The placement problem with partitions that can be split, solved by coordinate descent: each partition in turn moves
 * load from the dearest node it is on to its cheapest, as far as that lowers the cost; then the split ones move together by
 * Newton's method, since alone they wait for each other. The relaxed cost is convex, so that what this approaches is its
 * minimum; its marginal costs are prices of load, under which every partition's cheapest choice gives a value that no map
 * falls below:
 *
 *   sum over cells of [ f(l) - f'(l) (l - background) ] + sum over p of min over n of [ f'(l_n) load_p + price(p, n) ]
 *
 * It is a bound for any l, however far from the minimum, and f64 throughout: no solver's tolerance enters. At the minimum it
 * equals the linear programme over all tangents. Most partitions end whole, on one node.
 *
 * A sweep is O(choices x depth).
 *
 * @see Lacoste-Julien et al., "Block-coordinate Frank-Wolfe optimization for structural SVMs", 2013 (blocks, gap)
 */
export class Relaxation {
  readonly instance: PlacementInstance;
  readonly choices: Choices;
  /** f64[choice]: how much of its partition is there; a partition's shares sum to 1. */
  readonly shareOf: Float64Array;
  /** The largest bound met so far. */
  lowerBound = Number.NEGATIVE_INFINITY;
  /** What the relaxed cost is still above the bound of the last round, index points: 0 at the minimum. */
  gap = Number.POSITIVE_INFINITY;
  /** Products of slope and load in all pieces so far, and what is as much work: how far it is, whatever the machine. */
  cellsDone = 0;
  #rounds = 0;
  #cellsOfPiece = 0;
  readonly #nodes: RelaxedNodes;
  #active: number[] = [];

  /** @param ownerOf i32[partition], where to start from; partitions that are where they may not be start at home. */
  static from(instance: PlacementInstance, ownerOf: Int32Array): Relaxation {
    return atOnce(Relaxation.building(instance, ownerOf));
  }

  /**
   * {@link from} in slices.
   *
   * @param choices of the instance, where somebody has listed them already.
   */
  static *building(instance: PlacementInstance, ownerOf: Int32Array, choices?: Choices): Sliced<Relaxation> {
    const listed = choices ?? (yield* listingChoices(instance));
    yield;
    const relaxation = new Relaxation(instance, listed);
    yield;
    yield* relaxation.#startFrom(ownerOf);
    return relaxation;
  }

  private constructor(instance: PlacementInstance, choices: Choices) {
    this.instance = instance;
    this.choices = choices;
    this.#nodes = new RelaxedNodes(instance);
    this.shareOf = new Float64Array(this.choices.nodeOf.length);
  }

  *#startFrom(ownerOf: Int32Array): Sliced<void> {
    const { partitionCount } = this.instance;
    const { startOf, nodeOf } = this.choices;
    for (let p = 0; p < partitionCount; p++) {
      const start = startOf[p] as number;
      let choice = start;
      for (let c = start; c < (startOf[p + 1] as number); c++) if (nodeOf[c] === ownerOf[p]) choice = c;
      this.shareOf[choice] = 1;
      this.#nodes.add(p, nodeOf[choice] as number, 1);
      if (this.#isRowDone()) yield;
    }
    this.#nodes.open();
  }

  /**
   * One sweep over all partitions, several over those that moved or are split, and a new bound.
   *
   * @returns {@link gap}.
   */
  advance(): number {
    for (const piece of this.pieces()) assert(piece === undefined, 'pieces carry nothing');
    return this.gap;
  }

  /** {@link advance} in pieces of a few milliseconds: between them others may run, or it may be left off for good. */
  *pieces(): Generator<undefined, void> {
    const { partitionCount } = this.instance;
    this.#active = [];
    for (let p = 0; p < partitionCount; p++) {
      if (this.#improve(p)) this.#active.push(p);
      if (this.#isPieceDone()) yield;
    }
    for (let sweep = 0; sweep < ACTIVE_SWEEPS; sweep++) {
      this.#nodes.settlePeak();
      let didMove = false;
      for (const p of this.#active) {
        didMove = this.#improve(p) || didMove;
        if (this.#isPieceDone()) yield;
      }
      if (!didMove) break;
    }
    for (let step = 0; this.#rounds >= NEWTON_AFTER && step < NEWTON_STEPS; step++) {
      this.#nodes.settlePeak();
      if (!(yield* this.#stepTogether())) break;
      this.#cellsOfPiece += CELLS_OF_NEWTON;
      if (this.#isPieceDone()) yield;
    }
    yield;
    yield* this.#summingAfresh();
    this.#nodes.settlePeak();
    this.#rounds++;
    yield;
    this.gap = yield* this.#pricing();
    this.#nodes.keepPeak();
  }

  /** Of work that looks at each cell of a partition once. */
  #isRowDone(): boolean {
    this.#cellsOfPiece += this.instance.depth;
    return this.#isPieceDone();
  }

  #isPieceDone(): boolean {
    if (this.#cellsOfPiece < CELLS_OF_PIECE) return false;
    this.cellsDone += this.#cellsOfPiece;
    this.#cellsOfPiece = 0;
    return true;
  }

  /** f64[node][depth]: background and relaxed load. */
  loads(): Float64Array {
    return this.#nodes.used.slice();
  }

  /** f64[choice]: what a whole partition there would cost more than on its cheapest node, at the present prices. */
  reducedCosts(): Float64Array {
    return atOnce(this.reducing());
  }

  /** {@link reducedCosts} in slices. */
  *reducing(): Sliced<Float64Array> {
    const { startOf, nodeOf } = this.choices;
    const reduced = new Float64Array(nodeOf.length);
    for (let p = 0; p < this.instance.partitionCount; p++) {
      const start = startOf[p] as number;
      const end = startOf[p + 1] as number;
      let least = Number.POSITIVE_INFINITY;
      for (let c = start; c < end; c++) {
        reduced[c] = this.#costOf(p, c);
        least = Math.min(least, reduced[c] as number);
      }
      for (let c = start; c < end; c++) reduced[c]! -= least;
      yield;
    }
    return reduced;
  }

  /** Steps leave rounding in shares and sums. The sums stay whole until all are new. */
  *#summingAfresh(): Sliced<void> {
    const { startOf, nodeOf } = this.choices;
    const used = this.instance.background.slice();
    for (let p = 0; p < this.instance.partitionCount; p++) {
      const start = startOf[p] as number;
      const end = startOf[p + 1] as number;
      let sum = 0;
      for (let c = start; c < end; c++) sum += this.shareOf[c] as number;
      for (let c = start; c < end; c++) {
        if ((this.shareOf[c] as number) === 0) continue;
        this.shareOf[c]! /= sum;
        this.#nodes.addTo(used, p, nodeOf[c] as number, this.shareOf[c] as number);
      }
      if (this.#isRowDone()) yield;
    }
    this.#nodes.replace(used);
  }

  /** Takes the sums at the present slopes, keeps the bound if it is better, and returns the duality gap. */
  *#pricing(): Sliced<number> {
    const { partitionCount } = this.instance;
    const { startOf } = this.choices;
    let { cost, bound } = this.#nodes.costs();
    for (let p = 0; p < partitionCount; p++) {
      let least = Number.POSITIVE_INFINITY;
      for (let c = startOf[p] as number; c < (startOf[p + 1] as number); c++) {
        cost += (this.shareOf[c] as number) * (this.choices.priceOf[c] as number);
        least = Math.min(least, this.#costOf(p, c));
      }
      bound += least;
      this.#cellsOfPiece += ((startOf[p + 1] as number) - (startOf[p] as number)) * this.instance.depth;
      if (this.#isPieceDone()) yield;
    }
    this.lowerBound = Math.max(this.lowerBound, bound);
    return cost - bound;
  }

  /** What partition p costs at choice c, at the present marginal costs. */
  #costOf(p: number, c: number): number {
    const { depth, load } = this.instance;
    const { slope } = this.#nodes;
    let cost = this.choices.priceOf[c] as number;
    let at = (this.choices.nodeOf[c] as number) * depth;
    const end = (p + 1) * depth;
    for (let i = p * depth; i < end; i++, at++) cost += (slope[at] as number) * (load[i] as number);
    return cost;
  }

  /** Moves load of p from its dearest node to its cheapest. Returns whether p moved or is split. */
  #improve(p: number): boolean {
    const { startOf } = this.choices;
    const start = startOf[p] as number;
    const end = startOf[p + 1] as number;
    this.#cellsOfPiece += (end - start) * this.instance.depth;
    if (end - start < 2) return false;
    let best = start;
    let worst = start;
    let bestCost = Number.POSITIVE_INFINITY;
    let worstCost = Number.NEGATIVE_INFINITY;
    let splits = 0;
    for (let c = start; c < end; c++) {
      const cost = this.#costOf(p, c);
      if (cost < bestCost) {
        bestCost = cost;
        best = c;
      }
      if ((this.shareOf[c] as number) <= 0) continue;
      splits++;
      if (cost > worstCost) {
        worstCost = cost;
        worst = c;
      }
    }
    const excess = worstCost - bestCost;
    if (best === worst || !(excess > 1e-13 * Math.abs(worstCost))) return splits > 1;
    this.#shift(p, worst, best, excess);
    return true;
  }

  /** Moves the share of p that costs least from one choice to another; `excess` is what the first costs more now. */
  #shift(p: number, worst: number, best: number, excess: number): void {
    const { nodeOf, priceOf } = this.choices;
    const source = nodeOf[worst] as number;
    const target = nodeOf[best] as number;
    const most = this.shareOf[worst] as number;
    const price = (priceOf[best] as number) - (priceOf[worst] as number);
    let step = bestStep(most, -excess, (at) => this.#nodes.slopeOfShift(p, source, target, at) + price);
    if (most - step < SHARE_MIN) step = most;
    this.shareOf[worst] = most - step;
    this.shareOf[best]! += step;
    this.#nodes.add(p, source, -step);
    this.#nodes.add(p, target, step);
    this.#nodes.refresh(source);
    this.#nodes.refresh(target);
  }

  /** Moves the shares of all split partitions together. Returns whether a share came to its end, and another step is due. */
  *#stepTogether(): Sliced<boolean> {
    const { instance, choices } = this;
    const nodes = this.#nodes;
    const direction = yield* newtonDirection({
      instance,
      choices,
      shareOf: this.shareOf,
      active: this.#active,
      curvature: nodes.curvature(),
      costOf: (p, c) => this.#costOf(p, c),
    });
    if (direction === null) return false;
    yield;
    const { change, loadChange, slope, stepMax } = direction;
    const along = (step: number): number => nodes.slopeAlong(loadChange, step) + direction.priceSlope;
    const step = bestStep(stepMax, slope, along);
    for (const { choice, share } of change) {
      const now = (this.shareOf[choice] as number) + step * share;
      this.shareOf[choice] = now < SHARE_MIN ? 0 : now;
    }
    for (let at = 0; at < loadChange.length; at++) nodes.used[at]! += step * (loadChange[at] as number);
    nodes.refreshAll();
    return step === stepMax && stepMax < 1;
  }
}
