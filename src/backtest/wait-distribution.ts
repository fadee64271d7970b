import { phi } from '../affinity/phi.ts';

/** Utilisations are told apart by so little: a quantile is exact to a thousandth at 80 %. */
const RHO_STEP = 1 / 4096;
/** Halvings of the interval that a quantile is in. */
const BISECTIONS = 60;

/**
 * How long queries wait, each at its node as in an M/M/1 queue, in service times.
 *
 * There P(W > t) = rho exp(-(1 - rho) t), with mean rho / (1 - rho) = phi. Beyond the utilisation where phi goes on by its
 * tangent nobody is served at once, and waits are exponential with phi as their mean.
 *
 * @see Kleinrock, Queueing Systems I, 3.2 and 5.7
 */
export class WaitDistribution {
  /** Queries by utilisation, in steps. */
  readonly #queriesAt = new Map<number, number>();
  #queries = 0;
  #waitSum = 0;

  /** So many queries came while their node was utilised so much. */
  add(queries: number, rho: number): void {
    if (!(queries > 0)) return;
    const step = Math.round(rho / RHO_STEP);
    this.#queriesAt.set(step, (this.#queriesAt.get(step) ?? 0) + queries);
    this.#queries += queries;
    this.#waitSum += queries * phi(rho);
  }

  /** Waiting of queries that were added, which comes on top: queries x service times. It is in the mean alone. */
  addWait(wait: number): void {
    this.#waitSum += wait;
  }

  get mean(): number {
    return this.#queries > 0 ? this.#waitSum / this.#queries : 0;
  }

  /** What this share of all queries wait at most. */
  quantile(share: number): number {
    const groups = [...this.#queriesAt].map(([step, queries]) => {
      const rho = step * RHO_STEP;
      const delayed = Math.min(1, rho);
      return { queries, delayed, rate: rho > 0 ? delayed / phi(rho) : 1 };
    });
    const waitingLonger = (wait: number): number =>
      groups.reduce((sum, { queries, delayed, rate }) => sum + queries * delayed * Math.exp(-rate * wait), 0);
    const wanted = (1 - share) * this.#queries;
    if (waitingLonger(0) <= wanted) return 0;
    let high = 1;
    while (waitingLonger(high) > wanted) high *= 2;
    let low = high / 2 < 1 ? 0 : high / 2;
    for (let round = 0; round < BISECTIONS; round++) {
      const middle = (low + high) / 2;
      if (waitingLonger(middle) > wanted) low = middle;
      else high = middle;
    }
    return high;
  }
}
