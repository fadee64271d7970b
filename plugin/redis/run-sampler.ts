/** Neighbours tell what is asked together, so that records are sampled in runs of so many. */
const RUN = 32;
/** One run in each block of so many. */
const BLOCK = 2048;

/** How many queries one of the sample stands for. */
export const SAMPLE_WEIGHT = BLOCK / RUN;

/**
 * One record in 64: in each block of 2,048 a run of 32, at a place drawn by lot, so that no rhythm of the application falls
 * in step with it. What a record costs beyond being added up, some microseconds, is then a fraction of one for each query.
 */
export class RunSampler {
  #state: number;
  /** In the block; the run begins at `#start`. */
  #place = 0;
  #start = 0;

  /** @param seed above 0. */
  constructor(seed: number) {
    this.#state = seed | 1;
    this.#draw();
  }

  next(): boolean {
    const place = this.#place++;
    if (this.#place === BLOCK) {
      this.#place = 0;
      const isLast = place >= this.#start && place < this.#start + RUN;
      this.#draw();
      return isLast;
    }
    return place >= this.#start && place < this.#start + RUN;
  }

  #draw(): void {
    // Xorshift (Marsaglia 2003): a lot is all that is asked of it.
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    this.#start = (x >>> 0) % (BLOCK - RUN + 1);
  }
}
