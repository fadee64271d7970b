import { dependentError, type Hits } from './calibration.ts';
import { randomisedInside } from './randomised.ts';

/** Steps first..end-1 of the horizon, judged apart. */
export interface StepRange {
  readonly first: number;
  readonly end: number;
}

/** Bounds at one nominal level, by step. */
export interface Bounds {
  readonly level: number;
  readonly lower: ArrayLike<number>;
  readonly upper: ArrayLike<number>;
}

/** One forecast of one series, beside what came. */
export interface Judged {
  readonly method: string;
  /** What came, by step. */
  readonly actual: ArrayLike<number>;
  readonly point: ArrayLike<number>;
  readonly bounds?: readonly Bounds[];
  /** Mean |y(t) - y(t - season)| of the history, from {@link seasonalDifference}. */
  readonly scale: number;
  /** The window it was made at: what is off at one origin is off for all its steps and series. */
  readonly origin?: number;
}

export interface Score {
  readonly method: string;
  readonly range: StepRange;
  /** Mean over series of mean |error| / scale. */
  readonly mase: number;
  /** Mean squared error of log(1 + y). */
  readonly logMse: number;
  /** Mean of 200 |error| / (|y| + |forecast|), percent. */
  readonly smape: number;
  /** The same sums by origin, in the order of the origins: what two methods differ by, and how surely. */
  readonly byOrigin: readonly OriginErrors[];
  /** By nominal level: share of values inside the bounds, and mean scaled interval score. */
  readonly coverage: ReadonlyMap<number, number>;
  /** By nominal level: standard error of the coverage, from how it differs between origins; NaN of fewer than two. */
  readonly coverageError: ReadonlyMap<number, number>;
  readonly msis: ReadonlyMap<number, number>;
  /** By nominal level: how many values were inside the bounds, by origin, in the order of the origins. */
  readonly hits: ReadonlyMap<number, readonly Hits[]>;
  /** The same where the place of a count in its distribution is drawn at random (`randomisedInside`), mean share inside. */
  readonly randomised: ReadonlyMap<number, number>;
}

export interface OriginErrors {
  /** Sum of |error| / scale, and of squared errors of log(1 + y), over `count` values. */
  scaled: number;
  logSquares: number;
  count: number;
}

interface Sums {
  readonly method: string;
  readonly range: StepRange;
  readonly ofOrigin: Map<number, OriginErrors>;
  scaled: number;
  logSquares: number;
  symmetric: number;
  count: number;
  readonly levels: Map<number, LevelSums>;
}

interface LevelSums {
  inside: number;
  randomised: number;
  interval: number;
  count: number;
  readonly ofOrigin: Map<number, { inside: number; count: number }>;
}

/** Adds up the errors of any number of methods over any number of series and origins. */
export class ScoreBoard {
  readonly #ranges: readonly StepRange[];
  readonly #sums = new Map<string, Sums>();

  constructor(ranges: readonly StepRange[]) {
    this.#ranges = ranges;
  }

  add(judged: Judged): void {
    // A series that never changes has no scale; nothing can be said about it.
    if (!(judged.scale > 0)) return;
    for (const range of this.#ranges) this.#addRange(range, judged);
  }

  scores(): Score[] {
    return [...this.#sums.values()].map((sums) => ({
      method: sums.method,
      range: sums.range,
      mase: sums.scaled / sums.count,
      logMse: sums.logSquares / sums.count,
      smape: sums.symmetric / sums.count,
      byOrigin: [...sums.ofOrigin.values()],
      coverage: new Map([...sums.levels].map(([level, { inside, count }]) => [level, inside / count])),
      coverageError: new Map(
        [...sums.levels].map(([level, totals]) => [level, dependentError([...totals.ofOrigin.values()], 0)]),
      ),
      msis: new Map([...sums.levels].map(([level, { interval, count }]) => [level, interval / count])),
      randomised: new Map(
        [...sums.levels].map(([level, { randomised, count }]) => [level, randomised / count]),
      ),
      hits: new Map([...sums.levels].map(([level, { ofOrigin }]) => [level, [...ofOrigin.values()]])),
    }));
  }

  #addRange(range: StepRange, { method, actual, point, bounds, scale, origin = 0 }: Judged): void {
    const key = `${method} ${range.first}`;
    const sums = this.#sums.get(key) ?? newSums(method, range);
    this.#sums.set(key, sums);
    const atOrigin = sums.ofOrigin.get(origin) ?? { scaled: 0, logSquares: 0, count: 0 };
    sums.ofOrigin.set(origin, atOrigin);
    for (let step = range.first; step < range.end; step++) {
      const value = actual[step] as number;
      const forecast = point[step] as number;
      const error = Math.abs(value - forecast);
      // A peer may forecast less than nothing; its logarithm is that of nothing.
      const logSquare = (Math.log1p(value) - Math.log1p(Math.max(0, forecast))) ** 2;
      sums.scaled += error / scale;
      sums.logSquares += logSquare;
      atOrigin.scaled += error / scale;
      atOrigin.logSquares += logSquare;
      atOrigin.count++;
      sums.symmetric += error === 0 ? 0 : (200 * error) / (Math.abs(value) + Math.abs(forecast));
      sums.count++;
    }
    for (const bound of bounds ?? []) addBounds(sums, range, { actual, scale, bound, origin });
    // Two levels say too little of a distribution.
    if (bounds !== undefined && bounds.length >= DISTRIBUTION_LEVELS_MIN)
      addRandomised(sums, range, { actual, point, bounds });
  }
}

/** Levels of bounds from which on they are taken for a distribution. */
const DISTRIBUTION_LEVELS_MIN = 5;

function addRandomised(
  { levels }: Sums,
  range: StepRange,
  {
    actual,
    point,
    bounds,
  }: { actual: ArrayLike<number>; point: ArrayLike<number>; bounds: readonly Bounds[] },
): void {
  for (let step = range.first; step < range.end; step++) {
    const atStep = bounds.map(({ level, lower, upper }) => ({
      level,
      lower: lower[step] as number,
      upper: upper[step] as number,
    }));
    const forecast = { point: point[step] as number, bounds: atStep };
    for (const [level, totals] of levels)
      totals.randomised += randomisedInside(actual[step] as number, level, forecast);
  }
}

function addBounds(
  sums: Sums,
  range: StepRange,
  {
    actual,
    scale,
    bound,
    origin,
  }: { actual: ArrayLike<number>; scale: number; bound: Bounds; origin: number },
): void {
  const totals = sums.levels.get(bound.level) ?? {
    inside: 0,
    randomised: 0,
    interval: 0,
    count: 0,
    ofOrigin: new Map(),
  };
  sums.levels.set(bound.level, totals);
  const atOrigin = totals.ofOrigin.get(origin) ?? { inside: 0, count: 0 };
  totals.ofOrigin.set(origin, atOrigin);
  const penalty = 2 / (1 - bound.level);
  for (let step = range.first; step < range.end; step++) {
    const value = actual[step] as number;
    const low = bound.lower[step] as number;
    const high = bound.upper[step] as number;
    // Rounding must not push a value out of bounds it equals.
    const slack = 1e-9 * Math.max(1, Math.abs(value));
    if (value >= low - slack && value <= high + slack) {
      totals.inside++;
      atOrigin.inside++;
    }
    atOrigin.count++;
    const outside = Math.max(0, low - value) + Math.max(0, value - high);
    totals.interval += (high - low + penalty * outside) / scale;
    totals.count++;
  }
}

/**
 * Standard error of a mean whose values come in clusters, one an origin: of the ratio estimator (Cochran, "Sampling
 * Techniques", 1977, §6). Values of one origin may depend on each other as they like; origins are taken as independent.
 *
 * @param clusters by origin: the number of values, and by how much their sum exceeds that number times the mean.
 * @returns NaN of fewer than two.
 */
export function errorOfRatio(
  clusters: readonly { readonly excess: number; readonly count: number }[],
): number {
  const n = clusters.length;
  if (n < 2) return Number.NaN;
  const squares = clusters.reduce((sum, { excess }) => sum + excess ** 2, 0);
  const count = clusters.reduce((sum, cluster) => sum + cluster.count, 0);
  return Math.sqrt((squares * n) / (n - 1)) / count;
}

const newSums = (method: string, range: StepRange): Sums => ({
  method,
  range,
  ofOrigin: new Map(),
  scaled: 0,
  logSquares: 0,
  symmetric: 0,
  count: 0,
  levels: new Map(),
});

/** Mean |y(t) - y(t - season)| over a history: the unit of MASE and MSIS. */
export function seasonalDifference(history: Float64Array, season: number): number {
  let sum = 0;
  for (let t = season; t < history.length; t++)
    sum += Math.abs((history[t] as number) - (history[t - season] as number));
  return sum / (history.length - season);
}
