/** Slow, obvious twins of assembly/lstm-rows.ts in f64. */

const SEGMENT = 24;
const INPUT_MAX = 8;

export interface RowShape {
  readonly dayWindows: number;
  readonly weekWindows: number;
  readonly steps: number;
  readonly firstOutput: number;
  readonly horizon: number;
  readonly spreadFloor: number;
}

export interface Row {
  /** [steps][60]. */
  readonly inputs: number[][];
  /** [read step][3][horizon]. */
  readonly contrasts: number[][][];
  /** [read step][horizon]; NaN where nothing is known. */
  readonly targets: number[][];
  /** [horizon], of the last step. */
  readonly base: number[];
  readonly scale: number;
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const cut = (value: number): number => Math.max(-INPUT_MAX, Math.min(INPUT_MAX, value));
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Mean of up to `cyclesMax` cycles at the phase of the window `step` steps after the origin; undefined before one is over. */
function cycleMean(
  series: ArrayLike<number>,
  origin: number,
  options: { cycle: number; cyclesMax: number; step: number },
): number | undefined {
  const { cycle, cyclesMax, step } = options;
  const cycles = Math.min(cyclesMax, Math.floor(origin / cycle));
  if (cycles === 0) return undefined;
  return mean(range(cycles).map((back) => series[origin + (step % cycle) - (back + 1) * cycle]!));
}

/** [last day, mean of days, last week, mean of weeks] for the window `step` steps after the origin. */
function seasonals(series: ArrayLike<number>, origin: number, step: number, shape: RowShape): number[] {
  const day = { cycle: shape.dayWindows, step };
  const week = { cycle: shape.weekWindows, step };
  const lastDay = cycleMean(series, origin, { ...day, cyclesMax: 1 })!;
  const days = cycleMean(series, origin, { ...day, cyclesMax: 7 })!;
  return [
    lastDay,
    days,
    cycleMean(series, origin, { ...week, cyclesMax: 1 }) ?? lastDay,
    cycleMean(series, origin, { ...week, cyclesMax: 4 }) ?? days,
  ];
}

export function lstmRow(
  series: ArrayLike<number>,
  options: {
    readonly origin: number;
    readonly known: number;
    readonly isOutage: (window: number) => boolean;
    readonly phaseOf: (window: number) => readonly number[];
  },
  shape: RowShape,
): Row {
  const { origin, known } = options;
  const levelWindows = SEGMENT * Math.ceil(Math.max(168, Math.min(2 * shape.dayWindows, 1440)) / SEGMENT);
  const before = (end: number): number[] => {
    const count = Math.min(levelWindows, SEGMENT * Math.floor(end / SEGMENT));
    return range(count).map((i) => series[end - count + i]!);
  };
  const levelOf = (end: number): number => mean(before(end));
  const level = levelOf(origin);
  const scale = mean(before(origin).map((value) => Math.abs(value - level))) + shape.spreadFloor;
  const firstOrigin = origin - shape.steps * SEGMENT;
  const inputs = range(shape.steps).map((step) => {
    const start = firstOrigin + step * SEGMENT;
    const end = start + SEGMENT;
    const values = range(SEGMENT).map((i) => series[start + i]!);
    const said = range(SEGMENT).map((i) => seasonals(series, start, i, shape));
    const inSpreads = (value: number): number => cut(value / scale);
    return [
      ...values.map((value) => inSpreads(value - levelOf(end))),
      ...values.map((value, i) => inSpreads(value - mean(said[i]!))),
      ...range(4).map((k) => inSpreads(mean(values.map((value, i) => Math.abs(value - said[i]![k]!))))),
      inSpreads(levelOf(end) - levelOf(start)),
      ...options.phaseOf(end),
      1,
    ];
  });
  const read = range(shape.steps - shape.firstOutput).map(
    (index) => firstOrigin + (shape.firstOutput + index + 1) * SEGMENT,
  );
  const baseAt = (end: number, i: number): number => mean(seasonals(series, end, i, shape));
  const steps = range(shape.horizon);
  return {
    inputs,
    scale,
    contrasts: read.map((end) =>
      range(3).map((k) =>
        steps.map((i) => cut((seasonals(series, end, i, shape)[k]! - baseAt(end, i)) / scale)),
      ),
    ),
    targets: read.map((end) =>
      steps.map((i) => {
        const isKnown = end + i < known && !options.isOutage(end + i);
        return isKnown ? (series[end + i]! - baseAt(end, i)) / scale : Number.NaN;
      }),
    ),
    base: steps.map((i) => baseAt(origin, i)),
  };
}

/** r + sum over k of w_k d_k by step; `out` as the head leaves it: r [padded], w [3][padded / 8]. */
export function lstmCorrections(
  out: ArrayLike<number>,
  contrasts: readonly (readonly number[])[],
  horizon: number,
): number[] {
  const padded = Math.ceil(horizon / 16) * 16;
  const bands = padded / 8;
  return range(horizon).map((i) =>
    contrasts.reduce(
      (sum, contrast, k) => sum + out[padded + k * bands + Math.floor(i / 8)]! * contrast[i]!,
      out[i]!,
    ),
  );
}

/** Sum of Huber losses over the known targets, each d (e - delta d / 2) with d = clamp(e / delta). */
export function huber(forecasts: readonly number[], targets: readonly number[], delta: number): number {
  return forecasts.reduce((sum, forecast, i) => {
    const target = targets[i]!;
    if (Number.isNaN(target)) return sum;
    const error = Math.abs(forecast - target);
    return sum + (error <= delta ? (error * error) / (2 * delta) : error - delta / 2);
  }, 0);
}
