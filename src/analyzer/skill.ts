import { restoreInto } from './saved.ts';

/** After two weeks an error counts half. */
const HALF_LIFE_WINDOWS = 336;

/** A day of judged steps: less is no basis for a skill. */
const COUNT_MIN = 24;

export type SavedSkill = Readonly<Record<'errors' | 'naiveErrors' | 'counts', Float64Array>>;

/** How much better than a naive forecast each partition's forecast has been, in units of load. */
export class Skill {
  /** f64[partition] each, fading: absolute errors of the forecast and of the naive one; how many. */
  readonly #errors: Float64Array;
  readonly #naiveErrors: Float64Array;
  readonly #counts: Float64Array;

  constructor(partitionCount: number) {
    this.#errors = new Float64Array(partitionCount);
    this.#naiveErrors = new Float64Array(partitionCount);
    this.#counts = new Float64Array(partitionCount);
  }

  fade(): void {
    const factor = 0.5 ** (1 / HALF_LIFE_WINDOWS);
    for (const values of [this.#errors, this.#naiveErrors, this.#counts])
      for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * factor;
  }

  add(partition: number, error: number, naiveError: number): void {
    this.#errors[partition] = (this.#errors[partition] as number) + error;
    this.#naiveErrors[partition] = (this.#naiveErrors[partition] as number) + naiveError;
    this.#counts[partition] = (this.#counts[partition] as number) + 1;
  }

  save(): SavedSkill {
    return {
      errors: this.#errors.slice(),
      naiveErrors: this.#naiveErrors.slice(),
      counts: this.#counts.slice(),
    };
  }

  load(saved: SavedSkill): void {
    restoreInto(this.#errors, saved.errors, 'skill');
    restoreInto(this.#naiveErrors, saved.naiveErrors, 'skill');
    restoreInto(this.#counts, saved.counts, 'skill');
  }

  /** f64[partition]: 1 - own error / the naive one's, NaN before a day of judged steps. */
  values(): Float64Array {
    return this.#errors.map((own, p) => {
      const naive = this.#naiveErrors[p] as number;
      if ((this.#counts[p] as number) < COUNT_MIN) return Number.NaN;
      // Both without error: a silent partition is forecast no better and no worse.
      if (naive === 0) return own === 0 ? 0 : -1;
      return 1 - own / naive;
    });
  }
}
