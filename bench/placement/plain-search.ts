import type { PlacementNumbers } from '../../src/kernels/placement-block.ts';

const LINEAR_ABOVE = 0.95;
const SLOPE = 400;

/**
 * Shifts and swaps at one temperature in plain JavaScript, as one would write them for speed: typed arrays, one slot at a time,
 * each proposal priced in full.
 */
export class PlainSearch {
  readonly #numbers: PlacementNumbers;
  readonly #load: Float64Array;
  readonly #variance: Float64Array;
  readonly #cost: Float64Array;
  readonly #owner: Int32Array;
  readonly #inverse: Float64Array;
  readonly #row: Float64Array;
  readonly #doubt: Float64Array;
  #state: number;

  constructor(numbers: PlacementNumbers, seed: number) {
    const { nodeCount, depth, home } = numbers;
    this.#numbers = numbers;
    this.#load = numbers.background.slice();
    this.#variance = new Float64Array(nodeCount * depth);
    this.#cost = new Float64Array(nodeCount);
    this.#owner = home.slice();
    this.#inverse = numbers.capacity.map((own) => 1 / own);
    this.#row = new Float64Array(depth);
    this.#doubt = new Float64Array(depth);
    this.#state = seed;
    home.forEach((n, p) => {
      for (let d = 0; d < depth; d++) {
        this.#load[n * depth + d]! += numbers.load[p * depth + d] as number;
        this.#variance[n * depth + d]! += numbers.variance[p * depth + d] as number;
      }
    });
    for (let n = 0; n < nodeCount; n++) this.#cost[n] = this.#costWith(n, 1);
  }

  /** @returns accepted proposals. */
  run(iterations: number, temperature: number): number {
    const { partitionCount, nodeCount, placePrice } = this.#numbers;
    let accepted = 0;
    for (let i = 0; i < iterations; i++) {
      const p = Math.floor(this.#draw() * partitionCount);
      const q = this.#draw() < 0.5 ? Math.floor(this.#draw() * partitionCount) : -1;
      const a = this.#owner[p] as number;
      const b = q < 0 ? Math.floor(this.#draw() * nodeCount) : (this.#owner[q] as number);
      if (a === b) continue;
      let delta =
        (placePrice[p * nodeCount + b] as number) -
        (placePrice[p * nodeCount + a] as number) -
        (this.#cost[a] as number) -
        (this.#cost[b] as number);
      if (q >= 0)
        delta += (placePrice[q * nodeCount + a] as number) - (placePrice[q * nodeCount + b] as number);
      this.#fillRow(p, q);
      const costA = this.#costWith(a, -1);
      const costB = this.#costWith(b, 1);
      delta += costA + costB;
      if (delta > 0 && this.#draw() >= Math.exp(-delta / temperature)) continue;
      this.#addRow(a, -1);
      this.#addRow(b, 1);
      this.#cost[a] = costA;
      this.#cost[b] = costB;
      this.#owner[p] = b;
      if (q >= 0) this.#owner[q] = a;
      accepted++;
    }
    return accepted;
  }

  /** Uniform in 0..1. @see Marsaglia, "Xorshift RNGs", 2003 */
  #draw(): number {
    let t = this.#state;
    t ^= t << 13;
    t ^= t >>> 17;
    t ^= t << 5;
    this.#state = t;
    return (t >>> 0) / 4294967296;
  }

  /** Loads and variances of p without those of q. */
  #fillRow(p: number, q: number): void {
    const { depth, load, variance } = this.#numbers;
    for (let d = 0; d < depth; d++) {
      this.#row[d] = (load[p * depth + d] as number) - (q < 0 ? 0 : (load[q * depth + d] as number));
      this.#doubt[d] =
        (variance[p * depth + d] as number) - (q < 0 ? 0 : (variance[q * depth + d] as number));
    }
  }

  #addRow(node: number, sign: number): void {
    const { depth } = this.#numbers;
    for (let d = 0; d < depth; d++) {
      this.#load[node * depth + d]! += sign * (this.#row[d] as number);
      this.#variance[node * depth + d]! += sign * (this.#doubt[d] as number);
    }
  }

  /** Of one resource: the bench has no more. */
  #costWith(node: number, sign: number): number {
    const { depth, slotWeight, riskZ, commonError, safeUtilisation, overloadFactor } = this.#numbers;
    const inverse = this.#inverse[node] as number;
    const overload = overloadFactor[0] as number;
    const start = node * depth;
    let cost = 0;
    for (let d = 0; d < depth; d++) {
      const load = (this.#load[start + d] as number) + sign * (this.#row[d] as number);
      let u = load;
      if (riskZ > 0) {
        const common = commonError * load;
        const variance = (this.#variance[start + d] as number) + sign * (this.#doubt[d] as number);
        u += riskZ * Math.sqrt(Math.max(0, variance) + common * common);
      }
      const rho = u * inverse;
      const m = Math.min(rho, LINEAR_ABOVE);
      const phi = 1 / (1 - m) - 1 + (rho - m) * SLOPE;
      cost += (slotWeight[d] as number) * (load * phi + overload * Math.max(0, rho - safeUtilisation));
    }
    return cost;
  }
}
