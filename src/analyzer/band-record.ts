import { BAND_COUNT } from './bands.ts';
import { Histogram, type SavedHistogram } from './histogram.ts';
import { restoreInto } from './saved.ts';

/**
 * How fast the error usual in a horizon band follows: three days, since all partitions speak of it. Members get better as
 * they learn and worse when the load changes; with fourteen M4's training part is covered 4 % too often.
 */
const EXPECTED_HALF_LIFE_DAYS = 3;

/**
 * Errors after which their own distribution counts half beside a Laplace one. Errors of one forecast are nearly one error: 400 are
 * those of 27 forecasts of a day of hours, and tails are made of a tenth of them. On training parts 200 to 1,000 tie within 1 % of
 * interval scores.
 */
const SHAPE_PRIOR_COUNT = 400;

/** Judged windows before errors say anything of their distribution. */
export const JUDGED_MIN = 3;
/** An error below it is none: a partition that never has one is silent, or constant, and teaches nothing about others. */
export const ERROR_MIN = 1e-6;

export interface SavedBands {
  readonly bandSums: Float64Array;
  readonly bandCounts: Float64Array;
  readonly histograms: readonly SavedHistogram[];
}

/** What all partitions together have been wrong by in each horizon band: how much is usual, and how often how much more. */
export class BandRecord {
  /** f64[band] fading: sums of mean |residual| / ratio, and how many. */
  readonly #sums = new Float64Array(BAND_COUNT);
  readonly #counts = new Float64Array(BAND_COUNT);
  readonly #histograms = Array.from({ length: BAND_COUNT }, () => new Histogram());
  readonly #sizeFactor: number;

  constructor(dayWindows: number) {
    this.#sizeFactor = 0.5 ** (1 / halfLifeWindows(EXPECTED_HALF_LIFE_DAYS, dayWindows));
  }

  /** Lets what is known count a window less; the shape of errors by its own factor. */
  fade(shapeFactor: number): void {
    for (const values of [this.#sums, this.#counts])
      for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * this.#sizeFactor;
    for (const histogram of this.#histograms) histogram.fade(shapeFactor);
  }

  /** Takes in a share of one judgement of all: the sum of partitions' sizes, and how much of it they are. */
  addSizes(band: number, sum: number, share: number): void {
    this.#sums[band] = (this.#sums[band] as number) + sum;
    this.#counts[band] = (this.#counts[band] as number) + share;
  }

  /** Takes in one error in units of what is usual. */
  addError(band: number, error: number, share: number): void {
    (this.#histograms[band] as Histogram).add(error, share);
  }

  /** Mean absolute residual of a partition like the others; of the nearest band where this one has not been reached. */
  expected(band: number): number | undefined {
    const known = NEAREST_FIRST[band]?.find((other) => (this.#counts[other] as number) > 0);
    if (known === undefined) return undefined;
    // A lone partition that has been forecast without any error lately would make it 0, and nothing can be measured in that.
    return Math.max(ERROR_MIN, (this.#sums[known] as number) / (this.#counts[known] as number));
  }

  /**
   * The error that a share of all lies below, in units of what is usual; NaN while too little is known. Of few errors it is nearly that of a
   * Laplace distribution, whose mean size is the usual one.
   *
   * @param aliveCount partitions that one judgement of all is made of.
   */
  quantile(band: number, share: number, aliveCount: number): number {
    const histogram = NEAREST_FIRST[band]
      ?.map((other) => this.#histograms[other] as Histogram)
      .find(({ total }) => total >= JUDGED_MIN);
    if (histogram === undefined) return Number.NaN;
    const count = histogram.total * Math.max(1, aliveCount);
    const own = count * histogram.quantile(share);
    return (own + SHAPE_PRIOR_COUNT * laplaceQuantile(share)) / (count + SHAPE_PRIOR_COUNT);
  }

  save(): SavedBands {
    return {
      bandSums: this.#sums.slice(),
      bandCounts: this.#counts.slice(),
      histograms: this.#histograms.map(({ counts, total }) => ({ counts: counts.slice(), total })),
    };
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when numbers are missing. */
  load(saved: SavedBands): void {
    restoreInto(this.#sums, saved.bandSums, 'errors by band');
    restoreInto(this.#counts, saved.bandCounts, 'errors by band');
    this.#histograms.forEach((histogram, band) => {
      histogram.load(saved.histograms[band]);
    });
  }
}

/** Windows in so many days; a window of more than an hour counts as one of an hour, since there must be some to learn from. */
export const halfLifeWindows = (days: number, dayWindows: number): number => days * Math.max(24, dayWindows);

/** Of a mean size of 1. */
const laplaceQuantile = (share: number): number =>
  share < 0.5 ? Math.log(2 * share) : -Math.log(2 * (1 - share));

/** The band itself, nearer ones, then farther ones. */
const NEAREST_FIRST: readonly (readonly number[])[] = Array.from({ length: BAND_COUNT }, (_, band) => [
  ...Array.from({ length: band + 1 }, (_, index) => band - index),
  ...Array.from({ length: BAND_COUNT - 1 - band }, (_, index) => band + 1 + index),
]);
