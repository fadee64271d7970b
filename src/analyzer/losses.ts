import { BAND_COUNT } from './bands.ts';
import type { PartitionRange } from './members/member.ts';
import { restoreInto } from './saved.ts';

/** After two weeks an error counts half: long enough to have seen every hour of the week, short enough to follow a shift. */
const HALF_LIFE_WINDOWS = 336;

/**
 * Judged steps after which a partition's own losses count half against those of all. 20 to 200 tie within 1 % of OWA on M4's
 * training part and of log error on the cloud sets'.
 */
const OWN_PRIOR_COUNT = 50;

/** A member whose mean absolute error is this much above the best one's only adds noise; 1.5 and 2 tie, without it MASE on M4's training part suffers. */
const LOSS_RATIO_MAX = 2;

/**
 * Log units: being wrong by a factor of e is as bad as it gets. Without the cut an outage decides for weeks who is not listened
 * to: on the NASA log's training part MASE is 0.91 with it and 0.99 without; the log error of the outage itself is larger.
 */
const LOSS_MAX = 1;

/**
 * What all partitions together have seen lately counts in full: who is right now is likely to be right tomorrow, whoever was so
 * last week. On training parts a half-life of 10 to 24 windows takes 3 % off MASE and log error of 54 series
 * alone, 2 and 4 % of eleven sets of four to six; nearly nothing where many partitions are forecast together. With members
 * that follow the load themselves, 12 takes 0.3 % more off both than 16.
 */
const RECENT_HALF_LIFE_WINDOWS = 12;
/** Judged steps in which the last hours are as the weeks before; 2 to 15 tie. */
const RECENT_PRIOR_COUNT = 5;

/** A loss of nothing (a silent partition) must not divide by zero. */
const LOSS_MIN = 1e-9;

export type SavedLosses = Readonly<
  Record<'pooled' | 'pooledCounts' | 'recent' | 'recentCounts' | 'own' | 'ownCounts', Float64Array>
>;

/**
 * How wrong each member has been: mean absolute log errors (the pinball loss of the median) of forecasts issued before the
 * windows came, by horizon band over all partitions, for weeks and of the last hours, and by partition over all bands.
 */
export class Losses {
  readonly #memberCount: number;
  /** f64[band][member]: fading sums, and how many. */
  readonly #pooled: Float64Array;
  readonly #pooledCounts: Float64Array;
  /** The same, of the last hours. */
  readonly #recent: Float64Array;
  readonly #recentCounts: Float64Array;
  /** f64[partition][member]. */
  readonly #own: Float64Array;
  readonly #ownCounts: Float64Array;

  constructor(partitionCount: number, memberCount: number) {
    this.#memberCount = memberCount;
    this.#pooled = new Float64Array(BAND_COUNT * memberCount);
    this.#pooledCounts = new Float64Array(BAND_COUNT * memberCount);
    this.#recent = new Float64Array(BAND_COUNT * memberCount);
    this.#recentCounts = new Float64Array(BAND_COUNT * memberCount);
    this.#own = new Float64Array(partitionCount * memberCount);
    this.#ownCounts = new Float64Array(partitionCount * memberCount);
  }

  /** Lets what is known count a window less. */
  fade(): void {
    for (const values of [this.#pooled, this.#pooledCounts, this.#own, this.#ownCounts])
      scale(values, 0.5 ** (1 / HALF_LIFE_WINDOWS));
    for (const values of [this.#recent, this.#recentCounts])
      scale(values, 0.5 ** (1 / RECENT_HALF_LIFE_WINDOWS));
  }

  /**
   * @param first partition that errors[0] is of
   * @param errors what a member was wrong by in one step, log units; NaN of a partition that is not judged
   */
  add(member: number, at: { readonly band: number; readonly first: number }, errors: Float64Array): void {
    let total = 0;
    let count = 0;
    for (let p = 0; p < errors.length; p++) {
      const error = errors[p] as number;
      if (Number.isNaN(error)) continue;
      count++;
      const size = Math.min(LOSS_MAX, Math.abs(error));
      total += size;
      const own = (at.first + p) * this.#memberCount + member;
      this.#own[own] = (this.#own[own] as number) + size;
      this.#ownCounts[own] = (this.#ownCounts[own] as number) + 1;
    }
    const cell = at.band * this.#memberCount + member;
    this.#pooled[cell] = (this.#pooled[cell] as number) + total;
    this.#pooledCounts[cell] = (this.#pooledCounts[cell] as number) + count;
    this.#recent[cell] = (this.#recent[cell] as number) + total;
    this.#recentCounts[cell] = (this.#recentCounts[cell] as number) + count;
  }

  save(): SavedLosses {
    return {
      pooled: this.#pooled.slice(),
      pooledCounts: this.#pooledCounts.slice(),
      recent: this.#recent.slice(),
      recentCounts: this.#recentCounts.slice(),
      own: this.#own.slice(),
      ownCounts: this.#ownCounts.slice(),
    };
  }

  load(saved: SavedLosses): void {
    restoreInto(this.#pooled, saved.pooled, 'losses');
    restoreInto(this.#pooledCounts, saved.pooledCounts, 'losses');
    restoreInto(this.#recent, saved.recent, 'losses of the last hours');
    restoreInto(this.#recentCounts, saved.recentCounts, 'losses of the last hours');
    restoreInto(this.#own, saved.own, 'losses by partition');
    restoreInto(this.#ownCounts, saved.ownCounts, 'losses by partition');
  }

  /**
   * Shares of the members for each partition and band: the inverse squared loss, 0 for members that are far worse than the
   * best one, are not available, or have never been judged while others have.
   *
   * A loss is that of all partitions in the band, moved towards the partition's own the more of it has been judged:
   * partitions differ in what forecasts them best, but their own record is short and noisy. It then grows or shrinks by as much
   * as the loss of all partitions has done lately.
   *
   * @returns f64[partition of the range][band][member], each band adds up to 1.
   */
  weights(isAvailable: readonly boolean[], { first, count }: PartitionRange): Float64Array {
    const members = this.#memberCount;
    const pooled = this.#pooledLosses(isAvailable);
    const trend = this.#trend(pooled);
    const weights = new Float64Array(count * BAND_COUNT * members);
    const losses = new Float64Array(members);
    for (let p = 0; p < count; p++)
      for (let band = 0; band < BAND_COUNT; band++) {
        for (let member = 0; member < members; member++) {
          const own = (first + p) * members + member;
          const judged = this.#ownCounts[own] as number;
          const shared = pooled[band * members + member] as number;
          const trust = judged / (judged + OWN_PRIOR_COUNT);
          const loss =
            judged === 0
              ? shared
              : shared ** (1 - trust) * Math.max(LOSS_MIN, (this.#own[own] as number) / judged) ** trust;
          losses[member] = loss * (trend[band * members + member] as number);
        }
        writeShares(losses, isAvailable, weights, (p * BAND_COUNT + band) * members);
      }
    return weights;
  }

  /** f64[band][member]: the loss of the last hours over that of weeks, 1 where nothing has been judged. */
  #trend(pooled: Float64Array): Float64Array {
    return pooled.map((loss, cell) => {
      if (Number.isNaN(loss)) return 1;
      const count = this.#recentCounts[cell] as number;
      return ((this.#recent[cell] as number) / loss + RECENT_PRIOR_COUNT) / (count + RECENT_PRIOR_COUNT);
    });
  }

  /** f64[band][member]; of the nearest nearer band where a band has not been reached; NaN if nothing is known. */
  #pooledLosses(isAvailable: readonly boolean[]): Float64Array {
    const members = this.#memberCount;
    const losses = new Float64Array(BAND_COUNT * members).fill(Number.NaN);
    for (let member = 0; member < members; member++) {
      if (!isAvailable[member]) continue;
      let last = Number.NaN;
      for (let band = 0; band < BAND_COUNT; band++) {
        const at = band * members + member;
        const count = this.#pooledCounts[at] as number;
        if (count > 0) last = Math.max(LOSS_MIN, (this.#pooled[at] as number) / count);
        losses[at] = last;
      }
    }
    return losses;
  }
}

/** Writes shares[first + member]. */
function writeShares(
  losses: Float64Array,
  isAvailable: readonly boolean[],
  shares: Float64Array,
  first: number,
): void {
  let best = Number.POSITIVE_INFINITY;
  for (let member = 0; member < losses.length; member++)
    if ((losses[member] as number) < best) best = losses[member] as number;
  let total = 0;
  for (let member = 0; member < losses.length; member++) {
    const ratio = (losses[member] as number) / best;
    // With no record at all everybody available has the same say.
    const share =
      best === Number.POSITIVE_INFINITY
        ? isAvailable[member]
          ? 1
          : 0
        : ratio <= LOSS_RATIO_MAX
          ? ratio ** -2
          : 0;
    shares[first + member] = share;
    total += share;
  }
  for (let at = first; at < first + losses.length; at++) shares[at] = (shares[at] as number) / total;
}

function scale(values: Float64Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * factor;
}
