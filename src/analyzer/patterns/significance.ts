/** How surprising a count is, and how many surprises among very many counts are to be believed. */
import { assert } from '../../base/assert.ts';
import { incompleteBeta, logGamma, normalTail } from '../distributions.ts';

/** From here on sums and continued fractions would need more steps than they are given, and the normal tail is as good. */
const COUNT_LARGE = 3000;
/** Terms below this share of the sum so far are left out. */
const NEGLIGIBLE = 1e-12;

/**
 * Chance of `count` or more in a cell of a 2 x 2 table whose margins are given (Fisher's exact test, one-sided). Counts need not be
 * whole, since decayed counts are not: gamma functions continue the factorials. Large counts by the normal tail of the signed
 * root of the deviance (G-test).
 *
 * @param table.rowSum, table.columnSum of the cell's row and column, <= table.sum.
 * @returns 0..1; 1 where the count is no more than expected: such a cell is of no interest.
 * @see Agresti, "Categorical data analysis", 3rd edition, 2013, 3.5 (exact test) and 3.2 (likelihood ratio)
 */
export function cellTail(
  count: number,
  { rowSum, columnSum, sum }: { readonly rowSum: number; readonly columnSum: number; readonly sum: number },
): number {
  const expected = (rowSum * columnSum) / sum;
  if (count <= expected) return 1;
  const countMax = Math.min(rowSum, columnSum);
  const corner = sum - rowSum - columnSum;
  if (count >= COUNT_LARGE) return deviantTail(count, { rowSum, columnSum, sum });
  let tail = 0;
  let chance = Math.exp(
    logChoose(rowSum, count) + logChoose(sum - rowSum, columnSum - count) - logChoose(sum, columnSum),
  );
  for (let k = count; k <= countMax + 1e-9; k++) {
    tail += chance;
    chance *= (Math.max(0, rowSum - k) * Math.max(0, columnSum - k)) / ((k + 1) * (corner + k + 1));
    if (chance < NEGLIGIBLE * tail) break;
  }
  return Math.min(1, tail);
}

function deviantTail(
  count: number,
  { rowSum, columnSum, sum }: { readonly rowSum: number; readonly columnSum: number; readonly sum: number },
): number {
  const part = (observed: number, expected: number): number =>
    observed > 0 ? observed * Math.log(observed / expected) : 0;
  const [otherRows, otherColumns] = [sum - rowSum, sum - columnSum];
  const deviance =
    part(count, (rowSum * columnSum) / sum) +
    part(rowSum - count, (rowSum * otherColumns) / sum) +
    part(columnSum - count, (otherRows * columnSum) / sum) +
    part(sum - rowSum - columnSum + count, (otherRows * otherColumns) / sum);
  return normalTail(Math.sqrt(Math.max(0, 2 * deviance)));
}

const logChoose = (n: number, k: number): number =>
  logGamma(n + 1) - logGamma(k + 1) - logGamma(Math.max(0, n - k) + 1);

/**
 * Chance of `count` or more successes of `trialCount`, each with `probability`, continued between whole counts by the incomplete
 * beta function; large counts as above.
 *
 * @returns 0..1; 1 where count is 0 or less.
 * @see Press et al., "Numerical Recipes", 3rd ed., 6.14.14
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
