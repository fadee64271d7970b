import type { PlacementInstance } from '../instance.ts';
import { LINEAR_ABOVE, SLOPE_AT_LINEAR } from '../phi.ts';

const PHI_AT_LINEAR = LINEAR_ABOVE / (1 - LINEAR_ABOVE);

/**
 * Utilisation over which the overload's kink is rounded off. Its cost is lowered by at most half of that, 0.0005 of
 * utilisation, so that a bound stays one; without it no single slope belongs to a node that is exactly at the safe
 * utilisation, and such nodes are what an optimum is made of.
 */
const KINK_WIDTH = 1e-3;

/**
 * What the load of one node in one resource and slot costs, as a convex function that never exceeds the objective: errors
 * between partitions are taken to cancel, since their square root is not convex.
 *
 * f(u) = weight [ u phi(rho) + overload max(0, rho - safe) ], rho = u (1 + riskZ commonError) / capacity
 */
export class CellCost {
  readonly #slotWeight: Float64Array;
  readonly #overloadFactor: Float64Array;
  readonly #safe: number;
  readonly #resourceCount: number;
  /** f64[node][resource]. */
  readonly #perLoad: Float64Array;

  constructor(instance: PlacementInstance) {
    const allowance = 1 + instance.riskZ * instance.commonError;
    this.#perLoad = instance.capacity.map((own) => allowance / own);
    this.#slotWeight = instance.slotWeight;
    this.#overloadFactor = instance.overloadFactor;
    this.#safe = instance.safeUtilisation;
    this.#resourceCount = instance.resourceCount;
  }

  /** Of node n by one unit of load of resource r. */
  utilisation(n: number, r: number): number {
    return this.#perLoad[n * this.#resourceCount + r] as number;
  }

  /** f(used) of node n, resource r, cell d = resource x slot. */
  value(n: number, r: number, d: number, used: number): number {
    const rho = used * (this.#perLoad[n * this.#resourceCount + r] as number);
    const phi =
      rho <= LINEAR_ABOVE ? rho / (1 - rho) : PHI_AT_LINEAR + SLOPE_AT_LINEAR * (rho - LINEAR_ABOVE);
    const over = rho - this.#safe;
    let hinge = 0;
    if (over > KINK_WIDTH) hinge = over - KINK_WIDTH / 2;
    else if (over > 0) hinge = (over * over) / (2 * KINK_WIDTH);
    return (this.#slotWeight[d] as number) * (used * phi + (this.#overloadFactor[r] as number) * hinge);
  }

  /** f'(used). */
  slope(n: number, r: number, d: number, used: number): number {
    const perLoad = this.#perLoad[n * this.#resourceCount + r] as number;
    const rho = used * perLoad;
    // d(u phi)/du = phi + rho phi', which is (1 / (1 - rho)^2) - 1 below the tangent.
    const latency =
      rho <= LINEAR_ABOVE
        ? 1 / ((1 - rho) * (1 - rho)) - 1
        : PHI_AT_LINEAR + SLOPE_AT_LINEAR * (2 * rho - LINEAR_ABOVE);
    const over = rho - this.#safe;
    if (over <= 0) return (this.#slotWeight[d] as number) * latency;
    const hinge = Math.min(1, over / KINK_WIDTH) * (this.#overloadFactor[r] as number) * perLoad;
    return (this.#slotWeight[d] as number) * (latency + hinge);
  }

  /** f''(used). */
  curvature(n: number, r: number, d: number, used: number): number {
    const perLoad = this.#perLoad[n * this.#resourceCount + r] as number;
    const rho = used * perLoad;
    const latency = rho <= LINEAR_ABOVE ? 1 / (1 - rho) ** 3 : SLOPE_AT_LINEAR;
    const over = rho - this.#safe;
    const hinge =
      over > 0 && over < KINK_WIDTH
        ? ((this.#overloadFactor[r] as number) * perLoad * perLoad) / KINK_WIDTH
        : 0;
    return (this.#slotWeight[d] as number) * (2 * perLoad * latency + hinge);
  }
}
