/**
 * The price of utilisation that a charge on the highest of all utilisations amounts to.
 *
 * weight x max rho is the largest of sum of lambda rho over all lambda >= 0 that sum to the weight, so any such lambda gives
 * a lower bound. Found by the method of multipliers: lambda(rho) = max(0, multiplier + stiffness (rho - level)), where the
 * level makes the sum right; after each round of sweeps lambda becomes the multiplier.
 *
 * @see Rockafellar, "Augmented Lagrangians and applications of the proximal point algorithm in convex programming", 1976
 */
export class PeakPrices {
  readonly weight: number;
  /** Index points by which a lambda rises with a utilisation of 1. */
  readonly stiffness: number;
  /** f64[cell]. */
  readonly #multiplier: Float64Array;
  /** Utilisation above which a cell without a multiplier pays. */
  #level: number;

  /** @param utilisation f64[cell], at the start; NaN for cells that do not count. */
  constructor(weight: number, utilisation: Float64Array) {
    this.weight = weight;
    this.stiffness = STIFFNESS * weight;
    this.#multiplier = new Float64Array(utilisation.length);
    this.#level = 0;
    this.settle(utilisation);
  }

  /** lambda of a cell at a utilisation. */
  price(cell: number, rho: number): number {
    const price = (this.#multiplier[cell] as number) + this.stiffness * (rho - this.#level);
    return price > 0 ? price : 0;
  }

  /** Moves the level to where all prices sum to the weight. */
  settle(utilisation: Float64Array): void {
    // Projection on a simplex: the highest of the shifted values carry the weight. @see Held, Wolfe & Crowder, 1974
    const values: number[] = [];
    utilisation.forEach((rho, cell) => {
      if (!Number.isNaN(rho)) values.push((this.#multiplier[cell] as number) + this.stiffness * rho);
    });
    values.sort((a, b) => b - a);
    let sum = 0;
    let threshold = 0;
    for (let i = 0; i < values.length; i++) {
      const next = (sum + (values[i] as number) - this.weight) / (i + 1);
      if (i > 0 && next >= (values[i] as number)) break;
      sum += values[i] as number;
      threshold = next;
    }
    this.#level = threshold / this.stiffness;
  }

  /** Takes the prices of a settled state over as multipliers. */
  keep(utilisation: Float64Array): void {
    const prices = utilisation.map((rho, cell) => (Number.isNaN(rho) ? 0 : this.price(cell, rho)));
    this.#multiplier.set(prices);
  }
}

/** A cell 1 % above the level pays so many hundredths of the weight: found by trial; stiffer is slower within a round. */
const STIFFNESS = 10;
