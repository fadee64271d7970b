import type { PartitionRange } from './members/member.ts';
import { restoreInto } from './saved.ts';

/** Parts of a day whose noise is measured apart; 8, 12 and 24 tie, 12 holds rare errors a little better than 8. */
const BINS_MAX = 12;
/** Fewer windows make no day whose hours could differ. */
const BINS_MIN = 4;
/** Neighbouring bins speak as well, up to so many bins away, so that bounds do not step from bin to bin. */
const REACH_BINS = 1.5;
/**
 * Errors after which what a partition shows of an hour counts half: 5 to 20 tie on the mean of training parts, 5 is worse where series
 * are few, 20 where they are many.
 */
const HOUR_PRIOR_COUNT = 10;
/** One error cannot count for more than so many usual ones: an outage says nothing of its hour. */
const OUTLIER_MAX = 10;

/** Squared log units of load from its mean after which the slope counts half; 20 and 100 tie. */
const SLOPE_PRIOR = 20;
/** Noise of counts alone shrinks with the root of the load, 0.5; more is seen where quiet hours are of another kind. */
const SLOPE_MAX = 0.7;
/** Log units from the usual load within which the slope was learnt. */
const DISTANCE_MAX = 3;
/** An error that happens to be none has no logarithm; a single one beyond is an accident. In usual errors. */
const ERROR_SHARE_MIN = 0.05;
const ERROR_SHARE_MAX = 20;

/** Half forgotten after two weeks, as what else bounds know of a partition. */
const HALF_LIFE_WINDOWS = 336;

/** No partition. */
const NONE = -1;

/** An error of an issued forecast, of a partition at a window. */
export interface NoiseSample {
  readonly partition: number;
  /** Since the start of all windows. */
  readonly window: number;
  /** The log load that was forecast. */
  readonly point: number;
  /** |log actual - log forecast|. */
  readonly size: number;
  /** What is usual at that horizon, of this partition. */
  readonly usual: number;
  /** Its share of one judgement of all partitions. */
  readonly share: number;
}

export type SavedNoiseShape = Readonly<
  Record<'slope' | 'levelSums' | 'levelCounts' | 'hourSums' | 'hourCounts', Float64Array>
> & {
  /** Of an older version: none, and added up anew. */
  readonly dayTotals?: Float64Array;
};

/** The two parts of a factor, of the error that was looked at last. */
interface Factors {
  partition: number;
  window: number;
  point: number;
  hour: number;
  load: number;
}

/**
 * When the errors of a partition are large, and when small: by the hour of the day, and by how much load is expected.
 *
 * The hour is the partition's own record, shrunk to "as at other hours" (Efron & Morris 1973). The load's effect is one number for
 * all, the slope of the log error over the log load by least squares: quiet hours are noisier by a factor. Errors divided by this
 * shape are what bounds are learnt from, and bounds are multiplied by it.
 *
 * On training parts the interval scores of 80 and 95 % bounds fall by 7 and 17 % (mean of 66 sets, standard errors 1.6 and 2.9),
 * by 3 and 6 % of M4's and the flights' many partitions.
 */
export class NoiseShape {
  readonly #dayWindows: number;
  readonly #binCount: number;
  /** f64[2], fading: sums of log error x distance from the usual load, and of squared distances. */
  readonly #slope = new Float64Array(2);
  /** f64[partition], fading: sums of log loads that were forecast, and how many. */
  readonly #levelSums: Float64Array;
  readonly #levelCounts: Float64Array;
  /** f64[partition][bin], fading: |error| over what is usual at that load, and how many. */
  readonly #hourSums: Float64Array;
  readonly #hourCounts: Float64Array;
  /** f64[partition][2]: sums of the two over the bins, kept beside them, since every error that is looked at asks for them. */
  readonly #dayTotals: Float64Array;
  /** An error is measured by its factor before it is taken in: the same two parts, which cost most of either. */
  readonly #last: Factors = { partition: NONE, window: 0, point: 0, hour: 1, load: 1 };

  constructor(partitionCount: number, dayWindows: number) {
    this.#dayWindows = dayWindows;
    this.#binCount = dayWindows < BINS_MIN ? 0 : Math.min(BINS_MAX, dayWindows);
    this.#levelSums = new Float64Array(partitionCount);
    this.#levelCounts = new Float64Array(partitionCount);
    this.#hourSums = new Float64Array(partitionCount * this.#binCount);
    this.#hourCounts = new Float64Array(partitionCount * this.#binCount);
    this.#dayTotals = new Float64Array(partitionCount * 2);
  }

  /** Lets what is known count a window less. */
  fade(): void {
    const factor = 0.5 ** (1 / HALF_LIFE_WINDOWS);
    const faded = [this.#slope, this.#levelSums, this.#levelCounts];
    for (const values of [...faded, this.#hourSums, this.#hourCounts, this.#dayTotals])
      for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * factor;
    this.#last.partition = NONE;
  }

  /** Takes in an error; of partitions that never err there must be none. */
  add({ partition, window, point, size, usual, share }: NoiseSample): void {
    const distance = this.#distance(partition, point);
    // Each of the two is learnt from what the other leaves: quiet nights are not noisy twice.
    const { hour, load } = this.#factorsAt(partition, window, point);
    const ofLoad = size / usual / hour;
    const ofHour = Math.min(OUTLIER_MAX, size / usual / load);
    this.#last.partition = NONE;
    const shown = Math.min(ERROR_SHARE_MAX, Math.max(ERROR_SHARE_MIN, ofLoad));
    this.#slope[0] = (this.#slope[0] as number) + share * distance * Math.log(shown);
    this.#slope[1] = (this.#slope[1] as number) + share * distance * distance;
    this.#levelSums[partition] = (this.#levelSums[partition] as number) + point;
    this.#levelCounts[partition] = (this.#levelCounts[partition] as number) + 1;
    if (this.#binCount === 0) return;
    const at = partition * this.#binCount + Math.floor(this.#binAt(window));
    this.#hourSums[at] = (this.#hourSums[at] as number) + ofHour;
    this.#hourCounts[at] = (this.#hourCounts[at] as number) + 1;
    this.#dayTotals[2 * partition] = (this.#dayTotals[2 * partition] as number) + ofHour;
    this.#dayTotals[2 * partition + 1] = (this.#dayTotals[2 * partition + 1] as number) + 1;
  }

  /** By how much errors of the partition at this window, with this log load forecast, are larger than its usual ones. */
  factor(partition: number, { window, point }: { readonly window: number; readonly point: number }): number {
    const { hour, load } = this.#factorsAt(partition, window, point);
    return load * hour;
  }

  /**
   * The same of consecutive windows of some partitions.
   *
   * @param window the first one
   * @param points f32[partition of the range][step], log loads
   * @returns f32[partition of the range][step]
   */
  factors(range: PartitionRange, window: number, points: Float32Array): Float32Array {
    const steps = points.length / range.count;
    const factors = new Float32Array(points.length);
    const hours = new Float64Array(Math.min(steps, this.#dayWindows));
    for (let i = 0; i < range.count; i++) {
      const partition = range.first + i;
      for (let step = 0; step < hours.length; step++)
        hours[step] = this.#hourFactor(partition, window + step);
      for (let step = 0; step < steps; step++) {
        const hour = hours[step % this.#dayWindows] as number;
        factors[i * steps + step] = hour * this.#loadFactor(partition, points[i * steps + step] as number);
      }
    }
    return factors;
  }

  /** From now on the partition's load is another: what was usual has moved by so many log units. */
  recentre(partition: number, step: number): void {
    this.#levelSums[partition] =
      (this.#levelSums[partition] as number) + step * (this.#levelCounts[partition] as number);
    this.#last.partition = NONE;
  }

  save(): SavedNoiseShape {
    return {
      slope: this.#slope.slice(),
      levelSums: this.#levelSums.slice(),
      levelCounts: this.#levelCounts.slice(),
      hourSums: this.#hourSums.slice(),
      hourCounts: this.#hourCounts.slice(),
      dayTotals: this.#dayTotals.slice(),
    };
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when numbers are missing. */
  load(saved: SavedNoiseShape): void {
    restoreInto(this.#slope, saved?.slope, 'noise by load');
    restoreInto(this.#levelSums, saved.levelSums, 'usual loads');
    restoreInto(this.#levelCounts, saved.levelCounts, 'usual loads');
    restoreInto(this.#hourSums, saved.hourSums, 'noise by hour');
    restoreInto(this.#hourCounts, saved.hourCounts, 'noise by hour');
    if (saved.dayTotals === undefined) this.#addUp();
    else restoreInto(this.#dayTotals, saved.dayTotals, 'noise by day');
    this.#last.partition = NONE;
  }

  #addUp(): void {
    this.#dayTotals.fill(0);
    for (let at = 0; at < this.#hourSums.length; at++) {
      const partition = Math.floor(at / this.#binCount);
      this.#dayTotals[2 * partition] =
        (this.#dayTotals[2 * partition] as number) + (this.#hourSums[at] as number);
      this.#dayTotals[2 * partition + 1] =
        (this.#dayTotals[2 * partition + 1] as number) + (this.#hourCounts[at] as number);
    }
  }

  #factorsAt(partition: number, window: number, point: number): Factors {
    const last = this.#last;
    if (last.partition === partition && last.window === window && last.point === point) return last;
    last.hour = this.#hourFactor(partition, window);
    last.load = this.#loadFactor(partition, point);
    last.partition = partition;
    last.window = window;
    last.point = point;
    return last;
  }

  /** Log units between a load and the partition's usual one. */
  #distance(partition: number, point: number): number {
    const count = this.#levelCounts[partition] as number;
    return count === 0 ? 0 : point - (this.#levelSums[partition] as number) / count;
  }

  #loadFactor(partition: number, point: number): number {
    const [products, squares] = this.#slope as unknown as [number, number];
    const slope = Math.min(SLOPE_MAX, Math.max(0, -products / (squares + SLOPE_PRIOR)));
    const distance = this.#distance(partition, point);
    return Math.exp(-slope * Math.max(-DISTANCE_MAX, Math.min(DISTANCE_MAX, distance)));
  }

  /** Where in the day a window lies, 0 to the number of bins. */
  #binAt(window: number): number {
    return ((window % this.#dayWindows) / this.#dayWindows) * this.#binCount;
  }

  #hourFactor(partition: number, window: number): number {
    const bins = this.#binCount;
    const first = partition * bins;
    const sum = this.#dayTotals[2 * partition] as number;
    const count = this.#dayTotals[2 * partition + 1] as number;
    if (!(sum > 0)) return 1;
    const mean = sum / count;
    const place = this.#binAt(window);
    let near = 0;
    let nearCount = 0;
    for (const offset of [-1, 0, 1]) {
      const bin = Math.floor(place) + offset;
      const weight = Math.max(0, 1 - Math.abs(place - (bin + 0.5)) / REACH_BINS);
      const at = first + ((bin + bins) % bins);
      near += weight * (this.#hourSums[at] as number);
      nearCount += weight * (this.#hourCounts[at] as number);
    }
    return (near / mean + HOUR_PRIOR_COUNT) / (nearCount + HOUR_PRIOR_COUNT);
  }
}
