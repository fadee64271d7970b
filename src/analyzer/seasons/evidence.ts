import { normalTail, ratioTail } from '../distributions.ts';
import { backgroundWeight } from './background.ts';
import type { View } from './spectral-view.ts';

/** Two chance spikes make a hill too: what the normal distribution says of one is not believed at its word. */
const HILL_CAUTION = 1000;
/** What the taper leaves of the series, squared mean over mean square. */
const KNOWN_SHARE = 0.87;

/** Something in the rows that noise would hardly do. */
export interface Evidence {
  /** Cycles a window. */
  readonly frequency: number;
  readonly pValue: number;
}

/** The ordinate that is the least likely to be noise, if it is a local maximum that has not been barred. */
export function highestPeak(view: View, barred: readonly number[]): Evidence | undefined {
  const { ratio, size, length, shape } = view;
  let [tail, frequency] = [1, 0];
  for (let j = 1; j < ratio.length; j++) {
    const value = ratio[j] as number;
    if (value <= 1 || value < (ratio[j - 1] as number) || value < (ratio[j + 1] ?? 0)) continue;
    if (barred.some((other) => Math.abs(other - j / size) * length < 1)) continue;
    const own = ratioTail(value, shape, shape * backgroundWeight((j * length) / size));
    if (own < tail) [tail, frequency] = [own, j / size];
  }
  if (frequency === 0) return undefined;
  // Sidak over the natural frequencies; the ordinates between two of them depend on these.
  return { frequency, pValue: -Math.expm1((length / 2) * Math.log1p(-Math.min(tail, 1 - 1e-15))) };
}

/**
 * The highest hill of the autocorrelation: what is short and sharp, such as a job once a week, spreads over so many
 * harmonics that none of them stands out, while all of them add up here.
 */
export function highestHill(
  { autocorrelation, length, shape }: View,
  maxPeriod: number,
  barred: readonly number[],
): Evidence | undefined {
  let [best, bestScore] = [0, 0];
  for (let lag = 2; lag <= maxPeriod; lag++) {
    // In white noise the autocorrelation at a lag has the variance 1 / pairs.
    const score = (autocorrelation[lag] as number) * Math.sqrt(KNOWN_SHARE * shape * (length - lag));
    if (score > bestScore && !barred.includes(1 / lag)) [best, bestScore] = [lag, score];
  }
  if (best === 0) return undefined;
  return { frequency: 1 / best, pValue: Math.min(1, HILL_CAUTION * maxPeriod * normalTail(bestScore)) };
}
