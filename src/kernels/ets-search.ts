/** How many candidates one pass of the filter judges: the lanes of assembly/ets.ts. */
export const CANDIDATES = 8;

/** Smoothing parameters, in the order of assembly/ets.ts. */
export interface EtsParameters {
  readonly alpha: number;
  readonly beta: number;
  readonly phi: number;
  readonly gamma: number;
  readonly delta: number;
}

export interface SearchOptions {
  /** 2 for the second season too, 1 with one season, 0 without. */
  readonly seasonCount: number;
  /** Passes after those over the starting points. */
  readonly rounds: number;
  /** Judges eight candidates: smaller is better, NaN and infinity are never taken. */
  judge(candidates: readonly EtsParameters[]): ArrayLike<number>;
}

export interface SearchResult {
  readonly parameters: EtsParameters;
  readonly loss: number;
}

/** A place in the unit cube: see {@link parametersAt}. */
type Point = readonly number[];

/** Steps in the unit cube: a fifth of each range at first, three fifths of the step after each pass that found nothing. */
const STEP_FIRST = 0.2;
const STEP_SHRINK = 0.6;

/**
 * Finds smoothing parameters by pattern search, eight candidates at a time.
 *
 * Each round tries steps up and down along the next dimensions and, after a success, the same move again, once and twice
 * as far (Hooke & Jeeves, "Direct search solution of numerical and statistical problems", 1961). No gradient, no random
 * number, bounds by clamping: the loss has ridges and plateaus, and a forecast must not change because chance did.
 */
export function searchParameters({ seasonCount, rounds, judge }: SearchOptions): SearchResult {
  const dimensions = 3 + seasonCount;
  let best: { readonly point: Point; readonly loss: number } = { point: [], loss: Number.POSITIVE_INFINITY };
  const tryAll = (points: readonly Point[]): boolean => {
    const losses = judge(points.map(parametersAt));
    const before = best;
    points.forEach((point, i) => {
      const loss = losses[i] as number;
      if (loss < best.loss) best = { point, loss };
    });
    return best !== before;
  };
  tryAll(STARTS.map((start) => start.slice(0, dimensions)));

  let step = STEP_FIRST;
  let turn = 0;
  let move: Point | undefined;
  for (let round = 0; round < rounds; round++) {
    const points: Point[] = [];
    if (move !== undefined) points.push(moved(best.point, move, 1), moved(best.point, move, 2));
    for (; points.length < CANDIDATES; turn++) {
      const axis = (turn >> 1) % dimensions;
      const next = best.point.slice();
      next[axis] = clamped((next[axis] as number) + ((turn & 1) === 0 ? step : -step));
      points.push(next);
    }
    const { point } = best;
    const isBetter = tryAll(points);
    if (!isBetter && move === undefined) step *= STEP_SHRINK;
    move = isBetter ? best.point.map((value, axis) => value - (point[axis] as number)) : undefined;
  }
  return { parameters: parametersAt(best.point), loss: best.loss };
}

/** A slow and a fast level, a weak and a strong answer to what is new, stiff and pliant seasons. */
const STARTS: readonly Point[] = [0.15, 0.5].flatMap((permanent) =>
  [0.2, 0.6].flatMap((transient) =>
    [0.25, 0.75].map((season) => [permanent, transient, 0.7, season, season]),
  ),
);

const clamped = (value: number): number => Math.min(1, Math.max(0, value));

const moved = (point: Point, move: Point, times: number): Point =>
  point.map((value, axis) => clamped(value + times * (move[axis] as number)));

/** 10^low .. 10^high: gains matter by their order of magnitude. */
const logarithmic = (share: number, low: number, high: number): number =>
  Math.exp(Math.LN10 * (low + (high - low) * share));

/**
 * A point of the unit cube as parameters: [permanent, transient, damping, first season, second season].
 *
 * An error moves the forecast of h windows ahead by permanent + transient phi^h. A positive transient fades away again: the
 * autoregressive remainder that Taylor (2010) adds to his model; a negative one builds up: a damped trend. Both are the
 * same filter with alpha = permanent + transient and beta = -transient (1 - phi) / phi.
 */
function parametersAt(point: Point): EtsParameters {
  const permanent = logarithmic(point[0] as number, -3.5, -0.05);
  const transientMin = -permanent;
  const transientMax = 0.95 - permanent;
  const transient = transientMin + (transientMax - transientMin) * (point[1] as number);
  const phi = 1 - logarithmic(point[2] as number, -2, -0.3);
  // What the level takes of an error the seasons cannot take as well.
  const season = (index: number): number =>
    index < point.length ? logarithmic(point[index] as number, -3.5, -0.15) * (1 - permanent) : 0;
  return {
    alpha: permanent + transient,
    beta: (-transient * (1 - phi)) / phi,
    phi,
    gamma: season(3),
    delta: season(4),
  };
}
