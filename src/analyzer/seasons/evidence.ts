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

/** Harmonics of an expected period that are looked at with it. */
const HARMONICS = 4;
/** Natural frequencies that an expected one may be off: the length of a series is seldom a whole number of cycles. */
const EXPECTED_SLACK = 0.6;

/**
 * The ordinate that is the least likely to be noise, if it is a local maximum that has not been barred.
 *
 * @param expected periods that are as likely as all others together: theirs are few frequencies, so that a peak there is
 * chance less often than one anywhere.
 */
export function highestPeak(
  view: View,
  barred: readonly number[],
  expected: readonly number[] = [],
): Evidence | undefined {
  const { ratio, size, length, shape } = view;
  let best: Evidence | undefined;
  for (let j = 1; j < ratio.length; j++) {
    const value = ratio[j] as number;
    if (value <= 1 || value < (ratio[j - 1] as number) || value < (ratio[j + 1] ?? 0)) continue;
    const frequency = j / size;
    if (barred.some((other) => Math.abs(other - frequency) * length < 1)) continue;
    const tail = ratioTail(value, shape, shape * backgroundWeight(frequency * length));
    // Sidak over the natural frequencies; the ordinates between two of them depend on these.
    const tested = isExpected(frequency, length, expected) ? 2 * HARMONICS * expected.length : length / 2;
    const pValue = -Math.expm1(tested * Math.log1p(-Math.min(tail, 1 - 1e-15)));
    if (best === undefined || pValue < best.pValue) best = { frequency, pValue };
  }
  return best;
}

function isExpected(frequency: number, length: number, expected: readonly number[]): boolean {
  return expected.some((period) => {
    const harmonic = Math.round(frequency * period);
    const off = Math.abs(frequency - harmonic / period) * length;
    return harmonic >= 1 && harmonic <= HARMONICS && off <= EXPECTED_SLACK;
  });
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
