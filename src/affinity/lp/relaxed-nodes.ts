import type { PlacementInstance } from '../instance.ts';
import { CellCost } from './cell-cost.ts';
import { PeakPrices } from './peak-prices.ts';

/**
 * What nodes carry of partitions that may be split, and what more of it would cost in each resource and slot: the prices of a
 * relaxation. A charge on the highest utilisation adds its own ({@link PeakPrices}).
 */
export class RelaxedNodes {
  /** f64[node][depth]: background and relaxed load. Whoever changes it refreshes the node's slopes. */
  readonly used: Float64Array;
  /** f64[node][depth]: marginal cost there. */
  readonly slope: Float64Array;
  readonly #instance: PlacementInstance;
  readonly #cells: CellCost;
  #peak: PeakPrices | null = null;

  /** Without any partition yet. */
  constructor(instance: PlacementInstance) {
    this.#instance = instance;
    this.#cells = new CellCost(instance);
    this.used = instance.background.slice();
    this.slope = new Float64Array(instance.nodeCount * instance.depth);
  }

  /** Begins to charge, once every partition is somewhere. */
  open(): void {
    const { peakWeight } = this.#instance;
    this.#peak = peakWeight > 0 ? new PeakPrices(peakWeight, this.#utilisation()) : null;
    this.refreshAll();
  }

  /** Adds a share of partition p; slopes stay what they were. */
  add(p: number, n: number, share: number): void {
    this.addTo(this.used, p, n, share);
  }

  /** The same to sums that are not the nodes' own yet. */
  addTo(used: Float64Array, p: number, n: number, share: number): void {
    const { depth, load } = this.#instance;
    for (let d = 0; d < depth; d++) used[n * depth + d]! += share * (load[p * depth + d] as number);
  }

  /** Takes sums over. */
  replace(used: Float64Array): void {
    this.used.set(used);
    this.refreshAll();
  }

  refreshAll(): void {
    for (let n = 0; n < this.#instance.nodeCount; n++) this.refresh(n);
  }

  refresh(n: number): void {
    const { depth, slotStride, slotCount, resourceCount } = this.#instance;
    for (let r = 0; r < resourceCount; r++)
      for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
        const at = n * depth + d;
        this.slope[at] = this.#slopeAt(at, n, r, d, this.used[at] as number);
      }
  }

  settlePeak(): void {
    if (this.#peak === null) return;
    this.#peak.settle(this.#utilisation());
    this.refreshAll();
  }

  /** The prices of the highest utilisation become what the next round begins with. */
  keepPeak(): void {
    this.#peak?.keep(this.#utilisation());
    this.settlePeak();
  }

  /** Derivative of the nodes' cost by the share of p that has gone from one to the other, after `step`. */
  slopeOfShift(p: number, source: number, target: number, step: number): number {
    const { depth, slotStride, slotCount, resourceCount, load } = this.#instance;
    let sum = 0;
    for (let r = 0; r < resourceCount; r++)
      for (let d = r * slotStride; d < r * slotStride + slotCount; d++) {
        const own = load[p * depth + d] as number;
        const shifted = step * own;
        const source1 = source * depth + d;
        const target1 = target * depth + d;
        sum +=
          own *
          (this.#slopeAt(target1, target, r, d, (this.used[target1] as number) + shifted) -
            this.#slopeAt(source1, source, r, d, (this.used[source1] as number) - shifted));
      }
    return sum;
  }

  /** Derivative of the cost by a change of all loads, f64[node][depth], after so much of it. */
  slopeAlong(change: Float64Array, step: number): number {
    let sum = 0;
    this.#forEachCell((at, n, r, d) => {
      const own = change[at] as number;
      if (own !== 0) sum += own * this.#slopeAt(at, n, r, d, (this.used[at] as number) + step * own);
    });
    return sum;
  }

  /** f64[node][depth], second derivative by load. */
  curvature(): Float64Array {
    const curvature = new Float64Array(this.used.length);
    this.#forEachCell((at, n, r, d) => {
      const used = this.used[at] as number;
      const perLoad = this.#cells.utilisation(n, r);
      curvature[at] = this.#cells.curvature(n, r, d, used);
      if (this.#peak !== null && this.#peak.price(at, used * perLoad) > 0)
        curvature[at]! += this.#peak.stiffness * perLoad * perLoad;
    });
    return curvature;
  }

  /** What they cost, and of that what a bound may count whatever the load will be: the tangents where it is 0. */
  costs(): { readonly cost: number; readonly bound: number } {
    const { background, peakWeight } = this.#instance;
    let bound = 0;
    let cost = 0;
    let peak = 0;
    this.#forEachCell((at, n, r, d) => {
      const used = this.used[at] as number;
      const value = this.#cells.value(n, r, d, used);
      const rho = used * this.#cells.utilisation(n, r);
      cost += value;
      peak = Math.max(peak, rho);
      // Prices of the peak pay for utilisation itself, which is linear: they have no tangent of their own to stand on.
      const onPeak = this.#peak === null ? 0 : this.#peak.price(at, rho) * rho;
      bound += value + onPeak - (this.slope[at] as number) * (used - (background[at] as number));
    });
    return { cost: cost + peakWeight * peak, bound };
  }

  #slopeAt(at: number, n: number, r: number, d: number, used: number): number {
    const slope = this.#cells.slope(n, r, d, used);
    if (this.#peak === null) return slope;
    const perLoad = this.#cells.utilisation(n, r);
    return slope + perLoad * this.#peak.price(at, used * perLoad);
  }

  /** f64[node][depth]; NaN in padding. */
  #utilisation(): Float64Array {
    const utilisation = new Float64Array(this.used.length).fill(Number.NaN);
    this.#forEachCell((at, n, r) => {
      utilisation[at] = (this.used[at] as number) * this.#cells.utilisation(n, r);
    });
    return utilisation;
  }

  #forEachCell(visit: (at: number, n: number, r: number, d: number) => void): void {
    const { nodeCount, depth, slotStride, slotCount, resourceCount } = this.#instance;
    for (let n = 0; n < nodeCount; n++)
      for (let r = 0; r < resourceCount; r++)
        for (let d = r * slotStride; d < r * slotStride + slotCount; d++) visit(n * depth + d, n, r, d);
  }
}
