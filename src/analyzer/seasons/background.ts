/** Ordinates of one octave are at most so many; wider bands would average over a peak of its own. */
const BAND_WIDTH_MAX = 48;
const BAND_WIDTH_MIN = 8;
/** Quantile of the ordinates that stands for the noise: low, so that a comb of harmonics in up to half of them does not. */
const QUANTILE = 0.3;

export interface Background {
  /** Expected power of noise at natural frequency k (cycles in the series), k not necessarily whole. */
  at(k: number): number;
  /** So many independent ordinates the estimate there is worth. */
  weightAt(k: number): number;
}

/**
 * The noise under the peaks: what the spectrum would be without seasons. Load wanders, so its noise is not white; the
 * level is taken band by band (octaves, then equal widths) and joined by straight lines in log-log.
 *
 * @param power f64[j]: power at k = j / oversampling.
 * @param count frequencies k up to this one are noise and peaks; the series has 2 x count windows.
 * @param shape how many independent exponentials each ordinate averages; 1 for a single series.
 */
export function backgroundOf(
  power: Float64Array,
  options: {
    readonly oversampling: number;
    readonly lowest: number;
    readonly count: number;
    readonly shape: number;
  },
): Background {
  const { oversampling, lowest, count, shape } = options;
  const edges = bandEdges(lowest, count);
  const centres: number[] = [];
  const ordinates: number[][] = [];
  for (let band = 0; band + 1 < edges.length; band++) {
    const [from, to] = [edges[band] as number, edges[band + 1] as number];
    centres.push(Math.log(Math.sqrt(from * to)));
    const inside: number[] = [];
    for (let j = Math.ceil(from * oversampling); j < to * oversampling; j++) inside.push(power[j] as number);
    ordinates.push(inside);
  }
  const floor = 1e-12 * power.reduce((largest, value) => Math.max(largest, value), 0) + 1e-300;
  const level = (inside: readonly number[]): number => {
    const sorted = Float64Array.from(inside).sort();
    return Math.log(
      Math.max(floor, (sorted[Math.floor(QUANTILE * sorted.length)] as number) / quantileOfNoise(shape)),
    );
  };
  const first = ordinates.map(level);
  // Within a band the noise slopes too: its quantile is taken anew after levelling the band by the first estimate.
  const heights = ordinates.map((inside, band) => {
    const start = Math.ceil((edges[band] as number) * oversampling);
    const own = first[band] as number;
    const levelled = inside.map(
      (value, i) => value / Math.exp(interpolate(centres, first, Math.log((start + i) / oversampling)) - own),
    );
    return level(levelled);
  });
  return {
    at: (k) => Math.exp(interpolate(centres, heights, Math.log(k))),
    weightAt: (k) => (k < LOW_FREQUENCY ? LOW_WEIGHT : ESTIMATE_WEIGHT),
  };
}

/**
 * What the quantile of a band of tapered, oversampled ordinates is worth, set so that in noise of any colour seasons are
 * found no more often than claimed. Below LOW_FREQUENCY cycles the noise of a wandering load is so steep that its level is
 * little more than a guess.
 */
const ESTIMATE_WEIGHT = 12;
const LOW_FREQUENCY = 8;
const LOW_WEIGHT = 5;

/** The QUANTILE of a mean of `shape` unit exponentials, by Wilson and Hilferty's cube root. */
function quantileOfNoise(shape: number): number {
  if (shape < 1.5) return -Math.log(1 - QUANTILE);
  const z = -0.5244; // the standard normal's 0.3 quantile
  return (1 - 1 / (9 * shape) + z / Math.sqrt(9 * shape)) ** 3;
}

function bandEdges(lowest: number, count: number): number[] {
  const edges = [lowest];
  for (;;) {
    const from = edges.at(-1) as number;
    const width = Math.min(BAND_WIDTH_MAX, Math.max(BAND_WIDTH_MIN, from));
    // A rest too narrow for a band of its own goes to the last one.
    if (from + 2 * width > count) {
      edges.push(count);
      return edges;
    }
    edges.push(from + width);
  }
}

/** Straight lines through (x, y), the first and the last one continued. */
function interpolate(x: readonly number[], y: readonly number[], at: number): number {
  const last = x.length - 1;
  if (last === 0) return y[0] as number;
  let i = 0;
  while (i < last - 1 && at > (x[i + 1] as number)) i++;
  const [x0, x1] = [x[i] as number, x[i + 1] as number];
  const slope = ((y[i + 1] as number) - (y[i] as number)) / (x1 - x0);
  return (y[i] as number) + slope * (at - x0);
}
