/** How surprising a count is, and how many surprises among very many counts are to be believed. */
import { assert } from '../../base/assert.ts';
import { incompleteBeta, normalTail } from '../seasons/f-distribution.ts';

/** From here on the continued fraction of the beta function would need more steps than it takes, and the normal tail is as good. */
const COUNT_LARGE = 3000;

/**
 * Chance of `count` or more successes of `trialCount`, each with `probability`; neither count need be whole, since decayed counts
 * are not: the incomplete beta function continues the binomial tail between whole counts. Large counts by the normal tail of
 * the signed root of the deviance (G-test).
 *
 * @returns 0..1; 1 where count is 0 or less.
 * @see Numerical Recipes, 3rd edition, 6.14.14; McCullagh & Nelder, "Generalized linear models", 1989, 4.4.6
 */
export function binomialTail(count: number, trialCount: number, probability: number): number {
  if (count <= 0 || probability >= 1) return 1;
  if (count > trialCount || probability <= 0) return 0;
  if (count < COUNT_LARGE) return incompleteBeta(probability, count, trialCount - count + 1);
  const rest = trialCount - count;
  const restDeviance = rest > 0 ? rest * Math.log(rest / (trialCount * (1 - probability))) : 0;
  const deviance = 2 * (count * Math.log(count / (trialCount * probability)) + restDeviance);
  const root = Math.sqrt(Math.max(0, deviance));
  return normalTail(count >= trialCount * probability ? root : -root);
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
