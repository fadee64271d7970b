/** Neighbours tell what is asked together, so that records are sampled in runs of so many. */
const RUN = 32;
/** One run in each block of so many. */
const BLOCK = 4096;

/** How many queries one of the sample stands for. */
export const SAMPLE_WEIGHT = BLOCK / RUN;

/**
 * One record in 128: in each block of 4,096 a run of 32, at a place drawn by lot, so that no rhythm of the application falls
 * in step with it. What a record costs beyond being added up, some ten microseconds, is then a fraction of one for each query. Both sides
 * of the ring draw the same lots, by the same seed: keys are written for records of the sample alone.
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

  /** Whether the next record is of the sample. */
  get isNext(): boolean {
    return this.#place >= this.#start && this.#place < this.#start + RUN;
  }

  /** Goes on by one record. @returns whether it is of the sample. */
  next(): boolean {
    const { isNext } = this;
    if (++this.#place === BLOCK) {
      this.#place = 0;
      this.#draw();
    }
    return isNext;
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
