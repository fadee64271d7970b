/** How surprising a count is, and how many surprises among very many counts are to be believed. */
import { assert } from '../../base/assert.ts';

const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];
const CONTINUED_FRACTION_STEPS_MAX = 400;
const TINY = 1e-300;

/** Natural logarithm of the gamma function of x > 0. @see Lanczos, "A precision approximation of the gamma function", 1964 */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const shifted = x - 1;
  let sum = LANCZOS[0] as number;
  for (let i = 1; i < LANCZOS.length; i++) sum += (LANCZOS[i] as number) / (shifted + i);
  const t = shifted + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(t) - t + Math.log(sum);
}

/**
 * Chance of `count` or more successes of `trialCount`, each with `probability`; neither count need be whole, since decayed counts
 * are not (the incomplete beta function continues the binomial tail between whole counts).
 *
 * @returns 0..1; 1 where count is 0 or less.
 * @see Numerical Recipes, 3rd edition, 6.4 and 6.14.14
 */
export function binomialTail(count: number, trialCount: number, probability: number): number {
  if (count <= 0 || probability >= 1) return 1;
  if (count > trialCount || probability <= 0) return 0;
  return incompleteBeta(count, trialCount - count + 1, probability);
}

/** Regularised incomplete beta function, by Lentz's continued fraction. a, b > 0, x in 0..1. */
function incompleteBeta(a: number, b: number, x: number): number {
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  return x < (a + 1) / (a + b + 2)
    ? Math.min(1, (front * betaFraction(a, b, x)) / a)
    : Math.max(0, 1 - (front * betaFraction(b, a, 1 - x)) / b);
}

function betaFraction(a: number, b: number, x: number): number {
  const guarded = (value: number): number => (Math.abs(value) < TINY ? TINY : value);
  let c = 1;
  let d = 1 / guarded(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= CONTINUED_FRACTION_STEPS_MAX; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / guarded(1 + even * d);
    c = guarded(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / guarded(1 + odd * d);
    c = guarded(1 + odd / c);
    const step = d * c;
    fraction *= step;
    if (Math.abs(step - 1) < 1e-12) break;
  }
  return fraction;
}

/**
 * Which of many tests to believe, so that of those believed no more than the given share is expected to be chance.
 *
 * @param pValues of the tests whose outcome could be small; all others count as 1.
 * @param testCount of all tests, >= pValues.length.
 * @returns q-values in the order of `pValues`: a test is believed at rate r where its q-value is r or less.
 * @see Benjamini & Hochberg, "Controlling the false discovery rate", JRSS B 57, 1995
 */
export function falseDiscoveryRates(pValues: readonly number[], testCount: number): Float64Array {
  assert(testCount >= pValues.length, 'every p-value belongs to a test');
  const order = Array.from(pValues.keys()).sort((a, b) => (pValues[b] as number) - (pValues[a] as number));
  const rates = new Float64Array(pValues.length);
  let smallest = 1;
  order.forEach((index, fromLargest) => {
    const rank = pValues.length - fromLargest;
    smallest = Math.min(smallest, ((pValues[index] as number) * testCount) / rank);
    rates[index] = smallest;
  });
  return rates;
}
