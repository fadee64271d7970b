/** Ordinates of one octave are at most so many; wider bands would average over a peak of its own. */
const BAND_WIDTH_MAX = 48;
const BAND_WIDTH_MIN = 8;
/** Quantile of the ordinates that stands for the noise: low, so that a comb of harmonics in up to half of them does not. */
const QUANTILE = 0.3;

/**
 * The noise under the peaks: what the spectrum would be without seasons. Load wanders, so its noise is not white; the
 * level is taken band by band (octaves, then equal widths) and joined by straight lines in log-log.
 *
 * @param power f64[j]: power at k = j / oversampling cycles in the series.
 * @param lowest, count frequencies k between the two are noise and peaks; the series has 2 x count windows.
 * @param shape how many independent exponentials each ordinate averages; 1 for a single series.
 * @returns f64[j]: expected power of noise; of use from `lowest` on.
 */
export function backgroundOf(
  power: Float64Array,
  options: {
    readonly oversampling: number;
    readonly lowest: number;
    readonly count: number;
    readonly shape: number;
  },
): Float64Array {
  const { oversampling, lowest, count, shape } = options;
  const edges = bandEdges(lowest, count);
  const bands = edges.slice(1).map((to, band) => {
    const from = edges[band] as number;
    return {
      centre: Math.log(from * to) / 2,
      first: Math.ceil(from * oversampling),
      end: Math.ceil(to * oversampling),
    };
  });
  const logK = power.map((_, j) => Math.log(Math.max(1, j) / oversampling));
  const centres = bands.map(({ centre }) => centre);
  const floor = 1e-12 * power.reduce((largest, value) => Math.max(largest, value), 0) + 1e-300;
  const levels = (values: Float64Array): number[] =>
    bands.map(({ first, end }) => {
      const sorted = values.slice(first, end).sort();
      const quantile = sorted[Math.floor(QUANTILE * sorted.length)] as number;
      return Math.log(Math.max(floor, quantile / quantileOfNoise(shape)));
    });
  const coarse = levels(power);
  const line = interpolated(logK, centres, coarse);
  // Within a band the noise slopes too: its quantile is taken anew after levelling the band by the first estimate.
  const levelled = power.slice();
  bands.forEach(({ first, end }, band) => {
    for (let j = first; j < end; j++)
      levelled[j] = (power[j] as number) * Math.exp((coarse[band] as number) - (line[j] as number));
  });
  return interpolated(logK, centres, levels(levelled)).map(Math.exp);
}

/** So many independent ordinates the estimate at k cycles in the series is worth. */
export const backgroundWeight = (k: number): number => (k < LOW_FREQUENCY ? LOW_WEIGHT : ESTIMATE_WEIGHT);

/**
 * What the quantile of a band of tapered, oversampled ordinates is worth, set so that in noise of any colour seasons are
 * found no more often than claimed. Below LOW_FREQUENCY cycles the noise of a wandering load is so steep that its level is
 * little more than a guess.
 */
const ESTIMATE_WEIGHT = 12;
const LOW_FREQUENCY = 8;
const LOW_WEIGHT = 5;

/** Natural frequencies either side that a peak is compared with: narrower than a hump, of which a short series has few. */
const REACH_MIN = 4;
const REACH_MAX = 8;
/** Of all natural frequencies. */
const REACH_SHARE = 0.02;

/**
 * How far the noise stands above the background nearby, where it does. A season is a line in the spectrum; what has been
 * averaged over some windows, as monitoring exports it, has humps between the zeros of that average, and the top of a hump
 * stands above its band as a line does, but not above its neighbours.
 *
 * @param ratio f64[j]: power over background at k = j / oversampling.
 * @returns by whole k: at least 1.
 */
export function localLevels(
  ratio: Float64Array,
  options: { readonly oversampling: number; readonly count: number; readonly shape: number },
): Float64Array {
  const { oversampling, count, shape } = options;
  const whole = Float64Array.from(
    { length: Math.floor(count) + 1 },
    (_, k) => ratio[Math.round(k * oversampling)] ?? 0,
  );
  const usual = medianOfNoise(shape);
  const reach = Math.min(REACH_MAX, Math.max(REACH_MIN, Math.round(REACH_SHARE * count)));
  return whole.map((_, k) => {
    const around = whole.slice(Math.max(2, k - reach), k + reach + 1).sort();
    return Math.max(1, (around[around.length >> 1] ?? 0) / usual);
  });
}

/** By the same root. */
const medianOfNoise = (shape: number): number => (shape < 1.5 ? Math.LN2 : (1 - 1 / (9 * shape)) ** 3);

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

/** Straight lines through (x, y), the first and the last one continued, at ascending places. */
function interpolated(places: Float64Array, x: readonly number[], y: readonly number[]): Float64Array {
  if (x.length === 1) return new Float64Array(places.length).fill(y[0] as number);
  let i = 0;
  return places.map((at) => {
    while (i < x.length - 2 && at > (x[i + 1] as number)) i++;
    const [x0, x1, y0, y1] = [x[i], x[i + 1], y[i], y[i + 1]] as [number, number, number, number];
    return y0 + ((y1 - y0) / (x1 - x0)) * (at - x0);
  });
}
