import { BandRecord, ERROR_MIN, halfLifeWindows, JUDGED_MIN, type SavedBands } from './band-record.ts';
import { BAND_COUNT } from './bands.ts';
import { bandStep, hourStep, ownStep } from './conformal-steps.ts';
import { HourCorrections, hourFactor } from './hour-corrections.ts';
import { boundOf, type IntervalBasis } from './interval-basis.ts';
import type { PartitionRange } from './members/member.ts';
import { NoiseShape, type SavedNoiseShape } from './noise-shape.ts';
import { restoreInto } from './saved.ts';

/** How fast a partition's own noise against the others', and the shape of errors, follow. */
const RATIO_HALF_LIFE_DAYS = 14;
/** Errors after which a partition's own noise counts half; 3 to 20 tie, 100 costs a quarter of MSIS on M4's training part. */
const RATIO_PRIOR_COUNT = 5;

/** A partition's correction is at most e^2, sevenfold: beyond it is another partition. */
const OWN_CORRECTION_MAX = 2;

/** One error cannot count for more than so many usual ones. 50 and 10 tie on training parts; after a silence 10 is four times narrower. */
const OUTLIER_MAX = 10;
/** On training parts 5 in place of 20 takes another 1 and 2 % off interval scores; 3 is worse at 95 %. */
const POOLED_OUTLIER_MAX = 5;

/** Windows after which an error is half forgotten, and the rest that still counts as one. */
const ALIVE_HALF_LIFE = 336;
const ALIVE_MIN = 0.05;

/** Of each near error so much enters a partition's drift: a few hours' errors are its mean. */
const DRIFT_RATE = 0.3;
/** Usual errors from which on a drift is no noise. */
const DRIFT_MIN = 1.2;
/** Bands whose errors are of the last day. */
const NEAR_BANDS = 2;

/**
 * Log units that bounds widen by when a level is found shifted, or its size corrected: the size is an estimate. At 0.15 bounds of
 * 80 % hold 0.79 of the week after a shift on training parts of the flights log, at 0.1 0.78; corrections narrow them again.
 */
const SHIFT_WIDENING = 0.15;

const SIDES = [0, 1] as const;

export interface SavedIntervals extends SavedBands {
  readonly judged: number;
  readonly aliveCount: number;
  readonly ownSums: Float64Array;
  readonly ownCounts: Float64Array;
  readonly alive: Float64Array;
  readonly bandCorrections: Float64Array;
  readonly hourCorrections: Float64Array;
  readonly ownCorrections: Float32Array;
  readonly drift: Float32Array;
  readonly noise: SavedNoiseShape;
}

/** Of which windows residuals are. */
export interface JudgedStep {
  readonly band: number;
  /** The partition of the first residual. */
  readonly first: number;
  /** Since the start of all windows. */
  readonly window: number;
}

/**
 * Bounds in log space: how far from the point forecast each quantile of what comes lies, for each partition and horizon band.
 *
 * Half-width = (absolute error usual in the band) x (the partition's noise against the others') x (its shape over the day and over
 * loads) x (pooled quantile of errors so scaled) x (adaptive corrections: of the band, the hour of the day, the partition). Everything is learnt from errors of forecasts that were issued before the windows came.
 * The corrections move after each value that bounds issued earlier did or did not hold, in each tail by itself, so that
 * in the long run a bound is missed as often as it says, whatever the distribution does.
 *
 * @see Gibbs & Candès, "Adaptive conformal inference under distribution shift", 2021
 * @see Angelopoulos, Candès & Tibshirani, "Conformal PID control for time series prediction", 2023 (tracking a quantile)
 */
export class Intervals {
  readonly levels: readonly number[];
  readonly noise: NoiseShape;
  readonly #hours: HourCorrections;
  readonly #partitionCount: number;
  readonly #dayWindows: number;
  readonly #bands: BandRecord;
  /** f64[partition] fading: |residual| / expected, and how many. */
  readonly #ownSums: Float64Array;
  readonly #ownCounts: Float64Array;
  /** f64[partition] fading: errors that were none of nothing; and of all together, how many steps were judged. */
  readonly #alive: Float64Array;
  #judged = 0;
  #aliveCount = 0;
  /** f64[level][side][band] and f32[level][side][partition], log units. */
  readonly #bandCorrections: Float64Array;
  readonly #ownCorrections: Float32Array;
  /** f64[level][side]: what a miss moves a partition's correction by. */
  readonly #ownSteps: Float64Array;
  /** f32[partition]: running mean of near errors. */
  readonly #drift: Float32Array;

  constructor(
    partitionCount: number,
    { levels, dayWindows }: { readonly levels: readonly number[]; readonly dayWindows: number },
  ) {
    this.levels = levels;
    this.noise = new NoiseShape(partitionCount, dayWindows);
    this.#hours = new HourCorrections(levels.length * 2, dayWindows);
    this.#dayWindows = dayWindows;
    this.#bands = new BandRecord(dayWindows);
    this.#partitionCount = partitionCount;
    this.#ownSums = new Float64Array(partitionCount);
    this.#ownCounts = new Float64Array(partitionCount);
    this.#alive = new Float64Array(partitionCount);
    this.#bandCorrections = new Float64Array(levels.length * 2 * BAND_COUNT);
    this.#ownCorrections = new Float32Array(levels.length * 2 * partitionCount);
    this.#ownSteps = Float64Array.from({ length: levels.length * 2 }, (_, tailIndex) =>
      ownStep(partitionCount, this.#tail(tailIndex)),
    );
    this.#drift = new Float32Array(partitionCount);
  }

  /** Lets what is known count a window less. */
  fade(): void {
    const slow = 0.5 ** (1 / halfLifeWindows(RATIO_HALF_LIFE_DAYS, this.#dayWindows));
    scale(this.#ownSums, slow);
    scale(this.#ownCounts, slow);
    scale(this.#alive, 0.5 ** (1 / ALIVE_HALF_LIFE));
    this.#judged *= slow;
    this.#bands.fade(slow);
    this.noise.fade();
    this.#aliveCount = 0;
    for (let p = 0; p < this.#alive.length; p++) if (this.#isAlive(p)) this.#aliveCount++;
  }

  /**
   * What bounds issued now for these partitions rest on.
   *
   * @param suspected log units that a partition may be off its level by; 0 where nothing says so.
   */
  basis({ first, count }: PartitionRange, suspected: (partition: number) => number = () => 0): IntervalBasis {
    const expected = Float64Array.from(
      { length: BAND_COUNT },
      (_, band) => this.#bands.expected(band) ?? Number.NaN,
    );
    const quantiles = new Float64Array(this.levels.length * 2 * BAND_COUNT);
    this.levels.forEach((level, index) => {
      for (const side of SIDES)
        for (let band = 0; band < BAND_COUNT; band++) {
          const at = (index * 2 + side) * BAND_COUNT + band;
          const tail = (1 - level) / 2;
          const quantile = this.#bands.quantile(band, side === 0 ? tail : 1 - tail, this.#aliveCount);
          // The point forecast lies inside its bounds, however skewed its errors are.
          const outward = side === 0 ? Math.min(0, quantile) : Math.max(0, quantile);
          quantiles[at] = outward * Math.exp(this.#bandCorrections[at] as number);
        }
    });
    const tailCount = this.levels.length * 2;
    return {
      expected,
      // What has been judged and has not erred, silent or constant, has no width.
      ratio: Float32Array.from({ length: count }, (_, i) =>
        this.#judged >= JUDGED_MIN && !this.#isAlive(first + i) ? 0 : this.#ratio(first + i),
      ),
      quantiles,
      hours: this.#hours.factors(),
      corrections: Float32Array.from({ length: tailCount * count }, (_, at) =>
        Math.exp(
          this.#ownCorrections[
            Math.floor(at / count) * this.#partitionCount + first + (at % count)
          ] as number,
        ),
      ),
      drift: this.#drift.slice(first, first + count).map((drift, i) => {
        const usual = this.#ratio(first + i) * (expected[0] as number);
        return Math.abs(drift) > DRIFT_MIN * usual ? drift : 0;
      }),
      suspected: Float32Array.from({ length: count }, (_, i) => suspected(first + i)),
    };
  }

  /** A partition is known to be at another level, so many times the one before: forecasts have been told. */
  recentre(partition: number, factor: number): void {
    this.noise.recentre(partition, Math.log(factor));
    this.#drift[partition] = 0;
    for (let tailIndex = 0; tailIndex < this.levels.length * 2; tailIndex++) {
      const at = tailIndex * this.#partitionCount + partition;
      this.#ownCorrections[at] = (this.#ownCorrections[at] as number) + SHIFT_WIDENING;
    }
  }

  /** What the last hours' errors were of is known, and over: a silence that is filled in. */
  forgetDrift(partition: number): void {
    this.#drift[partition] = 0;
  }

  save(): SavedIntervals {
    return {
      judged: this.#judged,
      aliveCount: this.#aliveCount,
      ...this.#bands.save(),
      ownSums: this.#ownSums.slice(),
      ownCounts: this.#ownCounts.slice(),
      alive: this.#alive.slice(),
      bandCorrections: this.#bandCorrections.slice(),
      hourCorrections: this.#hours.save(),
      ownCorrections: this.#ownCorrections.slice(),
      drift: this.#drift.slice(),
      noise: this.noise.save(),
    };
  }

  load(saved: SavedIntervals): void {
    this.#judged = saved.judged;
    this.#aliveCount = saved.aliveCount;
    this.#bands.load(saved);
    restoreInto(this.#ownSums, saved.ownSums, 'noise by partition');
    restoreInto(this.#ownCounts, saved.ownCounts, 'noise by partition');
    restoreInto(this.#alive, saved.alive, 'noise by partition');
    restoreInto(this.#bandCorrections, saved.bandCorrections, 'corrections by band');
    this.#hours.load(saved.hourCorrections);
    restoreInto(this.#ownCorrections, saved.ownCorrections, 'corrections by partition');
    restoreInto(this.#drift, saved.drift, 'drift');
    this.noise.load(saved.noise);
  }

  /**
   * Takes in what became of one step of an issued forecast.
   *
   * @param residuals f64[partition of the basis], log actual - log forecast; NaN of a partition that is not judged
   * @param points f64[partition of the basis], log forecast
   * @param levelWeight how much an error tells of the level of the whole day, 0 to 1; asked in the near bands alone.
   */
  judge(
    basis: IntervalBasis,
    { band, first, window }: JudgedStep,
    { residuals, points }: { readonly residuals: Float64Array; readonly points: Float64Array },
    levelWeight: (partition: number) => number = () => 1,
  ): void {
    const isJudged = (i: number): boolean => !Number.isNaN(residuals[i] as number);
    let judged = 0;
    let alive = 0;
    for (let i = 0; i < residuals.length; i++) {
      if (!isJudged(i)) continue;
      judged++;
      const p = first + i;
      if (Math.abs(residuals[i] as number) > ERROR_MIN) this.#alive[p] = (this.#alive[p] as number) + 1;
      if (this.#isAlive(p)) alive++;
    }
    this.#judged += judged / this.#partitionCount;
    if (alive === 0) return;
    // Some partitions at a time: together they make one judgement of all.
    const aliveCount = Math.max(alive, this.#aliveCount);
    const share = 1 / aliveCount;
    const expected = this.#bands.expected(band) ?? meanAbsolute(residuals);
    const tailCount = this.levels.length * 2;
    const misses = new Float64Array(tailCount);
    const hours = misses.map((_, tailIndex) =>
      hourFactor(basis.hours, { tailIndex, tailCount, window, dayWindows: this.#dayWindows }),
    );
    let pooled = 0;
    for (let i = 0; i < residuals.length; i++) {
      const p = first + i;
      if (!isJudged(i) || !this.#isAlive(p)) continue;
      const ratio = this.#ratio(p);
      const point = points[i] as number;
      // What is measured, and bounded, is the error in units of what is usual at that hour and load.
      const error = residuals[i] as number;
      const noise = this.noise.factor(p, { window, point });
      const residual = error / noise;
      const size = Math.abs(residual);
      this.noise.add({
        partition: p,
        window,
        point,
        size: Math.abs(error),
        usual: expected * ratio,
        share,
      });
      this.#bands.addError(band, residual / (ratio * expected), share);
      pooled += Math.min(size / ratio, POOLED_OUTLIER_MAX * expected);
      this.#ownSums[p] = (this.#ownSums[p] as number) + Math.min(size / expected, OUTLIER_MAX);
      this.#ownCounts[p] = (this.#ownCounts[p] as number) + 1;
      if (band < NEAR_BANDS) {
        const rate = DRIFT_RATE * levelWeight(p);
        this.#drift[p] = (this.#drift[p] as number) * (1 - rate) + rate * residual;
      }
      for (let tailIndex = 0; tailIndex < misses.length; tailIndex++) {
        const bound = boundOf(basis, {
          tailIndex,
          band,
          partition: i,
          noise,
          hour: hours[tailIndex] as number,
        });
        const isMissed = tailIndex % 2 === 0 ? error < bound : error > bound;
        if (isMissed) misses[tailIndex] = (misses[tailIndex] as number) + 1;
        this.#correct(tailIndex, p, isMissed);
      }
    }
    this.#bands.addSizes(band, pooled * share, alive * share);
    const step = bandStep(this.#partitionCount, aliveCount);
    const excess = misses.map((missed, tailIndex) => (missed - alive * this.#tail(tailIndex)) * share);
    excess.forEach((of, tailIndex) => {
      const at = tailIndex * BAND_COUNT + band;
      this.#bandCorrections[at] = (this.#bandCorrections[at] as number) + step * of;
    });
    this.#hours.correct(window, excess, hourStep(this.#partitionCount, aliveCount));
  }

  /** Moves a partition's correction by whether the bound of then held. */
  #correct(tailIndex: number, partition: number, isMissed: boolean): void {
    const at = tailIndex * this.#partitionCount + partition;
    const tail = this.#tail(tailIndex);
    const step = this.#ownSteps[tailIndex] as number;
    const moved = (this.#ownCorrections[at] as number) + step * ((isMissed ? 1 : 0) - tail);
    this.#ownCorrections[at] = Math.max(-OWN_CORRECTION_MAX, Math.min(OWN_CORRECTION_MAX, moved));
  }

  #isAlive(partition: number): boolean {
    return (this.#alive[partition] as number) > ALIVE_MIN;
  }

  #tail(tailIndex: number): number {
    return (1 - (this.levels[tailIndex >> 1] as number)) / 2;
  }

  #ratio(partition: number): number {
    return (
      ((this.#ownSums[partition] as number) + RATIO_PRIOR_COUNT) /
      ((this.#ownCounts[partition] as number) + RATIO_PRIOR_COUNT)
    );
  }
}

function meanAbsolute(values: Float64Array): number {
  const known = values.filter((value) => !Number.isNaN(value));
  return Math.max(ERROR_MIN, known.reduce((total, value) => total + Math.abs(value), 0) / known.length);
}

function scale(values: Float64Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * factor;
}
