import { restoreInto } from './saved.ts';

/** After two weeks an error counts half, as in the skill. */
const HALF_LIFE_WINDOWS = 336;

/** Judged steps that "the point is the mean" weighs before any record; on the flights log 24 and 100 tie. */
const PRIOR_STEPS = 24;

/** Of what came at one step at most so many times the forecast counts: what happens once is no expectation. */
const OUTLIER_MAX = 8;

/** On a tenth of the flights log 16 in place of 4 leaves less bias in all, but more in the worst node. */
const FACTOR_MIN = 0.5;
const FACTOR_MAX = 4;

export type SavedMeanFactors = Readonly<Record<'actual' | 'forecast' | 'counts', Float64Array>>;

/**
 * By how much what comes to a partition is more, on average, than its point forecast says.
 *
 * Points are made on a log scale, so they are near a median: of a count that is usually 0 they say nearly 0, however much comes
 * in all. Sums of them are too low. The ratio of what came to what had been forecast, both summed over the record, brings
 * them back to the mean whatever the distribution is (the ratio estimator of survey sampling; Duan's smearing, which works
 * in log space, overshoots where the noise of quiet hours is larger).
 *
 * @see Cochran, "Sampling Techniques", 1977, chapter 6
 * @see Duan, "Smearing estimate: a nonparametric retransformation method", 1983
 */
export class MeanFactors {
  /** f64[partition] each, fading: sums of what came and of its forecasts, and how many. */
  readonly #actual: Float64Array;
  readonly #forecast: Float64Array;
  readonly #counts: Float64Array;

  constructor(partitionCount: number) {
    this.#actual = new Float64Array(partitionCount);
    this.#forecast = new Float64Array(partitionCount);
    this.#counts = new Float64Array(partitionCount);
  }

  fade(): void {
    const factor = 0.5 ** (1 / HALF_LIFE_WINDOWS);
    for (const values of [this.#actual, this.#forecast, this.#counts])
      for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * factor;
  }

  /** What came at a step, and what the point forecast had said of it, natural units. */
  add(partition: number, actual: number, forecast: number): void {
    const counted = Math.min(actual, OUTLIER_MAX * Math.max(1, forecast));
    this.#actual[partition] = (this.#actual[partition] as number) + counted;
    this.#forecast[partition] = (this.#forecast[partition] as number) + forecast;
    this.#counts[partition] = (this.#counts[partition] as number) + 1;
  }

  /** Nothing is known of a partition's errors any more: those of the hours in which its level shifted were of another kind. */
  forget(partition: number): void {
    for (const values of [this.#actual, this.#forecast, this.#counts]) values[partition] = 0;
  }

  /** f64[partition], mean load / point forecast. */
  values(): Float64Array {
    return this.#forecast.map((forecast, p) => {
      if (!(forecast > 0)) return 1;
      const steps = this.#counts[p] as number;
      const ratio = (this.#actual[p] as number) / forecast;
      const shrunk = (ratio * steps + PRIOR_STEPS) / (steps + PRIOR_STEPS);
      return Math.min(FACTOR_MAX, Math.max(FACTOR_MIN, shrunk));
    });
  }

  save(): SavedMeanFactors {
    return {
      actual: this.#actual.slice(),
      forecast: this.#forecast.slice(),
      counts: this.#counts.slice(),
    };
  }

  /** @throws ForeshardError FORESHARD_CORRUPT when numbers are missing. */
  load(saved: SavedMeanFactors): void {
    restoreInto(this.#actual, saved?.actual, 'means');
    restoreInto(this.#forecast, saved?.forecast, 'means');
    restoreInto(this.#counts, saved?.counts, 'means');
  }
}
