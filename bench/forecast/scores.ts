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
  /** By nominal level: share of values inside the bounds, and mean scaled interval score. */
  readonly coverage: ReadonlyMap<number, number>;
  readonly msis: ReadonlyMap<number, number>;
}

interface Sums {
  readonly method: string;
  readonly range: StepRange;
  scaled: number;
  logSquares: number;
  symmetric: number;
  count: number;
  readonly levels: Map<number, { inside: number; interval: number; count: number }>;
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
      coverage: new Map([...sums.levels].map(([level, { inside, count }]) => [level, inside / count])),
      msis: new Map([...sums.levels].map(([level, { interval, count }]) => [level, interval / count])),
    }));
  }

  #addRange(range: StepRange, { method, actual, point, bounds, scale }: Judged): void {
    const key = `${method} ${range.first}`;
    const sums = this.#sums.get(key) ?? newSums(method, range);
    this.#sums.set(key, sums);
    for (let step = range.first; step < range.end; step++) {
      const value = actual[step] as number;
      const forecast = point[step] as number;
      const error = Math.abs(value - forecast);
      sums.scaled += error / scale;
      // A peer may forecast less than nothing; its logarithm is that of nothing.
      sums.logSquares += (Math.log1p(value) - Math.log1p(Math.max(0, forecast))) ** 2;
      sums.symmetric += error === 0 ? 0 : (200 * error) / (Math.abs(value) + Math.abs(forecast));
      sums.count++;
    }
    for (const bound of bounds ?? []) addBounds(sums, range, { actual, scale, bound });
  }
}

function addBounds(
  sums: Sums,
  range: StepRange,
  { actual, scale, bound }: { actual: ArrayLike<number>; scale: number; bound: Bounds },
): void {
  const totals = sums.levels.get(bound.level) ?? { inside: 0, interval: 0, count: 0 };
  sums.levels.set(bound.level, totals);
  const penalty = 2 / (1 - bound.level);
  for (let step = range.first; step < range.end; step++) {
    const value = actual[step] as number;
    const low = bound.lower[step] as number;
    const high = bound.upper[step] as number;
    // Rounding must not push a value out of bounds it equals.
    const slack = 1e-9 * Math.max(1, Math.abs(value));
    if (value >= low - slack && value <= high + slack) totals.inside++;
    const outside = Math.max(0, low - value) + Math.max(0, value - high);
    totals.interval += (high - low + penalty * outside) / scale;
    totals.count++;
  }
}

const newSums = (method: string, range: StepRange): Sums => ({
  method,
  range,
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
