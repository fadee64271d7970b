import { BAND_COUNT, bandOf } from './bands.ts';
import type { History } from './history.ts';
import type { PartitionRange } from './members/member.ts';
import { cellOf, Residuals } from './residuals.ts';

/** After two weeks an error counts half: long enough to have seen every hour of the week, short enough to follow a shift. */
const HALF_LIFE_WINDOWS = 336;

/** A member whose mean squared error is this much above the best one's only adds noise. */
const LOSS_RATIO_MAX = 1.5;

/**
 * Judged steps after which a partition's own losses count half against the pool's. 50, 200 and 1000 tie on days 50 to 122 of
 * the flights log; without own losses the log error is 1 % higher there, and MASE on M4's training part 2.18 instead of 1.09.
 */
const OWN_PRIOR_COUNT = 200;

/** A loss of nothing (a silent partition) must not divide by zero. */
const LOSS_MIN = 1e-12;

/** Errors after which a partition's own scale counts half; before, it is like the others. */
const SCALE_PRIOR_COUNT = 40;
const SCALE_MIN = 0.33;
const SCALE_MAX = 3;

/** A day of judged steps: less is no basis for a skill. */
const SKILL_COUNT_MIN = 24;

/** The member that skill is measured against. */
const NAIVE_WEEK = 'naive-week';

/** A forecast as it was issued, kept until its last step has come true. */
export interface IssuedForecast {
  /** The window it begins at, counted from the start of all windows. */
  readonly origin: number;
  /** Steps that are judged, ascending. */
  readonly steps: Int32Array;
  /** Per member. */
  readonly isAvailable: readonly boolean[];
  /** f32[member][partition][judged step], log loads. */
  readonly members: Float32Array;
  /** f32[partition][judged step]. */
  readonly combined: Float32Array;
}

/**
 * How good past forecasts were, judged only on windows that came after they were issued: weights of the members, bounds,
 * and each partition's skill against the weekly seasonal naive.
 */
export class TrackRecord {
  readonly #partitionCount: number;
  readonly #memberCount: number;
  /** -1 where that member does not take part: then there is no skill. */
  readonly #naiveWeek: number;
  readonly #issued: IssuedForecast[] = [];
  readonly #residuals = new Residuals(BAND_COUNT);
  /** f64[band][member] fading sums of squared log errors, and how many. */
  readonly #losses: Float64Array;
  readonly #lossCounts: Float64Array;
  /** The same by partition, over all bands: f64[partition][member]. */
  readonly #partitionLosses: Float64Array;
  readonly #partitionCounts: Float64Array;
  /** f64[partition] each, fading: |residual|, what its cells expected, how many. */
  readonly #absolute: Float64Array;
  readonly #expected: Float64Array;
  readonly #scaleCounts: Float64Array;
  /** f64[partition] each, fading: absolute errors in units of load of the forecast and of the weekly naive; how many. */
  readonly #ownErrors: Float64Array;
  readonly #naiveErrors: Float64Array;
  readonly #skillCounts: Float64Array;

  constructor(partitionCount: number, memberNames: readonly string[]) {
    this.#partitionCount = partitionCount;
    this.#memberCount = memberNames.length;
    this.#naiveWeek = memberNames.indexOf(NAIVE_WEEK);
    this.#losses = new Float64Array(BAND_COUNT * this.#memberCount);
    this.#lossCounts = new Float64Array(BAND_COUNT * this.#memberCount);
    this.#partitionLosses = new Float64Array(partitionCount * this.#memberCount);
    this.#partitionCounts = new Float64Array(partitionCount * this.#memberCount);
    this.#absolute = new Float64Array(partitionCount);
    this.#expected = new Float64Array(partitionCount);
    this.#scaleCounts = new Float64Array(partitionCount);
    this.#ownErrors = new Float64Array(partitionCount);
    this.#naiveErrors = new Float64Array(partitionCount);
    this.#skillCounts = new Float64Array(partitionCount);
  }

  issue(forecast: IssuedForecast): void {
    this.#issued.push(forecast);
  }

  /** Compares what was forecast for the newest window with what came. An outage is nobody's error. */
  judge(history: History): void {
    const window = history.length - 1;
    const now = history.dropped + window;
    while (this.#issued[0] !== undefined && lastWindowOf(this.#issued[0]) < now) this.#issued.shift();
    if (history.isOutage(window)) return;
    this.#fade();
    for (const forecast of this.#issued) {
      const step = now - forecast.origin;
      const judged = forecast.steps.indexOf(step);
      if (judged < 0) continue;
      const band = bandOf(step);
      this.#judgeMembers(forecast, judged, band, history, window);
      for (let p = 0; p < this.#partitionCount; p++)
        this.#judgePartition(forecast, p, judged, band, history.logLoad(p, window));
    }
  }

  /**
   * Shares of the members for each partition and band, 0 for those not available.
   *
   * A member's loss is the mean over all partitions in that band, moved towards the partition's own (over all bands) the more
   * of it has been judged: partitions differ in what forecasts them best, but their own record is short and noisy.
   *
   * @returns f64[partition of the range][band][member], each band adds up to 1.
   */
  weights(isAvailable: readonly boolean[], { first, count }: PartitionRange): Float64Array {
    const size = BAND_COUNT * this.#memberCount;
    const weights = new Float64Array(count * size);
    const pooled = Array.from({ length: BAND_COUNT }, (_, band) =>
      isAvailable.map((is, member) => (is ? this.#lossOf(member, band) : Number.NaN)),
    );
    for (let p = 0; p < count; p++) {
      const own = this.#ownLosses(first + p, isAvailable);
      for (let band = 0; band < BAND_COUNT; band++) {
        const losses = (pooled[band] as number[]).map((loss, member) =>
          own.trust === 0 ? loss : loss ** (1 - own.trust) * (own.losses[member] as number) ** own.trust,
        );
        const at = p * size + band * this.#memberCount;
        weights.set(sharesOf(losses, isAvailable), at);
      }
    }
    return weights;
  }

  /** Quantiles of log errors by cell; a partition's are these times its {@link scale}. */
  bounds(level: number): { readonly lower: Float64Array; readonly upper: Float64Array } {
    return this.#residuals.bounds(level);
  }

  /** How noisy a partition is against others at the same level and horizon, 1 = alike. */
  scale(partition: number): number {
    const mean = SCALE_PRIOR_COUNT * this.#meanExpected(partition);
    const ratio =
      ((this.#absolute[partition] as number) + mean) / ((this.#expected[partition] as number) + mean);
    return ratio >= SCALE_MIN ? Math.min(SCALE_MAX, ratio) : Number.isNaN(ratio) ? 1 : SCALE_MIN;
  }

  /** f64[partition]: 1 - own error / weekly naive's error, NaN before a day of judged steps. */
  skill(): Float64Array {
    return this.#ownErrors.map((own, p) => {
      const naive = this.#naiveErrors[p] as number;
      if ((this.#skillCounts[p] as number) < SKILL_COUNT_MIN) return Number.NaN;
      // Both without error: a silent partition is forecast no better and no worse.
      if (naive === 0) return own === 0 ? 0 : -1;
      return 1 - own / naive;
    });
  }

  #meanExpected(partition: number): number {
    const count = this.#scaleCounts[partition] as number;
    return count > 0 ? (this.#expected[partition] as number) / count : 0;
  }

  #fade(): void {
    const factor = 0.5 ** (1 / HALF_LIFE_WINDOWS);
    this.#residuals.fade(factor);
    for (const values of [
      this.#losses,
      this.#lossCounts,
      this.#partitionLosses,
      this.#partitionCounts,
      this.#absolute,
      this.#expected,
      this.#scaleCounts,
      this.#ownErrors,
      this.#naiveErrors,
      this.#skillCounts,
    ])
      for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * factor;
  }

  #judgeMembers(
    { members, isAvailable, steps }: IssuedForecast,
    judged: number,
    band: number,
    history: History,
    window: number,
  ): void {
    for (let member = 0; member < this.#memberCount; member++) {
      if (!isAvailable[member]) continue;
      let sum = 0;
      for (let p = 0; p < this.#partitionCount; p++) {
        const forecast = members[(member * this.#partitionCount + p) * steps.length + judged] as number;
        const square = (forecast - history.logLoad(p, window)) ** 2;
        const own = p * this.#memberCount + member;
        this.#partitionLosses[own] = (this.#partitionLosses[own] as number) + square;
        this.#partitionCounts[own] = (this.#partitionCounts[own] as number) + 1;
        sum += square;
      }
      const at = band * this.#memberCount + member;
      this.#losses[at] = (this.#losses[at] as number) + sum;
      this.#lossCounts[at] = (this.#lossCounts[at] as number) + this.#partitionCount;
    }
  }

  #judgePartition(
    { members, combined, isAvailable, steps }: IssuedForecast,
    partition: number,
    judged: number,
    band: number,
    logLoad: number,
  ): void {
    const logForecast = combined[partition * steps.length + judged] as number;
    const residual = logLoad - logForecast;
    const cell = cellOf(band, logForecast);
    const expected = this.#residuals.expected(cell);
    this.#residuals.add(cell, residual, this.scale(partition));
    if (expected !== undefined) {
      this.#absolute[partition] = (this.#absolute[partition] as number) + Math.abs(residual);
      this.#expected[partition] = (this.#expected[partition] as number) + expected;
      this.#scaleCounts[partition] = (this.#scaleCounts[partition] as number) + 1;
    }
    if (!isAvailable[this.#naiveWeek]) return;
    const load = Math.expm1(logLoad);
    const at = (this.#naiveWeek * this.#partitionCount + partition) * steps.length + judged;
    const naive = members[at] as number;
    this.#ownErrors[partition] =
      (this.#ownErrors[partition] as number) + Math.abs(Math.expm1(logForecast) - load);
    this.#naiveErrors[partition] =
      (this.#naiveErrors[partition] as number) + Math.abs(Math.expm1(naive) - load);
    this.#skillCounts[partition] = (this.#skillCounts[partition] as number) + 1;
  }

  /** Mean squared log errors of one partition, and how far to trust them: as far as the member judged least. */
  #ownLosses(partition: number, isAvailable: readonly boolean[]): { losses: Float64Array; trust: number } {
    const first = partition * this.#memberCount;
    let count = Number.POSITIVE_INFINITY;
    const losses = new Float64Array(this.#memberCount).fill(Number.NaN);
    for (let member = 0; member < this.#memberCount; member++) {
      const judged = this.#partitionCounts[first + member] as number;
      // A member that nobody has seen yet has no loss in the pool either, and gets the credit of the best one.
      if (!isAvailable[member] || judged === 0) continue;
      count = Math.min(count, judged);
      losses[member] = Math.max(LOSS_MIN, (this.#partitionLosses[first + member] as number) / judged);
    }
    return { losses, trust: count === Number.POSITIVE_INFINITY ? 0 : count / (count + OWN_PRIOR_COUNT) };
  }

  /** Mean squared log error; of the nearest nearer band where a band has not been reached; NaN if nothing is known. */
  #lossOf(member: number, band: number): number {
    for (let b = band; b >= 0; b--) {
      const at = b * this.#memberCount + member;
      if ((this.#lossCounts[at] as number) > 0)
        return (this.#losses[at] as number) / (this.#lossCounts[at] as number);
    }
    return Number.NaN;
  }
}

/** Inverse squared losses, without members that are much worse than the best; NaN is a loss nobody knows yet. */
function sharesOf(losses: readonly number[], isAvailable: readonly boolean[]): Float64Array {
  const shares = new Float64Array(losses.length);
  let best = Number.POSITIVE_INFINITY;
  for (const loss of losses) if (loss < best) best = loss;
  best = best === Number.POSITIVE_INFINITY ? 1 : Math.max(best, LOSS_MIN);
  let total = 0;
  for (let member = 0; member < losses.length; member++) {
    if (!isAvailable[member]) continue;
    const loss = losses[member] as number;
    // A member nobody has seen yet is given the credit of the best one.
    const ratio = Number.isNaN(loss) ? 1 : Math.max(loss, best) / best;
    if (ratio > LOSS_RATIO_MAX) continue;
    shares[member] = 1 / ratio ** 2;
    total += shares[member] as number;
  }
  return shares.map((share) => share / total);
}

const lastWindowOf = ({ origin, steps }: IssuedForecast): number => origin + (steps.at(-1) as number);
