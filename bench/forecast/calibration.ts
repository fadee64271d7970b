import { judgedSteps } from '../../src/analyzer/bands.ts';
import { normalTail } from '../../src/analyzer/distributions.ts';
import { originStride, rangesToIssue } from '../../src/analyzer/origins.ts';
import type { SeriesSet } from './sets.ts';

const DAY_MS = 86_400_000;
/** Less history leaves most members silent. */
const HISTORY_DAYS_MIN = 4;
/**
 * Errors of a series before its bounds are judged: of fewer none is as rare as one tail of 95 % bounds, 1 in 40, so that no such
 * bound can be made of them (n + 1 >= 1 / 0.025; Vovk, Gammerman & Shafer, "Algorithmic learning in a random world", 2005, §4.3).
 */
const ERRORS_MIN = 39;

/** How much of a sample lay inside some bounds, of one origin or one series. */
export interface Hits {
  readonly inside: number;
  readonly count: number;
}

export const shareInside = (hits: readonly Hits[]): number =>
  hits.reduce((sum, { inside }) => sum + inside, 0) / hits.reduce((sum, { count }) => sum + count, 0);

/**
 * Standard error of a share whose values come in clusters, one an origin, of which near ones may be alike as well: of the ratio
 * estimator, with Bartlett's weights for the covariances of origins up to `lag` apart. It is nearly what a moving-block bootstrap
 * with blocks of lag + 1 origins comes to, without chance (Künsch, "The jackknife and the bootstrap for general stationary
 * observations", 1989; Newey & West, "A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent covariance
 * matrix", 1987).
 *
 * @param hits by origin, in order; of clusters without an order give lag 0.
 * @returns NaN of fewer than two.
 */
export function dependentError(hits: readonly Hits[], lag: number): number {
  const n = hits.length;
  if (n < 2) return Number.NaN;
  const share = shareInside(hits);
  const excess = hits.map(({ inside, count }) => inside - share * count);
  const covariance = (apart: number): number =>
    excess.reduce((sum, value, at) => sum + value * (excess[at + apart] ?? 0), 0);
  let sum = covariance(0);
  for (let apart = 1; apart <= Math.min(lag, n - 1); apart++)
    sum += 2 * (1 - apart / (lag + 1)) * covariance(apart);
  const count = hits.reduce((total, hit) => total + hit.count, 0);
  return Math.sqrt((sum * n) / (n - 1)) / count;
}

/**
 * Origins whose hits may depend on each other: those of one day, those whose windows overlap, and as many as the usual rule for so
 * many origins says (4 (n / 100)^(2/9); Newey & West, "Automatic lag selection in covariance matrix estimation", 1994).
 */
export function dependentLag({
  origins,
  step,
  steps,
  dayWindows,
}: {
  readonly origins: number;
  /** Windows from origin to origin. */
  readonly step: number;
  /** Steps of the horizon, the last one that is judged. */
  readonly steps: number;
  readonly dayWindows: number;
}): number {
  const rule = Math.floor(4 * (origins / 100) ** (2 / 9));
  return Math.max(rule, Math.ceil(dayWindows / step), Math.ceil(steps / step));
}

/**
 * How probable it is that bounds which are right as often as they claim come out within `must` of that, by the normal approximation:
 * at one half, who meets the bar is lucky.
 */
export const chanceWhenCalibrated = (standardError: number, must: number): number =>
  standardError === 0 ? 1 : 1 - 2 * normalTail(must / standardError);

/**
 * The first window at which bounds can honestly be judged, the same rule for every set: there are four days of history, and each series
 * has been judged at 39 steps of forecasts issued before.
 */
export function firstScoredOrigin({ windowMs, seriesCount }: SeriesSet, horizon: number): number {
  const steps = judgedSteps(horizon);
  const firstIssue = Array.from({ length: seriesCount }, () => 0);
  for (let end = 1; end <= originStride(seriesCount); end++)
    for (const { first, count } of rangesToIssue(seriesCount, end))
      firstIssue.fill(end, first, first + count);
  const enough = (issue: number): number => {
    const windows: number[] = [];
    for (let origin = issue; windows.length < 2 * ERRORS_MIN; origin += originStride(seriesCount))
      windows.push(...[...steps].map((step) => origin + step + 1));
    return windows.sort((a, b) => a - b)[ERRORS_MIN - 1] as number;
  };
  const latest = Math.max(...firstIssue.map(enough));
  return Math.max(latest, HISTORY_DAYS_MIN * Math.round(DAY_MS / windowMs));
}
