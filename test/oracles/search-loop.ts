import {
  negativeLogTable,
  OPERATOR_TABLE_COUNT,
  SEARCH_EPOCH,
  SEARCH_LEARN_EPOCHS,
} from '../../src/kernels/search-layout.ts';

const REBUILD_ACCEPTS = 16384;
const MEMORY = 0.9;
const LEARNT_SHARE = 0.5;

export const REJECTED = Number.POSITIVE_INFINITY;

/** assembly/search/loop.ts and state.ts again, plainly: the best map is copied each time, weights are lists. */
export abstract class SearchOracle {
  readonly owner: Int32Array;
  best: Int32Array;
  cost = 0;
  bestCost = 0;
  acceptedCount = 0;
  temperature = 0;
  cooling = 1;
  /** The first rises that were proposed. */
  readonly samples: number[] = [];
  readonly weights: number[];
  readonly #operators: readonly { readonly price: number; readonly share: number }[];
  readonly #samplesMax: number;
  readonly #bestMargin: number;
  readonly #logs = negativeLogTable();
  readonly #random: Uint32Array;
  readonly #credit: number[];
  readonly #tries: number[];
  #table: number[] = [];
  #iteration = 0;
  /** Lowest cost since weights were made. */
  #level = 0;

  constructor(
    start: Int32Array,
    options: {
      readonly seed: readonly number[];
      readonly operators: readonly { readonly price: number; readonly share: number }[];
      readonly samplesMax: number;
      readonly bestMargin: number;
    },
  ) {
    this.owner = start.slice();
    this.best = start.slice();
    this.#operators = options.operators;
    this.#samplesMax = options.samplesMax;
    this.#bestMargin = options.bestMargin;
    this.#random = Uint32Array.from(options.seed);
    this.weights = options.operators.map(({ share }) => share);
    this.#credit = options.operators.map(() => 0);
    this.#tries = options.operators.map(() => 0);
    this.#fillTable();
  }

  /** Draws one proposal, judges it and carries it out: change of the cost, or REJECTED. */
  protected abstract attempt(operator: number): number;
  /** Sums state and cost afresh. */
  protected abstract rebuild(): void;

  protected reset(): void {
    this.rebuild();
    this.bestCost = this.cost;
    this.#level = this.cost;
  }

  run(iterations: number): number {
    for (let i = 0; i < iterations; i++) {
      const operator = this.#table[this.draw() >>> 24];
      const delta = this.attempt(operator);
      this.#tries[operator]++;
      if (delta !== REJECTED) {
        this.cost += delta;
        this.#credit[operator] += Math.max(0, this.#level - this.cost);
        this.#level = Math.min(this.#level, this.cost);
        if (++this.acceptedCount % REBUILD_ACCEPTS === 0) this.rebuild();
        if (this.cost < this.bestCost - this.#bestMargin) {
          this.bestCost = this.cost;
          this.best = this.owner.slice();
        }
      }
      if (++this.#iteration % SEARCH_EPOCH !== 0) continue;
      this.temperature *= this.cooling;
      if ((this.#iteration / SEARCH_EPOCH) % SEARCH_LEARN_EPOCHS === 0) this.#learn();
    }
    return this.acceptedCount;
  }

  /** The bits of the last draw. */
  protected get drawn(): number {
    return this.#random[0];
  }

  protected draw(): number {
    const r = this.#random;
    let t = r[3];
    const s = r[0];
    r[3] = r[2];
    r[2] = r[1];
    r[1] = s;
    t ^= t << 11;
    t ^= t >>> 8;
    r[0] = t ^ s ^ (s >>> 19);
    return r[0];
  }

  protected drawBelow(count: number): number {
    return Math.floor((this.draw() * count) / 4294967296);
  }

  protected get isSampling(): boolean {
    return this.samples.length < this.#samplesMax;
  }

  protected drawThreshold(): number {
    return this.temperature * this.#logs[this.draw() >>> 22];
  }

  protected accepts(delta: number): boolean {
    if (delta <= 0) return true;
    if (this.isSampling) this.samples.push(delta);
    return delta < this.drawThreshold();
  }

  #learn(): void {
    const rates = this.#operators.map(({ price }, o) =>
      this.#tries[o] > 0 ? this.#credit[o] / (this.#tries[o] * price) : 0,
    );
    const sum = rates.reduce((total, rate) => total + rate, 0);
    if (sum > 0)
      rates.forEach((rate, o) => {
        this.weights[o] = MEMORY * this.weights[o] + ((1 - MEMORY) * rate) / sum;
      });
    this.#credit.fill(0);
    this.#tries.fill(0);
    this.#level = this.cost;
    this.#fillTable();
  }

  #fillTable(): void {
    this.#table = [];
    let upTo = 0;
    let last = 0;
    this.#operators.forEach(({ share }, o) => {
      upTo += OPERATOR_TABLE_COUNT * (LEARNT_SHARE * this.weights[o] + (1 - LEARNT_SHARE) * share);
      while (this.#table.length < OPERATOR_TABLE_COUNT && this.#table.length + 0.5 < upTo) {
        this.#table.push(o);
        last = o;
      }
    });
    while (this.#table.length < OPERATOR_TABLE_COUNT) this.#table.push(last);
  }
}
