import type { Lag } from './lag-table.ts';

/** The last windows: 1 .. count. */
export const recentLags = (count: number): Lag[] =>
  Array.from({ length: count }, (_, i) => ({ lag: i + 1, prior: 0 }));

/** The windows around one, which alone has a prior weight. */
export const lagsAround = (center: number, reach: number, prior: number): Lag[] =>
  Array.from({ length: 2 * reach + 1 }, (_, i) => ({
    lag: center - reach + i,
    prior: i === reach ? prior : 0,
  }));

/** Each lag once, with all of its priors; windows that are not known at the origin are left out. */
export function distinctLags(lags: readonly Lag[]): Lag[] {
  const priors = new Map<number, number>();
  for (const { lag, prior } of lags) if (lag >= 1) priors.set(lag, (priors.get(lag) ?? 0) + prior);
  return [...priors].map(([lag, prior]) => ({ lag, prior }));
}

/**
 * Windows of an hour, one to four: how far beside the same time of another day a load may have moved to. On quarter hours
 * four in place of one or two win 7 to 9 % of log MSE; the upper end only bounds the work.
 */
export const hourWindows = (dayWindows: number): number =>
  Math.min(4, Math.max(1, Math.round(dayWindows / 24)));

/** More than a month of quarter hours; a bound on the work where windows are short. */
const WINDOWS_MAX = 4096;

/** Windows learnt from at most, and how a row fades: half its weight in two weeks. */
export const memoryOf = (weekWindows: number): { windowsMax: number; fade: number } => ({
  windowsMax: Math.min(6 * weekWindows, WINDOWS_MAX),
  fade: 0.5 ** (1 / (2 * weekWindows)),
});
