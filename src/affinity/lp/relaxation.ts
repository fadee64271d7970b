import type { PlacementInstance } from '../instance.ts';
import { CellCost } from './cell-cost.ts';
import { type Choices, listChoices } from './choices.ts';

/** Sweeps over what still moves between two sweeps over everything. */
const ACTIVE_SWEEPS = 12;

/** Halvings, at worst, of the interval in which the best step lies; regula falsi needs three or four as a rule. */
const STEPS_MAX = 8;

/** A step is good enough once the slope has fallen to this share of what it was: the next sweep comes anyway. */
const SLOPE_LEFT = 0.02;

/** Shares below this are rounding. */
const SHARE_MIN = 1e-12;

/**
 * The placement problem with partitions that can be split, solved by coordinate descent: each partition in turn moves
 * load from the dearest node it is on to its cheapest, as far as that lowers the cost. The relaxed cost is convex, so that
 * what the sweeps approach is its minimum; its marginal costs are prices of load, under which every partition's cheapest
 * choice gives a value that no map falls below:
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
  /** Partitions looked at so far. */
  visits = 0;
  readonly #cells: CellCost;
  /** f64[node][depth]: background and relaxed load. */
  readonly #used: Float64Array;
  /** f64[node][depth]: marginal cost there. */
  readonly #slope: Float64Array;
  #active: number[] = [];

  /** @param ownerOf i32[partition], where to start from; partitions that are where they may not be start at home. */
  constructor(instance: PlacementInstance, ownerOf: Int32Array) {
    const { partitionCount, nodeCount, depth } = instance;
    this.instance = instance;
    this.choices = listChoices(instance);
    this.#cells = new CellCost(instance);
    this.shareOf = new Float64Array(this.choices.nodeOf.length);
    this.#used = instance.background.slice();
    this.#slope = new Float64Array(nodeCount * depth);
    const { startOf, nodeOf } = this.choices;
    for (let p = 0; p < partitionCount; p++) {
      const start = startOf[p] as number;
      const found = nodeOf.subarray(start, startOf[p + 1]).indexOf(ownerOf[p] as number);
      const choice = start + Math.max(0, found);
      this.shareOf[choice] = 1;
      this.#addLoad(p, nodeOf[choice] as number, 1);
    }
    for (let n = 0; n < nodeCount; n++) this.#refresh(n);
  }

  /**
   * One sweep over all partitions, several over those that moved or are split, and a new bound.
   *
   * @returns what the relaxed cost is still above the bound, index points: 0 at the minimum.
   */
  advance(): number {
    const { partitionCount } = this.instance;
    this.#active = [];
    for (let p = 0; p < partitionCount; p++) if (this.#improve(p)) this.#active.push(p);
    for (let sweep = 0; sweep < ACTIVE_SWEEPS; sweep++) {
      let didMove = false;
      for (const p of this.#active) didMove = this.#improve(p) || didMove;
      if (!didMove) break;
    }
    return this.#price();
  }

  /** f64[node][depth]: background and relaxed load. */
  loads(): Float64Array {
    return this.#used.slice();
  }

  /** f64[choice]: what a whole partition there would cost more than on its cheapest node, at the present prices. */
  reducedCosts(): Float64Array {
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
    }
    return reduced;
  }

  /** Takes the sums afresh, keeps the bound if it is better, and returns the duality gap. */
  #price(): number {
    const { instance } = this;
    const { partitionCount, nodeCount, depth, slotStride, slotCount, resourceCount, background } = instance;
    const { startOf } = this.choices;
    let bound = 0;
    for (let n = 0; n < nodeCount; n++)
      for (let r = 0; r < resourceCount; r++)
        for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
          const at = n * depth + d;
          const used = this.#used[at] as number;
          const slope = this.#slope[at] as number;
          bound += this.#cells.value(n, r, d, used) - slope * (used - (background[at] as number));
        }
    let gap = 0;
    for (let p = 0; p < partitionCount; p++) {
      let least = Number.POSITIVE_INFINITY;
      let spent = 0;
      for (let c = startOf[p] as number; c < (startOf[p + 1] as number); c++) {
        const cost = this.#costOf(p, c);
        spent += (this.shareOf[c] as number) * cost;
        if (cost < least) least = cost;
      }
      bound += least;
      gap += spent - least;
    }
    this.lowerBound = Math.max(this.lowerBound, bound);
    return gap;
  }

  /** What partition p costs at choice c, at the present marginal costs. */
  #costOf(p: number, c: number): number {
    const { depth, load } = this.instance;
    const slope = this.#slope;
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
    if (end - start < 2) return false;
    this.visits++;
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
    const slopeAt = (step: number): number => this.#slopeAlong(p, source, target, step) + price;
    let step = most;
    let highSlope = slopeAt(most);
    if (highSlope > 0) {
      // Regula falsi, with the end that stays halved so that it cannot stall (the Illinois rule).
      let low = 0;
      let lowSlope = -excess;
      let high = most;
      for (let i = 0; i < STEPS_MAX; i++) {
        step = low + ((high - low) * lowSlope) / (lowSlope - highSlope);
        const slope = slopeAt(step);
        if (Math.abs(slope) < SLOPE_LEFT * excess) break;
        if (slope < 0) {
          low = step;
          lowSlope = slope;
          highSlope /= 2;
        } else {
          high = step;
          highSlope = slope;
          lowSlope /= 2;
        }
      }
    }
    if (most - step < SHARE_MIN) step = most;
    this.shareOf[worst] = most - step;
    this.shareOf[best]! += step;
    this.#addLoad(p, source, -step);
    this.#addLoad(p, target, step);
    this.#refresh(source);
    this.#refresh(target);
  }

  /** Derivative of the nodes' cost by the share of p that has gone from one to the other, after `step`. */
  #slopeAlong(p: number, source: number, target: number, step: number): number {
    const { depth, slotStride, slotCount, resourceCount, load } = this.instance;
    let sum = 0;
    for (let r = 0; r < resourceCount; r++)
      for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
        const own = load[p * depth + d] as number;
        const shifted = step * own;
        sum +=
          own *
          (this.#cells.slope(target, r, d, (this.#used[target * depth + d] as number) + shifted) -
            this.#cells.slope(source, r, d, (this.#used[source * depth + d] as number) - shifted));
      }
    return sum;
  }

  #addLoad(p: number, n: number, share: number): void {
    const { depth, load } = this.instance;
    for (let d = 0; d < depth; d++) this.#used[n * depth + d]! += share * (load[p * depth + d] as number);
  }

  #refresh(n: number): void {
    const { depth, slotStride, slotCount, resourceCount } = this.instance;
    for (let r = 0; r < resourceCount; r++)
      for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
        const at = n * depth + d;
        this.#slope[at] = this.#cells.slope(n, r, d, this.#used[at] as number);
      }
  }
}
