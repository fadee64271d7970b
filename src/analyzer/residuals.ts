/** Log units: 2.5 % of load a bin is finer than any use; beyond +-4 (a factor of 55) it is simply an extreme. */
const BIN_WIDTH = 0.025;
const RESIDUAL_MAX = 4;
const BIN_COUNT = Math.round((2 * RESIDUAL_MAX) / BIN_WIDTH);

/** Log units: half a unit separates loads of 1, 2, 4, 9 .. a window, whose relative noise differs. */
const LEVEL_WIDTH = 0.5;
const LEVEL_COUNT = 40;

/** Residuals a cell must have seen to speak for itself; 50 put ten beyond an 80 % interval. */
const COUNT_MIN = 50;

/** With nothing known a load may be four times more or less: wide enough to keep a planner from trusting it. */
const UNKNOWN_RESIDUAL = Math.log(4);

/**
 * Out-of-sample errors in log space, by horizon band and by the level that was forecast, as fading histograms.
 *
 * Small loads are noisier than large ones and far steps than near ones; within such a cell all partitions share their
 * errors, each scaled by how much better or worse than the cell it has been.
 */
export class Residuals {
  readonly #bandCount: number;
  /** f64[band][level][bin]. */
  readonly #counts: Float64Array;
  /** f64[band][level][2]: weight, sum of |residual| before scaling. */
  readonly #totals: Float64Array;
  /** Fading by growth: new residuals weigh more. */
  #weight = 1;

  constructor(bandCount: number) {
    this.#bandCount = bandCount;
    this.#counts = new Float64Array(bandCount * LEVEL_COUNT * BIN_COUNT);
    this.#totals = new Float64Array(bandCount * LEVEL_COUNT * 2);
  }

  /** Makes everything known so far count `factor` (< 1) of what comes next. */
  fade(factor: number): void {
    this.#weight /= factor;
    if (this.#weight < 2 ** 20) return;
    for (const values of [this.#counts, this.#totals])
      for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) / this.#weight;
    this.#weight = 1;
  }

  /**
   * @param cell from {@link cellOf}
   * @param residual log actual - log forecast
   * @param scale of the partition: the histogram keeps residual / scale.
   */
  add(cell: number, residual: number, scale: number): void {
    const scaled = Math.max(-RESIDUAL_MAX, Math.min(RESIDUAL_MAX - BIN_WIDTH / 2, residual / scale));
    const bin = Math.floor((scaled + RESIDUAL_MAX) / BIN_WIDTH);
    const at = cell * BIN_COUNT + bin;
    this.#counts[at] = (this.#counts[at] as number) + this.#weight;
    this.#totals[2 * cell] = (this.#totals[2 * cell] as number) + this.#weight;
    this.#totals[2 * cell + 1] = (this.#totals[2 * cell + 1] as number) + this.#weight * Math.abs(residual);
  }

  /** Mean |residual| of a cell, undefined where too little is known. */
  expected(cell: number): number | undefined {
    const total = this.#totals[2 * cell] as number;
    if (total < COUNT_MIN * this.#weight) return undefined;
    return (this.#totals[2 * cell + 1] as number) / total;
  }

  /**
   * Quantiles of the scaled residuals of every cell. Sparse cells borrow: the same level in all bands, then everything.
   *
   * @returns f64[band][level] each.
   */
  bounds(level: number): { readonly lower: Float64Array; readonly upper: Float64Array } {
    const cellCount = this.#bandCount * LEVEL_COUNT;
    const lower = new Float64Array(cellCount);
    const upper = new Float64Array(cellCount);
    const tail = (1 - level) / 2;
    const all = this.#sumOf(Array.from({ length: cellCount }, (_, cell) => cell));
    for (let l = 0; l < LEVEL_COUNT; l++) {
      const sameLevel = Array.from({ length: this.#bandCount }, (_, band) => band * LEVEL_COUNT + l);
      const ofLevel = this.#sumOf(sameLevel);
      for (const cell of sameLevel) {
        const histogram = [this.#sumOf([cell]), ofLevel, all].find((candidate) => this.#isEnough(candidate));
        lower[cell] = histogram === undefined ? -UNKNOWN_RESIDUAL : quantile(histogram, tail);
        upper[cell] = histogram === undefined ? UNKNOWN_RESIDUAL : quantile(histogram, 1 - tail);
      }
    }
    return { lower, upper };
  }

  #isEnough(histogram: Histogram): boolean {
    return histogram.total >= COUNT_MIN * this.#weight;
  }

  #sumOf(cells: readonly number[]): Histogram {
    let total = 0;
    for (const cell of cells) total += this.#totals[2 * cell] as number;
    const first = cells[0] as number;
    if (cells.length === 1)
      return { total, counts: this.#counts.subarray(first * BIN_COUNT, (first + 1) * BIN_COUNT) };
    const counts = new Float64Array(BIN_COUNT);
    for (const cell of cells) {
      if (this.#totals[2 * cell] === 0) continue;
      for (let bin = 0; bin < BIN_COUNT; bin++)
        counts[bin] = (counts[bin] as number) + (this.#counts[cell * BIN_COUNT + bin] as number);
    }
    return { total, counts };
  }
}

interface Histogram {
  readonly total: number;
  readonly counts: Float64Array;
}

/** The cell of a horizon band and a forecast log load. */
export function cellOf(band: number, logForecast: number): number {
  return band * LEVEL_COUNT + Math.min(LEVEL_COUNT - 1, Math.floor(logForecast / LEVEL_WIDTH));
}

/** Linear within the bin. */
function quantile({ counts, total }: Histogram, share: number): number {
  let rest = share * total;
  for (let bin = 0; bin < BIN_COUNT; bin++) {
    const count = counts[bin] as number;
    if (count > 0 && rest <= count) return -RESIDUAL_MAX + (bin + rest / count) * BIN_WIDTH;
    rest -= count;
  }
  return RESIDUAL_MAX;
}
