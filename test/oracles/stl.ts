/** Slow, obvious twin of assembly/loess.ts and assembly/stl.ts: one series. */
export interface Loess {
  /** Neighbours of a fit. */
  readonly window: number;
  readonly isLinear: boolean;
  readonly robust?: readonly number[];
}

/** The fit at `x`, -1 .. values.length. */
export function loessAt(values: readonly number[], x: number, { window, isLinear, robust }: Loess): number {
  const count = values.length;
  const width = Math.min(window, count);
  const first = Math.max(0, Math.min(x - Math.floor(window / 2), count - width));
  let reach = Math.max(x - first, first + width - 1 - x);
  if (window > count) reach += Math.floor((window - count) / 2);
  const neighbours = Array.from({ length: width }, (_, i) => {
    const distance = Math.abs(first + i - x) * (reach > 0 ? 1 / reach : 0);
    let near = 1;
    if (distance > 0.999) near = 0;
    else if (distance > 0.001) near = (1 - distance ** 3) ** 3;
    return { near, offset: first + i - x, value: values[first + i]!, robust: robust?.[first + i] ?? 1 };
  });
  const fit = (
    weightOf: (n: (typeof neighbours)[number]) => number,
    allowLine: boolean,
  ): number | undefined => {
    const sumOf = (term: (n: (typeof neighbours)[number]) => number): number =>
      neighbours.reduce((sum, n) => sum + weightOf(n) * term(n), 0);
    const sum = sumOf(() => 1);
    if (sum <= 1e-40) return undefined;
    const determinant = sum * sumOf((n) => n.offset ** 2) - sumOf((n) => n.offset) ** 2;
    if (!allowLine || determinant <= 1e-9 * sum * sumOf((n) => n.offset ** 2))
      return sumOf((n) => n.value) / sum;
    return (
      (sumOf((n) => n.offset ** 2) * sumOf((n) => n.value) -
        sumOf((n) => n.offset) * sumOf((n) => n.offset * n.value)) /
      determinant
    );
  };
  return fit((n) => n.near * n.robust, isLinear) ?? fit((n) => n.near, false)!;
}

export function loess(values: readonly number[], jump: number, options: Loess): number[] {
  const out = new Array<number>(values.length).fill(0);
  out[0] = loessAt(values, 0, options);
  for (let at = 0; at < values.length - 1; ) {
    const next = Math.min(at + jump, values.length - 1);
    out[next] = loessAt(values, next, options);
    for (let i = at + 1; i < next; i++)
      out[i] = out[at]! + ((i - at) / (next - at)) * (out[next]! - out[at]!);
    at = next;
  }
  return out;
}

const movingAverage = (values: readonly number[], window: number): number[] =>
  Array.from(
    { length: values.length - window + 1 },
    (_, i) => values.slice(i, i + window).reduce((sum, value) => sum + value, 0) / window,
  );

const jumpOf = (window: number): number => Math.ceil(window / 10);

export interface StlOptions {
  readonly season: number;
  readonly cycleWindow: number;
  readonly trendWindow: number;
  readonly turns: number;
  readonly robust?: readonly number[];
}

export function stl(
  values: readonly number[],
  options: StlOptions,
): { readonly trend: number[]; readonly seasonal: number[] } {
  const { season, cycleWindow, trendWindow, turns, robust } = options;
  const length = values.length;
  let trend = new Array<number>(length).fill(0);
  let seasonal: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const extended = new Array<number>(length + 2 * season).fill(0);
    for (let phase = 0; phase < season; phase++) {
      const windows = [...values.keys()].filter((t) => t % season === phase);
      const cycle = windows.map((t) => values[t]! - trend[t]!);
      const smoother = {
        window: cycleWindow,
        isLinear: false,
        ...(robust ? { robust: windows.map((t) => robust[t]!) } : {}),
      };
      const smoothed = [
        loessAt(cycle, -1, smoother),
        ...loess(cycle, jumpOf(cycleWindow), smoother),
        loessAt(cycle, cycle.length, smoother),
      ];
      smoothed.forEach((value, index) => {
        extended[index * season + phase] = value;
      });
    }
    const low = loess(
      movingAverage(movingAverage(movingAverage(extended, season), season), 3),
      jumpOf(season | 1),
      {
        window: season | 1,
        isLinear: true,
      },
    );
    seasonal = low.map((value, t) => extended[season + t]! - value);
    trend = loess(
      values.map((value, t) => value - seasonal[t]!),
      jumpOf(trendWindow),
      { window: trendWindow, isLinear: true, ...(robust ? { robust } : {}) },
    );
  }
  return { trend, seasonal };
}

/** Bisquare of the distance in six median absolute remainders; beyond, a millionth that falls with the square. */
export function robustWeights(remainder: readonly number[]): number[] {
  const sorted = remainder.map(Math.abs).sort((a, b) => a - b);
  const reach = 6 * sorted[sorted.length >> 1]!;
  return remainder.map((value) => {
    const distance = Math.abs(value);
    if (distance >= 0.999 * reach && distance > 0) return 1e-6 * (reach / distance) ** 2;
    return distance > 0.001 * reach ? (1 - (distance / reach) ** 2) ** 2 : 1;
  });
}

/** 1 - Var(remainder) / Var(season + remainder), with squares for variances. */
export function strength(seasonal: readonly number[], remainder: readonly number[]): number {
  const squares = (values: readonly number[]): number => values.reduce((sum, value) => sum + value ** 2, 0);
  const both = squares(seasonal.map((value, t) => value + remainder[t]!));
  return both > 0 ? Math.max(0, 1 - squares(remainder) / both) : 0;
}
