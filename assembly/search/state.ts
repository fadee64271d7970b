/**
 * What every problem's control block begins with, and the pieces that a neighbourhood is made of: chance, acceptance,
 * assignment. A problem is an `@unmanaged` class that extends this one: its fields follow these in the block, and nothing
 * is allocated. The host repeats the layout in `src/kernels/search-layout.ts` and compares its size on load.
 */

/** What a rejected proposal, or one that is none, changes the cost by. */
// @ts-ignore: decorator
@lazy
export const REJECTED: f64 = Infinity;

/** The temperature falls, and operators are weighed again, once in so many iterations. A power of two. */
export const EPOCH: u32 = 256;
/** The operators' credit is turned into weights once in so many epochs. A power of two. */
const LEARN_EPOCHS: u32 = 8;
/** Of the old weights in the new ones: about ten rounds of learning are remembered. */
const MEMORY: f64 = 0.9;
/** Entries of the table that operators are drawn from. */
const TABLE_COUNT: u32 = 256;
/** Share of the draws that goes by the weights; the rest goes by fixed shares: what is never tried cannot show that it has become useful. */
const LEARNT_SHARE: f64 = 0.5;

/** Where an operator's numbers stand in its f64[5] of `operators`. */
const OPERATOR_BYTES: usize = 40;
const WEIGHT: usize = 0;
const CREDIT: usize = 8;
const TRIES: usize = 16;
const PRICE: usize = 24;
const SHARE: usize = 32;

@unmanaged
export class SearchState {
  temperature: f64;
  /** Factor of the temperature per EPOCH iterations. */
  cooling: f64;
  cost: f64;
  bestCost: f64;
  /** A map is a new best one only if it is better by more than this: the rounding of sums. */
  bestMargin: f64;
  /** Lowest cost since weights were made. */
  level: f64;
  /** Done since the reset. */
  iteration: u32;
  acceptedCount: u32;
  /** xorshift128, not all zero. */
  random0: u32;
  random1: u32;
  random2: u32;
  random3: u32;
  /** f32[1024]: -ln((i + 0.5) / 1024), so that acceptance needs no logarithm. */
  negativeLog: usize;
  itemCount: u32;
  /** i32[item]: the present map, and the best one. */
  owner: usize;
  bestOwner: usize;
  /** i32[journalMax][2]: item and node of each assignment since the best map; a longer way back is a copy. */
  journal: usize;
  journalCount: u32;
  journalMax: u32;
  operatorCount: u32;
  /** u8[256]: operators are drawn from it evenly. */
  operatorTable: usize;
  /** f64[operator][5]: weight, credit and tries since weights were made, price of a try, fixed share. */
  operators: usize;
  /** 0 keeps the weights as they are. */
  isLearning: u32;
  /** f64[sampleMax]: the first rises that were proposed since the reset, for the calibration of temperatures. */
  samples: usize;
  sampleCount: u32;
  sampleMax: u32;

  /** 32 random bits. @see Marsaglia, "Xorshift RNGs", 2003 */
  @inline
  draw(): u32 {
    let t = this.random3;
    const s = this.random0;
    this.random3 = this.random2;
    this.random2 = this.random1;
    this.random1 = s;
    t ^= t << 11;
    t ^= t >> 8;
    t = t ^ s ^ (s >> 19);
    this.random0 = t;
    return t;
  }

  /** Uniform in [0, count); the bias of count / 2^32 does not matter to a search. */
  @inline
  drawBelow(count: u32): u32 {
    return <u32>((<u64>this.draw() * <u64>count) >> 32);
  }

  /** Metropolis' rule. Rises are sampled while there is room for samples. */
  @inline
  accepts(delta: f64): bool {
    if (delta <= 0) return true;
    this.sample(delta);
    return delta < this.drawThreshold();
  }

  /** Keeps a rise while there is room. */
  @inline
  sample(rise: f64): void {
    if (this.sampleCount < this.sampleMax) {
      store<f64>(this.samples + ((<usize>this.sampleCount) << 3), rise);
      this.sampleCount++;
    }
  }

  /** For a problem whose search passes through maps that break a rule: those are never the best. */
  @inline
  isLegal(): bool {
    return true;
  }

  /** Metropolis' threshold, for a problem that can tell cheaply that a delta is above it. */
  @inline
  drawThreshold(): f64 {
    return this.temperature * <f64>load<f32>(this.negativeLog + ((<usize>(this.draw() >> 22)) << 2));
  }

  @inline
  ownerOf(item: u32): u32 {
    return load<u32>(this.owner + ((<usize>item) << 2));
  }

  /** The one way to change the map. */
  @inline
  assign(item: u32, node: u32): void {
    store<u32>(this.owner + ((<usize>item) << 2), node);
    const count = this.journalCount;
    if (count < this.journalMax) {
      const entry = this.journal + ((<usize>count) << 3);
      store<u32>(entry, item);
      store<u32>(entry, node, 4);
      this.journalCount = count + 1;
    } else this.journalCount = this.journalMax + 1;
  }

  /** The present map becomes the best one. */
  keepBest(): void {
    this.bestCost = this.cost;
    const best = this.bestOwner;
    const count = this.journalCount;
    if (count > this.journalMax) memory.copy(best, this.owner, (<usize>this.itemCount) << 2);
    else
      for (let i: u32 = 0; i < count; i++) {
        const entry = this.journal + ((<usize>i) << 3);
        store<u32>(best + ((<usize>load<u32>(entry)) << 2), load<u32>(entry, 4));
      }
    this.journalCount = 0;
  }

  @inline
  drawOperator(): u32 {
    return <u32>load<u8>(this.operatorTable + <usize>(this.draw() >> 24));
  }

  @inline
  countTry(operator: u32): void {
    const at = this.operators + <usize>operator * OPERATOR_BYTES;
    store<f64>(at, load<f64>(at, TRIES) + 1, TRIES);
  }

  /**
   * An operator is worth what it lowers the cost by below all costs of the round: mere descent from what a rise has lifted
   * to would make the operator the best that undoes what the others do.
   */
  @inline
  creditFall(operator: u32): void {
    if (this.cost >= this.level) return;
    const at = this.operators + <usize>operator * OPERATOR_BYTES;
    store<f64>(at, load<f64>(at, CREDIT) + (this.level - this.cost), CREDIT);
    this.level = this.cost;
  }

  endEpoch(): void {
    this.temperature *= this.cooling;
    if (this.isLearning != 0 && ((this.iteration / EPOCH) & (LEARN_EPOCHS - 1)) == 0) this.learn();
  }

  /**
   * Weights of operators from their credit, smoothed over the rounds, as adaptive large neighbourhood search does.
   * @see Ropke & Pisinger, "An adaptive large neighborhood search heuristic", 2006, 3.4
   */
  learn(): void {
    const count = this.operatorCount;
    let sum: f64 = 0;
    for (let o: u32 = 0; o < count; o++) sum += this.rateOf(o);
    if (sum > 0)
      for (let o: u32 = 0; o < count; o++) {
        const at = this.operators + <usize>o * OPERATOR_BYTES;
        store<f64>(at, MEMORY * load<f64>(at, WEIGHT) + ((1 - MEMORY) * this.rateOf(o)) / sum, WEIGHT);
      }
    for (let o: u32 = 0; o < count; o++) {
      const at = this.operators + <usize>o * OPERATOR_BYTES;
      store<f64>(at, 0, CREDIT);
      store<f64>(at, 0, TRIES);
    }
    this.level = this.cost;
    this.fillOperatorTable();
  }

  @inline
  rateOf(operator: u32): f64 {
    const at = this.operators + <usize>operator * OPERATOR_BYTES;
    const tries = load<f64>(at, TRIES);
    return tries > 0 ? load<f64>(at, CREDIT) / (tries * load<f64>(at, PRICE)) : 0;
  }

  /** Weights sum to 1, and so do the fixed shares. */
  fillOperatorTable(): void {
    const count = this.operatorCount;
    let upTo: f64 = 0;
    let entry: u32 = 0;
    for (let o: u32 = 0; o < count; o++) {
      const at = this.operators + <usize>o * OPERATOR_BYTES;
      const share = LEARNT_SHARE * load<f64>(at, WEIGHT) + (1 - LEARNT_SHARE) * load<f64>(at, SHARE);
      upTo += <f64>TABLE_COUNT * share;
      for (; entry < TABLE_COUNT && <f64>entry + 0.5 < upTo; entry++)
        store<u8>(this.operatorTable + <usize>entry, <u8>o);
    }
    // Weights may sum to a hair less than 1: what is left goes to the operator before it.
    while (entry < TABLE_COUNT) {
      store<u8>(this.operatorTable + <usize>entry, load<u8>(this.operatorTable + <usize>entry - 1));
      entry++;
    }
  }}
