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
