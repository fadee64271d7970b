import { restoreInto } from '../saved.ts';

/** How far the last day lay from the usual is half forgotten after a day, and a quarter of a day of doubt stands against it. */
const LEVEL_HALF_LIFE_DAYS = 1;
const LEVEL_DOUBT_DAYS = 0.25;

/** The spread of a partition is known from two weeks, and begins as that of all. */
const SPREAD_HALF_LIFE_DAYS = 14;
const SPREAD_DOUBT_DAYS = 1;

/** Log units; an error beyond is a factor of 20 and says nothing more. */
const ERROR_MAX = 3;

/** What came over what was expected may be this far off one; windows of the usual load stand against it. */
const MEAN_FACTOR_MAX = 4;
const MEAN_DOUBT_DAYS = 1;

/** Of the usual load of a window: below it errors hardly count, since a factor of next to nothing is nothing. */
const USUAL_SHARE = 0.05;

/** How fast the pooled quantiles follow: a window in which twice as many as should lie outside moves them by 1 to 2 %. */
const QUANTILE_STEP = 0.1;

export interface SavedRatioErrors {
  readonly levels: Float64Array;
  readonly squares: Float64Array;
  readonly counts: Float64Array;
  readonly sums: Float64Array;
  readonly pooled: Float64Array;
  readonly quantiles: Float64Array;
}

/**
 * How far what followed the driver lay from the usual ratio, in log space: of late, which moves the ratio, and how widely, which
 * widens bounds. Widths are spreads times a quantile that is moved by who lay outside (Gibbs & Candès 2021), pooled by dimension.
 */
export class RatioErrors {
  readonly #followerCount: number;
  readonly #targets: readonly number[];
  readonly #dayWindows: number;
  /** Fading sums of errors, of squared errors beside the level, and of ones: f64[row] each. */
  readonly #levels: Float64Array;
  readonly #squares: Float64Array;
  /** f64[row][2]: of levels and of squares, which fade at other speeds. */
  readonly #counts: Float64Array;
  /** f64[row][2]: what came and what was expected, natural units, fading as squares do. */
  readonly #sums: Float64Array;
  /** f64[follower][2]: squares and count of all partitions. */
  readonly #pooled: Float64Array;
  /** f64[follower][level]. */
  readonly #quantiles: Float64Array;
  /** Of the window that is being judged: f64[follower][level] outside, f64[follower] judged. */
  readonly #outside: Float64Array;
  readonly #judged: Float64Array;

  /** @param rowCount partitions x followers, followers running faster. */
  constructor(
    rowCount: number,
    {
      followerCount,
      levels,
      dayWindows,
    }: { readonly followerCount: number; readonly levels: readonly number[]; readonly dayWindows: number },
  ) {
    this.#followerCount = followerCount;
    this.#targets = levels.map((level) => 1 - level);
    this.#dayWindows = dayWindows;
    this.#levels = new Float64Array(rowCount);
    this.#squares = new Float64Array(rowCount);
    this.#counts = new Float64Array(rowCount * 2);
    this.#sums = new Float64Array(rowCount * 2);
    this.#pooled = new Float64Array(followerCount * 2);
    // About the quantiles of a normal distribution: 1.3 at 80 %, 2.4 at 95 %.
    this.#quantiles = Float64Array.from(
      { length: followerCount * levels.length },
      (_, i) => -0.8 * Math.log(this.#targets[i % levels.length] as number),
    );
    this.#outside = new Float64Array(followerCount * levels.length);
    this.#judged = new Float64Array(followerCount);
  }

  beginWindow(): void {
    this.#outside.fill(0);
    this.#judged.fill(0);
    const fade = 0.5 ** (1 / (SPREAD_HALF_LIFE_DAYS * this.#dayWindows));
    for (let i = 0; i < this.#pooled.length; i++) this.#pooled[i] = (this.#pooled[i] as number) * fade;
  }

  judge(
    row: number,
    { value, expected, usual }: { readonly value: number; readonly expected: number; readonly usual: number },
  ): void {
    const follower = row % this.#followerCount;
    const floor = USUAL_SHARE * usual;
    const raw = Math.log((value + floor) / (expected + floor));
    // Both nothing, or one of them and no floor.
    if (!Number.isFinite(raw)) return;
    const error = Math.max(-ERROR_MAX, Math.min(ERROR_MAX, raw));
    const beside = error - this.level(row);
    this.#count(row, follower, Math.abs(beside));
    const levelFade = 0.5 ** (1 / (LEVEL_HALF_LIFE_DAYS * this.#dayWindows));
    const spreadFade = 0.5 ** (1 / (SPREAD_HALF_LIFE_DAYS * this.#dayWindows));
    const placed = expected * Math.exp(this.level(row));
    this.#sums[row * 2] = (this.#sums[row * 2] as number) * spreadFade + value;
    this.#sums[row * 2 + 1] = (this.#sums[row * 2 + 1] as number) * spreadFade + placed;
    this.#levels[row] = (this.#levels[row] as number) * levelFade + error;
    this.#counts[row * 2] = (this.#counts[row * 2] as number) * levelFade + 1;
    this.#squares[row] = (this.#squares[row] as number) * spreadFade + beside * beside;
    this.#counts[row * 2 + 1] = (this.#counts[row * 2 + 1] as number) * spreadFade + 1;
    this.#pooled[follower * 2] = (this.#pooled[follower * 2] as number) + beside * beside;
    this.#pooled[follower * 2 + 1] = (this.#pooled[follower * 2 + 1] as number) + 1;
  }

  endWindow(): void {
    for (let follower = 0; follower < this.#followerCount; follower++) {
      const judged = this.#judged[follower] as number;
      if (judged === 0) continue;
      this.#targets.forEach((target, l) => {
        const at = follower * this.#targets.length + l;
        const miss = (this.#outside[at] as number) / judged - target;
        this.#quantiles[at] = (this.#quantiles[at] as number) * Math.exp(QUANTILE_STEP * miss);
      });
    }
  }

  /** Log units by which the ratio of late lay above the usual. */
  level(row: number): number {
    return (
      (this.#levels[row] as number) /
      ((this.#counts[row * 2] as number) + LEVEL_DOUBT_DAYS * this.#dayWindows)
    );
  }

  /**
   * Mean over middle of what follows: errors are taken in log space, so the ratio with its level lies near the middle of what may
   * come, which for rare large loads is far below their mean.
   */
  meanFactor(row: number): number {
    const expected = this.#sums[row * 2 + 1] as number;
    const count = this.#counts[row * 2 + 1] as number;
    if (expected === 0 || count === 0) return 1;
    const doubt = (MEAN_DOUBT_DAYS * this.#dayWindows * expected) / count;
    const factor = ((this.#sums[row * 2] as number) + doubt) / (expected + doubt);
    return Math.min(MEAN_FACTOR_MAX, Math.max(1 / MEAN_FACTOR_MAX, factor));
  }

  /** Log units on either side of the ratio that hold the share of level `levelIndex`. */
  width(row: number, levelIndex: number): number {
    const follower = row % this.#followerCount;
    return (this.#quantiles[follower * this.#targets.length + levelIndex] as number) * this.#spread(row);
  }

  save(): SavedRatioErrors {
    return {
      levels: this.#levels.slice(),
      squares: this.#squares.slice(),
      counts: this.#counts.slice(),
      sums: this.#sums.slice(),
      pooled: this.#pooled.slice(),
      quantiles: this.#quantiles.slice(),
    };
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when numbers are missing. */
  load(saved: SavedRatioErrors): void {
    restoreInto(this.#levels, saved.levels, 'levels of ratios');
    restoreInto(this.#squares, saved.squares, 'spreads of ratios');
    restoreInto(this.#counts, saved.counts, 'counts of ratios');
    restoreInto(this.#sums, saved.sums, 'sums of ratios');
    restoreInto(this.#pooled, saved.pooled, 'pooled spreads of ratios');
    restoreInto(this.#quantiles, saved.quantiles, 'quantiles of ratios');
  }

  #spread(row: number): number {
    const follower = row % this.#followerCount;
    const pooledCount = this.#pooled[follower * 2 + 1] as number;
    const pooled = pooledCount > 0 ? (this.#pooled[follower * 2] as number) / pooledCount : 0;
    const doubt = SPREAD_DOUBT_DAYS * this.#dayWindows;
    const count = this.#counts[row * 2 + 1] as number;
    return Math.sqrt(((this.#squares[row] as number) + doubt * pooled) / (count + doubt));
  }

  #count(row: number, follower: number, distance: number): void {
    this.#judged[follower] = (this.#judged[follower] as number) + 1;
    for (let l = 0; l < this.#targets.length; l++)
      if (distance > this.width(row, l)) {
        const at = follower * this.#targets.length + l;
        this.#outside[at] = (this.#outside[at] as number) + 1;
      }
  }
}
