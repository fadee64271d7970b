import {
  dimensionIndex,
  LOAD_DIMENSION_COUNT,
  type LoadDimension,
  type LoadProfile,
} from '../../model/load-profile.ts';
import { COVERAGE_MIN } from '../history.ts';
import { restoreInto } from '../saved.ts';
import type { SeasonLengths } from '../season-lengths.ts';
import { RATIO_ERRORS_VERSION, RatioErrors, type SavedRatioErrors } from './ratio-errors.ts';

/** Of a week: hours of it, or longer stretches where windows are longer. Finer ones would be noise and memory. */
const BUCKETS_MAX = 168;

/** What a ratio of a bucket was is half forgotten after two visits to it. */
const HALF_LIFE_WEEKS = 2;

/**
 * Visits that the coarser ratio counts for: the hour of the day is seen seven times a week and soon believed; the hour of the week
 * has to be seen three weeks running before it counts for more than the day.
 */
const DAY_SHRINKAGE = 0.5;
const WEEK_SHRINKAGE = 2;

/**
 * So many times what is usual a window counts for in the ratio of all hours, which is to be that of most of them: one broken
 * reading would be in the forecast of every hour, one loud hour in that of all others. The hour's own ratio takes all of it.
 */
const OUTLIER_MAX = 20;

/** A past that says so many times as much of a dimension with a unit of the driver as when it was taken in is another past. */
const RETOLD_MIN = 1.5;

export interface RatioShape extends SeasonLengths {
  readonly partitionCount: number;
  readonly windowMs: number;
  /** Windows are counted from here. */
  readonly startMs: number;
  readonly driver: LoadDimension;
  /** The dimensions that follow the driver. */
  readonly followers: readonly LoadDimension[];
  /** Levels of bounds, rising. */
  readonly levels: readonly number[];
}

export interface SavedRatios {
  readonly shape: RatioShape;
  readonly endMs: number;
  /** f64[1 + follower]: loads of all partitions in the last window; the driver's first. Of an older version: none. */
  readonly last?: Float64Array;
  readonly driverSums: Float32Array;
  readonly followerSums: Float32Array;
  readonly visits: Float64Array;
  readonly driverTotals: Float64Array;
  readonly followerTotals: Float64Array;
  readonly errors: SavedRatioErrors;
}

/**
 * How much of each other dimension comes with one unit of the driver, by partition and hour of the week: what backs up at night
 * reads far more a query at night than by day.
 *
 * A ratio is that of sums, which fade; that of an hour of the week is shrunk towards that of the hour of the day, and this towards
 * that of all hours, by how often each was seen. On top stands how far the last day lay from it all.
 */
export class SeasonalRatios {
  readonly shape: RatioShape;
  readonly errors: RatioErrors;
  readonly #bucketCount: number;
  /** Buckets a day; 0 where a day is no whole number of buckets, and is passed over. */
  readonly #dayBuckets: number;
  /** f32[partition][bucket]. */
  readonly #driverSums: Float32Array;
  /** f32[partition][follower][bucket]. */
  readonly #followerSums: Float32Array;
  /** f64[bucket], fading, in weeks. */
  readonly #visits: Float64Array;
  /** f64[partition] and f64[partition][follower], of all buckets. */
  readonly #driverTotals: Float64Array;
  readonly #followerTotals: Float64Array;
  /** f64[1 + follower], see {@link SavedRatios}. */
  #last: Float64Array | undefined;
  #endMs: number;

  constructor(shape: RatioShape) {
    const { partitionCount, followers, weekWindows, dayWindows } = shape;
    this.shape = shape;
    this.#endMs = shape.startMs;
    this.#bucketCount = Math.min(BUCKETS_MAX, weekWindows);
    const dayBuckets = (this.#bucketCount * dayWindows) / weekWindows;
    this.#dayBuckets = Number.isInteger(dayBuckets) ? dayBuckets : 0;
    this.#driverSums = new Float32Array(partitionCount * this.#bucketCount);
    this.#followerSums = new Float32Array(partitionCount * followers.length * this.#bucketCount);
    this.#visits = new Float64Array(this.#bucketCount);
    this.#driverTotals = new Float64Array(partitionCount);
    this.#followerTotals = new Float64Array(partitionCount * followers.length);
    this.errors = new RatioErrors(partitionCount * followers.length, {
      followerCount: followers.length,
      levels: shape.levels,
      dayWindows,
    });
  }

  /** Wall clock of the end of the last window taken in. */
  get endMs(): number {
    return this.#endMs;
  }

  get bucketCount(): number {
    return this.#bucketCount;
  }

  bucketOf(startMs: number): number {
    const { windowMs, weekWindows } = this.shape;
    const window = Math.round((startMs - this.shape.startMs) / windowMs);
    const position = ((window % weekWindows) + weekWindows) % weekWindows;
    return Math.floor((position * this.#bucketCount) / weekWindows);
  }

  /** Takes in the windows after `endMs`; one of an outage tells nothing. */
  observe(profile: LoadProfile): void {
    const { startMs, windowMs, windowCount, coverage } = profile;
    for (let w = 0; w < windowCount; w++) {
      const windowStartMs = startMs + w * windowMs;
      if (windowStartMs < this.#endMs) continue;
      if ((coverage[w] as number) >= COVERAGE_MIN) this.#take(profile, w);
      if (w === windowCount - 1) this.#last = this.#sumsOf(profile, w);
      this.#endMs = windowStartMs + windowMs;
    }
  }

  /**
   * Whether the last window taken in is told otherwise by now: what a dimension was priced at, and is measured from here on, has
   * been brought to the measured level. Windows that came late tell more of all dimensions alike, and are no other past.
   */
  isRetold(profile: LoadProfile): boolean {
    const index = Math.round((this.#endMs - profile.startMs) / profile.windowMs) - 1;
    const before = this.#last;
    if (before === undefined || index < 0 || index >= profile.windowCount) return false;
    const now = this.#sumsOf(profile, index);
    return this.shape.followers.some((_, f) => {
      const was = (before[1 + f] as number) / (before[0] as number);
      const is = (now[1 + f] as number) / (now[0] as number);
      // No load of one or the other says nothing of their ratio.
      return was > 0 && is > 0 && Math.abs(Math.log(is / was)) > Math.log(RETOLD_MIN);
    });
  }

  /** Whether anything is known of how a follower follows. */
  isKnown(partition: number, follower: number): boolean {
    const row = partition * this.shape.followers.length + follower;
    return (this.#driverTotals[partition] as number) > 0 && (this.#followerTotals[row] as number) > 0;
  }

  /** The ratio of one bucket without what the last day says of it. */
  seasonal(partition: number, follower: number, bucket: number): number {
    const row = partition * this.shape.followers.length + follower;
    const overall = quotient(this.#followerTotals[row] as number, this.#driverTotals[partition] as number, 0);
    const day = this.#dayBuckets === 0 ? overall : this.#dayRatio(partition, row, bucket, overall);
    const own = quotient(
      this.#followerSums[row * this.#bucketCount + bucket] as number,
      this.#driverSums[partition * this.#bucketCount + bucket] as number,
      day,
    );
    return shrunk(own, this.#visits[bucket] as number, day, WEEK_SHRINKAGE);
  }

  /** About what comes of a follower in a window. @param row partition x followers + follower. */
  usual(row: number): number {
    return (this.#followerTotals[row] as number) / (HALF_LIFE_WEEKS * this.shape.weekWindows);
  }

  save(): SavedRatios {
    return {
      shape: this.shape,
      endMs: this.#endMs,
      ...(this.#last && { last: this.#last.slice() }),
      driverSums: this.#driverSums.slice(),
      followerSums: this.#followerSums.slice(),
      visits: this.#visits.slice(),
      driverTotals: this.#driverTotals.slice(),
      followerTotals: this.#followerTotals.slice(),
      errors: this.errors.save(),
    };
  }

  /**
   * @returns undefined of what an older version saved: it is learnt anew from the history.
   * @throws ForeshardError FORESHARD_CORRUPT when numbers are missing.
   */
  static restore(saved: SavedRatios): SeasonalRatios | undefined {
    if (saved.errors.version !== RATIO_ERRORS_VERSION) return undefined;
    const ratios = new SeasonalRatios(saved.shape);
    restoreInto(ratios.#driverSums, saved.driverSums, 'loads by hour of the week');
    restoreInto(ratios.#followerSums, saved.followerSums, 'loads of other dimensions by hour of the week');
    restoreInto(ratios.#visits, saved.visits, 'visits to hours of the week');
    restoreInto(ratios.#driverTotals, saved.driverTotals, 'loads of all hours');
    restoreInto(ratios.#followerTotals, saved.followerTotals, 'loads of other dimensions of all hours');
    ratios.errors.load(saved.errors);
    ratios.#endMs = saved.endMs;
    ratios.#last = saved.last?.slice();
    return ratios;
  }

  #take({ startMs, windowMs, values, coverage }: LoadProfile, index: number): void {
    const { partitionCount, driver, followers, weekWindows } = this.shape;
    const bucket = this.bucketOf(startMs + index * windowMs);
    const [driverOffset, ...offsets] = [driver, ...followers].map(dimensionIndex) as [number, ...number[]];
    const weeks = this.#bucketCount / weekWindows;
    const fade = 0.5 ** (weeks / HALF_LIFE_WEEKS);
    const totalFade = 0.5 ** (1 / (HALF_LIFE_WEEKS * weekWindows));
    const offered = 1 / (coverage[index] as number);
    this.errors.beginWindow();
    for (let p = 0; p < partitionCount; p++) {
      const base = (index * partitionCount + p) * LOAD_DIMENSION_COUNT;
      const load = (values[base + driverOffset] as number) * offered;
      for (let f = 0; f < offsets.length; f++) {
        const row = p * offsets.length + f;
        const value = (values[base + (offsets[f] as number)] as number) * offered;
        if (load > 0 && this.isKnown(p, f))
          this.errors.judge(row, {
            value,
            expected: load * this.seasonal(p, f, bucket),
            usual: this.usual(row),
          });
        const at = row * this.#bucketCount + bucket;
        this.#followerSums[at] = (this.#followerSums[at] as number) * fade + value;
        const counted = Math.min(value, this.#mostOf(p, row, load));
        this.#followerTotals[row] = (this.#followerTotals[row] as number) * totalFade + counted;
      }
      const at = p * this.#bucketCount + bucket;
      this.#driverSums[at] = (this.#driverSums[at] as number) * fade + load;
      this.#driverTotals[p] = (this.#driverTotals[p] as number) * totalFade + load;
    }
    this.#visits[bucket] = (this.#visits[bucket] as number) * fade + weeks;
    this.errors.endWindow();
  }

  /** f64[1 + follower] of one window, all partitions. */
  #sumsOf({ values, partitionCount }: LoadProfile, index: number): Float64Array {
    const offsets = [this.shape.driver, ...this.shape.followers].map(dimensionIndex);
    const sums = new Float64Array(offsets.length);
    const end = (index + 1) * partitionCount * LOAD_DIMENSION_COUNT;
    for (let base = index * partitionCount * LOAD_DIMENSION_COUNT; base < end; base += LOAD_DIMENSION_COUNT)
      for (let i = 0; i < offsets.length; i++)
        sums[i] = (sums[i] as number) + (values[base + (offsets[i] as number)] as number);
    return sums;
  }

  /** What of a follower's window counts in the total of all hours. */
  #mostOf(partition: number, row: number, load: number): number {
    const total = this.#followerTotals[row] as number;
    if (total === 0) return Number.POSITIVE_INFINITY;
    const proportionate = quotient(total * load, this.#driverTotals[partition] as number, 0);
    return OUTLIER_MAX * Math.max(proportionate, total / (HALF_LIFE_WEEKS * this.shape.weekWindows));
  }

  #dayRatio(partition: number, row: number, bucket: number, overall: number): number {
    let follower = 0;
    let driver = 0;
    let visits = 0;
    for (let b = bucket % this.#dayBuckets; b < this.#bucketCount; b += this.#dayBuckets) {
      follower += this.#followerSums[row * this.#bucketCount + b] as number;
      driver += this.#driverSums[partition * this.#bucketCount + b] as number;
      visits += this.#visits[b] as number;
    }
    return shrunk(quotient(follower, driver, overall), visits, overall, DAY_SHRINKAGE);
  }
}

/** Sums by hour are floats, which are infinite beyond 3.4e38: of such the coarser ratio is the best that is known. */
const quotient = (value: number, by: number, otherwise: number): number =>
  by > 0 && value + by < Number.POSITIVE_INFINITY ? value / by : otherwise;

const shrunk = (own: number, visits: number, towards: number, weight: number): number =>
  (visits * own + weight * towards) / (visits + weight);
