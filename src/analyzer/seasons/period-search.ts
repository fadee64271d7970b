import { foldRow } from './fold.ts';
import type { PreparedRow } from './prepared-row.ts';
import type { View } from './spectral-view.ts';

/** A season that explains less of the variance is of no use to a forecast. */
export const STRENGTH_MIN = 0.01;
/** Hills of the autocorrelation tried for one peak, the highest first. */
const HILLS_MAX = 12;
/** Hills no further apart than this are one. */
const SAME_HILL = 1.1;
/** Windows either side of a hill that are tried, at most, and this share of it. */
const REACH_MAX = 8;
const REACH_SHARE = 1 / 400;
/** What a multiple of a known season has to repeat of what its best neighbour does, to be preferred. */
const MULTIPLE_SHARE = 0.75;
/** From so many independent rows on their mean variance is surer than what single cycles tell of each other. */
const ROWS_SURE = 4;

export interface Search {
  readonly view: View;
  readonly rows: readonly PreparedRow[];
  readonly maxPeriod: number;
  /** Seasons found and taken out before. */
  readonly known: readonly number[];
}

/**
 * The period behind a peak: a whole number of the peak's cycles, a hill of the autocorrelation, and cycles that tell each
 * other. Multiples of a period repeat all that it repeats, so the shortest that repeats half of what the best one does.
 */
export function periodOf(frequency: number, context: Search): number | undefined {
  const { view, rows, maxPeriod } = context;
  const { autocorrelation } = view;
  const tried = hillsFor(frequency, view, maxPeriod)
    .sort((a, b) => (autocorrelation[b] as number) - (autocorrelation[a] as number))
    .slice(0, HILLS_MAX)
    .map((period) => ({ period, ...foldAll(rows, period, view.shape) }))
    .filter(({ isRepeated }) => isRepeated);
  const best = Math.max(STRENGTH_MIN, ...tried.map(({ variance }) => variance));
  const good = tried.filter(({ variance }) => variance >= 0.5 * best);
  if (good.length === 0) return undefined;
  const shortest = Math.min(...good.map(({ period }) => period));
  // Noise breaks a broad hill into several: of those the highest.
  const { period } = good
    .filter((hill) => hill.period <= SAME_HILL * shortest)
    .reduce((highest, hill) => (hill.variance > highest.variance ? hill : highest));
  return shortestWithin(settle(period, context), context);
}

/** Goes down from a period to the part of it that is really what repeats, if there is one. */
function shortestWithin(period: number, context: Search): number {
  const { view, rows } = context;
  const { variance } = foldAll(rows, period);
  for (let divisor = 2; divisor <= period / 2; divisor++) {
    if (period % divisor !== 0 || !isPrime(divisor)) continue;
    const part = period / divisor;
    const fold = foldAll(rows, part, view.shape);
    const isOwn = standsOut({ period: part, variance: fold.variance }, { period, variance });
    if (fold.isRepeated && isOwn) return shortestWithin(part, context);
  }
  return period;
}

const isPrime = (n: number): boolean => {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return true;
};

export interface Repeating {
  readonly period: number;
  readonly variance: number;
}

/**
 * Whether a season that divides another is one of its own or just the other's harmonics: two peaks a day make half a day
 * a season if they carry clearly more than odd harmonics do; a sharp peak a day carries all alike. Variances are compared
 * by the number of harmonics they are spread over.
 */
export function standsOut(part: Repeating, whole: Repeating): boolean {
  const own = Math.floor(part.period / 2);
  const others = Math.floor(whole.period / 2) - own;
  return part.variance / own > (2 * Math.max(0, whole.variance - part.variance)) / others;
}

/** Hills of the autocorrelation at periods that the peak's cycles go into. */
function hillsFor(frequency: number, { length, autocorrelation }: View, maxPeriod: number): number[] {
  const hills: number[] = [];
  for (let period = 2; period <= maxPeriod; period++) {
    const cycles = frequency * period;
    // A peak is as wide as one cycle in the whole series.
    const slack = Math.min(0.34, (0.75 * period) / length);
    const isWhole = cycles > 1 - slack && Math.abs(cycles - Math.round(cycles)) <= slack;
    // Short periods are coarse: the whole number nearest to the peak is always tried.
    if (!isWhole && period !== Math.round(1 / frequency)) continue;
    const here = autocorrelation[period] as number;
    const before = autocorrelation[period - 1] as number;
    const after = autocorrelation[period + 1] as number;
    if (here > 0 && here >= before && here >= after) hills.push(period);
  }
  return hills;
}

/**
 * Noise moves a hill by a few windows: the period near it that repeats most, or a multiple of a season that is known
 * already if it repeats nearly as much (a week of 169 hours is one of 168).
 */
function settle(hill: number, { rows, maxPeriod, known, view }: Search): number {
  const reachMax = Math.max(REACH_MAX, Math.round(hill * REACH_SHARE));
  const reach = Math.min(reachMax, Math.max(1, Math.round(hill ** 2 / (2 * view.length))));
  let [best, bestVariance] = [hill, 0];
  for (let period = Math.max(2, hill - reach); period <= Math.min(maxPeriod, hill + reach); period++) {
    const isMultiple = known.some((other) => period > other && period % other === 0);
    const { variance, isRepeated } = foldAll(rows, period, view.shape);
    const weighed = isMultiple ? variance / MULTIPLE_SHARE : variance;
    if (isRepeated && weighed > bestVariance) [best, bestVariance] = [period, weighed];
  }
  return best;
}

export function foldAll(
  rows: readonly PreparedRow[],
  period: number,
  shape = 1,
): { variance: number; isRepeated: boolean } {
  let [variance, predictedShare] = [0, 0];
  for (const row of rows) {
    const fold = foldRow(row, period);
    variance += fold.variance / rows.length;
    predictedShare += fold.predictedShare / rows.length;
  }
  return { variance, isRepeated: shape >= ROWS_SURE ? variance > 0 : predictedShare > 0 };
}
